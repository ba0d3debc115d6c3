"""Slices become bytes: HEC envelopes, JSON lines, or the events as they are.

A JSON event stands inside its envelope with its own bytes; any other event becomes a JSON string. What
the events of a slice share is spelled once, and the rest is joining: there is no dict per event, because
a dict would alter numbers and cost ten times as much. The keys of an envelope are a closed set: HEC
answers an unknown key with 200 and silently drops the rest of the request.

Page: Splunk docs, "Format events for HTTP Event Collector".
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from collector.model import Block, Origin, Slice

__all__ = [
    "enveloped_bytes", "envelopes", "one_line", "render_envelopes", "render_json_lines", "render_raw_lines",
]

#: What an envelope adds to an event beside oid and labels, with a time and an ordinal of many digits.
_FRAME_BYTES = len('{"time":1777890012.412345,"fields":{"s3_oid":"","s3_seq":1234567},"event":}\n')
#: The most that a label takes beside its quoted text.
_LABEL_BYTES = len(',"sourcetype":')
#: One part of so many is added to text, for quotes and escapes.
_ESCAPED = 8

_UNDER_1000 = [b"%03d" % number for number in range(1000)]

#: A JSON string, or a run of JSON white space outside of one. Unrolled, and content with a string that
#: does not end, so that it never backtracks.
_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*"?)|[ \t\r\n]+', re.DOTALL)


def render_envelopes(slices: Iterable[Slice], *, identity: bool = True, lines: bool = False) -> bytes:
    """The events as HEC envelopes, one after the other, each ended by a newline.

    `identity` adds `fields.s3_oid` and `fields.s3_seq`, by which repeats can be found, and `fields.s3_note`
    to events that are not what their neighbours are ("parse_error", "part 2"). `lines` promises that no
    envelope holds a raw newline. Bytes of text that are not UTF-8 become U+FFFD; of JSON there are none.
    """
    return b"".join(envelopes(slices, identity=identity, lines=lines))


def enveloped_bytes(piece: Slice) -> int:
    """How many bytes the slice takes as envelopes: no fewer where it is JSON, about where it is text.

    Too much only by short times and ordinals. Text is not looked through: one with nothing but quotes takes
    twice as much, one of control characters six times. HEC takes eight times the largest batch that can be
    set (`max_content_length` in limits.conf), and a request refused for its size is halved.
    """
    labels = [_quoted(text).encode() for _, text in _metadata(piece.origin) if text]
    around = _FRAME_BYTES + len(piece.origin.oid) + sum(len(label) + _LABEL_BYTES for label in labels)
    escapes = 0 if all(block.is_json for block in piece.blocks) else piece.size_bytes // _ESCAPED
    return piece.size_bytes + escapes + piece.count * around


def envelopes(slices: Iterable[Slice], *, identity: bool = True, lines: bool = False) -> Iterator[bytes]:
    """`render_envelopes` in pieces, each made when it is asked for."""
    for piece in slices:
        for block in piece.blocks:
            yield _enveloped(block, piece.origin, identity=identity, lines=lines)


def _enveloped(block: Block, origin: Origin, *, identity: bool, lines: bool) -> bytes:
    """One list holds all that is joined: what is the same in each envelope, and between it three columns."""
    before, after = _envelope_around(origin, identity=identity)
    start, times, comma = _time_column(block.times, origin.fallback_time)
    bodies = _json_bodies(block, lines=lines)
    end = _noted(after, block.note).encode()
    columns: List[bytes] = []
    for thousands, ordinals in _ordinal_column(block.first, block.end):
        middle = (comma + before + (thousands if identity else "")).encode()
        columns += [start, b"", middle, b"", end, b"", b"}\n"] * len(ordinals)
        if identity:
            columns[3 - 7 * len(ordinals) :: 7] = ordinals
    columns[1::7] = times
    columns[5::7] = bodies
    return b"".join(columns)


def _time_column(times: Sequence[Optional[str]], untimed: str) -> Tuple[bytes, List[bytes], str]:
    """What comes before the times, the times, and what comes after them. An event may have none."""
    known = [time or untimed for time in times]
    if all(known):
        return b'{"time":', "\n".join(known).encode().split(b"\n"), ","
    return b"{", [f'"time":{time},'.encode() if time else b"" for time in known], ""


def _ordinal_column(first: int, end: int) -> Iterator[Tuple[str, Sequence[bytes]]]:
    """The ordinals in [first, end) by their thousands, which some hundred have in common, and the rest."""
    while first < end:
        thousands, low = divmod(first, 1000)
        high = min(1000, low + end - first)
        if thousands:
            yield str(thousands), _UNDER_1000[low:high]
        else:
            yield "", [b"%d" % ordinal for ordinal in range(low, high)]
        first += high - low


def render_json_lines(slices: Iterable[Slice]) -> bytes:
    """One line per event: `{id,time,source,sourcetype,host,index,event}`, the event's text as a string.

    All seven keys are always there; `time` is null where neither event nor object has one.
    """
    lines: List[str] = []
    for piece in slices:
        oid = piece.origin.oid
        middle = "".join(f',"{name}":{_quoted(value)}' for name, value in _metadata(piece.origin))
        for block in piece.blocks:
            for offset, body in enumerate(block.bodies):
                time = block.times[offset] or piece.origin.fallback_time or "null"
                event = encode_basestring(_text(body))
                identity = _quoted(f"{oid}:{block.first + offset}")
                lines.append(f'{{"id":{identity},"time":{time}{middle},"event":{event}}}\n')
    return "".join(lines).encode()


def render_raw_lines(slices: Iterable[Slice]) -> bytes:
    """The events' own bytes, a newline after each. Pretty-printed JSON is put on one line."""
    parts: List[bytes] = []
    for piece in slices:
        for block in piece.blocks:
            bodies = [one_line(body) for body in block.bodies] if block.is_json else block.bodies
            for body in bodies:
                parts += (body, b"\n")
    return b"".join(parts)


