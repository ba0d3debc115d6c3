"""Reads an object as a person with Python's standard library would, all at once and without care for memory.

It shares no code with `collector.decode`. A value is what json.loads makes of it; a line is its bytes.
"""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from typing import Any, Callable, Iterator, List, Tuple, Union

__all__ = ["Value", "expected", "texts"]


class Value:
    """A JSON value as json.loads sees it; pairs, not a dict, so that a key may stand twice."""

    def __init__(self, parsed: Any) -> None:
        self.parsed = parsed

    def is_said_by(self, body: bytes) -> bool:
        text = body.decode("utf-8")
        try:
            return bool(_loads(text) == self.parsed)
        except ValueError:
            return False


Expected = Union[Value, bytes]

# -- what is inside


def texts(stored: bytes) -> Iterator[bytes]:
    """The texts inside, in UTF-8, in stored order; of a damaged stream what comes out of it."""
    if stored.startswith(b"\x1f\x8b"):
        yield from texts(_members(stored, b"\x1f\x8b", lambda: zlib.decompressobj(31)))
    elif stored.startswith(b"BZh"):
        yield from texts(_members(stored, b"BZh", bz2.BZ2Decompressor))
    elif stored.startswith(b"\xfd7zXZ\x00"):
        yield from texts(_members(stored, b"\xfd7zXZ\x00", lzma.LZMADecompressor))
    elif stored.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _zipped(stored)
    elif stored[257:262] == b"ustar":
        yield from _tarred(stored)
    else:
        yield _utf8(stored)


def _members(stored: bytes, magic: bytes, make: Callable[[], Any]) -> bytes:
    out = b""
    while stored.startswith(magic):
        member = make()
        for place in range(len(stored)):
            try:
                out += member.decompress(stored[place : place + 1])
            except (zlib.error, OSError, lzma.LZMAError):
                return out
            if member.eof:
                break
        stored = stored[place + 1 :]
    return out


def _zipped(stored: bytes) -> Iterator[bytes]:
    archive = zipfile.ZipFile(io.BytesIO(stored))
    for entry in archive.infolist():
        if not (entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16)):
            yield from texts(archive.read(entry))


def _tarred(stored: bytes) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(stored), ignore_zeros=True) as archive:
        for entry in archive:
            inside = archive.extractfile(entry) if entry.isreg() else None
            if inside is not None:
                yield from texts(inside.read())


def _utf8(text: bytes) -> bytes:
    for mark, name in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
                       (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if text.startswith(mark):
            return text.decode(name, "replace").encode()
    return text[3:] if text.startswith(b"\xef\xbb\xbf") else text


# -- what events it holds

_ARRAYS = {"Records", "logEvents", "configurationItems"}
_COMMON = {"events", "data", "items", "logs", "records", "audits"}
#: What may stand beside a common word, for it to mean a list of events.
_BESIDE = {"count", "version", "next", "total", "meta", "schema"}


def expected(text: bytes, *, damaged: bool = False) -> List[Expected]:
    """The events of one text; of one that is `damaged`, those before the damage."""
    readable = text.decode("utf-8", "replace")
    if readable.strip() == "null":
        return []
    if readable.lstrip()[:1] not in ("{", "["):
        return list(_lines(text, damaged))
    values, whole = _glued(readable)
    if whole and not _is_one_a_line(readable):
        return [one for value in values for one in _opened(value)]
    if damaged and not whole and not values:
        return [one for value in _cut_off(readable) for one in _opened([value])]
    return list(_lines(text, damaged))


def _is_one_a_line(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        values = [_loads(line) for line in lines]
    except (ValueError, RecursionError):
        return False
    return len(values) > 1 and not any(isinstance(one, _Pairs) and _arrays(one) for one in values)


def _loads(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)


class _Pairs(List[Tuple[str, Any]]):
    """An object: unlike a list, and with every member it has."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pairs) and list.__eq__(self, other)

    def __hash__(self) -> int:
        raise TypeError


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)


def _glued(text: str) -> Tuple[List[Any], bool]:
    """The values one after the other, and whether that is all there is."""
    values, place = [], 0
    while True:
        place = len(text) - len(text[place:].lstrip(" \t\r\n,"))
        if place == len(text):
            return values, True
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return values, False
        values.append(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, _Pairs)


def _arrays(value: _Pairs) -> List[List[Any]]:
    """The arrays of events in a wrapper, none if it is an event itself."""
    arrays = [inside for name, inside in value if name in _ARRAYS and _is_array(inside)]
    common = [inside for name, inside in value if name in _COMMON and _is_array(inside)]
    if arrays or any(inside and not isinstance(inside[0], _Pairs) for inside in common):
        return arrays
    return common if {name for name, _ in value} <= _COMMON | _BESIDE else []


def _opened(value: Any) -> Iterator[Value]:
    """The events of one value at the top."""
    if isinstance(value, _Pairs):
        arrays = _arrays(value)
        if value and not arrays:
            yield Value(value)
        yield from (Value(one) for inside in arrays for one in inside)
    elif isinstance(value, list):
        for one in value:
            yield from map(Value, one if _is_array(one) and one and isinstance(one[0], _Pairs) else [one])
    elif value is not None:
        yield Value(value)


def _cut_off(text: str) -> Iterator[Any]:
    """The complete elements of an array whose end is missing or wrong."""
    place = text.find("[") + 1 or len(text)
    while True:
        place = len(text) - len(text[place:].lstrip(" \t\r\n,"))
        try:
            value, place = _DECODER.raw_decode(text, place)
        except ValueError:
            return
        yield value


#: A PostgreSQL log, or an export of CloudWatch Logs: an event goes on until the next time at a line's start.
_STAMPED = re.compile(rb"^(?=\d{4}-\d\d-\d\d(?:T[\d:]{8}\.\d{3}Z | [\d:.]+ [A-Z]+:))", re.MULTILINE)
_HEADER = re.compile(rb"(?:version|account-id|srcaddr)(?: [a-z-]+)+|#(?:Version|Fields):.*")
_CSV_HEADER = re.compile(rb'[A-Za-z_]+([,;])(?:"?[A-Za-z_ ]+"?[,;]?)+')


def _lines(text: bytes, damaged: bool) -> Iterator[Expected]:
    first = text.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    if _STAMPED.match(first):
        yield from (piece.rstrip(b"\r\n") for piece in _STAMPED.split(text) if piece.strip())
    elif _CSV_HEADER.fullmatch(first):
        yield from _csv(text, first)
    else:
        lines = text.split(b"\n")[: -1 if damaged else None]
        lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        yield from (line for line in lines if line.strip(b" \t\r") and not _HEADER.fullmatch(line))


def _csv(text: bytes, header: bytes) -> Iterator[bytes]:
    """Records as csv.reader counts their lines."""
    lines = text.decode("utf-8", "replace").split("\n")
    reader, before = csv.reader(line + "\n" for line in lines), 0
    for row in reader:
        record = "\n".join(lines[before : reader.line_num]).rstrip("\r\n").encode()
        before = reader.line_num
        if any(row) and record != header:
            yield record
