"""Cuts an object's Blocks into Slices, from ordinal 0 and by constants only.

A replay from any committed offset yields the same slices byte for byte, whatever the blocks were:
that is what makes a slice the unit of progress.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List

from collector.errors import Poison
from collector.model import SLICE_MAX_BYTES, SLICE_MAX_EVENTS, Block, Origin, Slice

__all__ = ["cut"]


def cut(blocks: Iterable[Block], origin: Origin) -> Iterator[Slice]:
    """Every event of `blocks`, in order, in slices of at most 256 KiB or 1,000 events.

    One event larger than 256 KiB stands alone. An empty block is a sign of life from work that takes long,
    and becomes an empty slice. Damage in the object (Poison) comes after the slice that
    holds the last events before it; any other error comes at once, as what it cut short is cut again.
    """
    first, count, size = 0, 0, 0
    parts: List[Block] = []
    source = iter(blocks)
    while True:
        try:
            block = next(source)
        except StopIteration:
            break
        except Poison:
            if parts:
                yield Slice(origin, first, parts[-1].end, tuple(parts), size)
            raise
        if not block.bodies:
            yield Slice(origin, first, first, (), 0)
            continue
        start = 0
        for index, body in enumerate(block.bodies):
            if count and (count >= SLICE_MAX_EVENTS or size + len(body) > SLICE_MAX_BYTES):
                if index > start:
                    parts.append(block.part(block.first + start, block.first + index))
                yield Slice(origin, first, block.first + index, tuple(parts), size)
                first, count, size, parts, start = block.first + index, 0, 0, [], index
            count += 1
            size += len(body)
        if start < len(block.bodies):
            whole = start == 0
            parts.append(block if whole else block.part(block.first + start, block.end))
    if parts:
        yield Slice(origin, first, parts[-1].end, tuple(parts), size)
