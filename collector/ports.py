"""What the engine asks of the world: five ports and a clock.

Adapters implement them (`aws`, `sinks`, `stores`), `collector.testing` ships an in-memory twin of each,
and `tests/contract` holds both to the same laws. Every method may raise Retry, Poison or Fatal and
nothing else on purpose. Unless it says otherwise, a method may be called from several threads at once.

What only some adapters are (Fleeting, FileStore) is asked by isinstance. One that wraps another has to have
those attributes itself: from Python 3.12 on, what comes through `__getattr__` does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Union,
    runtime_checkable,
)

from collector.errors import CollectorError
from collector.model import Batch, Block, Message, ObjectRef, Payload, Receipt, Slice

__all__ = [
    "Advance", "Change", "Checkpoint", "CheckpointStore", "Claim", "Clock", "Digests", "DropReceipts",
    "FINAL", "FileStore", "Finish", "Fleeting", "Forget", "MOST_MESSAGES", "ObjectStore", "OpenObject",
    "Page", "Quarantined", "Queue", "QueueDepth", "Release", "Salvage", "SaveReceipt", "Sink", "Spool",
    "Unspool",
]

#: The states in which an object's work is over for good.
FINAL = frozenset({"done", "gone", "expired", "filtered", "quarantined"})
#: What an entry of the quarantine takes besides its body and its detail, about.
_ENTRY_BYTES = 512
#: What one call of a Queue gives, deletes or hides at most: SQS's limit.
MOST_MESSAGES = 10


class Clock(Protocol):
    """Time as an argument, so that a simulation can be its master."""

    def now(self) -> float:
        """Wall time, epoch seconds: for rows, receipts and everything that outlives the process."""

    def monotonic(self) -> float:
        """Seconds that never jump: for leases, back-off and timeouts."""


@dataclass(frozen=True)
class QueueDepth:
    """About how many messages a queue has, and for how long it keeps one that nobody deletes."""

    visible: int
    in_flight: int
    delayed: int
    retention_seconds: float


class Queue(Protocol):
    """One SQS queue (ReceiveMessage, DeleteMessageBatch, ChangeMessageVisibilityBatch)."""

    #: What the operator knows it by: the queue URL.
    name: str
    #: FIFO queues block a whole group behind each unfinished message.
    fifo: bool

    def receive(
        self, count: int, *, wait_seconds: int, hide_seconds: Optional[int] = None
    ) -> Sequence[Message]:
        """At most `count` messages (1 to 10) after a long poll of at most `wait_seconds` (0 to 20).

        They stay hidden for `hide_seconds`; None leaves it to the adapter's own visibility timeout.
        """

    def delete(self, messages: Sequence[Message]) -> Mapping[str, CollectorError]:
        """Delete up to ten messages; returns, by message_id, those that were not deleted and why.

        Success is AWS's word for "accepted": a standard queue may deliver a deleted message again.
        """

    def change_visibility(
        self, messages: Sequence[Message], *, timeout_seconds: int
    ) -> Mapping[str, CollectorError]:
        """Hide up to ten messages for `timeout_seconds` from now (0 returns them); failures by id.

        code "lease_lost" means that the receipt handle is no longer good for anything.
        """

    def measure(self) -> Optional[QueueDepth]:
        """How deep it is (GetQueueAttributes); None where that may not be asked. Counts are a minute old."""


class OpenObject(Protocol):
    """One GetObject response. Used by one thread at a time."""

    #: The object as S3 answered: etag without quotes, version_id and size are known now.
    ref: ObjectRef
    #: Epoch seconds.
    last_modified: float
    #: The object's user metadata, names in lower case without "x-amz-meta-".
    metadata: Mapping[str, str]
    #: The ARN of the KMS key that S3 decrypted it with; "" for none.
    kms_key_arn: str

    def prepare(self) -> bool:
        """Do some of what must be done before the first byte can be given; False if nothing is left of it.

        `read` does by itself what is left of it, however long that takes.
        """

    def read(self) -> bytes:
        """The next stored bytes; b"" once Content-Length bytes have come. Fewer is Retry "truncated"."""

    def close(self) -> None:
        """Give the connection back. Never raises."""


@dataclass(frozen=True)
class Page:
    """One ListObjectsV2 answer; `next_token` is "" on the last. A ref's event_time is LastModified."""

    refs: Sequence[ObjectRef]
    next_token: str = ""


class ObjectStore(Protocol):
    """The buckets an input may read (GetObject, ListObjectsV2)."""

    def open(self, ref: ObjectRef) -> OpenObject:
        """Start reading. A ref with an etag is read under If-Match.

        Poison "gone" (404, believed after three sightings), "superseded" (412: the key holds another
        object by now); Fatal scope "object" (403), "kms", "role"; Poison "archived" (Glacier).
        """

    def foresee(self, refs: Sequence[ObjectRef]) -> None:
        """This thread opens these next, in this order: what can be asked for already may be. Never raises.

        A hint, for objects that are read within moments: `open` says what it would say without it.
        """

    def current(self, ref: ObjectRef) -> ObjectRef:
        """The object that the key holds now, without version and etag of `ref`."""

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        """Up to 1,000 objects in key order; `start_after` is ignored when `token` is given."""


