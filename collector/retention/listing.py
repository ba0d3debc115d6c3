"""A walk through the buckets of one input, a page of ListObjectsV2 at a time.

    listing = Listing(window, buckets, partitions)
    while not listing.is_over:
        page = objects.list(listing.bucket, prefix=prefix, start_after=listing.after, token=listing.token)
        for ref in listing.took(page): ...

It goes on after the last key it saw, not by a token: a walk that paused for hours goes on where it was. Pages
come in the order of keys (general purpose buckets; S3 documents the order as UTF-8 binary).
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Deque, List, Mapping, Sequence

from collector.model import ObjectRef
from collector.ports import Page
from collector.retention.partitions import Partitions

__all__ = ["ASKED", "FULL", "RECENT", "Listing", "Window"]

#: Everything under the prefix goes by, whatever the keys say of their age.
FULL = "full"
#: What may be new since the last sweep: old dates are jumped over.
RECENT = "recent"
#: An operator's own range; everything goes by.
ASKED = "asked"


@dataclass(frozen=True)
class Window:
    """What one sweep covers: LastModified in [since, until), epoch seconds.

    Objects from before `counted_before` are not covered, but counted, where they are not in the ledger.
    """

    since: float
    until: float
    kind: str = FULL
    counted_before: float = 0.0

    def covers(self, ref: ObjectRef) -> bool:
        return self.since <= (ref.event_time or 0.0) < self.until

    def counts(self, ref: ObjectRef) -> bool:
        return (ref.event_time or 0.0) < self.counted_before


class Listing:
    """Where a walk stands. `took` returns what the window covers or counts, and moves on."""

    def __init__(
        self, window: Window, buckets: Sequence[str], partitions: Mapping[str, Partitions]
    ) -> None:
        self.window = window
        self.after = ""
        self.token = ""
        self.listed = 0
        self.is_complete = True
        self._buckets: Deque[str] = deque(buckets)
        self._partitions = partitions
        self._begin()

    @property
    def is_over(self) -> bool:
        return not self._buckets

    @property
    def bucket(self) -> str:
        return self._buckets[0]

    def took(self, page: Page) -> List[ObjectRef]:
        partitions = self._partitions[self.bucket]
        for ref in page.refs:
            partitions.saw(ref.key, ref.event_time or 0.0)
        self.listed += len(page.refs)
        if not page.next_token:
            self._next_bucket()
        elif page.refs:
            self.after, self.token = page.refs[-1].key, ""
            if self.window.kind == RECENT:
                self.after = partitions.after(self.after, since=self.window.since)
        else:
            self.token = page.next_token  # a page without a key has nothing else to go on from
        return [ref for ref in page.refs if self.window.covers(ref) or self.window.counts(ref)]

    def skip_bucket(self) -> None:
        """This bucket cannot be listed; the walk will not have been complete."""
        self.is_complete = False
        self._next_bucket()

    def _next_bucket(self) -> None:
        self._buckets.popleft()
        self.after = self.token = ""
        self._begin()

    def _begin(self) -> None:
        if self._buckets:
            self._partitions[self.bucket].begin()
