"""How full the disk and the quarantine are: a chore looks every few seconds, and receiving waits for room.

A file that was removed or replaced under the store is noticed at the same look, and said.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Optional

from collector.engine.ledger import Ledger
from collector.errors import CollectorError
from collector.ports import CheckpointStore, FileStore

__all__ = ["Capacity", "looked"]

log = logging.getLogger("collector.engine")


@dataclass(frozen=True)
class Room:
    """What the store says. `disk_low`: why it takes no more, which is a full disk as a rule.

    `replaced`: how often its file was found removed or replaced so far.
    """

    disk_low: Optional[CollectorError]
    quarantine_bytes: int
    replaced: int


class Capacity:
    """A chore in three parts: take and record under the lock, perform without it."""

    name = "capacity"

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._replaced = 0

    def take(self, ledger: Ledger) -> None:
        """There is nothing to choose."""

    def perform(self, work: None) -> Room:
        disk_low = self._disk_low()
        replaced = self._store.replaced if isinstance(self._store, FileStore) else 0
        return Room(disk_low, self._store.quarantine_bytes(), replaced)

    def _disk_low(self) -> Optional[CollectorError]:
        try:
            self._store.check()
        except CollectorError as error:
            return error
        return None

    def record(self, ledger: Ledger, work: None, result: Any) -> None:
        if isinstance(result, CollectorError):
            ledger.last_error = result
            log.warning("How full the quarantine is cannot be asked; it is asked again: %s", result)
            return
        if result.replaced != self._replaced:
            self._replaced = result.replaced
            log.error(
                "The checkpoint file was removed or replaced while in use; what the queue holds is sent "
                "again. Find out who did it. input=%s", ledger.input_name,
            )
        looked(ledger, disk_low=result.disk_low, quarantine_bytes=result.quarantine_bytes)


def looked(ledger: Ledger, *, disk_low: Optional[CollectorError], quarantine_bytes: int) -> None:
    """Enter what was found. What begins is said once; the receiver hears of it each time."""
    was_full, was_low = ledger.is_quarantine_full(), ledger.disk_low is not None
    ledger.disk_low, ledger.quarantine_bytes = disk_low, quarantine_bytes
    if disk_low is not None and not was_low:
        ledger.last_error = disk_low
        log.error("Receiving stops until the checkpoint store can take more: %s", disk_low)
    if ledger.is_quarantine_full() and not was_full:
        log.error(
            "The quarantine is full and receiving stops; see `audit-s3 quarantine list`. "
            "bytes=%d move=you", quarantine_bytes,
        )
    ledger.tell("receiver")
