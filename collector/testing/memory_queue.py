"""SQS in memory, as strict as AWS may be."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Set

from collector.errors import CollectorError, Poison
from collector.model import Message
from collector.ports import Clock, QueueDepth

__all__ = ["MemoryQueue"]


@dataclass
class _Held:
    """One message in the queue. It is in flight while `hidden_until` lies ahead."""

    message: Message
    hidden_until: float = 0.0
    handles: int = 0


class MemoryQueue:
    """`ports.Queue`, as strict as AWS may be: only the newest receipt handle of a message is good.

    With `max_receive_count`, a message received that often goes to `dead` instead of being received
    again. A name that ends in ".fifo" makes a FIFO queue. While `most_in_flight` messages are, it gives
    none and says nothing, as long polls of AWS do. It may be measured while `tells` is set.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = "https://sqs.eu-west-1.amazonaws.com/111111111111/twin",
        visibility_timeout_seconds: float = 30,
        max_receive_count: int = 0,
        retention_seconds: float = 4 * 86_400.0,
        most_in_flight: int = 120_000,
    ) -> None:
        self.name = name
        self.fifo = name.endswith(".fifo")
        self.dead: List[Message] = []
        self.tells = True
        self.retention_seconds = retention_seconds
        self.most_in_flight = most_in_flight
        self._clock = clock
        self._visibility_timeout_seconds = visibility_timeout_seconds
        self._max_receive_count = max_receive_count
        self._held: Dict[str, _Held] = {}
        self._sent = 0
        self._lock = threading.Lock()

    def send(self, body: str, *, group_id: str = "audits") -> str:
        """Put a message into the queue; returns its id."""
        with self._lock:
            self._sent += 1
            message_id = f"message-{self._sent:06d}"
            group = group_id if self.fifo else None
            message = Message(message_id, body, "", 0, self._clock.now(), group)
            self._held[message_id] = _Held(message)
            return message_id

    @property
    def depth(self) -> int:
        """Messages that are not deleted: waiting and in flight."""
        return len(self._held)

    @property
    def in_flight(self) -> int:
        with self._lock:
            return sum(self._is_hidden(held) for held in self._held.values())

    def receive(
        self, count: int, *, wait_seconds: int, hide_seconds: Optional[int] = None
    ) -> Sequence[Message]:
        with self._lock:
            self._bury()
            count = min(count, self.most_in_flight - sum(map(self._is_hidden, self._held.values())))
            blocked = self._groups_in_flight()
            free = [
                held
                for held in self._held.values()
                if not self._is_hidden(held) and held.message.group_id not in blocked
            ]
            hidden = hide_seconds or self._visibility_timeout_seconds
            return [self._hand_out(held, hidden) for held in free[: max(0, min(count, 10))]]

    def delete(self, messages: Sequence[Message]) -> Mapping[str, CollectorError]:
        with self._lock:
            lost = self._lost(messages, must_be_hidden=False)
            for message in messages:
                if message.message_id not in lost:
                    self._held.pop(message.message_id, None)
            return lost

    def change_visibility(
        self, messages: Sequence[Message], *, timeout_seconds: int
    ) -> Mapping[str, CollectorError]:
        with self._lock:
            lost = self._lost(messages, must_be_hidden=True)
            for message in messages:
                if message.message_id not in lost:
                    until = self._clock.monotonic() + timeout_seconds
                    self._held[message.message_id].hidden_until = until
            return lost

    def measure(self) -> Optional[QueueDepth]:
        with self._lock:
            hidden = sum(map(self._is_hidden, self._held.values()))
            depth = QueueDepth(len(self._held) - hidden, hidden, 0, self.retention_seconds)
            return depth if self.tells else None

    def _hand_out(self, held: _Held, hidden_seconds: float) -> Message:
        held.handles += 1
        held.hidden_until = self._clock.monotonic() + hidden_seconds
        held.message = replace(
            held.message,
            receipt_handle=f"{held.message.message_id}/{held.handles}",
            receive_count=held.message.receive_count + 1,
        )
        return held.message

    def _lost(self, messages: Sequence[Message], *, must_be_hidden: bool) -> Dict[str, CollectorError]:
        """By id, the messages whose handle is of no use. Deleting what is deleted already succeeds."""
        lost: Dict[str, CollectorError] = {}
        for message in messages:
            held = self._held.get(message.message_id)
            ours = held is not None and held.message.receipt_handle == message.receipt_handle
            was_ours = held is None and message.receipt_handle.startswith(message.message_id + "/")
            if ours and held is not None and (self._is_hidden(held) or not must_be_hidden):
                continue
            if was_ours and not must_be_hidden:
                continue
            lost[message.message_id] = Poison(
                "The receipt handle is no longer valid", code="lease_lost", where=self.name
            )
        return lost

    def _is_hidden(self, held: _Held) -> bool:
        return held.hidden_until > self._clock.monotonic()

    def _groups_in_flight(self) -> Set[Optional[str]]:
        if not self.fifo:
            return set()
        return {held.message.group_id for held in self._held.values() if self._is_hidden(held)}

    def _bury(self) -> None:
        if not self._max_receive_count:
            return
        for message_id, held in list(self._held.items()):
            if held.message.receive_count >= self._max_receive_count and not self._is_hidden(held):
                self.dead.append(self._held.pop(message_id).message)
