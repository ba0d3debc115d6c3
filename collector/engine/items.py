"""What the ledger holds in its hands: Deliveries and the Items they are made of.

A Delivery has an origin (a message, the spool, a listing, a command); only a message has a lease and a
Disposition. An Item is one object or payload in work; several Deliveries may wait for the same Item.
Both are changed only under the ledger's lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Dict, Iterator, List, Optional, Set, Tuple

from collector.config.routes import Route
from collector.engine.content import Content
from collector.engine.keys import Lock
from collector.engine.progress import Progress
from collector.errors import CollectorError
from collector.model import Message, ObjectRef, Payload, Receipt, Slice
from collector.ports import Checkpoint, OpenObject

__all__ = ["Delivery", "Item", "Outgoing", "Reading", "Tracked"]

#: SQS lets a message be invisible for 12 hours in all; we let go half an hour before.
LONGEST_LEASE_SECONDS = 11.5 * 3600


@dataclass
class Reading:
    """An object being read: its open response and the slices that come of it. One thread at a time.

    `content` hashes what is read, where the input verifies digests. `gathers`: it is in the
    middle of an event larger than a slice. `events` is how many it has come to.
    """

    opened: Optional[OpenObject]
    slices: Iterator[Slice]
    content: Optional[Content] = None
    gathers: bool = False
    events: int = 0

    def close(self) -> None:
        """Give the connection back, if there is one."""
        if self.opened is not None:
            self.opened.close()


@dataclass(eq=False)
class Item:
    """One object or payload, from admission to its final state.

    `state`: "new" (to be claimed), "claiming", "held" (by another process), "ready" (to be read),
    "reading", "sent" (read to its verified end, waiting for the outputs), "waiting" (backing off),
    "asking" (open receipts of an earlier run), "over" (its final row is being written), "final". `lock` is
    the (bucket, KMS key) that it was last refused under. `doubtful` are ranges (output, receipt id, first,
    end) that were sent and never confirmed to us. `first_event` is the time of its first event as the block
    has it, `written` S3's LastModified (epoch seconds), each None until it is known. While it is
    `provisional`, `oid` stands in for an identity whose etag is not known yet; `stand_ins` are the rows it
    had under such names. `late` are deliveries that named it by its address while it was being opened, with
    the item each would have made: what they mean may have been written since.
    """

    ref: Optional[ObjectRef]
    payload: Optional[Payload]
    route: Route
    object_time: float
    oid: str = ""
    url: str = ""
    state: str = "new"
    due: float = 0.0
    row: Optional[Checkpoint] = None
    outputs: Dict[str, Progress] = field(default_factory=dict)
    deliveries: List[Delivery] = field(default_factory=list)
    reading: Optional[Reading] = None
    busy_since: Optional[float] = None
    boundaries: Deque[int] = field(default_factory=deque)
    cut_end: int = 0
    committed: int = 0
    total: Optional[int] = None
    verdict: str = ""
    reason: str = ""
    error: Optional[CollectorError] = None
    sightings: Dict[str, int] = field(default_factory=dict)
    lock: Optional[Lock] = None
    attempts: int = 0
    first_failed: float = 0.0
    committing: bool = False
    queued: int = 0
    sending: int = 0
    receipts: Set[str] = field(default_factory=set)
    doubtful: List[Tuple[str, str, int, int]] = field(default_factory=list)
    provisional: bool = False
    stand_ins: List[Checkpoint] = field(default_factory=list)
    late: List[Tuple[Delivery, Item]] = field(default_factory=list)
    first_event: Optional[str] = None
    written: Optional[float] = None
    sha256: str = ""

    @property
    def key(self) -> Tuple[str, ...]:
        """What makes two admissions the same work: the identity, or the address until it is known."""
        if self.oid:
            return (self.oid,)
        assert self.ref is not None
        return (self.ref.bucket, self.ref.key, self.ref.version_id or "")

    @property
    def is_restored(self) -> bool:
        """Whether this is about an object that came back from an archive."""
        return self.ref is not None and self.ref.restored

    @property
    def is_identified(self) -> bool:
        """Whether it is claimed under the identity that its events have."""
        return bool(self.outputs) and not self.provisional

    @property
    def epoch(self) -> int:
        return self.row.epoch if self.row else 0

    @property
    def prefix(self) -> int:
        """Events that every output has accepted."""
        return min(progress.prefix for progress in self.outputs.values()) if self.outputs else 0

    def commit_point(self) -> int:
        """The last slice boundary at or below the accepted prefix: what may be committed now."""
        prefix, point = self.prefix, self.committed
        for boundary in self.boundaries:
            if boundary > prefix:
                break
            point = max(point, boundary)
        return point

    def is_accepted_whole(self) -> bool:
        """Read to its end, and every event accepted by every output."""
        return self.total is not None and self.prefix >= self.total

    def wants_reading(self) -> bool:
        """Whether some event up to the verified end is neither accepted nor on its way."""
        if self.total is None:
            return True
        return any(progress.missing(0, self.total) for progress in self.outputs.values())


@dataclass(eq=False)
class Delivery:
    """Objects or payloads in hand together, and what is to become of their message.

    `lease_until` and `received` are monotonic. `disposition` is "" until decided, then "delete", "return"
    (hidden for `return_after` seconds more) or "keep" (leave the message alone: it will come back by
    itself). `incomplete` says that work of it was let go unfinished; a message on its way back whose work
    was finished after all is deleted.
    """

    number: int
    origin: str
    message: Optional[Message] = None
    items: Set[Item] = field(default_factory=set)
    received: float = 0.0
    extended: float = 0.0
    lease_until: float = 0.0
    disposition: str = ""
    lost: bool = False
    incomplete: bool = False
    return_after: int = 0
    settling: bool = False
    settle_after: int = 0
    holds: int = 0
    failures: int = 0
    due: float = 0.0

    @property
    def has_lease(self) -> bool:
        return self.origin == "message" and self.message is not None and not self.lost


@dataclass(frozen=True)
class Outgoing:
    """A slice waiting for one output."""

    item: Item
    piece: Slice
    queued: float


@dataclass(eq=False)
class Tracked:
    """A receipt that is asked about, with the spans that are not committed yet (oid, first, end).

    After `give_up_at` (monotonic) the output is taken to have forgotten it, and it is sent again. `shared`
    says that its row speaks for objects that are not in our hands: it stays when we need it no more.
    """

    id: str
    receipt: Receipt
    open_spans: Set[Tuple[str, int, int]]
    next_ask: float = 0.0
    wait: float = 1.0
    asking: bool = False
    confirmed: bool = False
    shared: bool = False
    give_up_at: float = 0.0
    size_bytes: int = 0
