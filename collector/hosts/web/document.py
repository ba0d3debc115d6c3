"""What there is to know of the inputs, as /status.json shows it: numbers for programs, texts for people.

The status page and `audit-s3 status` show these texts, so that all three say the same. `at` finds a value by
the steps to it, `as_text` is how people read it.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from collector import __version__
from collector.hosts.service.board import Board
from collector.hosts.service.history import Rate
from collector.hosts.service.observation import STATES, Observation, Problem
from collector.hosts.web.metrics import COUNTED
from collector.retention.clock import Reading
from collector.retention.lag import Lag
from collector.retention.silence import STATES as SILENCE_STATES
from collector.wording import counted, iso, spell, spell_short

__all__ = ["as_text", "at", "document", "readiness"]


def document(board: Board) -> Dict[str, Any]:
    """Everything, as JSON would have it. Times are ISO 8601 in UTC, sizes bytes."""
    each, now = board.each(), time.time()
    seen = board.observe(each)
    processes = Counter(one.name for _, one in each)
    return {
        "program": "audit-s3",
        "version": __version__,
        "host": socket.gethostname(),
        "started": iso(board.started),
        "at": iso(now),
        "clock": time.strftime("%H:%M:%S UTC", time.gmtime(now)),
        "up": f"up {spell(now - board.started)}",
        "ready": bool(readiness(seen)["ready"]),
        "summary": _summary(seen),
        "inputs": [{**_input(one, board, now=now), "processes": processes[one.name]} for one in seen],
    }


def readiness(seen: Sequence[Observation]) -> Dict[str, Any]:
    """Whether every input is ready, and for each that is not: why, and what to do about it."""
    reasons = [reason for one in seen if not one.is_ready for reason in _reasons(one)]
    return {"ready": not reasons, "reasons": reasons}


def at(status: Any, steps: Sequence[Any]) -> Any:
    """What stands in the document at the end of these steps; None where there is nothing."""
    for step in steps:
        status = status.get(step) if isinstance(status, Mapping) else status and status[step]
    return status


def as_text(value: Any) -> str:
    """A value of the document as people read it; `asText` of the page's script does the same."""
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


