"""The status page: the document of /status.json as HTML, whole without JavaScript.

Every element that shows a value says where in the document it stands (`data-at`, `data-if`, ...), and the
script of assets.py writes later documents into the same places. Keys, URLs and errors come from outside:
here they pass through `html.escape`, there through `textContent`.
"""

from __future__ import annotations

import html
import json
from typing import Any, Mapping, Sequence, Tuple

from collector.engine.watch import WARNINGS
from collector.hosts.service.history import MINUTES
from collector.hosts.web.assets import CHART_HEIGHT, SCRIPT, STYLE
from collector.hosts.web.document import as_text, at
from collector.hosts.web.metrics import COUNTED
from collector.retention.clock import BUCKET, QUEUE

__all__ = ["page"]

Status = Mapping[str, Any]

#: The figures of an input, and where in the document's input each stands.
_FIGURES: Sequence[Tuple[str, str]] = (
    ("Rate, last minute", "rate"),
    ("Delivered", "delivered"),
    ("Backlog", "backlog"),
    ("Quarantine", "quarantine"),
)
_OWNERS: Sequence[Tuple[str, str]] = (
    ("provider", "Provider: event to object"),
    ("aws", "AWS: object to message"),
    ("collector", "Collector: message to delivered"),
)
_CLOCKS: Sequence[Tuple[str, str]] = ((BUCKET, "the bucket"), (QUEUE, "the queue"))
_IN_HAND: Sequence[Tuple[str, Tuple[str, ...]]] = (
    ("deliveries in hand", ("in_hand", "deliveries")),
    ("objects in hand", ("in_hand", "objects")),
    ("of these", ("in_hand", "objects_by_state")),
    ("read and not sent, bytes", ("in_hand", "held_bytes")),
    ("sent and not confirmed, batches", ("in_hand", "receipts")),
    ("messages in the queue", ("queue",)),
    ("processes", ("processes",)),
)


def page(status: Status) -> str:
    """The whole page for one document; nothing in it is loaded from elsewhere."""
    numbers = range(len(status["inputs"]))
    shape = json.dumps([status["started"], *(one["name"] for one in status["inputs"])], separators=(",", ":"),
                       ensure_ascii=False)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>audit-s3</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body data-shape="{html.escape(shape)}">
<header><h1>audit-s3</h1>{_place("p", status, "summary", attributes=' id="summary"')}
<p class="dim">{html.escape(status["version"])} on {html.escape(status["host"])},
{_place("span", status, "up")}, seen at {_place("span", status, "clock")}</p>
<p id="silent" role="alert" hidden>The collector does not answer; what is shown is old.</p></header>
{_overview(status) if len(numbers) > 1 else ""}
<main>{"".join(_article(status, number) for number in numbers)}</main>
<footer><a href="/status.json">status.json</a> <a href="/metrics">metrics</a>
<a href="/readyz">readyz</a> <a href="/healthz">healthz</a>
<noscript>Without JavaScript: load the page again for new figures.</noscript></footer>
<script>{SCRIPT}</script></body></html>
"""


def _overview(status: Status) -> str:
    rows = "".join(_overview_row(status, number) for number in range(len(status["inputs"])))
    return f"""<nav aria-label="All inputs"><table><thead><tr><th scope="col">Input</th>
<th scope="col">State</th><th scope="col" class="wide">Rate</th><th scope="col" class="wide">Backlog</th>
<th scope="col" class="number">Our lag, p95</th></tr></thead><tbody>{rows}</tbody></table></nav>"""


def _overview_row(status: Status, number: int) -> str:
    here = ("inputs", number)
    name = _place("a", status, *here, "name", attributes=f' href="#input-{number}"')
    lag = _place("td", status, *here, "lag", "collector", "p95", attributes=' class="number"')
    steps = (*here, "attention")
    look = f'<p class="look"{_if(status, steps)}>{_place("span", status, *steps)}</p>'
    return (
        f'<tr><th scope="row">{name}</th><td>{_state("span", status, here)}{look}</td>'
        f"{_place('td', status, *here, 'rate', attributes=_WIDE)}"
        f"{_place('td', status, *here, 'backlog', attributes=_WIDE)}{lag}</tr>"
    )


_WIDE, _DIM, _NUMBER = ' class="wide"', ' class="dim"', ' class="number"'


def _article(status: Status, number: int) -> str:
    here = ("inputs", number)
    alone = ' class="alone"' if len(status["inputs"]) == 1 else ""
    figures = "".join(
        f"<div><dt>{label}</dt>{_place('dd', status, *here, name, 'main')}"
        f"{_place('dd', status, *here, name, 'more', attributes=_DIM)}</div>"
        for label, name in _FIGURES
    )
    return f"""
