"""One JSON value to one event: where it ends, whether it is JSON that may stand unquoted, its time.

Text is read as latin-1, in which every byte is one character: offsets in the text are offsets in the
bytes, and invalid UTF-8 inside a string stops nobody. Numbers are kept as they are spelt, so that no
digit is lost and no huge one is computed.
"""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import suppress
from io import BytesIO
from operator import itemgetter
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from collector import accel
from collector.accel import JsonWindows, TimeFields
from collector.decode.blocks import Run
from collector.decode.scan import TOO_LARGE, UNFINISHED, value_end
from collector.decode.text import lines_of, newlines_in
from collector.decode.times import Times
from collector.model import Format, Lines

__all__ = ["Gather", "JsonReader"]

_BRACKETS = ("{", "[")
_SPACE, _COMMA = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_SURROGATE = re.compile(rb"\\u[dD]")
#: The last byte before the newline.
_FIRST, _LAST = itemgetter(0), itemgetter(-2)
_OPENED, _CLOSED = {0x7B}, {0x7D}

_Column = List[Optional[str]]


class Seen(NamedTuple):
    """One value: the offset after it or a verdict of `scan`; `plain` if RFC 8259 allows it."""

    end: int
    parsed: Any
    plain: bool


class JsonReader:
    """Reads the values of one object. Not for several threads."""

    def __init__(self, format: Format, *, now: float, accelerated: bool = True) -> None:
        self.max_bytes = format.max_event_bytes
        self._names = tuple(format.time_fields)
        self.windows = accel.json_windows(self._names, accelerated=accelerated)
        self._narrow: Optional[JsonWindows] = None
        self.times = Times(now=now, zone_minutes=format.zone_minutes)
        self.fields = [name.encode("utf-8").decode("latin-1") for name in format.time_fields]
        #: NaN and the infinities that were met: they are not JSON, but they are somebody's events.
        self._odd = odd = deque[str](maxlen=1)

        def constant(name: str) -> str:
            odd.append(name)
            return name

        # Nothing here refers to the reader: one is made for each object, and must go with its last reference.
        decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=constant)
        self._raw_decode = decoder.raw_decode
        self._scan: Callable[[str, int], Tuple[Any, int]] = decoder.scan_once  # type: ignore[attr-defined]

    def read(self, data: bytes, text: str, start: int, *, ended: bool = False) -> Seen:
        """The value at `start` of `data`, whose latin-1 text is `text`; no white space before it.

        A scalar that ends with the data is unfinished unless `ended`.
        """
        return self.parse(text, start) or self.judge(data, start, ended=ended)

    def parse(self, text: str, start: int) -> Optional[Seen]:
        """`read` without the referee: None if the standard library cannot say where the value ends."""
        if text[start : start + 1] not in _BRACKETS and not text.startswith('"', start):
            return None
        self._odd.clear()
        try:
            parsed, end = self._raw_decode(text, start)
        except (ValueError, RecursionError):
            return None
        return Seen(end if end - start <= self.max_bytes else TOO_LARGE, parsed, not self._odd)

    def judge(self, data: bytes, start: int, *, ended: bool = False) -> Seen:
        """By the referee, who sees no more of the value than an event may have, and a byte."""
        piece = data[start : start + self.max_bytes + 1]
        whole = ended and start + len(piece) == len(data)
        end = value_end(piece, 0, ended=whole)
        if end > self.max_bytes or (end == UNFINISHED and len(piece) > self.max_bytes):
            return Seen(TOO_LARGE, None, False)
        return Seen(start + end if end >= 0 else end, None, False)

    def event(self, body: bytes, seen: Seen) -> Tuple[bytes, Optional[str], bool, str]:
        """Body, time, is_json and note. Only objects and arrays are JSON events: HEC refuses null."""
        is_json = seen.plain and isinstance(seen.parsed, (dict, list))
        note = "deep_json" if seen.parsed is None and body[:1] in (b"{", b"[") else ""
        if not body.isascii():
            body, note = _readable(body, note)
        if is_json and b"\\" in body and _SURROGATE.search(body) and _has_lone_surrogate(seen.parsed):
            is_json = False
        return body, self._time(seen.parsed), is_json, note

    def elements(self, text: Union[bytes, memoryview]) -> Optional[Run]:
        """All elements of `text`, the inside of an array, at once; None if one of them is unusual."""
        array = b"".join((b"[", text, b"]"))
        # Valid UTF-8 is all the accelerator does not check; half a surrogate pair it refuses.
        if self.windows is None or not accel.is_utf8(array):
            return None
        times = self._window_times(lambda windows: windows.element_times(array))
        bodies = self.windows.elements(array) if times is not None else None
        if times is None or bodies is None or max(map(len, bodies), default=0) > self.max_bytes:
            return None
        return Run(bodies, times, True)

    def gapped(self, window: bytes, gap: bytes, brace: int) -> Optional[Run]:
        """The elements up to the last `gap`, if that lies between all of them and nowhere else; else None.

        With a newline in each gap they are lines, parsed in one pass and as cheap to carry as lines are.
        Inside a value no newline may stand between a closing and an opening brace, so as many values as
        newlines means one on each line.
        """
        if self.windows is None or b"\n" in window or not accel.is_utf8(window, whole=False):
            return None
        text = window.replace(gap, b"}\n" + gap[brace:])
        end = text.rfind(b"\n") + 1
        if not end or (end > self.max_bytes and self._has_giant(text)):
            return None
        whole = memoryview(text)[:end]
        times = self._window_times(lambda windows: windows.line_times(whole))
        if times is None or len(times) != newlines_in(text):
            return None
        return Run(Lines(text, 0, end, len(times)), times, True)

    def lines(self, text: bytes) -> Optional[Run]:
        """All lines of `text` at once; None unless each is one plain JSON object and nothing else.

        A line that begins with a brace, after one that ends with one, begins a new value: inside a value a
        comma would stand between them. So as many values as lines means one on each.
        """
        text = text if text.endswith(b"\n") else text + b"\n"
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if b"\r" in text or (len(text) > self.max_bytes and self._has_giant(text)):
            return None
        if self.windows is None:
            times, count = self._scanned(text), newlines_in(text)
        else:
            count = _braced(text)
            fit = count and accel.is_utf8(text)
            times = self._window_times(lambda windows: windows.line_times(text)) if fit else None
        if times is None or len(times) != count:
            return None
        return Run(Lines(text, 0, len(text), len(times)), times, True)

    def _has_giant(self, text: bytes) -> bool:
        return max(map(len, lines_of(text))) > self.max_bytes

    def _scanned(self, text: bytes) -> Optional[_Column]:
        """The times of `lines` without the accelerator: each is one object from first byte to last."""
        if not _is_usual_so_far(text):
            return None
        self._odd.clear()
        scan, characters, start, times = self._scan, text.decode("latin-1"), 0, []
        with suppress(StopIteration, ValueError, RecursionError):
            while start < len(text):
                parsed, end = scan(characters, start)
                if parsed.__class__ is not dict or characters[end] != "\n":
                    return None
                times.append(self._time(parsed))
                start = end + 1
        return times if start == len(text) and not self._odd else None

    def usual(self, window: bytes, *, between: bool) -> Tuple[int, Optional[Run]]:
        """The usual elements of an array from the start of `window`, and the offset after the last.

        This is `read` and `event` for objects without anything odd, at half the price; whatever is not usual
        is where it ends. `between`: a comma comes first.
        """
        if not _is_usual_so_far(window):
            return 0, None
        self._odd.clear()
        text, bodies, times = window.decode("latin-1"), [], []
        scan, limit, past, end = self._scan, self.max_bytes, _COMMA.match if between else _SPACE.match, 0
        with suppress(StopIteration, ValueError, RecursionError):  # the rest is for who can say what it is
            match = past(text, end)
            while match is not None:
                start = match.end()
                parsed, after = scan(text, start)
                if parsed.__class__ is not dict or after - start > limit:
                    break
                bodies.append(window[start:after])
                times.append(self._time(parsed))
                end, match = after, _COMMA.match(text, after)
        return (0, None) if self._odd or not bodies else (end, Run(bodies, times, True))

    def _time(self, parsed: Any) -> Optional[str]:
        if not isinstance(parsed, dict):
            return None
        for name in self.fields:
            value = parsed.get(name)
            if isinstance(value, str):
                time = self.times.read(value)
                if time is not None:
                    return time
        return None

    def _window_times(self, ask: Callable[[JsonWindows], Optional[TimeFields]]) -> Optional[_Column]:
        """The first credible time of each record; None where the accelerator refuses the window.

        The field that had the times of one window is likely to have those of the next: asked for nothing that
        comes after it, the accelerator compares fewer names, which is a third of its work.
        """
        assert self.windows is not None
        fields = ask(self._narrow or self.windows)
        times = None if fields is None else self._times_at_once(fields)
        if fields is not None and times is None and fields.width < len(self.fields):
            fields, self._narrow = ask(self.windows), None
            times = None if fields is None else self._times_at_once(fields)
        return None if fields is None else times or [*map(self._first_time, fields.rows())]

    def _times_at_once(self, fields: TimeFields) -> Optional[_Column]:
        """If the first field that anybody has will do for all, or if nobody has any."""
        for index in range(fields.width):
            column = fields.column(index)
            if any(column):
                times = self.times.read_all(column)
                if times is not None:
                    self._narrow = accel.json_windows(self._names[: index + 1])
                return times
        return [None] * len(fields) if fields.width == len(self.fields) else None

    def _first_time(self, row: Sequence[Any]) -> Optional[str]:
        for raw in row:
            if raw is not None:
                time = self.times.read(_inner_text(str(raw, "latin-1")))
                if time is not None:
                    return time
        return None


