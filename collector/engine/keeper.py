"""The Keeper: extends the leases of messages we are still working on, and says that we are alive.

A lease is extended while there is progress, and waiting for us is progress; a port call that has brought
nothing for a minute is not, and its message is let go. A lease that lapsed is never used to delete.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Union

from collector.engine.items import LONGEST_LEASE_SECONDS, Delivery
from collector.engine.ledger import Ledger
from collector.engine.station import Wait
from collector.errors import CollectorError, Fatal
from collector.ports import MOST_MESSAGES, CheckpointStore, Queue

__all__ = ["Keeper"]

log = logging.getLogger("collector.engine")

#: A port call without bytes for this long is no progress.
STALLED_SECONDS = 60.0
#: How often the owner row is written, and how long it is good for.
ALIVE_EVERY_SECONDS = 20.0
ALIVE_FOR_SECONDS = 60.0


@dataclass(frozen=True)
class Extend:
    """Extend the leases of these; the new ones count from `taken` (monotonic), before the call."""

    deliveries: Sequence[Delivery]
    taken: float


@dataclass(frozen=True)
class Alive:
    """Say in the store that this process lives, until this time (epoch seconds).

    `lapsed`: what we said before has run out, so that others may have taken us for dead.
    """

    until: float
    lapsed: bool


class Keeper:
    """Leases in, leases out."""

    name = "keeper"

    def __init__(
        self, queue: Optional[Queue], store: CheckpointStore, *, visibility_timeout_seconds: int
    ) -> None:
        self._queue = queue
        self._store = store
        self._visibility = visibility_timeout_seconds
        self._alive_at = self._looks_at = 0.0
        self._alive_until = math.inf

    def take(self, ledger: Ledger) -> Union[Extend, Alive, Wait]:
        now = ledger.clock.monotonic()
        if ledger.stopping:
            return Wait()
        if now >= self._alive_at:
            self._alive_at = now + ALIVE_EVERY_SECONDS
            wall = ledger.clock.now()
            return Alive(wall + ALIVE_FOR_SECONDS, lapsed=wall > self._alive_until)
        due: List[Delivery] = []
        next_look = self._alive_at
        for delivery in list(ledger.deliveries.values()):
            if not delivery.has_lease or (delivery.settling and not delivery.failures):
                continue
            self._notice_end(ledger, delivery, now)
            extend_at = delivery.extended + self._visibility / 3
            if extend_at > now:
                next_look = min(next_look, extend_at)
            elif self._may_extend(ledger, delivery, now) and len(due) < MOST_MESSAGES:
                delivery.extended = now
                due.append(delivery)
        if due:
            return Extend(due, now)
        self._looks_at = max(next_look, now + 1.0)
        return Wait(self._looks_at)

    def _notice_end(self, ledger: Ledger, delivery: Delivery, now: float) -> None:
        """A lapsed lease is lost; one near the 12 hours that SQS allows in all is given back."""
        if now > delivery.lease_until:
            delivery.lost = True
            ledger.counters["leases_lapsed"] += 1
            log.warning("The lease of a message lapsed; it will come back. message_id=%s", _id(delivery))
        elif now - delivery.received > LONGEST_LEASE_SECONDS and not delivery.disposition:
            delivery.disposition = "return"
            ledger.handing_back = True
            ledger.tell("settler")

    def _may_extend(self, ledger: Ledger, delivery: Delivery, now: float) -> bool:
        if not ledger.heartbeats or delivery.lost:
            return False
        stalled = any(
            item.busy_since is not None and now - item.busy_since > STALLED_SECONDS for item in delivery.items
        )
        return not stalled

    def has_more(self, ledger: Ledger) -> bool:
        """A lease that begins now counts only if it is to be extended before the next look."""
        return ledger.clock.monotonic() + self._visibility / 3 < self._looks_at

    def perform(self, work: Union[Extend, Alive]) -> Any:
        if isinstance(work, Alive):
            return self._store.alive(work.until)
        assert self._queue is not None
        messages = [one.message for one in work.deliveries if one.message]
        return self._queue.change_visibility(messages, timeout_seconds=self._visibility)

    def record(self, ledger: Ledger, work: Union[Extend, Alive], result: Any) -> None:
        if isinstance(work, Alive):
            if isinstance(result, CollectorError):
                ledger.store_failed(result)
            else:
                ledger.store_works()
                self._alive_until = work.until
                if work.lapsed:
                    _taken_for_dead(ledger)
            return
        if isinstance(result, Fatal):
            self._no_heartbeats(ledger, result)
            return
        if isinstance(result, CollectorError):
            self._try_again(ledger, work.deliveries, result)
            return
        failures: Mapping[str, CollectorError] = result
        for delivery in work.deliveries:
            error = failures.get(_id(delivery))
            if error is None:
                delivery.lease_until = work.taken + self._visibility
            elif isinstance(error, Fatal):
                self._no_heartbeats(ledger, error)
            elif error.code == "lease_lost":
                delivery.lost = True
                ledger.counters["leases_lost"] += 1
            else:
                self._try_again(ledger, [delivery], error)

    def _try_again(self, ledger: Ledger, deliveries: Sequence[Delivery], error: CollectorError) -> None:
        ledger.last_error = error
        ledger.counters["extend_errors"] += 1
        for delivery in deliveries:
            delivery.extended = ledger.clock.monotonic() - self._visibility / 3 + 5.0

    def _no_heartbeats(self, ledger: Ledger, error: Fatal) -> None:
        """Without sqs:ChangeMessageVisibility the receive's own timeout has to do."""
        if ledger.heartbeats:
            ledger.heartbeats = False
            log.warning("Leases cannot be extended; slow messages may come back: %s", error)


def _taken_for_dead(ledger: Ledger) -> None:
    """Others may have taken our rows and asked about our receipts: true is said once, perhaps to them.

    So what is open is given up as soon as what an earlier run sent: the store has what others heard.
    """
    log.warning("This collector said nothing for so long that others may have taken over its objects.")
    for output in ledger.outputs.values():
        output.hurry(by=ledger.clock.monotonic() + ledger.limits.ack_resume_seconds)


def _id(delivery: Delivery) -> str:
    return delivery.message.message_id if delivery.message else ""