<article{alone} id="input-{number}" aria-labelledby="name-{number}">
<div><div class="top">{_place("h2", status, *here, "name", attributes=f' id="name-{number}"')}
{_state("p", status, here)}</div>
{_place("p", status, *here, "meaning", attributes=' class="meaning"')}</div>
{_notes(status, here)}
<dl class="figures">{figures}</dl>
{_chart(status, here)}
<div class="pair">{_lags(status, here)}
{_clocks(status, here)}</div>
{_details(status, here)}</article>"""


def _state(tag: str, status: Status, here: Tuple[Any, ...]) -> str:
    state = html.escape(at(status, (*here, "state")))
    attributes = f' class="state" data-state="{state}"'
    return _place(tag, status, *here, "state", attributes=attributes)


def _notes(status: Status, here: Tuple[Any, ...]) -> str:
    """The last error and the warnings, each with what to do; those that there are not are hidden."""
    error = (*here, "last_error")
    again = (*error, "collecting_again_since")
    more = f" {_place('span', status, *error, 'at')}"
    more += f"<span{_if(status, again)}>, collecting again since {_place('span', status, *again)}</span>"
    notes = _note(status, error, "Last error", kind="", more=more)
    for name in WARNINGS:
        steps = (*here, "warnings", name)
        notes += _note(status, steps, f"Warning: {name.replace('_', ' ')}", kind=" warning")
    return notes


def _note(status: Status, steps: Tuple[Any, ...], title: str, *, kind: str, more: str = "") -> str:
    return (
        f'<div class="note{kind}"{_if(status, steps)}><h3>{title}{more}</h3>'
        f"{_place('p', status, *steps, 'text')}"
        f"<p{_if(status, (*steps, 'hint'))}>What to do: {_place('span', status, *steps, 'hint')}</p>"
        f"<p{_if(status, (*steps, 'owner'))}>Whose move: {_place('span', status, *steps, 'owner')}</p></div>"
    )


def _chart(status: Status, here: Tuple[Any, ...]) -> str:
    steps = (*here, "last_hour")
    minutes = at(status, (*steps, "minutes"))
    most = max(1, *minutes)
    bars = "".join(_bar(minute, CHART_HEIGHT * count / most) for minute, count in enumerate(minutes))
    where = html.escape(json.dumps([*steps, "minutes"]))
    return f"""<figure><figcaption><h3>Events a minute</h3>{_place("span", status, *steps)}</figcaption>
<svg viewBox="0 0 {MINUTES} {CHART_HEIGHT}" preserveAspectRatio="none" aria-hidden="true" data-bars="{where}">
{bars}</svg><div class="axis"><span>an hour ago</span><span>now</span></div></figure>"""


def _bar(minute: int, height: float) -> str:
    return f'<rect x="{minute + 0.1}" y="{CHART_HEIGHT - height:g}" width=".8" height="{height:g}"></rect>'


def _lags(status: Status, here: Tuple[Any, ...]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{label}</th>'
        f"{_place('td', status, *here, 'lag', owner, 'p50', attributes=_NUMBER)}"
        f"{_place('td', status, *here, 'lag', owner, 'p95', attributes=_NUMBER)}</tr>"
        for owner, label in _OWNERS
    )
    return (
        '<table><thead><tr><th scope="col">Lag, by who had it</th><th scope="col" class="number">p50</th>'
        f'<th scope="col" class="number">p95</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _clocks(status: Status, here: Tuple[Any, ...]) -> str:
    """How much of each window is used, as a bar and in words; then silence."""
    rows = ""
    for name, label in _CLOCKS:
        steps = (*here, "retention", name)
        where = html.escape(json.dumps([*steps, "used_ratio"]))
        used = at(status, (*steps, "used_ratio")) or 0
        oldest = _place("span", status, *steps, "oldest")
        rows += (
            f'<div class="clock"{_if(status, steps)}><span>{label}</span>'
            f'<meter max="1" low=".5" high=".8" optimum="0" value="{used}" data-value="{where}" '
            f'aria-label="Share of what {label} keeps that is used up"></meter>'
            f"{_place('span', status, *steps, 'brief')}"
            f"<p{_if(status, (*steps, 'oldest'))}>Oldest: {oldest}</p></div>"
        )
    silence = _place("p", status, *here, "silence", attributes=' class="meaning"')
    return f"<div><h3>Kept until it is lost</h3>{rows}{silence}</div>"


def _details(status: Status, here: Tuple[Any, ...]) -> str:
    rows = [(label, (*here, *steps)) for label, steps in _IN_HAND]
    rows += [("breakers open", (*here, "breakers_open"))]
    rows += [(name, (*here, "counters", name)) for name in COUNTED]
    shown = "".join(
        f"<div><dt>{html.escape(label)}</dt>{_place('dd', status, *steps)}</div>" for label, steps in rows
    )
    return f"<details><summary>In hand, and all counters</summary><dl>{shown}</dl></details>"


def _if(status: Status, steps: Sequence[Any]) -> str:
    """The attributes of an element that is there only while the document has something at `steps`."""
    hidden = "" if as_text(at(status, steps)) else " hidden"
    return f' data-if="{html.escape(json.dumps(list(steps)))}"{hidden}'


def _place(tag: str, status: Status, *steps: Any, attributes: str = "") -> str:
    """An element that shows one value of the document, and tells the script which."""
    where = html.escape(json.dumps(list(steps)))
    return f'<{tag}{attributes} data-at="{where}">{html.escape(as_text(at(status, steps)))}</{tag}>'
