"""The report of a dry run as one HTML file that needs nothing else: for a ticket, or who owns the SIEM."""

from __future__ import annotations

import json
from html import escape
from typing import Any, Iterator, List, Mapping

from collector.hosts.web.assets import STYLE, hash_of
from collector.wording import counted

__all__ = ["page"]

_STYLE = STYLE + """
main { display: block }
article { margin-bottom: 1rem }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8125rem; line-height: 1.4 }
.events td { vertical-align: top; font-size: .875rem }
.events td:not(:last-child) { white-space: nowrap }
.sample { border-top: 1px solid var(--line); padding-top: 1rem }
.sample h3 { color: var(--ink); font-size: 1rem; font-weight: 600; overflow-wrap: anywhere;
  margin-bottom: .5rem }
.figures { grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)) }
.figures dd:not(.dim) { font-size: 1rem }
.sample .figures div:last-child { grid-column: 1 / -1 }
.scroll { overflow-x: auto; margin-top: .75rem }
@media print { nav, article { break-inside: auto; border: 0; padding: 0 } }
@media (max-width: 40rem) { .events tr, .events td { display: block } .events thead { display: none } }
"""
#: Nothing is loaded and nothing runs, whatever the events hold.
_POLICY = f"default-src 'none'; style-src {hash_of(_STYLE)}"


def page(found: Mapping[str, Any]) -> str:
    """The whole file. Every value is text, never markup."""
    masked = "what looks like a secret or an address is masked" if found["masked"] else "nothing is masked"
    inputs = "".join("".join(_input(one)) for one in found["inputs"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>audit-s3 dry run</title>
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><header><h1>audit-s3 dry run</h1>
<p class="dim">{escape(found["at"])}, audit-s3 {escape(found["version"])}. Nothing was forwarded, written or
deleted; {masked}.</p></header>
<main>{inputs}</main></body></html>
"""


def _input(one: Mapping[str, Any]) -> Iterator[str]:
    yield f'<article><div class="top"><h2>{escape(one["name"])}</h2></div>'
    yield f'<p class="dim">provider {escape(one["provider"])}, output {escape(", ".join(one["output"]))}</p>'
    if one["skipped"]:
        yield _note("Skipped", f"{one['skipped']['reason']}; {one['skipped']['hint']}", kind=" warning")
    yield from _error("This input cannot be looked at", one["error"])
    if "samples" in one:
        yield from _found(one)
    yield "</article>"


def _found(one: Mapping[str, Any]) -> Iterator[str]:
    yield f'<p class="meaning">{escape(one["promise"])}</p>'
    yield _figures(
        {
            "Samples": len(one["samples"]),
            "Events in them": one["events"],
            "Without a time of their own": f"{one['unparsed_percent']} %",
            "Read from": one["start_from"],
        }
    )
    if one["caution"]:
        yield _note("Caution", one["caution"], kind=" warning")
    for listing in one["listings"]:
        yield from _listing(listing, has_ledger=one["has_ledger"])
    yield from _error("The queue cannot be looked into", one["peek_error"])
    yield from _messages(one)
    for sample in one["samples"]:
        yield from _sample(sample)


def _listing(listing: Mapping[str, Any], *, has_ledger: bool) -> Iterator[str]:
    yield from _error(f"{listing['url']} cannot be listed", listing["error"])
    if not listing["error"]:
        counts = {
            "To be read" + (", if not done already" if has_ledger else ""): listing["to_be_read"],
            "Before start_from, read if the queue has their message": listing["before_start_from"],
            "Past retention": listing["past_retention"], "Filtered": sum(listing["filtered"].values()),
        }
        more = "" if listing["is_whole"] else ", and more: the listing was not followed to its end"
        title = f"{listing['url']}: {counted(listing['listed'], 'object')}{more}"
        yield f"<div><h3>{escape(title)}</h3>{_figures(counts)}</div>"


def _messages(one: Mapping[str, Any]) -> Iterator[str]:
    if not one["peeked"]:
        return
    rows: List[str] = []
    for message in one["messages"]:
        meaning = message["noop"] or ", ".join(
            (counted(message["objects"], "object"), counted(message["payloads"], "audit"))
        )
        problems = [each for each in (message["failure"], message["not_returned"]) if each]
        said = [*message["senders"], *(f"{each['what']} [{each['code']}]" for each in problems)]
        cells = (message["message_id"], message["receives"], message["shape"], meaning, "; ".join(said))
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    yield (
        '<div class="scroll"><table><caption class="dim">Messages, all given back; each cost one receive'
        '</caption><thead><tr><th scope="col">Message</th><th scope="col">Received</th>'
        '<th scope="col">Shape</th><th scope="col">Meaning</th>'
        '<th scope="col">Sender, problems</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sample(sample: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section class="sample"><h3>{escape(sample["url"])}</h3>'
    if sample["note"]:
        yield f'<p class="dim">{escape(sample["note"])}</p>'
    yield _figures(
        {
            "Container": sample["container"] or "not known",
            "Size": f"{sample['stored_bytes']:,} bytes",
            "Events": f"{sample['events']:,}{'' if sample['is_whole'] else ' and more'}{_of_them(sample)}",
            "Without a time": f"{sample['unparsed_percent']} %",
            "Time field": sample["time_field"] or "none",
            "Object time": sample["object_time"] or "not known",
            "sourcetype": sample["sourcetype"] or "-",
            "index": sample["index"] or "-",
            "host": sample["host"] or "-",
            "source": sample["source"] or "-",
        }
    )
    for said in sample["senders"]:
        yield f'<p class="dim">Sender {escape(said)}</p>'
    yield from _error("This could not be read", sample["error"])
    yield _events(sample)
    yield "</section>"


def _of_them(sample: Mapping[str, Any]) -> str:
    """How many of its events are below, where that is not all."""
    shown = len(sample.get("shown", ()))
    return f" ({shown:,} shown)" if shown < sample["events"] else ""


def _events(sample: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one['parsed_time'] or 'none')}</td><td>{escape(sample['object_time'] or '')}</td>"
        f"<td><pre>{escape(json.dumps(one['hec'], ensure_ascii=False))}</pre></td></tr>"
        for one in sample.get("shown", ())
    )
    if not rows:
        return ""
    return (
        '<table class="events"><thead><tr><th scope="col">Event time</th><th scope="col">Object time</th>'
        f'<th scope="col">As HEC would get it</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _error(title: str, error: Any) -> Iterator[str]:
    if error:
        text = f"{error['what']} [{error['code']}]" + (f" at {error['where']}" if error["where"] else "")
        yield _note(title, text, more=(error["hint"], f"`run` would {error['run_would']}"))


def _note(title: str, text: str, *, kind: str = "", more: Any = ()) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in (text, *more) if line)
    return f'<div class="note{kind}"><h3>{escape(title)}</h3>{lines}</div>'


def _figures(figures: Mapping[str, Any]) -> str:
    rows = ((escape(name), escape(str(value))) for name, value in figures.items())
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="figures">{shown}</dl>'
