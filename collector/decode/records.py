"""JSON documents: arrays, wrappers around arrays, single objects, and any number of them glued together.

One engine reads them all, because a file is a sequence of values with or without space between them. A
wrapper is never held as a whole: its array is cut as it arrives. With the accelerator, a window of text
is cut at the last place that looks like the gap between two records, and parsed as an array; if that
succeeds, the cut was between two records, because a cut inside a string or a nested value leaves it
open. Otherwise, and without the accelerator, the window is walked record by record. The events and
their order are the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generator, Iterator, List, Optional, Tuple

from collector.decode.blocks import GATHERS, Run, parts, text_boundary, text_event
from collector.decode.containers import (
    LOOKAHEAD_BYTES,
    RECORDS_HEAD,
    holds_events,
    inside_offset,
    opens_events,
)
from collector.decode.scan import TOO_LARGE, UNFINISHED, WRONG, Skimmer, key_at, skip_space, value_end
from collector.decode.tape import WINDOW_BYTES, Tape
from collector.decode.values import Gather, JsonReader, Seen
from collector.errors import CollectorError, Poison

__all__ = ["Records"]

#: Why a walk stopped, beside the verdicts of `scan`.
_PAUSED, _CLOSED, _ARRAY, _WRAPPER = 0, 1, 2, 3
#: A glued array or wrapper up to this size is read where it stands.
_SMALL_BYTES = 64 * 1024
#: How many places for a cut are tried before a window is walked.
_CUTS = 3
#: A comma between glued objects is forgiven.
_GAP = re.compile(rb"[ \t\r\n,]*")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*"[^"\\]*"')


@dataclass(frozen=True)
class _Walk:
    """What walking a window gave. `separator` is the text between the last two records, if learned."""

    runs: List[Run]
    consumed: int
    stop: int
    between: bool = False
    separator: bytes = b""


class Records:
    """The events of a JSON document.

    Poison "truncated_json" or "corrupt_json" after all complete events before the damage; if the
    source itself was damaged, its own error instead.
    """

    def __init__(self, tape: Tape, reader: JsonReader) -> None:
        self._tape = tape
        self._reader = reader
        #: An array or wrapper has been met: if more are glued to it, they may be many and small.
        self._opened = False

    def runs(self) -> Iterator[Run]:
        """The values at the top, one after the other."""
        wanted = WINDOW_BYTES
        while True:
            if wanted > WINDOW_BYTES:
                yield GATHERS
            walk = self._walk_top(self._tape.look(wanted))
            yield from walk.runs
            self._tape.drop(walk.consumed)
            wanted = WINDOW_BYTES
            if walk.stop == _ARRAY:
                yield from self._array()
            elif walk.stop == _WRAPPER:
                yield from self._array()
                yield from self._rest_of_wrapper()
            elif walk.stop == UNFINISHED and self._tape.ended and not self._tape.held:
                return
            else:
                wanted = yield from self._beyond(walk)

    # -- the top: values, glued or not

    def _walk_top(self, window: bytes) -> _Walk:
        text, gather, position = window.decode("latin-1"), Gather(), 0
        while True:
            position = _past(_GAP, window, position)
            code = window[position : position + 1]
            if not code:
                return _Walk(gather.runs, position, UNFINISHED)
            inside = _opening(window, position)
            seen = self._reader.parse(text, position) if inside < 0 or self._opened else None
            if inside < 0 and code == b"{":
                inside = self._inside(window, position, seen)
            if inside >= 0:
                stop = _ARRAY if code == b"[" else _WRAPPER
                if seen is not None and 0 <= seen.end <= position + _SMALL_BYTES:
                    gather.add_runs(self._small(window[position + inside : seen.end], stop))
                    position = seen.end
                    continue
                self._opened = True
                return _Walk(gather.runs, position + inside, stop)
            if seen is None and code == b"{" and not self._sees_enough(window, position):
                return _Walk(gather.runs, position, UNFINISHED)
            seen = seen or self._reader.judge(window, position, ended=self._tape.whole)
            if seen.end < 0:
                return _Walk(gather.runs, position, seen.end)
            gather.add(*self._reader.event(window[position : seen.end], seen))
            position = seen.end

    def _small(self, text: bytes, stop: int) -> Iterator[Run]:
        """The inside of an array or wrapper that is here whole: of thousands, each costs its own size."""
        records = Records(Tape([text]), self._reader)
        yield from records._array()
        if stop == _WRAPPER:
            yield from records._rest_of_wrapper()

    def _sees_enough(self, window: bytes, position: int) -> bool:
        """Whether an object that ends nowhere in sight can be judged by its head."""
        return self._tape.ended or len(window) - position >= LOOKAHEAD_BYTES

    def _inside(self, window: bytes, position: int, seen: Optional[Seen]) -> int:
        """The offset of the events in a wrapper that begins at `position`, or -1."""
        if seen is not None and 0 <= seen.end <= position + LOOKAHEAD_BYTES:
            if not isinstance(seen.parsed, dict) or not holds_events(seen.parsed):
                return -1
            return inside_offset(window[position : seen.end], whole=True)
        if seen is None and not self._sees_enough(window, position):
            return -1
        text = window[position : position + LOOKAHEAD_BYTES]
        # What a torn text would have gone on to say might make it one event after all.
        sure = self._tape.torn and len(text) < LOOKAHEAD_BYTES
        return inside_offset(text, whole=False, sure=sure)

    # -- an array, from just after its bracket

    def _array(self) -> Iterator[Run]:
        between, separator, wanted, empty = False, b"", WINDOW_BYTES, True
        while True:
            if wanted > WINDOW_BYTES:
                yield GATHERS
            window = self._tape.look(wanted)
            if separator and not between:
                cut, run = self._cut(window, separator)
                if run is not None:
                    self._tape.drop(cut)
                    wanted, window = WINDOW_BYTES, b""  # the run has what it needs of it
                    yield run
                    continue
            if self._reader.windows is None:
                end, run = self._reader.usual(window, between=between)
                if run is not None:
                    yield run
                    self._tape.drop(end)
                    between, empty, window = True, False, self._tape.held
            learning = self._reader.windows is not None and not separator
            walk = self._walk(window, between, empty=empty, limit=2 if learning else 0)
            window = b""
            yield from walk.runs
            self._tape.drop(walk.consumed)
            between, separator, wanted = walk.between, walk.separator or separator, WINDOW_BYTES
            empty = empty and not walk.runs
            if walk.stop == _CLOSED:
                return
            if walk.stop != _PAUSED:
                between = between or walk.stop == TOO_LARGE
                empty = empty and walk.stop != TOO_LARGE
                wanted = yield from self._beyond(walk)

    def _cut(self, window: bytes, separator: bytes) -> Tuple[int, Optional[Run]]:
        """The records up to the last gap that proves to be one, and the offset of the next record."""
        brace, end = separator.index(b"{"), len(window)
        run = self._reader.gapped(window, separator, brace)
        if run is not None:
            return window.rfind(separator) + brace, run
        for _ in range(_CUTS):
            cut = window.rfind(separator, 0, end)
            if cut < 0:
                break
            run = self._reader.elements(memoryview(window)[: cut + 1])
            if run is not None:
                return cut + brace, run
            end = cut + len(separator) - 1
        return 0, None

    def _walk(self, window: bytes, between: bool, *, empty: bool, limit: int, flat: bool = False) -> _Walk:
        """Record by record: at most `limit` of them (0: no limit). `empty`: none has come before."""
        text, gather, position = window.decode("latin-1"), Gather(), 0
        count, gap, previous = 0, b"", 0
        while True:
            position = skip_space(window, position)
            code = window[position : position + 1]
            if not code:
                return _Walk(gather.runs, position, UNFINISHED, between, gap)
            if code == b"]" and (between or (empty and not count)):
                return _Walk(gather.runs, position + 1, _CLOSED, between, gap)
            if between:
                if code != b",":
                    return _Walk(gather.runs, position, WRONG, between, gap)
                position, between = position + 1, False
                continue
            if limit and count == limit:
                return _Walk(gather.runs, position, _PAUSED, between, gap)
            seen = self._reader.read(window, text, position)
            if seen.end < 0:
                return _Walk(gather.runs, position, seen.end, between, gap)
            self._add(window[position : seen.end], seen, gather, flat)
            gap = _gap(window, previous, position) if count else b""
            position = previous = seen.end
            count, between = count + 1, True

    def _add(self, body: bytes, seen: Seen, gather: Gather, flat: bool) -> None:
        """One element. An array of objects inside the array is opened, once."""
        if not flat and isinstance(seen.parsed, list) and seen.parsed and isinstance(seen.parsed[0], dict):
            gather.add_runs(self._walk(body[1:], False, empty=True, limit=0, flat=True).runs)
        else:
            gather.add(*self._reader.event(body, seen))

    # -- what lies beyond the array, or beyond the window

    def _rest_of_wrapper(self) -> Iterator[Run]:
        """The members after the array: further arrays of events are read, the rest is passed over."""
        wanted = WINDOW_BYTES
        while True:
            if wanted > WINDOW_BYTES:
                yield GATHERS
            window = self._tape.look(wanted)
            position = skip_space(window, 0)
            if window[position : position + 1] == b"}":
                self._tape.drop(position + 1)
                return
            end, inside = _member(window, position)
            if inside:
                self._tape.drop(end)
                yield from self._array()
            elif end >= 0:
                self._tape.drop(end)
            elif end == UNFINISHED and not self._tape.ended and len(window) <= self._reader.max_bytes:
                wanted = 2 * max(len(window), 1)
                continue
            else:
                raise self._broken(end)
            wanted = WINDOW_BYTES

    def _beyond(self, walk: _Walk) -> Generator[Run, None, int]:
        """Deal with what a walk could not read; returns how much to look at next."""
        if walk.stop == TOO_LARGE:
            yield from self._oversize()
            return WINDOW_BYTES
        if walk.stop == WRONG or self._tape.ended:
            raise self._broken(walk.stop)
        return max(WINDOW_BYTES, 2 * len(self._tape.held))

    def _oversize(self) -> Iterator[Run]:
        """A value larger than an event may be, as parts of text, without ever holding all of it."""
        limit, number, scanned, skimmer = self._reader.max_bytes, 1, 0, Skimmer()
        while True:
            yield GATHERS
            held = self._tape.look(limit + 1)
            if number == 1 and held[:1] not in (b"{", b"[", b'"'):
                raise self._broken(WRONG)
            found = skimmer.feed(held[scanned:])
            if found >= 0:
                body = self._tape.take(scanned + found)
                yield from parts(body, max_bytes=limit, number=number)
                return
            scanned, held = len(held), b""  # what is taken is not to be held twice
            while len(self._tape.held) > limit:
                cut = text_boundary(self._tape.held, limit)
                yield text_event(self._tape.take(cut), note=f"part {number}")
                number, scanned = number + 1, scanned - cut
            if self._tape.ended:
                raise self._broken(UNFINISHED)

    def _broken(self, verdict: int) -> CollectorError:
        """Why the document ends here. A damaged source explains damaged text, so it is read to its end."""
        while not self._tape.ended:
            self._tape.drop(len(self._tape.look(len(self._tape.held) + 1)))
        if self._tape.damage is not None:
            return self._tape.damage
        if verdict == UNFINISHED:
            return Poison(
                "the JSON document ends before it is closed", code="truncated_json",
                hint="its complete events were delivered; the producer stored only a part of it",
            )
        return Poison(
            "the JSON document is not JSON from here on", code="corrupt_json",
            hint="the events before were delivered; look at the object",
        )


def _opening(window: bytes, position: int) -> int:
    """How far it is into the array or the wrapper that begins here beyond doubt, else -1."""
    if window[position] == 0x5B:
        return 1
    head = RECORDS_HEAD.match(window, position)
    return head.end() - position if head else -1


def _past(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _gap(window: bytes, end: int, start: int) -> bytes:
    """The literal text between two objects, with a brace on its left and the first key on its right."""
    key = _FIRST_KEY.match(window, start)
    return window[end - 1 : key.end()] if key and window[end - 1] == 0x7D else b""


def _member(window: bytes, position: int) -> Tuple[int, bool]:
    """From the comma before a member to its end, or to just inside its array of events (then True)."""
    if position >= len(window):
        return UNFINISHED, False
    if window[position] != 0x2C:
        return WRONG, False
    start = skip_space(window, position + 1)
    if start >= len(window):
        return UNFINISHED, False
    key, value = key_at(window, start)
    if value >= 0 and window[value] == 0x5B and opens_events(key):
        return value + 1, True
    return (value_end(window, value) if value >= 0 else value), False
