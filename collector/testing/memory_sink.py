"""An output in memory, which acknowledges as HEC does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from collector.errors import CollectorError
from collector.model import Batch, Event, Origin, Receipt, Slice
from collector.ports import Clock

__all__ = ["MemorySink"]


@dataclass
class _Sent:
    receipt: Receipt
    confirmed: bool = False
    forgotten: bool = False


@dataclass(eq=False)
class MemorySink:
    """`ports.Sink` that keeps what it was sent.

    With `ack`, a receipt is to be asked about; it becomes true `ack_after_seconds` later (never, if
    None, until `confirm`), and is forgotten once told, as HEC does. `fail(batch)` may return an error to
    raise instead of accepting. `delivered` holds every accepted event, repeats included.
    """

    clock: Clock
    ack: bool = False
    ack_after_seconds: Optional[float] = 0.0
    lanes: int = 1
    name: str = "memory"
    fail: Optional[Callable[[Batch], Optional[CollectorError]]] = None
    delivered: List[Tuple[Origin, Event]] = field(default_factory=list)
    batches: List[Batch] = field(default_factory=list)
    asked: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: Dict[Tuple[str, int], _Sent] = {}
        self._channels: Dict[int, int] = {}

    def rendered_bytes(self, piece: Slice) -> int:
        return piece.size_bytes + piece.count * 200

    def send(self, batch: Batch, *, lane: int) -> Receipt:
        error = self.fail(batch) if self.fail else None
        if error is not None:
            raise error
        with self._lock:
            self.batches.append(batch)
            self.delivered.extend(batch)
            if not self.ack:
                return Receipt(self.name, batch.spans, self.clock.now())
            channel = f"lane-{lane}-{self._channels.get(lane, 0)}"
            receipt = Receipt(
                self.name, batch.spans, self.clock.now(), channel=channel, ack_id=len(self._sent)
            )
            self._sent[(channel, len(self._sent))] = _Sent(receipt)
            return receipt

    def ask(self, receipts: Sequence[Receipt]) -> Sequence[bool]:
        with self._lock:
            self.asked += 1
            return [self._tell(receipt) for receipt in receipts]

    def abandon(self, receipt: Receipt) -> None:
        lane = int(receipt.channel.split("-")[1])
        with self._lock:
            if receipt.channel == f"lane-{lane}-{self._channels.get(lane, 0)}":
                self._channels[lane] = self._channels.get(lane, 0) + 1

    def confirm(self, count: int = 1_000_000) -> None:
        """Let the `count` oldest unconfirmed receipts become true."""
        with self._lock:
            waiting = [sent for sent in self._sent.values() if not sent.confirmed]
            for sent in waiting[:count]:
                sent.confirmed = True

    def forget(self) -> None:
        """Lose every receipt, as an indexer that restarts does: none will ever be true."""
        with self._lock:
            for sent in self._sent.values():
                sent.forgotten = True

    def bodies(self) -> List[bytes]:
        """The bodies of all accepted events, in order, repeats included."""
        return [bytes(event.body) for _, event in self.delivered]

    def close(self) -> None:
        self.closed = True

    def _tell(self, receipt: Receipt) -> bool:
        if receipt.ack_id is None:
            return True
        sent = self._sent.get((receipt.channel, receipt.ack_id))
        if sent is None or sent.forgotten:
            return False
        due = self.ack_after_seconds is not None and (
            self.clock.now() >= sent.receipt.sent_at + self.ack_after_seconds
        )
        sent.forgotten = sent.confirmed or due
        return sent.forgotten
