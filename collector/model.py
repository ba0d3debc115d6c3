"""The nouns of the collector, in AWS's and Splunk's words. Frozen values; nothing here does I/O.

A Message becomes a Notification, which names ObjectRefs or carries Payloads. An object is decoded into
Blocks, cut into Slices, joined into Batches; an output answers a Batch with a Receipt. This module
knows nobody but the errors.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import accumulate, islice
from operator import itemgetter
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Tuple, Union

from collector.errors import Poison

__all__ = [
    "Batch", "Block", "CONTAINERS", "DIGEST", "Event", "Format", "Ignores", "Lines", "Message",
    "Notification", "ObjectRef", "Origin", "Payload", "Receipt", "Slice", "Span", "SLICE_MAX_BYTES",
    "SLICE_MAX_EVENTS", "object_identity", "payload_identity", "provisional_identity",
]

#: A Slice holds at most this many event bytes; a larger single event stands alone. A constant, not a
#: setting: slices are cut from ordinal 0 so that a replay after any restart cuts the same.
SLICE_MAX_BYTES = 256 * 1024
#: And at most this many events.
SLICE_MAX_EVENTS = 1000


@dataclass(frozen=True)
class Message:
    """One SQS message as ReceiveMessage returned it.

    `receipt_handle` belongs to this receive: a later receive of the same message_id makes it stale.
    `sent_at` is epoch seconds (SentTimestamp). `group_id` is set on FIFO queues only.
    """

    message_id: str
    body: str
    receipt_handle: str
    receive_count: int = 1
    sent_at: Optional[float] = None
    group_id: Optional[str] = None


@dataclass(frozen=True)
class ObjectRef:
    """One S3 object as somebody named it. Fields are S3's own; None means not said.

    `etag` has no quotes. `event_time` is epoch seconds of the notification, or of LastModified in a
    listing. `raw_key` is the key as it stood in the notification, where it differs from the decoded
    one: some producers do not encode, so after a 404 it is tried once. `restored` says that it came back
    from an archive: only who has it in quarantine for that wants it.
    """

    bucket: str
    key: str
    etag: Optional[str] = None
    version_id: Optional[str] = None
    size: Optional[int] = None
    sequencer: Optional[str] = None
    region: Optional[str] = None
    event_time: Optional[float] = None
    raw_key: Optional[str] = None
    restored: bool = False

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Payload:
    """An audit that arrived in the message itself.

    `producer_id` is the producer's own id (a CloudWatch log event id), else the sha256 of `body`.
    `whole` says that `body` is one event; otherwise it is a container, to be decoded like an object.
    `time` is epoch seconds as decimal text, where the envelope gave one. `origin` is what the envelope
    says of its source (a log group and stream), for `source` and `host`.
    """

    producer_id: str
    body: bytes
    whole: bool = False
    time: Optional[str] = None
    origin: str = ""


@dataclass(frozen=True)
class Notification:
    """What a message body means.

    `shape` is the path of recognisers that read it ("sns > s3"). `noop` is the reason why nothing is
    to be done (a test event, a deletion), for the log and the counters; then there are neither refs
    nor payloads. `problems` are parts that could not be read, each for its own reason: the body goes to
    quarantine for them, and the other parts to their work.
    """

    shape: str
    refs: Tuple[ObjectRef, ...] = ()
    payloads: Tuple[Payload, ...] = ()
    noop: str = ""
    problems: Tuple[Poison, ...] = ()


#: The decoder of CloudTrail's digest files, which are verified and become one event with a verdict.
DIGEST = "cloudtrail-digest"
#: How a text may be said to be cut into events: what `decoder=` in a route and Format.container take.
CONTAINERS = (
    "auto", "json", "lines", "csv", "vpcflow", "cloudfront", "elb", "s3access", "cloudwatch", "pgaudit",
    DIGEST,
)


@dataclass(frozen=True)
class Format:
    """How an input's objects are to be read; the defaults sniff everything.

    `container` is one of CONTAINERS. `time_fields` are looked for in this order in each event.
    `zone_minutes` is the offset of times that name no zone.
    """

    container: str = "auto"
    time_fields: Tuple[str, ...] = (
        "eventTime", "event_time", "eventTimestamp", "event_timestamp", "timestamp", "@timestamp", "time",
        "ts", "updatedAt", "createdAt", "created_at", "occurredAt", "evtTime", "date", "dateTime",
        "query_timestamp", "configurationItemCaptureTime", "requestReceivedTimestamp",
    )
    zone_minutes: int = 0
    max_event_bytes: int = 5_000_000


#: Why an event is left out for what it says; "" if it is not.
Ignores = Callable[[bytes], str]


@dataclass(frozen=True)
class Event:
    """One event seen alone: for tests and hosts. The engine moves Blocks."""

    ordinal: int
    body: bytes
    time: Optional[str]
    is_json: bool
    note: str = ""


#: The note of an empty Block: an event larger than a slice is being gathered, and more of it will be held.
GATHERING = "gathering"


_BARE = itemgetter(slice(None, -1))


class Lines(Sequence[bytes]):
    """The `count` lines of a text between two offsets, without the newline that ends each of them.

    A line is cut out when somebody reads it, each time anew: until then, and from thread to thread, some
    hundred events are one object. None of them is kept.
    """

    __slots__ = ("_count", "_end", "_start", "_text")

    def __init__(self, text: bytes, start: int, end: int, count: int) -> None:
        self._text, self._start, self._end, self._count = text, start, end, count

    @property
    def size_bytes(self) -> int:
        return self._end - self._start - self._count

    def within(self, max_bytes: int, max_events: int) -> Tuple[int, int]:
        """How many of the first lines are within both, and their bytes."""
        if self._count <= max_events and self.size_bytes <= max_bytes:
            return self._count, self.size_bytes
        file = self._file()
        lengths = [*map(len, file.readlines(max_bytes) if max_bytes > 0 else [])]
        taken, size = len(lengths), sum(lengths) - len(lengths)
        if lengths and size > max_bytes:  # the last of them reaches beyond; else the next ones may be within
            taken, size = taken - 1, size - lengths[-1] + 1
        else:
            for line in file:
                if size + len(line) - 1 > max_bytes:
                    break
                taken, size = taken + 1, size + len(line) - 1
        if taken > max_events:
            return max_events, sum(map(len, islice(self, max_events)))
        return taken, size

    def split(self, first: int, size_bytes: int) -> Tuple[Lines, Lines]:
        """The `first` lines, which have so many bytes, and the others."""
        middle = self._start + size_bytes + first
        head = Lines(self._text, self._start, middle, first)
        return head, Lines(self._text, middle, self._end, self._count - first)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        return map(_BARE, islice(self._file(), self._count))

    def __getitem__(self, index: Any) -> Any:
        return [*self][index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    def _file(self) -> BytesIO:
        """It shares the text's memory, and finds newlines four times faster than bytes' own methods."""
        file = BytesIO(self._text)
        file.seek(self._start)
        return file


@dataclass(frozen=True)
class Block:
    """Consecutive events of one object, as columns.

    `first` is the ordinal of the first, counted before any filter. `times` are epoch seconds as
    decimal text ("1777890012.412", at most six decimals), None where none was found. `is_json` says
    that every body is exactly one JSON value in valid UTF-8, free to stand inside an envelope unquoted.
    `note` marks events that are not what their neighbours are ("parse_error", "truncated", "part 2/3").
    """

    first: int
    bodies: Sequence[bytes]
    times: Sequence[Optional[str]]
    is_json: bool
    note: str = ""

    @property
    def end(self) -> int:
        return self.first + len(self.bodies)

    def within(self, max_bytes: int, max_events: int) -> Tuple[int, int]:
        """How many of the first events are within both, and their bytes."""
        if isinstance(self.bodies, Lines):
            return self.bodies.within(max_bytes, max_events)
        sizes = [*accumulate(map(len, self.bodies[:max_events]))]
        taken = bisect_right(sizes, max_bytes)
        return taken, sizes[taken - 1] if taken else 0

    def split(self, first: int, size_bytes: int) -> Tuple[Block, Block]:
        """The `first` events, which have so many bytes, and the others."""
        middle = self.first + first
        if not isinstance(self.bodies, Lines):
            return self.part(self.first, middle), self.part(middle, self.end)
        low, high = self.bodies.split(first, size_bytes)
        head = Block(self.first, low, self.times[:first], self.is_json, self.note)
        return head, Block(middle, high, self.times[first:], self.is_json, self.note)

    def part(self, start: int, end: int) -> Block:
        """The events with ordinals in [start, end)."""
        low, high = start - self.first, end - self.first
        return Block(start, self.bodies[low:high], self.times[low:high], self.is_json, self.note)

    def without(self, ignores: Ignores) -> Iterator[Block]:
        """What lies between the events that are ignored."""
        start = self.first
        listed = replace(self, bodies=[*self.bodies])
        for ordinal, body in enumerate(listed.bodies, self.first):
            if ignores(body):
                if ordinal > start:
                    yield listed.part(start, ordinal)
                start = ordinal + 1
        if start < self.end:
            yield self if start == self.first else listed.part(start, self.end)

    def __iter__(self) -> Iterator[Event]:
        for index, body in enumerate(self.bodies):
            yield Event(self.first + index, bytes(body), self.times[index], self.is_json, self.note)


@dataclass(frozen=True)
class Origin:
    """What every event of one object shares in the output.

    `oid` is the Identity's digest. `fallback_time` (the object's LastModified or the message's
    SentTimestamp, decimal text) stands in for events without a time. Empty strings are left out.
    """

    oid: str
    source: str
    fallback_time: str
    sourcetype: str = ""
    index: str = ""
    host: str = ""


@dataclass(frozen=True)
class Span:
    """Events [first, end) of one object."""

    oid: str
    first: int
    end: int


@dataclass(frozen=True)
class Slice:
    """Consecutive events [first, end) of one object: the unit of progress.

    `blocks` lie inside the range in order; a filter may leave gaps between them.
    """

    origin: Origin
    first: int
    end: int
    blocks: Tuple[Block, ...]
    size_bytes: int

    @property
    def span(self) -> Span:
        return Span(self.origin.oid, self.first, self.end)

    @property
    def count(self) -> int:
        return sum(len(block.bodies) for block in self.blocks)

    def part(self, first: int, end: int) -> Slice:
        """The same slice narrowed to [first, end): for isolating a refused event."""
        blocks = tuple(
            block.part(max(first, block.first), min(end, block.end))
            for block in self.blocks
            if block.first < end and block.end > first
        )
        return Slice(self.origin, first, end, blocks, _size(blocks))

    def without(self, ignores: Ignores) -> Slice:
        """The slice of the same range without the events that are ignored.

        It is filtered after it was cut, so that another filter cuts nothing elsewhere.
        """
        blocks = tuple(left for block in self.blocks for left in block.without(ignores))
        return Slice(self.origin, self.first, self.end, blocks, _size(blocks))

    def __iter__(self) -> Iterator[Event]:
        for block in self.blocks:
            yield from block


@dataclass(frozen=True)
class Batch:
    """The slices of one request, in the order they are rendered."""

    slices: Tuple[Slice, ...]

    @property
    def spans(self) -> Tuple[Span, ...]:
        return tuple(piece.span for piece in self.slices)

    @property
    def count(self) -> int:
        return sum(piece.count for piece in self.slices)

    def __iter__(self) -> Iterator[Tuple[Origin, Event]]:
        for piece in self.slices:
            for event in piece:
                yield piece.origin, event


@dataclass(frozen=True)
class Receipt:
    """An output's answer to one Batch: all that is needed to ask again after a restart.

    `ack_id` None means that the answer was final: accepted. `sent_at` is epoch seconds. `cookies` keep
    a load balancer on the indexer that knows the ackId. `id` names its row once it is saved.
    """

    output: str
    spans: Tuple[Span, ...]
    sent_at: float
    endpoint: str = ""
    channel: str = ""
    ack_id: Optional[int] = None
    cookies: Mapping[str, str] = field(default_factory=dict)
    id: str = ""


def _size(blocks: Sequence[Block]) -> int:
    return sum(
        bodies.size_bytes if isinstance(bodies, Lines) else sum(map(len, bodies))
        for bodies in (block.bodies for block in blocks)
    )


def object_identity(input_name: str, ref: ObjectRef) -> str:
    """The digest of (input, bucket, key, etag): what makes two sightings the same object.

    Never the key alone (an overwrite is a new object), never the version id (listings lack it).
    """
    if ref.etag is None:
        raise ValueError(f"{ref.url} has no etag yet")
    return _digest(input_name, ref.bucket, ref.key, ref.etag.strip('"'))


def provisional_identity(input_name: str, ref: ObjectRef, object_time: float) -> str:
    """Stands in for the identity of a ref without etag as long as it cannot be opened.

    It is the notification's rather than the object's: another one for the same key is not the same.
    """
    said = (ref.bucket, ref.key, ref.version_id or "", f"{object_time:.3f}")
    return _digest(input_name, "etag unknown", *said)


def payload_identity(input_name: str, payload: Payload) -> str:
    """The digest of (input, the producer's own id)."""
    return _digest(input_name, "payload", payload.producer_id)


def _digest(*parts: Union[str, bytes]) -> str:
    text = "\0".join(part if isinstance(part, str) else part.decode() for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
