"""Logs whose lines are rows: VPC flow logs, CloudFront, load balancers, S3 server access.

A row is an event as it stands; only its time is read. Header lines say which column holds the time and
are no events, wherever they stand: files are glued together, and each begins with its own. A row whose
time cannot be read is delivered without one.

- https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
- https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
- https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
- https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, List, Optional, Protocol, Sequence, Tuple

from collector.decode.blocks import Run, text_runs
from collector.decode.lines import whole_lines
from collector.decode.times import Remembered, Times

__all__ = ["CloudFront", "Columns", "Layout", "LoadBalancer", "Rows", "S3Access", "VpcFlow", "cut_lines"]

Columns = List[Optional[str]]


class Layout(Protocol):
    """What one kind of log says about its rows."""

    def may_hold_header(self, text: bytes) -> bool:
        """Whether some line of `text` might be a header; a quick look."""

    def is_header(self, line: bytes) -> bool: ...

    def learn(self, header: bytes) -> None:
        """From here on, rows have these columns."""

    def times(self, rows: Sequence[bytes]) -> Columns: ...


#: Cuts a text into rows: how many bytes they take, and the rows that are sure to be over.
Cut = Callable[[bytes, bool], Tuple[int, List[bytes]]]


def cut_lines(text: bytes, whole: bool) -> Tuple[int, List[bytes]]:
    """One line, one row."""
    cut = len(text) if whole else text.rfind(b"\n") + 1
    return cut, whole_lines(text[:cut])


class Rows:
    """The grammar of rows. Not for several threads: it goes by the last header it has seen."""

    ahead = 2

    def __init__(self, layout: Layout, *, max_bytes: int, cut: Cut = cut_lines) -> None:
        self._layout = layout
        self._max_bytes = max_bytes
        self._cut = cut

    def read(self, text: bytes, *, whole: bool) -> Tuple[int, Iterable[Run]]:
        taken, lines = self._cut(text, whole)
        if not taken:
            return 0, ()
        rows, times = self._columns(text[:taken], lines)
        return taken, text_runs(rows, times, text=text[:taken], max_bytes=self._max_bytes)

    def first_end(self, text: bytes) -> int:
        return text.find(b"\n") + 1 or -1

    def _columns(self, text: bytes, lines: List[bytes]) -> Tuple[List[bytes], Columns]:
        layout = self._layout
        if not layout.may_hold_header(text):
            return lines, layout.times(lines)
        rows: List[bytes] = []
        times: Columns = []
        for line in lines:
            if len(line) <= self._max_bytes and layout.is_header(line):
                times += layout.times(rows[len(times) :])
                layout.learn(line)
            else:
                rows.append(line)
        return rows, times + layout.times(rows[len(times) :])


_FLOW_FIELDS = frozenset(
    b"""version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end
    action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id
    sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path
    resource-type tgw-id tgw-attachment-id""".split()
)
#: One of these is in every header, and in hardly any row.
_FLOW_HINTS = (b"addr", *{b"-" + name.rsplit(b"-", 1)[1] for name in _FLOW_FIELDS if b"-" in name})
_FLOW_NAME = re.compile(rb"[a-z][a-z0-9-]*")
#: Columns of the default format, which has no header when it was copied without one.
_FLOW_START, _FLOW_END = 10, 11


class VpcFlow:
    """Flow logs of VPCs and transit gateways: `start`, else `end`, in epoch seconds."""

    def __init__(self, times: Times) -> None:
        self._seen = Remembered(times)
        self._columns = [_FLOW_START, _FLOW_END]

    def may_hold_header(self, text: bytes) -> bool:
        return any(hint in text for hint in _FLOW_HINTS)

    def is_header(self, line: bytes) -> bool:
        """Names of columns and nothing else, most of them known, and not only words of the language."""
        names = line.split(b" ")
        known = [name for name in names if name in _FLOW_FIELDS]
        odd = any(b"-" in name or name.endswith(b"addr") for name in known)
        return odd and 2 <= len(known) >= len(names) / 2 and all(map(_FLOW_NAME.fullmatch, names))

    def learn(self, header: bytes) -> None:
        names = header.split(b" ")
        self._columns = [names.index(name) for name in (b"start", b"end") if name in names]

    def times(self, rows: Sequence[bytes]) -> Columns:
        times: Columns = [None] * len(rows)
        for column in self._columns:
            if None in times:
                found = _cells(rows, column, self._seen)
                times = found if times.count(None) == len(times) else list(map(_first, times, found))
        return times


def _first(one: Optional[str], other: Optional[str]) -> Optional[str]:
    return other if one is None else one


def _cells(rows: Sequence[bytes], column: int, seen: Remembered) -> Columns:
    try:
        return [seen[row.split(b" ", column + 1)[column]] for row in rows]
    except IndexError:
        cells = [row.split(b" ", column + 1) for row in rows]
        return [seen[row[column]] if len(row) > column else None for row in cells]


class CloudFront:
    """The W3C extended format: `#Fields:` names the columns, of which date and time, in UTC, are the time."""

    def __init__(self, times: Times) -> None:
        self._seen = Remembered(times)
        self._date, self._time = 0, 1

    def may_hold_header(self, text: bytes) -> bool:
        return text.startswith(b"#") or b"\n#" in text

    def is_header(self, line: bytes) -> bool:
        return line.startswith((b"#Version:", b"#Fields:"))

    def learn(self, header: bytes) -> None:
        directive, _, fields = header.partition(b":")
        if directive == b"#Fields":
            names = fields.split()
            named = b"date" in names and b"time" in names
            self._date, self._time = (names.index(b"date"), names.index(b"time")) if named else (-1, -1)

    def times(self, rows: Sequence[bytes]) -> Columns:
        return [self._of(row) for row in rows]

    def _of(self, row: bytes) -> Optional[str]:
        cells = row.split(b"\t", max(self._date, self._time) + 1)
        if self._date < 0 or len(cells) <= max(self._date, self._time):
            return None
        return self._seen[b"%b %bZ" % (cells[self._date], cells[self._time])]


class _Headless:
    """A log without headers."""

    def may_hold_header(self, text: bytes) -> bool:
        return False

    def is_header(self, line: bytes) -> bool:
        return False

    def learn(self, header: bytes) -> None:
        """Never asked to."""


#: ALB: type, then time. NLB: type, version, time. CLB, and connection logs: time.
_BALANCED = re.compile(rb"(?:[a-z][a-z0-9]* (?:\d+\.\d+ )?)?(\d{4}-\d\d-\S{11,24}) ")


class LoadBalancer(_Headless):
    """Access logs of application, network and classic load balancers."""

    def __init__(self, times: Times) -> None:
        self._read = times.read

    def times(self, rows: Sequence[bytes]) -> Columns:
        found = map(_BALANCED.match, rows)
        return [self._read(match[1].decode("latin-1")) if match else None for match in found]


class S3Access(_Headless):
    """S3's server access logs: the time in brackets, after owner and bucket. Columns may be appended."""

    _STAMP_BYTES = len("06/Feb/2019:00:00:38 +0000")

    def __init__(self, times: Times) -> None:
        self._seen = Remembered(times)

    def times(self, rows: Sequence[bytes]) -> Columns:
        seen, size = self._seen, self._STAMP_BYTES
        return [seen[row.partition(b"[")[2][:size]] for row in rows]
