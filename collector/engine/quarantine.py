"""What goes to quarantine, and by which name it is found there again (rules 9 and 10).

A body or an event is kept by its bytes, an object by its place. Each entry is a change like any other: what
follows from it follows when it is durable.
"""

from __future__ import annotations

import logging
from typing import Callable, Sequence

from collector.engine.items import Delivery, Item
from collector.engine.ledger import Ledger
from collector.errors import CollectorError
from collector.model import Event
from collector.ports import Quarantined

__all__ = ["entries_of", "keep_body", "keep_event", "keep_object"]

log = logging.getLogger("collector.engine")


def keep_body(ledger: Ledger, delivery: Delivery, reason: str, detail: str) -> None:
    """The message stays until its body is durable in quarantine; then it may be deleted."""
    assert delivery.message is not None
    delivery.holds += 1
    entry = Quarantined(
        id=f"body-{delivery.message.message_id}", kind="body", reason=reason, detail=detail,
        url=ledger.payload_url(delivery.message), created=ledger.clock.now(),
        body=delivery.message.body.encode("utf-8", "surrogatepass"),
    )
    ledger.change(entry, lambda _: ledger.let_go(delivery))
    ledger.counters["quarantined_bodies"] += 1
    log.warning(
        "A message body goes to quarantine: %s. `audit-s3 explain %s` says what to do. reason=%s where=%s",
        detail, reason, reason, entry.url,
    )


def keep_object(ledger: Ledger, item: Item, reason: str, error: CollectorError) -> None:
    """By reference; a payload, which is in no bucket, by its bytes."""
    ledger.counters["quarantined_objects"] += 1
    log.error("An object goes to quarantine: %s. reason=%s", error, reason)
    ledger.change(
        Quarantined(
            id=_object_id(item.oid or item.url), kind="object", reason=reason, detail=str(error),
            url=item.url, created=ledger.clock.now(), oid=item.oid, row=item.row,
            body=item.payload.body if item.payload else b"",
        )
    )


def keep_event(
    ledger: Ledger, item: Item, event: Event, error: CollectorError, then: Callable[[bool], None]
) -> None:
    """One event that an output has refused alone."""
    ledger.counters["quarantined_events"] += 1
    log.error("An event goes to quarantine: %s. url=%s event=%d", error, item.url, event.ordinal)
    ledger.change(
        Quarantined(
            id=f"event-{item.oid}-{event.ordinal}", kind="event", reason=error.code, detail=str(error),
            url=item.url, created=ledger.clock.now(), body=event.body, oid=item.oid, ordinal=event.ordinal,
            row=item.row,
        ),
        then,
    )


def entries_of(item: Item) -> Sequence[str]:
    """The ids of an object's entries: one kept before its etag was learnt has its address for a name."""
    return (_object_id(item.oid), _object_id(item.url))


def _object_id(name: str) -> str:
    return f"object-{name}"
