"""What becomes of an object that failed: wait and try again, quarantine it, or call it everybody's.

The rules are 8, 9 and 12 of the ledger. A failure that many objects share opens the breaker instead of
costing each of them its attempts.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Iterable, Optional

from collector.engine import admission, quarantine
from collector.engine.breaker import PROBE_SECONDS
from collector.engine.items import Item
from collector.engine.keys import UNTOLD
from collector.engine.ledger import Ledger
from collector.errors import CollectorError, Fatal, Poison, Retry

__all__ = ["failed", "hand_back", "open_source"]

log = logging.getLogger("collector.engine")

#: Retries end after this many attempts, but never before this long (rule 9).
LAST_ATTEMPT = 10
LAST_ATTEMPT_SECONDS = 3600.0
#: One denied object is retried this long before it is quarantined as forbidden (rule 8).
FORBIDDEN_SECONDS = 24 * 3600.0
#: And asked for this often: a wall clock that jumps does not make a day.
FORBIDDEN_ATTEMPTS = 24
DENIED_FIRST_SECONDS = 60.0
DENIED_LONGEST_SECONDS = 3600.0
LONGEST_WAIT_SECONDS = 600.0
#: With the breaker open, one object is the probe this often before another one is.
PROBES_OF_ONE = 10
#: And rests this long, so that the next receive brings another one.
PROBE_RESTS_SECONDS = 7200


def failed(ledger: Ledger, item: Item, error: CollectorError) -> None:
    """A read of this item failed; its stream is closed and what follows is decided here."""
    ledger.last_error = error
    ledger.counters["object_errors"] += 1
    ledger.drop_reading(item)
    level = logging.WARNING if item.error is None else logging.INFO
    log.log(level, "An object could not be read: %s", error)
    if isinstance(error, Fatal) and error.scope in ("role", "queue", "config"):
        _all_refused(ledger, item, error)
    elif isinstance(error, Poison):
        _poisoned(ledger, item, error)
    elif isinstance(error, Fatal) and error.scope == "kms" and item.ref is not None:
        _key_refused(ledger, item, error)
    else:
        _stumbled(ledger, item, error)


def _all_refused(ledger: Ledger, item: Item, error: Fatal) -> None:
    """What every object needs was refused, the role most often; this one is kept to try it with.

    The queue may still answer, under a role of its own: it must not be asked for messages in vain.
    """
    if ledger.objects.open(error, now=ledger.clock.monotonic()):
        log.error("No object can be read; receiving stops until one can: %s", error)
        hand_back(ledger, spare=item)
    else:
        _try_another_probe(ledger, item)
    _back_off(ledger, item, error, longest=DENIED_LONGEST_SECONDS)


def _stumbled(ledger: Ledger, item: Item, error: CollectorError) -> None:
    """Retry, or one denial: back off, unless many objects fail alike or it has gone on for too long."""
    denied = isinstance(error, Fatal)
    alike = ledger.alike.failed(error.code, item.oid or item.url)
    if alike and ledger.objects.open(error, now=ledger.clock.monotonic()):
        log.error("Many objects fail alike; receiving stops until one can be read again: %s", error)
        if denied:
            hand_back(ledger, spare=item)
    elif ledger.objects.is_open:
        ledger.objects.open(error, now=ledger.clock.monotonic())
        _try_another_probe(ledger, item)
    if not ledger.objects.is_open and _is_exhausted(ledger, item, denied=denied):
        _end(ledger, item, "forbidden" if denied else "exhausted", error)
        return
    _back_off(ledger, item, error, longest=DENIED_LONGEST_SECONDS if denied else LONGEST_WAIT_SECONDS)
    if denied:
        _remember(ledger, item)


def _key_refused(ledger: Ledger, item: Item, error: Fatal) -> None:
    """Its KMS key is out of reach: the object's own trouble, or that of all objects under this key."""
    assert item.ref is not None
    now = ledger.clock.monotonic()
    item.lock = (item.ref.bucket, error.resource or UNTOLD)
    if ledger.keys.failed(item.lock, error, which=item.oid or item.url, now=now):
        log.error("A KMS key is out of reach; its objects wait until it answers: %s", error)
    if ledger.keys.begins_to_stop(now=now):
        log.error("Nothing else can be read; receiving stops until something can: %s", error)
        hand_back(ledger, spare=item)
    if not ledger.keys.is_open(item.lock) and _is_exhausted(ledger, item, denied=True):
        _end(ledger, item, "forbidden", error)
        return
    _back_off(ledger, item, error, longest=DENIED_LONGEST_SECONDS)
    _remember(ledger, item)


def _remember(ledger: Ledger, item: Item) -> None:
    """A denial that is this object's own counts over many leases: it needs a row, even without an etag."""
    if item.first_failed and item.ref is not None and not item.oid:
        admission.stand_in(ledger, item)


