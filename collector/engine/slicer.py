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
        while block.bodies:
            taken, more = block.within(SLICE_MAX_BYTES - size, SLICE_MAX_EVENTS - count)
            if not count and not taken:
                taken, more = 1, len(block.bodies[0])
            rest = None
            if taken < len(block.bodies):
                block, rest = block.split(taken, more)
            if taken:
                parts.append(block)
                count, size = count + taken, size + more
            if rest is None:
                break
            yield Slice(origin, first, rest.first, tuple(parts), size)
            first, count, size, parts, block = rest.first, 0, 0, [], rest
    if parts:
        yield Slice(origin, first, parts[-1].end, tuple(parts), size)
