"""Runs of events to Blocks: numbered from 0, grouped, and cut to a size that constants decide.

A run is what a splitter finds at once: some events that are alike. Neighbours that are alike share a
Block; a Block never mixes JSON with text, nor noted events with others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, List, Optional, Sequence

from collector.errors import CollectorError
from collector.model import GATHERING, SLICE_MAX_BYTES, SLICE_MAX_EVENTS, Block, Lines

__all__ = ["GATHERS", "Run", "parts", "text_boundary", "text_event", "text_runs", "to_blocks"]


@dataclass(frozen=True)
class Run:
    """Consecutive events, as columns of equal length; see model.Block for the columns."""

    bodies: Sequence[bytes]
    times: Sequence[Optional[str]]
    is_json: bool
    note: str = ""

    def like(self, other: Run) -> bool:
        return self.is_json == other.is_json and self.note == other.note


#: Comes before more of an event is held than one window; whoever reads may let others have their turn.
GATHERS = Run([], [], False, GATHERING)


def to_blocks(runs: Iterable[Run]) -> Iterator[Block]:
    """Blocks of at most 256 KiB or 1,000 events (one larger event stands alone), or the lines of one window.

    When `runs` fails, what came before is yielded first, then the error is raised.
    """
    first = 0
    for run in _joined(runs):
        block = Block(first, run.bodies, run.times, run.is_json, run.note)
        first = block.end
        yield from [block] if run is GATHERS or isinstance(run.bodies, Lines) else _cut(block)


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Small runs that are alike become one. They are copied only then."""
    waiting: Optional[_Growing] = None
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
        lines = isinstance(run.bodies, Lines)
        if waiting is not None and (lines or not waiting.takes(run)):
            yield waiting.run
            waiting = None
        if lines:
            yield run
        elif waiting is None:
            waiting = _Growing(run)
        else:
            waiting.add(run)
    if waiting is not None:
        yield waiting.run
    if failure is not None:
        raise failure


class _Growing:
    """A run that others are added to until it has 256 KiB."""

    def __init__(self, run: Run) -> None:
        self._bodies, self._times, self._size = [*run.bodies], [*run.times], sum(map(len, run.bodies))
        self.run = Run(self._bodies, self._times, run.is_json, run.note)

    def takes(self, run: Run) -> bool:
        return self._size < SLICE_MAX_BYTES and run.like(self.run)

    def add(self, run: Run) -> None:
        self._bodies += run.bodies
        self._times += run.times
        self._size += sum(map(len, run.bodies))


def _cut(block: Block) -> Iterator[Block]:
    rest = block
    while rest.bodies:
        count, size = rest.within(SLICE_MAX_BYTES, SLICE_MAX_EVENTS)
        head, rest = rest.split(max(1, count), size)
        yield head


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
