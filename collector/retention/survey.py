"""What a backfill would fetch, found out by listing alone.

The estimates are arithmetic on list prices and on a modest collector, and say so wherever they are shown.
https://aws.amazon.com/s3/pricing/ and https://aws.amazon.com/kms/pricing/, eu and us regions, May 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Sequence

from collector.model import ObjectRef
from collector.ports import ObjectStore
from collector.retention.listing import Listing, Window
from collector.retention.partitions import Partitions

__all__ = ["Survey", "survey"]

#: What one collector is taken to fetch a second, whichever is reached first.
OBJECTS_A_SECOND = 100.0
BYTES_A_SECOND = 10_000_000.0
#: US dollars a request. A bucket key (S3 Bucket Keys) makes KMS cost next to nothing.
GET_DOLLARS = 0.0004 / 1000
LIST_DOLLARS = 0.005 / 1000
DECRYPT_DOLLARS = 0.03 / 10_000


@dataclass
class Survey:
    """Objects that would be fetched. `oldest` is its LastModified, epoch seconds; it expires first.

    `before` are missing too, but were written before what the window covers, the first at `first_before`.
    """

    objects: int = 0
    size_bytes: int = 0
    oldest: float = 0.0
    oldest_url: str = ""
    listed: int = 0
    lists: int = 0
    before: int = 0
    first_before: float = 0.0

    def leave(self, ref: ObjectRef) -> None:
        written = ref.event_time or 0.0
        self.first_before = min(self.first_before, written) if self.before else written
        self.before += 1

    def add(self, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            written = ref.event_time or 0.0
            if not self.objects or written < self.oldest:
                self.oldest, self.oldest_url = written, ref.url
            self.objects += 1
            self.size_bytes += ref.size or 0

    @property
    def seconds(self) -> float:
        return max(self.objects / OBJECTS_A_SECOND, self.size_bytes / BYTES_A_SECOND)

    def dollars(self, *, kms: bool) -> float:
        """Requests at list price: a GetObject each, with its Decrypt if `kms`, and the listing once more."""
        each = GET_DOLLARS + (DECRYPT_DOLLARS if kms else 0.0)
        return self.objects * each + self.lists * LIST_DOLLARS


def survey(
    objects: ObjectStore,
    window: Window,
    *,
    buckets: Sequence[str],
    prefix: str,
    missing: Callable[[Sequence[ObjectRef]], Iterable[ObjectRef]],
) -> Survey:
    """Walk through the buckets; `missing` says what of a page would be fetched. Raises as `list` does."""
    found = Survey()
    listing = Listing(window, buckets, {bucket: Partitions() for bucket in buckets})
    while not listing.is_over:
        page = objects.list(listing.bucket, prefix=prefix, start_after=listing.after, token=listing.token)
        found.lists += 1
        for ref in missing(listing.took(page)):
            if window.covers(ref):
                found.add([ref])
            else:
                found.leave(ref)
    found.listed = listing.listed
    return found