class Gather:
    """Collects events one at a time into runs of alike ones."""

    def __init__(self) -> None:
        self._runs: List[Run] = []
        self._kind: Optional[Tuple[bool, str]] = None
        self._bodies: List[bytes] = []
        self._times: List[Optional[str]] = []

    def add(self, body: bytes, time: Optional[str], is_json: bool, note: str = "") -> None:
        if self._kind != (is_json, note):
            self._kind = (is_json, note)
            self._bodies, self._times = [], []
            self._runs.append(Run(self._bodies, self._times, is_json, note))
        self._bodies.append(body)
        self._times.append(time)

    def add_runs(self, runs: Iterable[Run]) -> None:
        self._runs.extend(runs)
        self._kind = None

    @property
    def runs(self) -> List[Run]:
        return self._runs


def _inner_text(text: str) -> str:
    """What a JSON string says, or a number's own spelling."""
    if text[0] != '"':
        return text
    return text[1:-1] if "\\" not in text else str(json.loads(text))


def _is_usual_so_far(window: bytes) -> bool:
    """Valid UTF-8, of which the last character may be cut off, and no escape of a surrogate."""
    if b"\\" in window and _SURROGATE.search(window):
        return False
    return accel.is_utf8(window, whole=False)


def _braced(text: bytes) -> int:
    """How many lines there are, if each begins with an opening brace and ends with a closing one; else 0."""
    lines = BytesIO(text).readlines()
    try:
        braced = {*map(_FIRST, lines)} == _OPENED and {*map(_LAST, lines)} == _CLOSED
    except IndexError:  # an empty line
        return 0
    return len(lines) if braced else 0


def _readable(body: bytes, note: str) -> Tuple[bytes, str]:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        replaced = body.decode("utf-8", "replace").encode("utf-8")
        return replaced, f"{note}, encoding_error" if note else "encoding_error"
    return body, note


def _has_lone_surrogate(parsed: Any) -> bool:
    try:
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
