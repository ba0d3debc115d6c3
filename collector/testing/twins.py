"""In-memory twins of the ports that face the network, under a clock that only a test moves.

They keep the same laws as the adapters (`tests/contract` holds both to them), answer at once, and never
wait: a long poll on an empty MemoryQueue returns nothing. Each adds what a test wants to see or to do.
All may be used from several threads.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from collector.errors import CollectorError, Poison
from collector.model import Batch, Event, Message, ObjectRef, Origin, Receipt, Slice
from collector.ports import Clock, OpenObject, Page, QueueDepth

__all__ = ["ManualClock", "MemoryBucket", "MemoryQueue", "MemorySink"]


class ManualClock:
    """Time stands still until `advance`; `set_back` moves the wall clock alone, as an operator might."""

    def __init__(self, now: float = 1_777_890_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        with self._lock:
            self._now -= seconds


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

    def check(self) -> None:
        """Nothing stands in the way of memory."""

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


@dataclass(frozen=True)
class _Stored:
    body: bytes
    etag: str
    version_id: Optional[str]
    last_modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    kms_key_arn: str = ""


class MemoryBucket:
    """`ports.ObjectStore` over one or several buckets; the first name is where `put` puts.

    `refuse` makes the next opens of a key fail, `opened` lists the URLs that were opened, in order.
    """

    def __init__(
        self,
        clock: Clock,
        *names: str,
        versioned: bool = False,
        page_size: int = 1000,
        read_bytes: int = 262144,
    ) -> None:
        self.names = names or ("audit-logs",)
        self.opened: List[str] = []
        self._clock = clock
        self._versioned = versioned
        self._page_size = page_size
        self._read_bytes = read_bytes
        self._stored: Dict[Tuple[str, str], List[_Stored]] = {}
        self._refusals: Dict[Tuple[str, str], CollectorError] = {}
        self._lock = threading.Lock()

    def put(
        self,
        key: str,
        body: bytes,
        *,
        bucket: str = "",
        metadata: Optional[Mapping[str, str]] = None,
        kms_key_arn: str = "",
    ) -> ObjectRef:
        """Store an object over what the key held; returns what a notification would say of it."""
        bucket = bucket or self.names[0]
        with self._lock:
            versions = self._stored.setdefault((bucket, key), [])
            version_id = f"v{len(versions) + 1}" if self._versioned else None
            etag = hashlib.md5(body).hexdigest()
            stored = _Stored(body, etag, version_id, self._clock.now(), metadata or {}, kms_key_arn)
            if not self._versioned:
                versions.clear()
            versions.append(stored)
        return ObjectRef(
            bucket, key, etag=etag, version_id=version_id, size=len(body), event_time=stored.last_modified
        )

    def remove(self, key: str, *, bucket: str = "") -> None:
        """Delete every version of an object; what is open stays readable."""
        with self._lock:
            self._stored.pop((bucket or self.names[0], key), None)

    def refuse(self, key: str, error: Optional[CollectorError], *, bucket: str = "") -> None:
        """Let `open` and `current` of a key raise `error`, until it is None."""
        place = (bucket or self.names[0], key)
        with self._lock:
            if error is None:
                self._refusals.pop(place, None)
            else:
                self._refusals[place] = error

    def open(self, ref: ObjectRef) -> OpenObject:
        self._admit(ref.bucket, ref.url)
        try:
            stored = self._find(ref)
        except Poison as error:
            if error.code != "gone" or ref.raw_key is None:
                raise
            ref = replace(ref, key=ref.raw_key, raw_key=None)
            stored = self._find(ref)
        if ref.etag is not None and ref.etag != stored.etag:
            raise Poison("The key holds another object", code="superseded", where=ref.url)
        self.opened.append(ref.url)
        return _OpenMemory(_described(ref, stored), stored, read_bytes=self._read_bytes)

    def foresee(self, refs: Sequence[ObjectRef]) -> None:
        """Memory has nothing to prepare."""

    def current(self, ref: ObjectRef) -> ObjectRef:
        self._admit(ref.bucket, ref.url)
        stored = self._find(replace(ref, version_id=None))
        return replace(_described(ref, stored), sequencer=None, event_time=stored.last_modified)

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        self._admit(bucket, f"s3://{bucket}/{prefix}")
        after = token or start_after
        with self._lock:
            keys = sorted(
                key for name, key in self._stored if name == bucket and key.startswith(prefix) and key > after
            )
            refs = [self._listed(bucket, key) for key in keys[: self._page_size]]
        return Page(refs, refs[-1].key if len(keys) > self._page_size else "")

    def check(self) -> None:
        """Nothing stands in the way of memory."""

    def _listed(self, bucket: str, key: str) -> ObjectRef:
        newest = self._stored[(bucket, key)][-1]
        return ObjectRef(
            bucket, key, etag=newest.etag, size=len(newest.body), event_time=newest.last_modified
        )

    def _find(self, ref: ObjectRef) -> _Stored:
        with self._lock:
            refusal = self._refusals.get((ref.bucket, ref.key))
            versions = self._stored.get((ref.bucket, ref.key), [])
        if refusal is not None:
            raise refusal
        for stored in reversed(versions):
            if ref.version_id is None or stored.version_id == ref.version_id:
                return stored
        raise Poison("No such object", code="gone", where=ref.url, sightings=3)

    def _admit(self, bucket: str, url: str) -> None:
        if bucket not in self.names:
            raise Poison(f"{bucket} is not a bucket of this input", code="foreign_bucket", where=url)


def _described(ref: ObjectRef, stored: _Stored) -> ObjectRef:
    return replace(ref, etag=stored.etag, version_id=stored.version_id, size=len(stored.body))


class _OpenMemory:
    def __init__(self, ref: ObjectRef, stored: _Stored, *, read_bytes: int) -> None:
        self.ref = ref
        self.last_modified = stored.last_modified
        self.metadata = stored.metadata
        self.kms_key_arn = stored.kms_key_arn
        self._body = stored.body
        self._at = 0
        self._read_bytes = read_bytes

    def prepare(self) -> bool:
        return False

    def read(self) -> bytes:
        chunk = self._body[self._at : self._at + self._read_bytes]
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Memory has nothing to give back."""


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

    def check(self) -> None:
        """Nothing stands in the way of memory."""

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