class Digests(Protocol):
    """Judges CloudTrail's digest files."""

    def judge(self, opened: OpenObject, seen: Callable[[bytes], None]) -> Iterator[Block]:
        """One block with the one event that says what was found; its note is the result in a word.

        `seen` is told the content of the digest itself. Empty blocks before it are signs of life. Raises
        Poison for what is no digest, Retry and Fatal as ObjectStore and CheckpointStore do.
        """


class Sink(Protocol):
    """One output. `lane` numbers the sender (0, 1, ...): channels and connections belong to a lane."""

    #: "hec", "stdout" or "splunkd": part of receipts, so it is stable.
    name: str
    #: How many senders may call `send` at the same time, each on its own lane.
    lanes: int

    def rendered_bytes(self, piece: Slice) -> int:
        """What the slice takes in a request, about, and always the same: for filling a batch."""

    def send(self, batch: Batch, *, lane: int) -> Receipt:
        """Deliver one batch. The Receipt is final (ack_id None), or to be asked about.

        Retry: nothing is known to have been taken. Refused: see errors. Fatal scope "output".
        """

    def ask(self, receipts: Sequence[Receipt]) -> Sequence[bool]:
        """For each receipt, all of one endpoint and channel, whether the output now confirms it.

        False covers failed, pending and forgotten alike, as HEC's own answer does.
        """

    def abandon(self, receipt: Receipt) -> None:
        """This receipt was never confirmed: later sends use a new channel. No I/O."""

    def close(self) -> None:
        """Flush and let go. Never raises."""


@runtime_checkable
class Fleeting(Protocol):
    """A Sink whose open receipts die with this run: nobody else can ask about them.

    So they are not saved, they are not given up while the output is there, and a stop waits a little for
    them.
    """

    def part(self) -> None:
        """A stop has begun: from now on `ask` answers by what is known now. No I/O."""


@dataclass(frozen=True)
class Checkpoint:
    """The durable row of one object or payload.

    `state` is "open" or one of FINAL. Events [0, offset) are accepted by every output. `object_time`
    (epoch seconds, LastModified where known) alone decides when the row is pruned. `url` says where the
    object is, `bucket` and `key` are empty for payloads. `attempts` and `not_before` are the back-off
    of an object that failed. `sha256` (hex) is that of the content, where its input keeps it.
    """

    oid: str
    url: str
    object_time: float
    bucket: str = ""
    key: str = ""
    etag: str = ""
    version_id: str = ""
    size: Optional[int] = None
    state: str = "open"
    offset: int = 0
    events: int = 0
    reason: str = ""
    attempts: int = 0
    first_failed: float = 0.0
    not_before: float = 0.0
    epoch: int = 0
    owner: str = ""
    updated: float = 0.0
    sha256: str = ""


@dataclass(frozen=True)
class Claim:
    """The store's answer for one object: what its row says, and whether it is ours now.

    `verdict` is "yours" (row.epoch fences our writes), "held" (a living owner has it) or "final".
    `receipts` are open ones that name this object: to be asked about before anything is sent again.
    """

    verdict: str
    row: Checkpoint
    receipts: Sequence[Receipt] = ()


@dataclass(frozen=True)
class Quarantined:
    """What could not be delivered: an object by reference, an event or a message body by its bytes."""

    id: str
    kind: str
    reason: str
    detail: str
    url: str
    created: float
    body: bytes = b""
    oid: str = ""
    ordinal: Optional[int] = None
    row: Optional[Checkpoint] = None

    @property
    def size_bytes(self) -> int:
        """What it counts for the quarantine's cap, the same in every store."""
        return len(self.body) + len(self.detail) + _ENTRY_BYTES


@dataclass(frozen=True)
class Advance:
    """Events [0, offset) of an object are accepted. Refused if fenced; an offset never goes back."""

    oid: str
    epoch: int
    offset: int


@dataclass(frozen=True)
class Finish:
    """An object reached a FINAL state. Refused if fenced. `sha256` is kept for `hashes`."""

    oid: str
    epoch: int
    state: str
    events: int = 0
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Release:
    """We let go of an object that is not finished; its back-off goes into the row. Refused if fenced."""

    oid: str
    epoch: int
    attempts: int = 0
    first_failed: float = 0.0
    not_before: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class SaveReceipt:
    """A batch was sent; the receipt outlives us. `id` is the receipt's own."""

    id: str
    receipt: Receipt


@dataclass(frozen=True)
class DropReceipts:
    """Nothing in these receipts needs to be asked about any more."""

    ids: Sequence[str]


