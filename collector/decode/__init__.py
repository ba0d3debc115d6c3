"""Stored bytes in, Blocks of events out: streaming, in constant memory, without changing an event.

    chunks -> inflate.unwrap -> text.to_utf8 -> Tape -> Records or Lines -> runs -> Blocks

What an object is, is sniffed from its bytes; its name is never asked. The sequence of events (bodies,
times, is_json, note) is a function of the object's bytes alone: not of how they were chunked, nor of
whether the accelerators are there. Blocks may be cut differently.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator

from collector.decode.blocks import to_blocks
from collector.decode.inflate import Budget, unwrap
from collector.decode.shape import splitter
from collector.decode.tape import Tape
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
        yield from to_blocks(splitter(tape, reader, format.container).runs())
    tape.raise_damage()


def _is_nothing(tape: Tape) -> bool:
    """Whether the whole text is blank, null, {} or []: there are no events in it."""
    held = tape.look(_NOTHING_BYTES)
    return tape.ended and _NOTHING.fullmatch(held) is not None
