"""Whether a text is lines or a JSON document, by how it begins.

A first line that is one JSON object makes lines (NDJSON); a wrapper around events, an array, objects
that are glued or spread over several lines make a document. A log line may begin with a bracket too
("[1234] started"), so an array must have a first element that reads like one. Any other text is lines, of
the dialect that its first line shows.
"""

from __future__ import annotations

from typing import Union

from collector.decode.containers import LOOKAHEAD_BYTES, RECORDS_HEAD, holds_events, inside_offset
from collector.decode.dialects import DIALECTS, HEAD_BYTES, grammar, recognised
from collector.decode.lines import Lines, Plain
from collector.decode.records import Records
from collector.decode.scan import WRONG, skip_space
from collector.decode.tape import WINDOW_BYTES, Tape
from collector.decode.values import JsonReader, Seen

__all__ = ["ROWS", "splitter"]

#: A container beside those of Format: each line is one event, and JSON, as the rows of a table come.
ROWS = "rows"


def splitter(tape: Tape, reader: JsonReader, container: str) -> Union[Lines, Records]:
    """What cuts this text into events; `container` is Format's. Looks at the tape, takes nothing."""
    if container == "json":
        return Records(tape, reader)
    if container == ROWS:
        return _plain(tape, reader, expect_json=True)
    if container in DIALECTS:
        return _dialect(tape, reader, container)
    held = tape.look(WINDOW_BYTES)
    start = skip_space(held, 0)
    first = held[start : start + 1]
    if RECORDS_HEAD.match(held, start):
        return Records(tape, reader)
    if first == b"[":
        return _by_first_element(tape, reader, start)
    if first == b"{":
        return _by_first_line(tape, reader, start)
    whole = tape.whole and len(held) <= HEAD_BYTES
    return _dialect(tape, reader, recognised(held[:HEAD_BYTES], reader, whole=whole))


def _dialect(tape: Tape, reader: JsonReader, name: str) -> Lines:
    head = tape.look(HEAD_BYTES)[:HEAD_BYTES]
    return Lines(tape, grammar(name, reader, head), max_bytes=reader.max_bytes)


def _plain(tape: Tape, reader: JsonReader, *, expect_json: bool) -> Lines:
    return Lines(tape, Plain(reader, expect_json=expect_json), max_bytes=reader.max_bytes)


def _by_first_element(tape: Tape, reader: JsonReader, start: int) -> Union[Lines, Records]:
    held = tape.held
    position = skip_space(held, start + 1)
    code = held[position : position + 1]
    seen = _ahead(tape, reader, position)
    if code in (b"{", b"["):
        array = seen.end != WRONG
    else:
        array = code in (b"", b"]") or (seen.end > 0 and _goes_on(tape.held, seen.end))
    return Records(tape, reader) if array else _plain(tape, reader, expect_json=False)


def _goes_on(held: bytes, position: int) -> bool:
    """After a scalar: an array has a comma, or ends and leaves the rest of its line blank."""
    position = skip_space(held, position)
    following = held[position : position + 1]
    return following == b"," or (
        following == b"]" and not held[position + 1 : position + 256].split(b"\n", 1)[0].strip()
    )


def _ahead(tape: Tape, reader: JsonReader, position: int) -> Seen:
    """The value at `position` as far as LOOKAHEAD_BYTES show it."""
    held = tape.held
    seen = reader.parse(held.decode("latin-1"), position)
    if seen is None:
        text = tape.look(position + LOOKAHEAD_BYTES)[: position + LOOKAHEAD_BYTES]
        seen = reader.read(text, text.decode("latin-1"), position)
    return seen


def _by_first_line(tape: Tape, reader: JsonReader, start: int) -> Union[Lines, Records]:
    held = tape.held
    end = held.find(b"\n", start)
    if end < 0:
        held = tape.look(start + LOOKAHEAD_BYTES)
        end = held.find(b"\n", start, start + LOOKAHEAD_BYTES)
    line = held[start : end if end >= 0 else start + LOOKAHEAD_BYTES]
    seen = reader.parse(line.decode("latin-1"), 0)
    if seen is None or skip_space(line, seen.end) < len(line):
        return _by_document(tape, reader, start)
    if isinstance(seen.parsed, dict) and holds_events(seen.parsed):
        return Records(tape, reader)
    return _plain(tape, reader, expect_json=True)


def _by_document(tape: Tape, reader: JsonReader, start: int) -> Union[Lines, Records]:
    """The first line is not one object: it is wrong, or a document does not end with it."""
    text = tape.look(start + LOOKAHEAD_BYTES)[start : start + LOOKAHEAD_BYTES]
    if text.split(b"\n", 1)[0].strip() == b"{" or inside_offset(text, whole=False) >= 0:
        return Records(tape, reader)
    seen = reader.read(text, text.decode("latin-1"), 0)
    following = text[skip_space(text, seen.end) :][:1] if seen.end > 0 else b""
    document = seen.end != WRONG and following in (b"", b"{", b"[", b",")
    return Records(tape, reader) if document else _plain(tape, reader, expect_json=True)
