"""CSV with a header (RFC 4180): a record is an event as it stands, and may go on over several lines.

The header names the columns; of the times among them the first that can be read is the event's. A first
line without the name of a time is taken for a record, so that none is lost. The header is no event, nor is
its repetition in a file glued from several. A quoted field that is never closed, or not within the size of
an event, was none: its line is an event by itself.
"""

from __future__ import annotations

import re
from typing import Iterable, List, Optional, Sequence, Tuple

from collector.decode.delimited import Columns, cut_lines
from collector.decode.lines import bare
from collector.decode.times import Times

__all__ = ["Csv", "Records", "header_of"]

_DELIMITERS = (b",", b"\t", b";", b"|")
_NAME = re.compile(rb'"?[A-Za-z_@][A-Za-z0-9_@ .:/()-]*"?')
#: Instead of a header: no line holds it.
_NONE = b"\n\n"
_PLAIN = re.compile(r"[^a-z0-9@]")


def header_of(line: bytes) -> Tuple[bytes, List[bytes]]:
    """The delimiter, and the names of the columns without quotes; none if this is no header."""
    delimiter = max(_DELIMITERS, key=line.count)
    names = line.split(delimiter)
    if len(names) < 2 or len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        return delimiter, []
    return delimiter, [name.strip(b'"') for name in names]


class Csv:
    """The layout of a file whose first line is its header, if it looks like one."""

    def __init__(self, times: Times, fields: Sequence[str]) -> None:
        self._read = times.read
        self._fields = [_plain(name) for name in fields]
        self._header: Optional[bytes] = None
        self._cells: List[re.Pattern[bytes]] = []

    def may_hold_header(self, text: bytes) -> bool:
        return self._header is None or self._header in text

    def is_header(self, line: bytes) -> bool:
        """The first line if it reads like one, and whatever equals it."""
        if self._header is None:
            names = header_of(line)[1]
            if any(_plain(name.decode("latin-1")) in self._fields for name in names):
                return True
            self._header = _NONE
        return line == self._header

    def learn(self, header: bytes) -> None:
        self._header = header
        delimiter, names = header_of(header)
        columns = {_plain(name.decode("latin-1")): index for index, name in reversed(list(enumerate(names)))}
        self._cells = [_cell(delimiter, columns[name]) for name in self._fields if name in columns]

    def times(self, rows: Sequence[bytes]) -> Columns:
        return [self._time(row) for row in rows]

    def _time(self, row: bytes) -> Optional[str]:
        for cell in self._cells:
            match = cell.match(row)
            time = self._read(match[1].strip(b' "').decode("latin-1")) if match else None
            if time is not None:
                return time
        return None


def _plain(name: str) -> str:
    """ "Event Time", "event_time" and "eventTime" are one name."""
    return _PLAIN.sub("", name.lower())


def _cell(delimiter: bytes, column: int) -> re.Pattern[bytes]:
    """Finds the cell of a column, whatever is quoted before it."""
    mark = re.escape(delimiter)
    cell = rb'(?:"[^"]*(?:""[^"]*)*"|[^%b"]*)' % mark
    return re.compile(rb"(?:%b%b){%d}(%b)" % (cell, mark, column, cell))


class Records:
    """Cuts a text into CSV records."""

    def __init__(self, *, max_bytes: int, delimiter: bytes) -> None:
        self._max_bytes = max_bytes
        self._open = re.compile(rb'(?:\A|%b)"[^"]*(?:""[^"]*)*\Z' % re.escape(delimiter))

    def __call__(self, text: bytes, whole: bool) -> Tuple[int, List[bytes]]:
        if b'"' not in text:
            return cut_lines(text, whole)
        lines = text.split(b"\n")
        sure = len(lines) if whole else len(lines) - 1
        records, index, taken = [], 0, 0
        while index < sure:
            record, count = lines[index], 1
            if record.count(b'"') % 2:
                count = self._length(lines, index, sure, whole)
                if not count:
                    break
                record = b"\n".join(lines[index : index + count])
            records.append(record)
            index, taken = index + count, taken + len(record) + 1
        return min(taken, len(text)), _bare(records)

    def _length(self, lines: List[bytes], first: int, sure: int, whole: bool) -> int:
        """Of how many lines a record consists whose first has an odd quote; 0 if that is still to be seen."""
        if not self._open.search(lines[first]):
            return 1
        size = len(lines[first])
        for index in range(first + 1, len(lines)):
            size += 1 + len(lines[index])
            if size > self._max_bytes:
                return 1
            if lines[index].count(b'"') % 2:
                return index + 1 - first if index < sure else 0
        return 1 if whole else 0


def _bare(records: Iterable[bytes]) -> List[bytes]:
    return [bare(record) for record in records if record.strip(b" \t\r")]
