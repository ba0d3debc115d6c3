"""Stored bytes in, Blocks of events out: streaming, in constant memory, without changing an event.

    chunks -> inflate.unwrap -> text.to_utf8 -> Tape -> Records or Lines -> runs -> Blocks

What an object is, is sniffed from its bytes; its name is never asked. The sequence of events (bodies,
times, is_json, note) is a function of the object's bytes alone: not of how they were chunked, nor of
whether the accelerators are there. Blocks may be cut differently.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, Union

from collector.decode.blocks import to_blocks
from collector.decode.containers import LOOKAHEAD_BYTES, RECORDS_HEAD, holds_events, inside_offset
from collector.decode.inflate import Budget, unwrap
from collector.decode.lines import Lines
from collector.decode.records import Records
from collector.decode.scan import UNFINISHED, WRONG, skip_space
from collector.decode.tape import WINDOW_BYTES, Tape
from collector.decode.text import to_utf8
from collector.decode.values import JsonReader
from collector.model import Block, Format

__all__ = ["decode"]

_NOTHING = re.compile(rb"\s*(?:null|\{\s*\}|\[\s*\])?\s*")
_NOTHING_BYTES = 4096


def decode(
    chunks: Iterable[bytes], *, format: Format, now: float, accelerated: bool = True
) -> Iterator[Block]:
    """The events of one object, or of one Payload that is not whole.

    `now` (epoch seconds) is when a time starts to be too far in the future to be believed.
    Errors come after all complete events before the damage: Poison "truncated_gzip", "corrupt_gzip"
    (and bzip2, xz), "trailing_junk", "bomb", "nested_too_deep", "unsupported_container",
    "truncated_json", "corrupt_json", and whatever `chunks` itself raises. The caller adds `where`.
    """
    tape = Tape(to_utf8(unwrap(chunks, budget=Budget(), accelerated=accelerated)))
    if not _is_nothing(tape):
        reader = JsonReader(format, now=now, accelerated=accelerated)
        yield from to_blocks(_splitter(tape, reader, format.container).runs())
    tape.raise_damage()


def _is_nothing(tape: Tape) -> bool:
    """Whether the whole text is blank, null, {} or []: there are no events in it."""
    held = tape.look(_NOTHING_BYTES)
    return tape.ended and _NOTHING.fullmatch(held) is not None


def _splitter(tape: Tape, reader: JsonReader, container: str) -> Union[Lines, Records]:
    if container == "lines":
        return Lines(tape, reader, expect_json=False)
    if container == "json":
        return Records(tape, reader)
    return _sniffed(tape, reader)


def _sniffed(tape: Tape, reader: JsonReader) -> Union[Lines, Records]:
    """By the first value: a line of its own, the head of a document, or no JSON at all.

    A log line may begin with a bracket ("[1234] started"), so a document must go on like one.
    """
    held, start = tape.look(WINDOW_BYTES), 0
    start = skip_space(held, 0)
    if held[start : start + 1] not in (b"{", b"["):
        return Lines(tape, reader, expect_json=False)
    if RECORDS_HEAD.match(held, start):
        return Records(tape, reader)
    end = held.find(b"\n", start)
    while end < 0 and len(held) - start < LOOKAHEAD_BYTES and not tape.ended:
        held = tape.look(2 * len(held))
        end = held.find(b"\n", start)
    end = end if 0 <= end <= start + LOOKAHEAD_BYTES else len(held)
    return _by_line(tape, reader, held[start:end])


def _by_line(tape: Tape, reader: JsonReader, line: bytes) -> Union[Lines, Records]:
    seen = reader.read(line, line.decode("latin-1"), 0)
    if seen.end > 0 and skip_space(line, seen.end) == len(line):
        event = line[:1] == b"{" and not (isinstance(seen.parsed, dict) and holds_events(seen.parsed))
        return Lines(tape, reader, expect_json=True) if event else Records(tape, reader)
    return _by_document(tape, reader, array=line[:1] == b"[")


def _by_document(tape: Tape, reader: JsonReader, *, array: bool) -> Union[Lines, Records]:
    while True:
        held = tape.look(1)
        start = skip_space(held, 0)
        text = held[start : start + LOOKAHEAD_BYTES]
        seen = reader.read(text, text.decode("latin-1"), 0)
        following = text[skip_space(text, seen.end) :][:1] if seen.end > 0 else b""
        decided = seen.end != UNFINISHED and (seen.end < 0 or following)
        if decided or tape.ended or len(text) == LOOKAHEAD_BYTES:
            break
        tape.look(2 * len(held))
    if seen.end == WRONG:
        return Records(tape, reader) if _began_well(reader, text) else Lines(tape, reader, expect_json=not array)
    if following not in (b"", b"{", b"[", b","):
        return Lines(tape, reader, expect_json=not array)
    if array and text[skip_space(text, 1) :][:1] not in (b"{", b"[", b'"', b"]"):
        return Lines(tape, reader, expect_json=False)
    return Records(tape, reader)


def _began_well(reader: JsonReader, text: bytes) -> bool:
    """Whether text that is wrong somewhere is a damaged document all the same: its head is one's."""
    if text.split(b"\n", 1)[0].strip() in (b"{", b"[") or inside_offset(text, whole=False) >= 0:
        return True
    first = skip_space(text, 1)
    return text[first : first + 1] == b"{" and reader.read(text, text.decode("latin-1"), first).end > 0
