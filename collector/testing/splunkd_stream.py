"""What splunkd makes of a modular input's stdout: a strict reader of its XML stream.

    reader = StreamReader()
    reader.feed(pipe.read1())
    reader.events[0].data

It reads as splunkd does, incrementally and with expat, and it forgives nothing: a byte that is not
well-formed, an element that splunkd does not know, or an event without data is StreamError at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, List
from xml.parsers import expat

__all__ = ["StreamError", "StreamEvent", "StreamReader"]

_FIELDS = frozenset({"data", "time", "host", "source", "sourcetype", "index", "done"})
_ATTRIBUTES = frozenset({"stanza", "unbroken"})
_TIME = re.compile(r"\d+(\.\d{1,9})?")


class StreamError(AssertionError):
    """splunkd would have lost events here."""


@dataclass
class StreamEvent:
    """One `<event>`; `fields` are its other elements' texts, `done` included where it stood."""

    data: str
    attributes: Dict[str, str]
    fields: Dict[str, str] = field(default_factory=dict)


class StreamReader:
    """Feed it stdout in pieces of any size; `events` are those that are complete."""

    def __init__(self) -> None:
        self.events: List[StreamEvent] = []
        self.bytes_read = 0
        self._path: List[str] = []
        self._attributes: Dict[str, str] = {}
        self._fields: Dict[str, str] = {}
        self._text: List[str] = []
        self._parser = expat.ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        """The next bytes. Raises StreamError."""
        self._parse(piece, False)
        self.bytes_read += len(piece)

    def close(self) -> None:
        """There are no more bytes: the stream must be closed too. Raises StreamError."""
        self._parse(b"", True)

    def _parse(self, piece: bytes, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise StreamError(f"not well-formed after {len(self.events)} events: {error}") from error

    def _start(self, name: str, attributes: Dict[str, str]) -> None:
        self._path.append(name)
        depth = len(self._path)
        expected = {1: {"stream"}, 2: {"event"}, 3: _FIELDS}.get(depth, frozenset())
        if name not in expected:
            raise StreamError(f"unexpected <{name}> in {self._path[:-1]}")
        if attributes and (depth != 2 or not set(attributes) <= _ATTRIBUTES):
            raise StreamError(f"unexpected attributes of <{name}>: {attributes}")
        if depth == 2:
            self._attributes, self._fields = dict(attributes), {}
        self._text = []

    def _end(self, name: str) -> None:
        if len(self._path) == 3:
            if name in self._fields:
                raise StreamError(f"<{name}> twice in one event")
            self._fields[name] = "".join(self._text)
        elif len(self._path) == 2:
            self._finish()
        self._path.pop()

    def _finish(self) -> None:
        data = self._fields.pop("data", "")
        if not data:
            raise StreamError("an event without data")
        if "time" in self._fields and not _TIME.fullmatch(self._fields["time"]):
            raise StreamError(f"no epoch seconds: {self._fields['time']!r}")
        self.events.append(StreamEvent(data, self._attributes, self._fields))

    def _characters(self, text: str) -> None:
        if len(self._path) == 3:
            self._text.append(text)
        elif text.strip():
            raise StreamError(f"text outside an event's elements: {text[:40]!r}")

    def _doctype(self, *_: object) -> None:
        raise StreamError("a document type declaration")
