"""Stored bytes in, Blocks of events out: streaming, in constant memory, without changing an event.

    chunks -> layers.texts -> text.to_utf8 -> Tape -> Records or Lines -> runs -> Blocks

What an object is, is sniffed from its bytes; its name is never asked, nor are the names in an archive.
The sequence of events (bodies, times, is_json, note) is a function of the object's bytes alone: not of how
they were chunked, nor of whether the accelerators are there. Blocks may be cut differently.
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, Iterator, Optional

from collector.decode.blocks import Run, to_blocks
from collector.decode.budget import Budget
from collector.decode.layers import Text, texts
from collector.decode.shape import ROWS, splitter
from collector.decode.tape import Tape
from collector.decode.text import to_utf8
from collector.decode.values import JsonReader
from collector.model import Block, Format

__all__ = ["decode"]

_NOTHING = re.compile(rb"(?:null|\{\s*\}|\[\s*\])?")
_NOTHING_BYTES = 4096


def decode(
    chunks: Iterable[bytes],
    *,
    format: Format,
    now: float,
    accelerated: bool = True,
    inflated: Optional[Callable[[bytes], None]] = None,
) -> Iterator[Block]:
    """The events of one object, or of one Payload that is not whole.

    `now` (epoch seconds) is when a time starts to be too far in the future to be believed. `inflated` is
    told what is inside the outermost layer, if that is gzip, piece by piece.
    Errors come after all complete events before the damage: Poison "truncated_gzip", "corrupt_gzip"
    (and bzip2, xz, zstd, tar, zip, parquet, avro), "trailing_junk", "bomb", "nested_too_deep",
    "encrypted_zip", "unsupported_container", "truncated_json", "corrupt_json", Retry "spool_failed", and
    whatever `chunks` itself raises. The caller adds `where`.
    """
    reader = JsonReader(format, now=now, accelerated=accelerated)
    found = texts(chunks, budget=Budget(), accelerated=accelerated, inflated=inflated)
    yield from to_blocks(_runs(found, reader, format.container))


def _runs(found: Iterable[Text], reader: JsonReader, container: str) -> Iterator[Run]:
    for text in found:
        tape = Tape(to_utf8(text.chunks))
        if text.rows:
            yield from splitter(tape, reader, ROWS).runs()
        elif not _is_nothing(tape):
            yield from splitter(tape, reader, container).runs()
        tape.raise_damage()


def _is_nothing(tape: Tape) -> bool:
    """Whether the whole text is blank, null, {} or []: there are no events in it."""
    held = tape.look(_NOTHING_BYTES)
    return tape.ended and _NOTHING.fullmatch(held.strip()) is not None
