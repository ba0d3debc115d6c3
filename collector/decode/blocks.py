"""Runs of events to Blocks: numbered from 0, grouped, and cut to a size that constants decide.

A run is what a splitter finds at once: some events that are alike. Neighbours that are alike share a
Block; a Block never mixes JSON with text, nor noted events with others.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Iterable, Iterator, List, Optional

from collector.errors import CollectorError
from collector.model import GATHERING, SLICE_MAX_BYTES, SLICE_MAX_EVENTS, Block

__all__ = ["GATHERS", "Run", "parts", "text_boundary", "text_event", "text_runs", "to_blocks"]


@dataclass(frozen=True)
class Run:
    """Consecutive events, as columns of equal length; see model.Block for the columns."""

    bodies: List[bytes]
    times: List[Optional[str]]
    is_json: bool
    note: str = ""

    def like(self, other: Run) -> bool:
        return self.is_json == other.is_json and self.note == other.note


#: Comes before more of an event is held than one window; whoever reads may let others have their turn.
GATHERS = Run([], [], False, GATHERING)


def to_blocks(runs: Iterable[Run]) -> Iterator[Block]:
    """Blocks of at most 256 KiB or 1,000 events (one larger event stands alone).

    When `runs` fails, what came before is yielded first, then the error is raised.
    """
    first = 0
    for run in _joined(runs):
        for block in _cut(run, first):
            yield block
            first = block.end


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Small runs that are alike become one. They are copied only then."""
    waiting: Optional[Run] = None
    size = 0
    source = iter(runs)
    failure: Optional[CollectorError] = None
    while True:
        try:
            run = next(source, None)
        except CollectorError as error:
            run, failure = None, error
        if run is None:
            break
        if run is GATHERS:
            yield run
            continue
        if waiting is not None and (not run.like(waiting) or size >= SLICE_MAX_BYTES):
            yield waiting
            waiting = None
        if waiting is None:
            waiting, size = Run(list(run.bodies), list(run.times), run.is_json, run.note), 0
        else:
            waiting.bodies.extend(run.bodies)
            waiting.times.extend(run.times)
        size += sum(map(len, run.bodies))
    if waiting is not None:
        yield waiting
    if failure is not None:
        raise failure


def _cut(run: Run, first: int) -> Iterator[Block]:
    ends = [*accumulate(map(len, run.bodies))]
    start = before = 0
    if run is GATHERS:
        yield _block(run, 0, 0, first)
    while start < len(ends):
        last = min(len(ends), start + SLICE_MAX_EVENTS)
        end = max(start + 1, bisect_right(ends, before + SLICE_MAX_BYTES, start, last))
        yield _block(run, start, end, first)
        start, before = end, ends[end - 1]


def _block(run: Run, start: int, end: int, first: int) -> Block:
    return Block(first + start, run.bodies[start:end], run.times[start:end], run.is_json, run.note)


def parts(body: bytes, *, max_bytes: int, number: int = 1) -> Iterator[Run]:
    """One event too large for any output, as text in pieces: "part 1", "part 2" and so on."""
    while len(body) > max_bytes:
        cut = text_boundary(body, max_bytes)
        yield text_event(body[:cut], note=f"part {number}")
        body = body[cut:]
        number += 1
    if body:
        yield text_event(body, note=f"part {number}")


def text_boundary(body: bytes, limit: int) -> int:
    """`limit`, or up to three bytes less so as not to cut a UTF-8 character in two."""
    for back in range(min(4, limit)):
        if body[limit - back] & 0xC0 != 0x80:
            return limit - back
    return limit


def text_runs(
    bodies: List[bytes], times: List[Optional[str]], *, text: bytes, max_bytes: int
) -> Iterator[Run]:
    """Events of text, all at once if each is readable and small enough; `text` holds them all."""
    if max(map(len, bodies), default=0) <= max_bytes and _is_readable(text):
        yield Run(bodies, times, False)
        return
    for body, time in zip(bodies, times):
        if len(body) > max_bytes:
            yield from parts(body, max_bytes=max_bytes)
        else:
            yield text_event(body, time=time)


def _is_readable(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def text_event(body: bytes, *, note: str = "", time: Optional[str] = None) -> Run:
    """One event of text. Bytes that are not UTF-8 become U+FFFD, and the note says so."""
    if not _is_readable(body):
        body = body.decode("utf-8", "replace").encode("utf-8")
        note = f"{note}, encoding_error" if note else "encoding_error"
    return Run([body], [time], False, note)
