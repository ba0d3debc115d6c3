"""Texts that are read line by line: the cutting, whatever the grammar; and the grammar of plain lines.

Lines are cut at b"\\n" only, without the newline and one carriage return before it. A line that is a
JSON object is a JSON event wherever it stands. In a file whose first line was JSON, any other line is
still delivered as it is, noted "parse_error". (`str.splitlines` would also cut at U+2028, form feeds and
six others, inside strings.)
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, Protocol, Tuple

from collector.decode.blocks import GATHERS, Run, parts, text_boundary, text_event, text_runs
from collector.decode.scan import skip_space
from collector.decode.tape import WINDOW_BYTES, Tape
from collector.decode.text import lines_of
from collector.decode.values import Gather, JsonReader

__all__ = ["Grammar", "Lines", "Plain", "bare", "whole_lines"]

_BLANKS = b" \t\r"


class Grammar(Protocol):
    """How a text of lines is cut into events. What is an event depends on the text alone."""

    #: How many bytes after an event's last one show that it is over: its newline, a carriage return, more.
    ahead: int

    def read(self, text: bytes, *, whole: bool) -> Tuple[int, Iterable[Run]]:
        """The events that are sure to be over, and how many bytes they take (0: none is).

        `whole` says that nothing follows `text`; then all of it is taken.
        """

    def first_end(self, text: bytes) -> int:
        """The offset after the newline that ends the first event, or -1 if none is sure to."""


class Lines:
    """The events of a text of lines, in constant memory whatever their length."""

    def __init__(self, tape: Tape, grammar: Grammar, *, max_bytes: int) -> None:
        self._tape = tape
        self._grammar = grammar
        self._max_bytes = max_bytes

    def runs(self) -> Iterator[Run]:
        """A text that is cut off (a torn source) gives no last partial event."""
        wanted = WINDOW_BYTES
        while True:
            if wanted > WINDOW_BYTES:
                yield GATHERS
            held = self._tape.look(wanted)
            taken, runs = self._grammar.read(held, whole=self._tape.whole)
            if taken:
                self._tape.drop(taken)
                wanted, held = WINDOW_BYTES, b""  # the runs have what they need of it
                yield from runs
            elif len(held) >= self._max_bytes + self._grammar.ahead:
                held = b""
                yield from self._giant()
            elif self._tape.ended:
                return
            else:
                wanted = 2 * len(held)

    def _giant(self) -> Iterator[Run]:
        """An event longer than one may be, in parts, without ever holding all of it."""
        limit, number, ahead = self._max_bytes, 1, self._grammar.ahead
        while True:
            yield GATHERS
            held = self._tape.look(limit + ahead)
            end = self._grammar.first_end(held[: limit + ahead])
            rest = held[:end] if end >= 0 else held
            if end < 0 and len(held) < limit + ahead and self._tape.torn:
                self._tape.drop(len(held))
                return
            if end >= 0 or len(held) < limit + ahead:
                body = bare(rest)
                if len(body) <= limit:
                    break
            cut = text_boundary(held, limit)
            held = rest = body = b""  # what is taken is not to be held twice
            yield text_event(self._tape.take(cut), note=f"part {number}")
            number += 1
        if body:
            yield text_event(body, note=f"part {number}")
        self._tape.drop(len(rest))


def bare(line: bytes) -> bytes:
    """The line without its newline, and without one carriage return before that."""
    line = line[:-1] if line.endswith(b"\n") else line
    return line[:-1] if line.endswith(b"\r") else line


def whole_lines(text: bytes) -> List[bytes]:
    """The lines that are not blank, without their ends."""
    lines = [line for line in lines_of(text) if line.strip(_BLANKS)]
    if b"\r" in text:
        lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    return lines


class Plain:
    """One line, one event: JSON if it is an object, text otherwise."""

    ahead = 2

    def __init__(self, reader: JsonReader, *, expect_json: bool) -> None:
        self._reader = reader
        self._expect_json = expect_json
        self._max_bytes = reader.max_bytes

    def read(self, text: bytes, *, whole: bool) -> Tuple[int, Iterable[Run]]:
        cut = len(text) if whole else text.rfind(b"\n") + 1
        return cut, self._window(text[:cut])

    def first_end(self, text: bytes) -> int:
        return text.find(b"\n") + 1 or -1

    def _window(self, text: bytes) -> Iterable[Run]:
        """Whole lines; the last may lack its newline."""
        if self._expect_json:
            run = self._reader.lines(text)
            if run is not None:
                return [run]
        elif not _may_hold_json(text):
            lines = whole_lines(text)
            return text_runs(lines, [None] * len(lines), text=text, max_bytes=self._max_bytes)
        gather = Gather()
        for line in lines_of(text):
            if line.strip(_BLANKS):
                self._line(bare(line), gather)
        return gather.runs

    def _line(self, line: bytes, gather: Gather) -> None:
        if len(line) > self._max_bytes:
            gather.add_runs(parts(line, max_bytes=self._max_bytes))
        elif not self._value(line, gather):
            note = "parse_error" if self._expect_json else ""
            gather.add_runs([text_event(line, note=note)])

    def _value(self, line: bytes, gather: Gather) -> bool:
        """Add the line as one JSON value, or as several objects glued together, if it is that."""
        start = skip_space(line, 0)
        if not self._expect_json and line[start : start + 1] != b"{":
            return False
        text = line.decode("latin-1")
        seen = self._reader.read(line, text, start, ended=True)
        if seen.end < 0:
            return False
        if skip_space(line, seen.end) == len(line):
            gather.add(*self._reader.event(line, seen))
            return True
        return self._expect_json and self._glued(line, text, gather)

    def _glued(self, line: bytes, text: str, gather: Gather) -> bool:
        found, start = [], skip_space(line, 0)
        while start < len(line):
            seen = self._reader.read(line, text, start, ended=True)
            if seen.end < 0 or line[start] != 0x7B:
                return False
            found.append(self._reader.event(line[start : seen.end], seen))
            start = skip_space(line, seen.end)
        for event in found:
            gather.add(*event)
        return True


def _may_hold_json(text: bytes) -> bool:
    """Whether a line of plain text might be a JSON object."""
    return b"{" in text and any(line.lstrip(_BLANKS)[:1] == b"{" for line in lines_of(text))
