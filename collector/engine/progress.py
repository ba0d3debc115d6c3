"""How far one object has come at one output: ranges of event ordinals, and the prefix that counts.

Only the contiguous accepted prefix may be committed (rule 3 of the ledger); what is accepted beyond it
waits, and what is pending (queued, sent, or under an open Receipt) is not sent a second time.
"""

from __future__ import annotations

from typing import Iterator, List, Tuple

__all__ = ["Progress", "Ranges"]

Range = Tuple[int, int]


class Ranges:
    """A set of ordinals kept as disjoint, sorted, half-open ranges."""

    def __init__(self) -> None:
        self._ranges: List[Range] = []

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, first: int, end: int) -> None:
        if first >= end:
            return
        kept: List[Range] = []
        for low, high in self._ranges:
            if high < first or low > end:
                kept.append((low, high))
            else:
                first, end = min(first, low), max(end, high)
        kept.append((first, end))
        kept.sort()
        self._ranges = kept

    def discard(self, first: int, end: int) -> None:
        if first >= end:
            return
        kept: List[Range] = []
        for low, high in self._ranges:
            if high <= first or low >= end:
                kept.append((low, high))
                continue
            if low < first:
                kept.append((low, first))
            if high > end:
                kept.append((end, high))
        self._ranges = kept

    def gaps(self, first: int, end: int) -> List[Range]:
        """The parts of [first, end) that are not in the set, in order."""
        gaps: List[Range] = []
        for low, high in self._ranges:
            if high <= first:
                continue
            if low >= end:
                break
            if low > first:
                gaps.append((first, low))
            first = max(first, high)
        if first < end:
            gaps.append((first, end))
        return gaps


class Progress:
    """One object at one output."""

    def __init__(self, offset: int) -> None:
        self._accepted = Ranges()
        self._accepted.add(0, offset)
        self._taken = Ranges()
        self._taken.add(0, offset)

    @property
    def prefix(self) -> int:
        """Events [0, prefix) are accepted."""
        for low, high in self._accepted:
            return high if low == 0 else 0
        return 0

    def beyond(self, offset: int) -> List[Range]:
        """What is accepted from `offset` on."""
        return [(max(low, offset), high) for low, high in self._accepted if high > offset]

    def missing(self, first: int, end: int) -> List[Range]:
        """The parts of [first, end) that are neither accepted nor pending: to be sent."""
        return self._taken.gaps(first, end)

    def pend(self, first: int, end: int) -> None:
        self._taken.add(first, end)

    def accept(self, first: int, end: int) -> None:
        self._accepted.add(first, end)
        self._taken.add(first, end)

    def give_up(self, first: int, end: int) -> None:
        """What was pending in [first, end) has to be sent again; what was accepted stays so."""
        for low, high in self._accepted.gaps(first, end):
            self._taken.discard(low, high)