def spell_bytes(count: float) -> str:
    """A size in the largest unit of which there is one: "0 B", "12.3 kB", "4.0 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"


# -- all of it ------------------------------------------------------------------------------------------


def _summary(seen: Sequence[Observation]) -> str:
    """ "3 inputs: 2 collecting, 1 blocked; 1 warning"."""
    states = Counter(one.state for one in seen)
    told = ", ".join(f"{states[state]} {state.replace('_', ' ')}" for state in STATES if states[state])
    warnings = sum(len(one.warnings) for one in seen)
    also = f"; {counted(warnings, 'warning')}" if warnings else ""
    return f"{counted(len(seen), 'input')}: {told}{also}"


def _reasons(one: Observation) -> Iterator[Dict[str, str]]:
    about = {"input": one.name, "state": one.state}
    for name, problem in one.open_breakers.items():
        yield {**about, "breaker": name, "reason": str(problem), "hint": problem.hint}
    if not one.open_breakers:
        problem_now = one.last_error if one.state in ("retrying", "not_started") else None
        reason = f"{STATES[one.state]} {problem_now}" if problem_now else STATES[one.state]
        yield {**about, "reason": reason, "hint": problem_now.hint if problem_now else ""}


def _input(one: Observation, board: Board, *, now: float) -> Dict[str, Any]:
    error_at = board.history.error_at(one.name, one.last_error)
    again_at = board.history.again_at(one.name, one.last_error) if one.is_ready else None
    return {
        "name": one.name,
        "state": one.state,
        "meaning": STATES[one.state],
        "attention": _attention(one),
        "rate": _rate(board.history.rate(one.name, now=now)),
        "last_hour": _last_hour(board.history.minutes(one.name, now=now)),
        "delivered": _delivered(one.counters),
        "backlog": _backlog(one),
        "quarantine": _quarantine(one),
        "counters": {**dict.fromkeys(COUNTED, 0), **one.counters},
        "in_hand": {
            "deliveries": one.deliveries,
            "objects": sum(one.objects.values()),
            "objects_by_state": {state: count for state, count in one.objects.items() if count},
            "held_bytes": one.held_bytes,
            "receipts": dict(one.receipts),
        },
        "quarantine_bytes": one.quarantine_bytes,
        "warnings": {name: _error(problem) for name, problem in one.warnings.items()},
        **_watched(one, now=now),
        "breakers_open": {name: _error(problem) for name, problem in one.open_breakers.items()},
        "last_error": _error(one.last_error, at=error_at, again=again_at),
    }


def _rate(rate: Rate) -> Dict[str, Any]:
    return {
        "events_per_second": round(rate.events_per_second, 3),
        "bytes_per_second": round(rate.bytes_per_second, 1),
        **_figure(f"{rate.events_per_second:,.1f} events/s", f"{spell_bytes(rate.bytes_per_second)}/s"),
    }


def _last_hour(minutes: Sequence[int]) -> Dict[str, Any]:
    events, most = sum(minutes), max(minutes)
    text = f"{counted(events, 'event')} in the last hour" + (f", at most {most:,} a minute" if events else "")
    return {"events": events, "minutes": list(minutes), "text": text}


def _delivered(counters: Mapping[str, int]) -> Dict[str, str]:
    events, objects = counters.get("events", 0), counters.get("done", 0)
    return _figure(counted(events, "event"), f"of {counted(objects, 'object')}")


def _backlog(one: Observation) -> Dict[str, str]:
    depth = one.watched.depth
    waiting = "queue unknown" if depth is None else f"{counted(depth.visible, 'message')}"
    return _figure(waiting, f"and {one.deliveries:,} in hand")


def _quarantine(one: Observation) -> Dict[str, Any]:
    kinds = ("quarantined_bodies", "quarantined_objects", "quarantined_events")
    put = sum(one.counters.get(kind, 0) for kind in kinds)
    used = one.quarantine_bytes
    figure = _figure(spell_bytes(used) if used else "empty", f"{put:,} since the start")
    return {"put": put, "bytes": used, **figure}


def _attention(one: Observation) -> Optional[str]:
    """What needs a look, in a line: "queue_missing, quarantine 1.2 kB, 1 warning"."""
    problems = list(one.open_breakers.values())
    if not problems and one.last_error and one.state in ("retrying", "not_started"):
        problems = [one.last_error]
    found = list(dict.fromkeys(problem.code for problem in problems))
    found += [f"quarantine {spell_bytes(one.quarantine_bytes)}"] if one.quarantine_bytes else []
    found += [counted(len(one.warnings), "warning")] if one.warnings else []
    return ", ".join(found) or None


def _figure(main: str, more: str) -> Dict[str, str]:
    """A figure as people read it: what counts, and what else there is to say."""
    return {"main": main, "more": more, "text": f"{main}, {more}"}


def _watched(one: Observation, *, now: float) -> Dict[str, Any]:
    """What the watch saw at its last look. `text` is for people; what is not known is null."""
    watched, depth = one.watched, one.watched.depth
    age = "" if one.is_ready else f" (seen {spell(now - watched.looked_at)} ago)"
    if not watched.looked_at:
        age = ", not looked at yet"
    return {
        "retention": {of: _clock(reading, age) for of, reading in watched.deadlines.items()},
        "silence": {
            "state": watched.silence_state,
            "seconds": round(watched.silence_seconds),
            "expected_interval_seconds": watched.expected_interval_seconds,
            "text": str(one.silence or SILENCE_STATES[watched.silence_state]),
            "hint": one.silence.hint if one.silence else "",
        },
        "queue": {name: round(count) for name, count in vars(depth).items()} if depth is not None else None,
        "lag": {owner: _lag(lag) for owner, lag in watched.lags.items()},
    }


def _clock(reading: Reading, age: str) -> Dict[str, Any]:
    left, oldest = reading.left_seconds, reading.oldest
    return {
        "left_seconds": None if left is None else round(left),
        "window_seconds": reading.window_seconds,
        "used_ratio": None if reading.share is None else round(reading.share, 4),
        "oldest": oldest.what if oldest is not None else None,
        "brief": str(reading).partition(": ")[0] + age,
        "text": str(reading) + age,
    }


def _lag(lag: Lag) -> Dict[str, Any]:
    if not lag.count:
        return {"p50_seconds": None, "p95_seconds": None, "objects": 0, "text": str(lag),
                "p50": "none yet", "p95": "none yet"}
    return {
        "p50_seconds": round(lag.p50_seconds, 3), "p50": spell_short(lag.p50_seconds),
        "p95_seconds": round(lag.p95_seconds, 3), "p95": spell_short(lag.p95_seconds),
        "objects": lag.count, "text": str(lag),
    }


def _error(
    problem: Optional[Problem], *, at: Optional[float] = None, again: Optional[float] = None
) -> Optional[Dict[str, Any]]:
    """`at`: when it was seen first; `again`: since when the input collects again after it."""
    if problem is None:
        return None
    times = {"at": at, "collecting_again_since": again}
    seen = {name: iso(moment) for name, moment in times.items() if moment is not None}
    return {**vars(problem), "text": str(problem), **seen}
