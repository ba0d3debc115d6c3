"""One reconcile under way: where its listing stands, and what it found and has not fed yet.

What is found waits in a heap by LastModified, the next to expire first, and never more than MOST_FOUND of
it: while the heap is full nothing is listed, so a bucket of any size takes the same memory.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import List, Mapping, Optional, Sequence, Tuple

from collector.model import ObjectRef
from collector.retention.listing import ASKED, Listing, Window
from collector.retention.partitions import Partitions

__all__ = ["MOST_FOUND", "Before", "Sweep"]

#: Refs, at about half a kilobyte each.
MOST_FOUND = 20_000
#: What one page may add.
PAGE_KEYS = 1000


@dataclass
class Before:
    """What lies before the input's start and is not in the ledger. `oldest` is epoch seconds."""

    objects: int = 0
    size_bytes: int = 0
    oldest: float = 0.0

    def add(self, ref: ObjectRef) -> None:
        written = ref.event_time or 0.0
        self.oldest = min(self.oldest, written) if self.objects else written
        self.objects += 1
        self.size_bytes += ref.size or 0


@dataclass
class Sweep:
    """`busy` says that a call of it is under way; `lead_due` is monotonic, `began` too."""

    window: Window
    listing: Listing
    began: float
    lead_due: float
    page: List[Tuple[str, ObjectRef]] = field(default_factory=list)
    before: Before = field(default_factory=Before)
    busy: bool = False
    asked_unfinished: bool = False
    missing: int = 0
    lists: int = 0
    _found: List[Tuple[float, int, ObjectRef]] = field(default_factory=list)

    @classmethod
    def of(
        cls, window: Window, buckets: Sequence[str], partitions: Mapping[str, Partitions], *, now: float
    ) -> Sweep:
        """An operator's own range takes no lead and nothing over."""
        asked = window.kind == ASKED
        lead_due = float("inf") if asked else now
        return cls(window, Listing(window, buckets, partitions), now, lead_due, asked_unfinished=asked)

    @property
    def waiting(self) -> int:
        """How many were found and are not fed yet."""
        return len(self._found)

    @property
    def may_list(self) -> bool:
        return not self.listing.is_over and len(self._found) + PAGE_KEYS <= MOST_FOUND

    @property
    def is_listing(self) -> bool:
        """Something older than all that was found may still come."""
        return bool(self.page) or self.may_list

    def find(self, ref: ObjectRef) -> None:
        self.missing += 1
        heapq.heappush(self._found, (ref.event_time or 0.0, self.missing, ref))

    @property
    def first(self) -> Optional[ObjectRef]:
        """What expires first, left where it is."""
        return self._found[0][2] if self._found else None

    def oldest(self) -> Optional[ObjectRef]:
        """Take out what expires first."""
        return heapq.heappop(self._found)[2] if self._found else None