@dataclass(frozen=True)
class Spool:
    """A FIFO message's body is durable here; the message may be deleted."""

    message: Message


@dataclass(frozen=True)
class Unspool:
    """Every part of a spooled message is final."""

    message_id: str


@dataclass(frozen=True)
class Forget:
    """An operator asked for one object again: its row becomes open from `offset` under a new epoch."""

    oid: str
    offset: int = 0


Change = Union[
    Advance, Finish, Release, SaveReceipt, DropReceipts, Quarantined, Spool, Unspool, Forget
]


class CheckpointStore(Protocol):
    """The durable half of the ledger, for one input and one owner (this process).

    Batched; each change succeeds or is refused on its own, and nothing promises atomicity across rows.
    When `apply` returns, what it accepted survives a power cut.
    """

    #: host, boot id, pid and a random part: rows name their owner by this.
    owner: str

    def start_from(self, proposed: float) -> float:
        """The input's start (epoch seconds): written at the first call ever, the same ever after."""

    def claim(self, wanted: Sequence[Checkpoint]) -> Sequence[Claim]:
        """One answer per wanted row, in order. Creates missing rows; a free row becomes ours."""

    def apply(self, changes: Sequence[Change]) -> Sequence[bool]:
        """True per change that is durable now, False per change refused because a newer epoch owns it."""

    def missing(self, oids: Sequence[str]) -> Sequence[str]:
        """Those that have no FINAL row, in order: what a listing found and the ledger has not finished."""

    def rows(self, oids: Sequence[str]) -> Mapping[str, Checkpoint]:
        """The rows of these, by oid; those that have none are left out. Claims nothing."""

    def window(self, since: float, until: float) -> Iterator[Checkpoint]:
        """Every row of an object of a time in [since, until), epoch seconds, once and in no order.

        Read a page at a time. What is written meanwhile may or may not be seen.
        """

    def names(self, buckets: Collection[str]) -> bool:
        """Whether any row is of an object of these buckets; to say no it may read the whole ledger."""

    def hashes(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """By key, the sha256 of every content that was finished under it; keys without one are left out."""

    def unfinished(self, *, limit: int = 1000) -> Sequence[Checkpoint]:
        """Rows in state "open" whose not_before has passed and whom no living owner holds."""

    def spooled(self) -> Sequence[Message]:
        """Messages whose bodies were spooled and never finished, oldest first."""

    def quarantine(self, *, id: str = "") -> Iterator[Quarantined]:
        """All entries, or the one with this id, oldest first."""

    def unquarantine(self, ids: Sequence[str]) -> int:
        """Remove entries for good; returns how many there were."""

    def quarantine_bytes(self) -> int:
        """What the quarantine takes, for its cap."""

    def counts(self) -> Mapping[str, int]:
        """Rows by state, for status and summaries."""

    def alive(self, until: float) -> None:
        """Write this process's owner row: our open rows are ours until then (epoch seconds)."""

    def leave(self) -> None:
        """Remove our owner row: what we held is free at once."""

    def others(self) -> Sequence[str]:
        """The living owners besides us: the collectors that run on this store."""

    def lead(self, role: str, until: float) -> bool:
        """Take or renew a role ("reconciler", "prune") that one owner has at a time, until then (epoch
        seconds); False while another living owner has it."""

    def prune(self, *, object_time_before: float) -> int:
        """Delete FINAL and abandoned rows of objects older than this; returns how many."""

    def check(self) -> None:
        """Raise what stands in the way of writing: a full disk, a damaged or newer store."""

    def close(self) -> None:
        """Let go of the file or the connection. Never raises."""


class Salvage(NamedTuple):
    """Rows taken over by table, whether all could be read, and when the damaged ledger was last in use."""

    quarantined: int
    spooled: int
    is_whole: bool
    last_used: float


@runtime_checkable
class FileStore(Protocol):
    """A CheckpointStore that is a file of this host, which can be damaged, removed or replaced.

    The store goes on with a fresh one and says so here; saying it to the operator is its caller's.
    """

    #: Where the file lies that was found damaged when this was opened; "" if it was sound.
    moved_aside: str
    #: What was taken over from a damaged file; None if there was none.
    salvage: Optional[Salvage]
    #: How often the file was found removed or replaced while this was open.
    replaced: int


def payload_row(oid: str, payload: Payload, url: str, object_time: float) -> Checkpoint:
    """The row of a payload, which has no bucket and no key."""
    return Checkpoint(oid=oid, url=url, object_time=object_time, etag=payload.producer_id)


def object_row(oid: str, ref: ObjectRef, object_time: float) -> Checkpoint:
    """The row of an object."""
    return Checkpoint(
        oid=oid, url=ref.url, object_time=object_time, bucket=ref.bucket, key=ref.key,
        etag=ref.etag or "", version_id=ref.version_id or "", size=ref.size,
    )
