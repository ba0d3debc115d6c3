"""Objects that came back from an archive: read if they wait in quarantine for it, else left alone.

S3 tells of every restore, also of objects that were delivered long ago; the quarantine entry is what says
that this one was not. It goes once the object is done.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

from typing import Iterable, List, Sequence

from collector.engine.items import Item
from collector.engine.quarantine import entries_of
from collector.ports import Checkpoint, CheckpointStore, Claim, Forget, object_row, payload_row

__all__ = ["claim", "clear"]


def claim(store: CheckpointStore, items: Sequence[Item]) -> List[Claim]:
    """The store's answer for each item, in order; a restore that nobody waited for is "final"."""
    unwanted = {item for item in items if item.is_restored and not _is_awaited(store, item)}
    answers = iter(store.claim([_row(item) for item in items if item not in unwanted]))
    return [
        Claim("final", _row(item)) if item in unwanted else _reopened(store, item, next(answers))
        for item in items
    ]


def clear(store: CheckpointStore, done: Iterable[Item]) -> None:
    """Take restored objects out of quarantine, now that they are delivered."""
    ids = [id for item in done if item.is_restored for id in entries_of(item)]
    if ids:
        store.unquarantine(ids)


def _is_awaited(store: CheckpointStore, item: Item) -> bool:
    entries = (entry for id in entries_of(item) for entry in store.quarantine(id=id))
    return any(entry.reason == "archived" for entry in entries)


def _reopened(store: CheckpointStore, item: Item, claimed: Claim) -> Claim:
    """`events` of a quarantined row is how far it was accepted."""
    if not item.is_restored or claimed.verdict != "final" or claimed.row.state != "quarantined":
        return claimed
    store.apply([Forget(item.oid, claimed.row.events)])
    return store.claim([_row(item)])[0]


def _row(item: Item) -> Checkpoint:
    if item.payload is not None:
        return payload_row(item.oid, item.payload, item.url, item.object_time)
    assert item.ref is not None
    return object_row(item.oid, item.ref, item.object_time)
