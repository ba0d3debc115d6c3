"""The spool of a collector that is gone, taken up by those that live on.

A spooled message is in no queue any more, and a payload in no bucket: if nobody who lives takes it up, it
waits for a restart. Who spooled it is not written down, so all that is spooled is taken up when one of the
others leaves or dies, or has taken some of it from us; what they still work on is held by its rows, and
waited for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import FrozenSet, Optional, Sequence

from collector.engine.ledger import Ledger
from collector.engine.receiver import Receiver
from collector.errors import CollectorError
from collector.model import Message
from collector.ports import CheckpointStore

__all__ = ["Takeover"]

log = logging.getLogger("collector.engine")


@dataclass(frozen=True)
class LookAround:
    """See who else is there; `known` were at the last look, None before the first.

    `has_left`: since then we have left something in the spool that we had taken up.
    """

    known: Optional[FrozenSet[str]]
    has_left: bool


@dataclass(frozen=True)
class Around:
    """Who is there besides us, and what is spooled if it has to be looked at."""

    others: FrozenSet[str]
    spooled: Sequence[Message]


class Takeover:
    """A chore in three parts: take and record under the lock, perform without it."""

    name = "takeover"

    def __init__(self, store: CheckpointStore, receiver: Receiver) -> None:
        self._store = store
        self._receiver = receiver
        self._known: Optional[FrozenSet[str]] = None

    def take(self, ledger: Ledger) -> LookAround:
        has_left, ledger.has_left_spooled = ledger.has_left_spooled, False
        return LookAround(self._known, has_left)

    def perform(self, work: LookAround) -> Around:
        others = frozenset(self._store.others())
        nobody_left = work.known is not None and work.known <= others
        return Around(others, () if nobody_left and not work.has_left else self._store.spooled())

    def record(self, ledger: Ledger, work: LookAround, result: object) -> None:
        """What could not be asked is asked at the next look, as if somebody had just gone."""
        if isinstance(result, CollectorError):
            ledger.last_error = result
            ledger.has_left_spooled |= work.has_left
            return
        assert isinstance(result, Around)
        if ledger.stopping:
            return
        self._known = result.others
        held = {one.message.message_id for one in ledger.deliveries.values() if one.message is not None}
        found = [message for message in result.spooled if message.message_id not in held]
        if found:
            log.info("Took up what another collector had spooled. messages=%d", len(found))
        for message in found:
            self._receiver.resume(ledger, message)
