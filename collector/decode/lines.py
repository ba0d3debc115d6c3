"""Lines: one event each, cut at b"\\n" only, without the newline and one carriage return before it.

A line that is a JSON object is a JSON event wherever it stands. In a file whose first line was JSON,
any other line is still delivered as it is, noted "parse_error". (`str.splitlines` would also cut at
U+2028, form feeds and six others, inside strings.)
"""

from __future__ import annotations

from typing import Iterator, Optional

from collector.decode.blocks import Run, parts, text_boundary, text_event
from collector.decode.scan import skip_space
from collector.decode.tape import WINDOW_BYTES, Tape
from collector.decode.values import Gather, JsonReader

__all__ = ["Lines"]

_BLANKS = b" \t\r"


class Lines:
    """The events of a text whose events are lines, in constant memory whatever their length."""

    def __init__(self, tape: Tape, reader: JsonReader, *, expect_json: bool) -> None:
        self._tape = tape
        self._reader = reader
        self._expect_json = expect_json
        self._max_bytes = reader.max_bytes

    def runs(self) -> Iterator[Run]:
        """A text that is cut off (a torn source) gives no last partial line."""
        wanted = WINDOW_BYTES
        while True:
            held = self._tape.look(wanted)
            cut = held.rfind(b"\n") + 1
            if cut:
                yield from self._window(self._tape.take(cut))
                wanted = WINDOW_BYTES
            elif len(held) > self._max_bytes + 1:
                yield from self._giant()
            elif self._tape.ended:
                if held and not self._tape.torn:
                    yield from self._window(held)
                return
            else:
                wanted = 2 * len(held)

    def _window(self, text: bytes) -> Iterator[Run]:
        """Whole lines; the last may lack its newline."""
        run = self._reader.lines(text) if self._expect_json else self._plain(text)
        if run is not None:
            yield run
            return
        gather = Gather()
        for line in text.split(b"\n"):
            if line.strip(_BLANKS):
                self._line(line[:-1] if line.endswith(b"\r") else line, gather)
        yield from gather.runs

    def _plain(self, text: bytes) -> Optional[Run]:
        """Lines of plain text at once; None if one might be JSON, or unreadable, or too long."""
        if b"{" in text and any(line.lstrip(_BLANKS)[:1] == b"{" for line in text.split(b"\n")):
            return None
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return None
        bodies = [line for line in text.split(b"\n") if line.strip(_BLANKS)]
        if b"\r" in text:
            bodies = [line[:-1] if line.endswith(b"\r") else line for line in bodies]
        if max(map(len, bodies), default=0) > self._max_bytes:
            return None
        return Run(bodies, [None] * len(bodies), False)

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

    def _giant(self) -> Iterator[Run]:
        """A line longer than an event may be, in parts, without ever holding all of it."""
        limit, number = self._max_bytes, 1
        while True:
            held = self._tape.look(limit + 2)
            end = held.find(b"\n", 0, limit + 2)
            rest = held[:end] if end >= 0 else held
            if end >= 0 or len(held) < limit + 2:
                body = rest[:-1] if rest.endswith(b"\r") else rest
                if len(body) <= limit:
                    break
            cut = text_boundary(held, limit)
            yield text_event(self._tape.take(cut), note=f"part {number}")
            number += 1
        self._tape.drop(end + 1 if end >= 0 else len(held))
        if body and (end >= 0 or not self._tape.torn):
            yield text_event(body, note=f"part {number}")