def one_line(body: bytes) -> bytes:
    """A JSON value without white space outside its strings, if it had line breaks; else as it is.

    Nothing is parsed: numbers, escapes, key order and repeated keys keep their spelling.
    """
    body = bytes(body)
    if b"\n" not in body and b"\r" not in body:
        return body
    return _STRING_OR_SPACE.sub(rb"\1", body)


def _envelope_around(origin: Origin, *, identity: bool) -> Tuple[str, str]:
    """What stands between time and ordinal, and between ordinal and event, in each envelope.

    Without identity there is no ordinal, and the first part is all.
    """
    known = [f'"{name}":{_quoted(value)},' for name, value in _metadata(origin) if value]
    if not identity:
        return "".join(known) + '"event":', ""
    return "".join(known) + f'"fields":{{"s3_oid":{_quoted(origin.oid)},"s3_seq":', '},"event":'


def _noted(after: str, note: str) -> str:
    return f',"s3_note":{_quoted(note)}{after}' if after and note else after


def _metadata(origin: Origin) -> Tuple[Tuple[str, str], ...]:
    return (
        ("source", origin.source),
        ("sourcetype", origin.sourcetype),
        ("host", origin.host),
        ("index", origin.index),
    )


def _json_bodies(block: Block, *, lines: bool) -> Sequence[bytes]:
    if not block.is_json:
        return [encode_basestring(_text(body)).encode() for body in block.bodies]
    return [one_line(body) for body in block.bodies] if lines else block.bodies


def _text(body: bytes) -> str:
    return str(body, "utf-8", "replace")


def _quoted(value: str) -> str:
    """A JSON string. A lone surrogate (an S3 key may carry one) has no UTF-8 form: it becomes U+FFFD."""
    return encode_basestring(value.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