def _try_another_probe(ledger: Ledger, item: Item) -> None:
    """The object that we kept may be bad for good: after a few probes another message is the next."""
    item.sightings["probe"] = item.sightings.get("probe", 0) + 1
    if item.sightings["probe"] >= PROBES_OF_ONE:
        for delivery in item.deliveries:
            delivery.return_after = PROBE_RESTS_SECONDS
        hand_back(ledger)


def _is_exhausted(ledger: Ledger, item: Item, *, denied: bool) -> bool:
    if not item.first_failed:
        return False
    lasted = ledger.clock.now() - item.first_failed
    if denied:
        return item.attempts + 1 >= FORBIDDEN_ATTEMPTS and lasted >= FORBIDDEN_SECONDS
    return item.attempts + 1 >= LAST_ATTEMPT and lasted >= LAST_ATTEMPT_SECONDS


def _back_off(ledger: Ledger, item: Item, error: CollectorError, *, longest: float) -> None:
    item.error = error
    if ledger.objects.is_open or ledger.source.is_open or ledger.keys.is_open(item.lock):
        # What all objects suffer from is not counted against this one.
        item.attempts, item.first_failed = 0, 0.0
    else:
        item.attempts += 1
        item.first_failed = item.first_failed or ledger.clock.now()
    if item.lock is not None and ledger.keys.is_open(item.lock):
        ledger.wait(item, ledger.keys.probe_at(item.lock))
        return
    first = DENIED_FIRST_SECONDS if isinstance(error, Fatal) else 0.0
    asked = error.after_seconds if isinstance(error, Retry) else None
    if ledger.objects.is_open:
        longest = PROBE_SECONDS
    wait = ledger.backoff(max(1, item.attempts), longest=longest, asked=max(first, asked or 0.0))
    ledger.wait(item, ledger.clock.monotonic() + wait)


def _poisoned(ledger: Ledger, item: Item, error: Poison) -> None:
    """The same answer, seen often enough, is believed."""
    item.sightings[error.code] = item.sightings.get(error.code, 0) + 1
    if item.sightings[error.code] < error.sightings:
        _back_off(ledger, item, error, longest=60.0)
        return
    if error.code == "gone" and item.ref is not None and not item.oid:
        # It ends without an etag, and must leave a row all the same: it is claimed, and asked for once more.
        admission.stand_in(ledger, item)
        return
    ledger.alike.succeeded()
    if error.code == "gone":
        age = ledger.clock.now() - item.object_time
        state = "gone" if age < ledger.limits.retention_seconds else "expired"
        ledger.counters[state] += 1
        log.error("An object was deleted before it could be read: %s. state=%s", error, state)
        _end_as(ledger, item, state, error.code)
    elif error.code == "superseded" and item.ref is not None:
        _read_current(ledger, item)
        _end_as(ledger, item, "gone", error.code)
    else:
        _end(ledger, item, error.code, error)


def _read_current(ledger: Ledger, item: Item) -> None:
    """412 on If-Match: the key holds another object now, which is read under its own identity."""
    assert item.ref is not None
    ref = replace(item.ref, etag=None, version_id=None, size=None, sequencer=None)
    for delivery in list(item.deliveries):
        admission.join(ledger, delivery, Item(ref, None, item.route, item.object_time, url=ref.url))


def _end_as(ledger: Ledger, item: Item, state: str, reason: str) -> None:
    item.verdict, item.reason = state, reason
    if not item.outputs:
        # It was never claimed (no etag was ever learnt), so there is no row to write.
        ledger.detach(item)
        return
    item.state = "sent"
    ledger.look_again(item)


def _end(ledger: Ledger, item: Item, reason: str, error: CollectorError) -> None:
    """Quarantine by reference, after what was cut before the damage has been delivered."""
    quarantine.keep_object(ledger, item, reason, error)
    _end_as(ledger, item, "quarantined", reason)


def open_source(ledger: Ledger, error: CollectorError) -> None:
    """The role or the queue refuses us: stop, hand back, and let one receive a minute be the probe."""
    ledger.last_error = error
    if ledger.source.open(error, now=ledger.clock.monotonic()):
        log.error("Receiving stops until this is put right: %s", error)
        hand_back(ledger)


def hand_back(ledger: Ledger, *, spare: Optional[Item] = None, kept: Iterable[int] = ()) -> None:
    """Messages in hand go back with visibility 0 but for `kept`, and one that `spare` belongs to (rule 8).

    A message whose slices are being sent or asked about stays until that is known; the settler looks
    again whenever something changed.
    """
    stay = set(kept)
    if spare is not None:
        stay.update(delivery.number for delivery in spare.deliveries[:1])
    for delivery in list(ledger.deliveries.values()):
        if delivery.origin == "message" and not delivery.disposition and delivery.number not in stay:
            delivery.disposition = "return"
    ledger.handing_back = True
    ledger.tell("settler")
