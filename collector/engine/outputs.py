"""An output as the ledger sees it: the slices that wait for it, its lanes, its receipts; and the windows.

Changed only under the ledger's lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Callable, Deque, Dict, List, Optional, Set

from collector.engine.breaker import Breaker
from collector.engine.items import Item, Outgoing, Tracked
from collector.model import Receipt, Slice

__all__ = ["Lane", "Limits", "Output", "sender_of"]


@dataclass(frozen=True)
class Limits:
    """The windows: what one process may hold. Seconds and bytes. `once`: stop at an empty queue.

    Where leases may not be extended, a receive hides its messages for `unextended_lease_seconds`.
    """

    once: bool = False

    workers: int = 32
    max_number_of_messages: int = 10
    wait_time_seconds: int = 20
    visibility_timeout_seconds: int = 300
    unextended_lease_seconds: int = 3600
    held_bytes: int = 16 * 1024 * 1024
    deliveries: int = 20_000
    acks_per_channel: int = 1000
    batch_max_bytes: int = 1_000_000
    batch_linger_seconds: float = 1.0
    ack_timeout_seconds: float = 300.0
    ack_resume_seconds: float = 60.0
    retention_seconds: float = 30 * 86400.0
    quarantine_bytes: int = 1024 * 1024 * 1024


@dataclass(eq=False)
class Lane:
    """One sender's seat at an output: its receipt to be saved, and what it waits to see committed."""

    number: int
    busy: bool = False
    unsaved: Optional[Tracked] = None
    unsettled: Set[Item] = field(default_factory=set)


def sender_of(name: str) -> str:
    """By which name an output's Sender is woken."""
    return f"sender:{name}"


class Output:
    """One output: slices waiting for it, its lanes, its receipts and its breaker.

    Receipts of an output that is not `lasting` mean nothing to another run. At a stop they are asked about
    until `part_until` (monotonic).
    """

    def __init__(
        self, name: str, *, lanes: int, rendered_bytes: Callable[[Slice], int], lasting: bool = True
    ) -> None:
        self.name = name
        #: The station that sends to it.
        self.sender = sender_of(name)
        self.lasting = lasting
        self.part_until = 0.0
        self._rendered_bytes = rendered_bytes
        self.lanes = [Lane(number) for number in range(lanes)]
        self.queue: Deque[Outgoing] = deque()
        self.queue_bytes = 0
        self.again: Deque[List[Outgoing]] = deque()
        self.receipts: Dict[str, Tracked] = {}
        self.unconfirmed = 0
        self.receipts_of: Dict[str, Set[str]] = {}
        self.opened_by_ack = False
        self.breaker = Breaker(name)
        self.failures = 0
        self.pause_until = 0.0

    def track(self, receipt: Receipt, *, now: float) -> Tracked:
        """Keep a saved receipt until every span of it is committed."""
        spans = {(span.oid, span.first, span.end) for span in receipt.spans}
        tracked = Tracked(receipt.id, receipt, spans, next_ask=now)
        self.receipts[receipt.id] = tracked
        self.unconfirmed += 1
        for span in receipt.spans:
            self.receipts_of.setdefault(span.oid, set()).add(receipt.id)
        return tracked

    def part(self, *, now: float, seconds: float) -> None:
        """A stop has begun: what only this run can ask about is asked about at once, and again."""
        self.part_until = now + seconds
        for tracked in self.receipts.values():
            tracked.next_ask = now

    def hurry(self, *, by: float) -> None:
        """Receipts that another run can ask about are given up no later than this (monotonic)."""
        if self.lasting:
            for tracked in self.receipts.values():
                tracked.give_up_at = min(tracked.give_up_at, by)

    def confirm(self, tracked: Tracked) -> None:
        """The output has let go of this ackId: it takes no room in the window any more."""
        self.unconfirmed -= not tracked.confirmed
        tracked.confirmed = True

    def untrack(self, tracked: Tracked) -> None:
        if self.receipts.pop(tracked.id, None) is not None:
            self.unconfirmed -= not tracked.confirmed
        for span in tracked.receipt.spans:
            known = self.receipts_of.get(span.oid)
            if known is not None:
                known.discard(tracked.id)
                if not known:
                    del self.receipts_of[span.oid]

    def rendered_bytes(self, outgoing: Outgoing) -> int:
        return self._rendered_bytes(outgoing.piece)
