"""Messages in hand that cannot be read yet: their sender is not checked, their body not fetched, or it is
doubtful whether their bucket is another's or ours is mistaken.

None of that is the message's fault: it is kept under its lease and looked at again, so that it costs the
provider's `maxReceiveCount` nothing. What waits here takes the room of what could be received. A spooled
body has no lease, takes no room, and stays in the spool.
"""

from __future__ import annotations

import logging
from typing import Collection, Dict, List, Optional, Set

from collector.engine import admission
from collector.engine.items import Delivery
from collector.engine.ledger import Ledger
from collector.errors import CollectorError, Retry
from collector.model import Message

__all__ = ["Unproven"]

log = logging.getLogger("collector.engine")

#: How long a message waits if the error does not say.
LOOK_AGAIN_SECONDS = 60.0
MOST_AT_ONCE = 10
#: A drain that would last longer than this ends, and gives the message back.
SOON_SECONDS = 5.0


class Unproven:
    """Called under the ledger's lock only."""

    def __init__(self) -> None:
        self._due: Dict[Delivery, float] = {}
        self._busy: Set[Delivery] = set()

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    @property
    def room_taken(self) -> int:
        """How many of them could be other messages."""
        return sum(one.origin == "message" for one in (*self._due, *self._busy))

    def hold(
        self, ledger: Ledger, message: Message, error: CollectorError, *, origin: str = "message"
    ) -> None:
        """Keep this message, which has just been received or is spooled, until it can be understood."""
        delivery = admission.hold(ledger, message, origin=origin)
        if delivery is None:
            return
        delivery.incomplete = True  # so that it is returned, not deleted, if we have to let go of it
        if not len(self):
            log.warning("Messages wait until they can be understood: %s", error)
        ledger.counters["unproven"] += 1
        self._wait(ledger, delivery, error)

    def take(self, ledger: Ledger) -> List[Delivery]:
        """What is to be looked at again now; each is given back by `proven` or `wait_on`."""
        for delivery in [one for one in self._due if not _is_ours(ledger, one)]:
            del self._due[delivery]
            _leave(ledger, delivery)
        now = ledger.clock.monotonic()
        taken = [one for one, due in self._due.items() if due <= now][:MOST_AT_ONCE]
        for delivery in taken:
            del self._due[delivery]
            self._busy.add(delivery)
        return taken

    def wait_on(self, ledger: Ledger, delivery: Delivery, error: CollectorError) -> None:
        """It is still not known."""
        self._busy.discard(delivery)
        if _is_ours(ledger, delivery):
            self._wait(ledger, delivery, error)
        else:
            _leave(ledger, delivery)

    def proven(self, ledger: Ledger, delivery: Delivery) -> Optional[Message]:
        """It is known now. The message is the caller's to admit; None if it is no longer in our hands."""
        self._busy.discard(delivery)
        if not _is_ours(ledger, delivery):
            _leave(ledger, delivery)
            return None
        ledger.close_delivery(delivery)
        if not len(self):
            log.info("No message waits to be understood any more.")
        return delivery.message

    @property
    def due(self) -> Collection[float]:
        """When each is to be looked at again (monotonic)."""
        return self._due.values()

    def fills(self, ledger: Ledger) -> bool:
        """Nothing can be received for what waits here."""
        return 0 < self.room_taken >= ledger.room()

    def is_quiet(self, *, until: float) -> bool:
        """Nothing here will move before `until` (monotonic)."""
        return not self._busy and all(due > until for due in self._due.values())

    def _wait(self, ledger: Ledger, delivery: Delivery, error: CollectorError) -> None:
        ledger.last_error = error
        asked = error.after_seconds if isinstance(error, Retry) else None
        self._due[delivery] = ledger.clock.monotonic() + (LOOK_AGAIN_SECONDS if asked is None else asked)


def _leave(ledger: Ledger, delivery: Delivery) -> None:
    """One whose lease has lapsed begins anew when it is received again."""
    held = ledger.deliveries.get(delivery.number) is delivery
    if held and delivery.lost and not (delivery.disposition or delivery.settling):
        ledger.close_delivery(delivery)


def _is_ours(ledger: Ledger, delivery: Delivery) -> bool:
    """Not lapsed, not on its way back, not settled."""
    held = ledger.deliveries.get(delivery.number) is delivery
    return held and not (delivery.disposition or delivery.settling or delivery.lost)
