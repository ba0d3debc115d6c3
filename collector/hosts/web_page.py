"""The status page, and the document behind it.

`document` is what /status.json shows. `page` writes the same document as HTML, so the page is whole without
JavaScript; a small script then fetches the document every two seconds and writes it into the same places.
Keys, URLs and errors come from outside: here they pass through `html.escape`, there through `textContent`,
and the policy lets nothing run but the one script whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import socket
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from collector import __version__
from collector.hosts.metrics import COUNTED
from collector.hosts.observation import STATES, Board, Observation, Problem
from collector.retention.clock import Reading
from collector.retention.lag import Lag
from collector.retention.silence import STATES as SILENCE_STATES

__all__ = [
    "POLICY", "SCRIPT", "STYLE", "TIMES", "as_text", "at", "document", "hash_of", "page", "readiness",
]  # fmt: skip

STYLE = """
:root { color-scheme: light dark; --line: #8884;
  --dim: #777; --good: #1a7f4b; --wait: #9a6700; --bad: #c62f2f }
@media (prefers-color-scheme: dark) {
  :root { --dim: #999; --good: #4cc38a; --wait: #e2a53a; --bad: #ff7b72 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline }
h1 { font-size: 1.4rem; margin: 0 }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere }
header p, footer { color: var(--dim); margin: 0 }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  margin: 1rem 0 }
section { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; min-width: 0 }
.top { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem }
.state { font-weight: 600; margin: 0; white-space: nowrap; color: var(--bad) }
.state::before { content: "\\25CF\\00A0" }
.state[data-state=collecting] { color: var(--good) }
.state[data-state=starting], .state[data-state=stopping], .state[data-state=retrying] { color: var(--wait) }
.meaning { color: var(--dim); margin: 0 0 .5rem }
dl { margin: 0 }
dl div { display: flex; justify-content: space-between; gap: 1rem; border-top: 1px solid var(--line);
  padding: .2rem 0 }
dl div[hidden] { display: none }
dt { color: var(--dim); flex: none }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; font-variant-numeric: tabular-nums }
.words { display: block }
.words dd { text-align: left }
.problem dd { color: var(--bad) }
summary { cursor: pointer; color: var(--dim); padding-top: .4rem }
#silent { color: var(--bad); font-weight: 600 }
a { color: inherit }
"""

SCRIPT = r"""
"use strict";
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
function asText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return grouped(value);
  if (typeof value !== "object") return String(value);
  if (typeof value.text === "string") return value.text;
  return Object.entries(value).map(([name, one]) => name + ": " + asText(one)).join("; ");
}
function write(status) {
  for (const place of document.querySelectorAll("[data-at]")) {
    const value = JSON.parse(place.dataset.at).reduce((found, step) => found && found[step], status);
    const text = asText(value);
    if (place.textContent !== text) place.textContent = text;
    if (place.dataset.state !== undefined) place.dataset.state = text;
    if (place.parentElement.dataset.optional !== undefined) place.parentElement.hidden = text === "";
  }
}
async function refresh() {
  const silent = document.getElementById("silent");
  try {
    const answer = await fetch("/status.json", {cache: "no-store"});
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    const status = await answer.json();
    if (status.started !== document.body.dataset.started) return location.reload();
    write(status);
    silent.hidden = true;
  } catch (error) {
    silent.hidden = false;
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
"""


def hash_of(text: str) -> str:
    """How a policy names one inline style or script."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


#: https://www.w3.org/TR/CSP3: nothing but our own style and script, and the script talks to us only.
POLICY = (
    f"default-src 'none'; style-src {hash_of(STYLE)}; script-src {hash_of(SCRIPT)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


# -- the document -----------------------------------------------------------------------------------


def document(board: Board) -> Dict[str, Any]:
    """What there is to know, as JSON would have it. Times are ISO 8601 in UTC, sizes bytes."""
    seen = board.observe()
    ready = bool(readiness(seen)["ready"])
    return {
        "program": "audit-s3",
        "version": __version__,
        "host": socket.gethostname(),
        "started": _iso(board.started),
        "at": _iso(time.time()),
        "ready": ready,
        "inputs": [_input(one) for one in seen],
    }


def readiness(seen: Sequence[Observation]) -> Dict[str, Any]:
    """Whether every input is ready, and for each that is not: why, and what to do about it."""
    reasons = [reason for one in seen if not one.is_ready for reason in _reasons(one)]
    return {"ready": not reasons, "reasons": reasons}


def _reasons(one: Observation) -> Iterator[Dict[str, str]]:
    about = {"input": one.name, "state": one.state}
    for name, problem in one.open_breakers.items():
        yield {**about, "breaker": name, "reason": str(problem), "hint": problem.hint}
    if not one.open_breakers:
        problem_now = one.last_error if one.state in ("retrying", "not_started") else None
        reason = f"{STATES[one.state]} {problem_now}" if problem_now else STATES[one.state]
        yield {**about, "reason": reason, "hint": problem_now.hint if problem_now else ""}


def _input(one: Observation) -> Dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "meaning": STATES[one.state],
        "counters": {**dict.fromkeys(COUNTED, 0), **one.counters},
        "in_hand": {
            "deliveries": one.deliveries,
            "objects": sum(one.objects.values()),
            "objects_by_state": {state: count for state, count in one.objects.items() if count},
            "held_bytes": one.held_bytes,
            "receipts": dict(one.receipts),
        },
        "quarantine_bytes": one.quarantine_bytes,
        "warnings": {
            name: {**(_error(problem) or {}), "owner": one.watched.warnings[name].owner}
            for name, problem in one.warnings.items()
        },
        **_watched(one),
        "breakers_open": {name: _error(problem) for name, problem in one.open_breakers.items()},
        "last_error": _error(one.last_error),
    }


def _watched(one: Observation) -> Dict[str, Any]:
    """What the watch saw at its last look. `text` is for people; what is not known is null."""
    watched, depth = one.watched, one.watched.depth
    return {
        "retention": {of: _clock(reading) for of, reading in watched.deadlines.items()},
        "silence": {
            "state": watched.silence_state,
            "seconds": round(watched.silence_seconds),
            "expected_interval_seconds": watched.expected_interval_seconds,
            "text": str(one.silence or SILENCE_STATES[watched.silence_state]),
            "hint": one.silence.hint if one.silence else "",
        },
        "queue": dict(vars(depth)) if depth is not None else None,
        "lag": {owner: _lag(lag) for owner, lag in watched.lags.items()},
    }


def _clock(reading: Reading) -> Dict[str, Any]:
    left, oldest = reading.left_seconds, reading.oldest
    return {
        "left_seconds": None if left is None else round(left),
        "window_seconds": reading.window_seconds,
        "used_ratio": None if reading.share is None else round(reading.share, 4),
        "oldest": oldest.what if oldest is not None else None,
        "text": str(reading),
    }


def _lag(lag: Lag) -> Dict[str, Any]:
    p50, p95 = (round(lag.p50_seconds, 3), round(lag.p95_seconds, 3)) if lag.count else (None, None)
    return {"p50_seconds": p50, "p95_seconds": p95, "objects": lag.count, "text": str(lag)}


def _error(problem: Optional[Problem]) -> Optional[Dict[str, str]]:
    return None if problem is None else {**vars(problem), "text": str(problem)}


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


# -- the page ---------------------------------------------------------------------------------------


def page(status: Mapping[str, Any]) -> str:
    """The whole page for one document; nothing in it is loaded from elsewhere."""
    inputs = "".join(_section(status, number) for number in range(len(status["inputs"])))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>audit-s3</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body data-started="{html.escape(status["started"])}">
<header><h1>audit-s3</h1><p>{html.escape(status["version"])} on {html.escape(status["host"])},
ready: {_place("span", status, "ready")}, at {_place("span", status, "at")}</p>
<p id="silent" hidden>The collector does not answer; what is shown is old.</p></header>
<main>{inputs}</main>
<footer><a href="/status.json">status.json</a> <a href="/metrics">metrics</a>
<a href="/readyz">readyz</a> <a href="/healthz">healthz</a></footer>
<script>{SCRIPT}</script></body></html>
"""


#: The rows of an input: what it says, and where in the document's input it stands.
_NUMBERS: Sequence[Tuple[str, Tuple[str, ...]]] = (
    ("messages received", ("counters", "messages")),
    ("objects done", ("counters", "done")),
    ("events delivered", ("counters", "events")),
    ("messages deleted", ("counters", "deleted")),
    ("messages returned", ("counters", "returned")),
    ("deliveries in hand", ("in_hand", "deliveries")),
    ("objects in hand", ("in_hand", "objects")),
    ("of these", ("in_hand", "objects_by_state")),
    ("read and not sent, bytes", ("in_hand", "held_bytes")),
    ("sent and not confirmed, batches", ("in_hand", "receipts")),
    ("in quarantine, bytes", ("quarantine_bytes",)),
)
#: What there is to know of time; `audit-s3 status` shows it too.
TIMES: Sequence[Tuple[str, Tuple[str, ...]]] = (
    ("until the bucket deletes", ("retention", "bucket")),
    ("until the queue forgets", ("retention", "queue")),
    ("silence", ("silence",)),
    ("messages in the queue", ("queue",)),
    ("lag of the provider", ("lag", "provider")),
    ("lag of AWS", ("lag", "aws")),
    ("lag of the collector", ("lag", "collector")),
)
_PROBLEMS: Sequence[Tuple[str, Tuple[str, ...]]] = (
    ("breakers open", ("breakers_open",)),
    ("warnings", ("warnings",)),
    ("last error", ("last_error", "text")),
    ("what to do", ("last_error", "hint")),
)


def _section(status: Mapping[str, Any], number: int) -> str:
    here = ("inputs", number)
    numbers = "".join(_row(status, label, (*here, *steps)) for label, steps in (*_NUMBERS, *TIMES))
    problems = "".join(_row(status, label, (*here, *steps), problem=True) for label, steps in _PROBLEMS)
    counters = "".join(_row(status, name, (*here, "counters", name)) for name in COUNTED)
    state = html.escape(status["inputs"][number]["state"])
    return f"""
<section><div class="top">{_place("h2", status, *here, "name")}
{_place("p", status, *here, "state", attributes=f' class="state" data-state="{state}"')}</div>
{_place("p", status, *here, "meaning", attributes=' class="meaning"')}
<dl>{problems}{numbers}</dl>
<details><summary>all counters</summary><dl>{counters}</dl></details></section>"""


def _row(status: Mapping[str, Any], label: str, steps: Sequence[Any], *, problem: bool = False) -> str:
    optional = ""
    if problem:
        hidden = "" if as_text(at(status, steps)) else " hidden"
        optional = f' class="words problem" data-optional{hidden}'
    return f"<div{optional}><dt>{html.escape(label)}</dt>{_place('dd', status, *steps)}</div>"


def _place(tag: str, status: Mapping[str, Any], *steps: Any, attributes: str = "") -> str:
    """An element that shows one value of the document, and tells the script which."""
    where = html.escape(json.dumps(list(steps)))
    return f'<{tag}{attributes} data-at="{where}">{html.escape(as_text(at(status, steps)))}</{tag}>'


def at(status: Any, steps: Sequence[Any]) -> Any:
    """What stands in the document at the end of these steps; None where there is nothing."""
    for step in steps:
        status = status.get(step) if isinstance(status, Mapping) else status and status[step]
    return status


def as_text(value: Any) -> str:
    """A value of the document as the page shows it; `asText` of the script does the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, Mapping):
        return str(value)
    if isinstance(value.get("text"), str):
        return str(value["text"])
    parts: List[str] = [f"{name}: {as_text(one)}" for name, one in value.items()]
    return "; ".join(parts)
