"""Cuts an object's Blocks into Slices, from ordinal 0 and by constants only.

A replay from any committed offset yields the same slices byte for byte, whatever the blocks were:
that is what makes a slice the unit of progress.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
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
        ends = [*accumulate(map(len, block.bodies))]
        start = before = 0
        while start < len(ends):
            last = min(len(ends), start + SLICE_MAX_EVENTS - count)
            end = bisect_right(ends, before + SLICE_MAX_BYTES - size, start, last)
            if not count:
                end = max(end, start + 1)
            if end > start:
                whole = end - start == len(ends)
                parts.append(block if whole else block.part(block.first + start, block.first + end))
                count, size = count + end - start, size + ends[end - 1] - before
                start, before = end, ends[end - 1]
            if start < len(ends):
                yield Slice(origin, first, block.first + start, tuple(parts), size)
                first, count, size, parts = block.first + start, 0, 0, []
    if parts:
        yield Slice(origin, first, parts[-1].end, tuple(parts), size)
