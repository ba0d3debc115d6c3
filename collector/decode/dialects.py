"""The dialects of text by name, and by what a file's first line looks like.

A dialect is recognised only by what cannot well be anything else; what is recognised as none is plain
lines, of which nothing is lost but the time. A route's `decoder=` names one outright.
"""

from __future__ import annotations

import re
from typing import Callable, Mapping

from collector.decode.csv_rows import Csv, Records, header_of
from collector.decode.delimited import CloudFront, LoadBalancer, Rows, S3Access, VpcFlow
from collector.decode.lines import Grammar, Plain, bare
from collector.decode.stanzas import EXPORTED, STAMP, exported, postgres
from collector.decode.values import JsonReader

__all__ = ["DIALECTS", "HEAD_BYTES", "grammar", "recognised"]

#: How much of a text is looked at: its first two lines must lie within.
HEAD_BYTES = 65536

_Make = Callable[[JsonReader, bytes], Grammar]


def grammar(name: str, reader: JsonReader, head: bytes) -> Grammar:
    """The grammar of a dialect; `head` is the beginning of the text."""
    return _GRAMMARS[name](reader, head)


def recognised(head: bytes, reader: JsonReader, *, whole: bool) -> str:
    """The dialect of a text that begins with `head`, and ends with it if that is `whole`; else "lines"."""
    first, newline, rest = head.lstrip(b"\r\n").partition(b"\n")
    if not newline and not whole:
        return "lines"
    line = bare(first)
    for name, pattern in _PATTERNS.items():
        if pattern.match(line):
            return name
    if VpcFlow(reader.times).is_header(line):
        return "vpcflow"
    second, newline, _ = rest.lstrip(b"\r\n").partition(b"\n")
    return "csv" if _is_csv(line, second, reader, seen=bool(newline) or whole) else "lines"


def _is_csv(line: bytes, second: bytes, reader: JsonReader, *, seen: bool) -> bool:
    """Whether a header with a time is followed by a row with one, or by nothing.

    A torn text that does not show it gives no event either way.
    """
    csv = Csv(reader.times, reader.fields)
    if not csv.is_header(line):
        return False
    if not seen:
        return True
    csv.learn(line)
    return csv.times([second]) != [None] if second else len(header_of(line)[1]) >= 3


_PATTERNS: Mapping[str, re.Pattern[bytes]] = {
    "pgaudit": re.compile(
        rb"(?:%b )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Z]{1,5}:"
        rb".*@[^@]*:\[\d+\]:[A-Z]+[1-5]?:  " % STAMP
    ),
    "cloudfront": re.compile(rb"#(?:Version: ?1\.0$|Fields: )"),
    "elb": re.compile(
        rb"(?:(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT[\d:.]+Z (?:app|net)/"
        rb"|tls \d+\.\d+ \d{4}-\d\d-\d\dT[\d:.]+Z? net/"
        rb'|\d{4}-\d\d-\d\dT[\d:.]+Z \S+ \S+:\d+ (?:-|\S+:\d+) (?:-?[\d.]+ ){3}(?:-|\d+) (?:-|\d+) \d+ \d+ ")'
    ),
    "s3access": re.compile(rb"[0-9a-f]{64} \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "),
    "vpcflow": re.compile(
        rb"\d+ (?:\d{12}|unknown|-) (?:eni-[0-9a-f]+|-) (?:\S+ ){7}\d{10} \d{10} \S+ (?:OK|NODATA|SKIPDATA)$"
    ),
    "cloudwatch": EXPORTED,
}


def _csv(reader: JsonReader, head: bytes) -> Grammar:
    delimiter = header_of(bare(head.lstrip(b"\r\n").partition(b"\n")[0]))[0]
    records = Records(max_bytes=reader.max_bytes, delimiter=delimiter)
    return Rows(Csv(reader.times, reader.fields), max_bytes=reader.max_bytes, cut=records)


_GRAMMARS: Mapping[str, _Make] = {
    "lines": lambda reader, head: Plain(reader, expect_json=False),
    "csv": _csv,
    "vpcflow": lambda reader, head: Rows(VpcFlow(reader.times), max_bytes=reader.max_bytes),
    "cloudfront": lambda reader, head: Rows(CloudFront(reader.times), max_bytes=reader.max_bytes),
    "elb": lambda reader, head: Rows(LoadBalancer(reader.times), max_bytes=reader.max_bytes),
    "s3access": lambda reader, head: Rows(S3Access(reader.times), max_bytes=reader.max_bytes),
    "cloudwatch": lambda reader, head: exported(reader.times, max_bytes=reader.max_bytes),
    "pgaudit": lambda reader, head: postgres(reader.times, max_bytes=reader.max_bytes),
}

#: Every dialect's name.
DIALECTS = frozenset(_GRAMMARS)
