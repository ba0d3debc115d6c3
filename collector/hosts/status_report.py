"""What `audit-s3 status` prints: a table of what the ledgers hold, and a block of lines for each input.

Nothing is cut off. With a `width` (a terminal's) long lines are broken; without one every value is one line,
for grep. The texts of a running collector are those of its status page.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from collector.errors import CollectorError
from collector.hosts.web.document import as_text, at
from collector.wording import plain

__all__ = ["STATES", "Seen", "as_json", "broken", "lines"]

#: The states of rows, in the order of the table's columns; the last column counts what is in quarantine,
#: messages and events included, and not the rows of what was dropped from it.
STATES = ("done", "open", "filtered", "gone", "expired", "quarantined")
_LABEL = 14
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Seen:
    """One input: `counts` of rows by state and `entries` in quarantine (None: it was never started), what of
    it is unfinished and in nobody's hands, and what a running collector says (None: none answers).
    `is_expected`: one should answer, for `http_listen` is set. `unreadable`: why its ledger is not known."""

    name: str
    counts: Optional[Mapping[str, int]] = None
    entries: int = 0
    left_over: str = ""
    running: Optional[Mapping[str, Any]] = None
    is_expected: bool = False
    unreadable: Optional[CollectorError] = None

    @property
    def is_troubled(self) -> bool:
        if self.running is None and (self.is_expected or self.counts is None):
            return True
        if self.unreadable is not None or (self.running is None and self.left_over):
            return True
        ended_badly = any((self.counts or {}).get(state) for state in ("gone", "expired"))
        stands = self.state in ("blocked", "not_started")
        return bool(ended_badly or self.entries or stands or (self.running or {}).get("warnings"))

    @property
    def state(self) -> str:
        if self.running is not None:
            return str(self.running["state"])
        if self.unreadable is not None:
            return "unreadable"
        return "not seen" if self.counts is not None else "never run"


def as_json(seen: Sequence[Seen]) -> Dict[str, Any]:
    """The same for programs; `running` is the input as /status.json has it."""
    inputs = [
        {
            "name": one.name,
            "state": one.state,
            "objects": None if one.counts is None else {each: one.counts.get(each, 0) for each in STATES},
            "quarantine_entries": one.entries,
            "oldest_unfinished": one.left_over or None,
            "unreadable": str(one.unreadable) if one.unreadable else None,
            "running": one.running,
        }
        for one in seen
    ]
    return {"inputs": inputs, "troubled": any(one.is_troubled for one in seen)}


def lines(seen: Sequence[Seen], *, width: Optional[int], bars: bool) -> Iterator[str]:
    """The report. `bars` draws the last hour."""
    yield from _table(seen, width or 80)
    for one in seen:
        rows = list(_rows(one, bars=bars))
        if rows:
            yield ""
            yield from broken(f"{one.name}: {_meaning(one)}", "", "  ", width)
            shown = ""
            for label, text in rows:
                label, shown = "" if label == shown and label in ("lag", "kept") else label, label
                yield from broken(text, f"  {label:{_LABEL}}", " " * (_LABEL + 2), width)


def _table(seen: Sequence[Seen], width: int) -> Iterator[str]:
    """Names that would make it too wide stand on a line of their own."""
    head = ["state", *STATES]
    rows = [[one.state, *_cells(one)] for one in seen]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    longest = max(len(plain(one.name)) for one in seen)
    room = max(len("input"), min(longest, width - sum(widths) - 2 * len(head)))
    yield _line("input", head, room, widths)
    for one, row in zip(seen, rows):
        name = plain(one.name)
        if len(name) > room:
            yield name
        yield _line(name if len(name) <= room else "", row, room, widths)


def _cells(one: Seen) -> List[str]:
    if one.counts is None:
        return ["-"] * len(STATES)
    return [f"{count:,}" for count in (*(one.counts.get(state, 0) for state in STATES[:-1]), one.entries)]


def _line(name: str, cells: Sequence[str], room: int, widths: Sequence[int]) -> str:
    numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(cells[1:], widths[1:]))
    return f"{name:{room}}  {cells[0]:{widths[0]}}{numbers}"


def _meaning(one: Seen) -> str:
    if one.running is not None:
        return str(one.running["meaning"])
    return "what its store knows" if one.unreadable is None else "its ledger cannot be read"


def _rows(one: Seen, *, bars: bool) -> Iterator[Tuple[str, str]]:
    """What is known, each with its label."""
    if one.unreadable is not None:
        yield "ledger", str(one.unreadable)
    if one.running is not None:
        yield from _running(one.running, bars=bars)
    elif one.left_over:
        yield "unfinished", one.left_over
    if one.entries:
        yield "quarantine", f"{one.entries:,} to be looked at: audit-s3 quarantine list --input {one.name}"


def _running(told: Mapping[str, Any], *, bars: bool) -> Iterator[Tuple[str, str]]:
    yield from _warnings(told)
    yield from _texts(told, _FIRST)
    minutes = at(told, ("last_hour", "minutes"))
    if bars and minutes and any(minutes):
        yield "", "".join(_bar(count, max(minutes)) for count in minutes)
    yield from _texts(told, _TIMES)


_FIRST = (
    ("rate", ("rate",)), ("waiting", ("backlog",)), ("delivered", ("delivered",)),
    ("last hour", ("last_hour",)),
)
_TIMES = (
    ("lag", ("lag", "provider"), "provider: "), ("lag", ("lag", "aws"), "AWS: "),
    ("lag", ("lag", "collector"), "collector: "), ("kept", ("retention", "bucket"), "by the bucket: "),
    ("kept", ("retention", "queue"), "by the queue: "),
    ("silence", ("silence",), ""),
)


def _texts(told: Mapping[str, Any], wanted: Sequence[Sequence[Any]]) -> Iterator[Tuple[str, str]]:
    for label, steps, *before in wanted:
        text = as_text(at(told, steps))
        if text:
            yield label, "".join(before) + text


def _warnings(told: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    problems = [("warning", one) for one in (told.get("warnings") or {}).values()]
    error = told.get("last_error")
    problems += [("last error", error)] if error else []
    for label, problem in problems:
        again = problem.get("collecting_again_since")
        times = [problem.get("at"), f"collecting again since {again}" if again else None]
        seen_at = f" ({', '.join(filter(None, times))})" if any(times) else ""
        yield label, f"{problem.get('text')}{seen_at}"
        if problem.get("hint"):
            yield "what to do", str(problem["hint"])
        if problem.get("owner"):
            yield "whose move", str(problem["owner"])


def _bar(count: int, most: int) -> str:
    return _BARS[min(len(_BARS) - 1, count * len(_BARS) // most)] if count else " "


def broken(text: str, first: str, later: str, width: Optional[int]) -> List[str]:
    """The text in lines of at most `width`, behind `first` and then `later`; one line without a width."""
    shown = plain(text)
    if width is None or len(first) + len(shown) <= width:
        return [first + shown]
    room = max(20, width)
    return textwrap.wrap(shown, room, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
