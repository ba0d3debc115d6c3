"""One engine between twins, driven by hand: no threads, no sockets, and time that stands still.

`Bench.drive` lets every station take, perform and record until all of them wait at the present moment;
`Bench.run` moves the clock from one such moment to the next. A long poll stays open until a message
arrives or its time is over, as SQS holds it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import pytest

from collector.config.routes import Route
from collector.engine.engine import Engine, Plan
from collector.engine.outputs import Limits
from collector.engine.receiver import Receive
from collector.engine.station import Station, Wait, perform_safely
from collector.errors import CollectorError, Poison
from collector.model import Block, Message, Notification, ObjectRef, Payload, object_identity
from collector.ports import Change, Checkpoint, CheckpointStore, Claim, Digests, Quarantined
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable
from collector.testing.twins import ManualClock, MemoryBucket, MemoryQueue, MemorySink

BUCKET = "audit-logs"
INPUT = "thrive"


def parse(body: str) -> Notification:
    """The bodies of these tests: {"refs": [[key, etag or null, ...]]}, {"audits": [[id, text]]} or {}.

    An audit may name its origin, third.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Poison("not JSON", code="unknown_body") from error
    if "trip" in content:
        raise KeyError("a bug in the recognisers")
    refs = tuple(ObjectRef(content.get("bucket", BUCKET), *named) for named in content.get("refs", ()))
    payloads = tuple(
        Payload(id_, text.encode(), origin="".join(origin))
        for id_, text, *origin in content.get("audits", ())
    )
    return Notification("test", refs, payloads, "" if refs or payloads else "a test event")


def decode(
    chunks: Iterable[bytes], route: Route, inflated: Callable[[bytes], None] = lambda piece: None
) -> Iterator[Block]:
    """One event a line; a line that says so is damage."""
    rest, first = b"", 0
    for chunk in chunks:
        inflated(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        sound = lines[: lines.index(b"damage")] if b"damage" in lines else lines
        if sound:
            yield Block(first, sound, [None] * len(sound), False)
            first += len(sound)
        if len(sound) < len(lines):
            raise Poison("the stream is damaged", code="broken_stream")
    if rest:
        yield Block(first, [rest], [None], False)


@dataclass
class FaultyStore:
    """A CheckpointStore whose calls raise `error` while it is set; it counts and keeps changes."""

    inner: CheckpointStore
    error: Optional[CollectorError] = None
    applied: List[Change] = field(default_factory=list)
    claimed: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def claim(self, wanted: Sequence[Checkpoint]) -> Sequence[Claim]:
        self._maybe_fail()
        self.claimed += 1
        return self.inner.claim(wanted)

    def apply(self, changes: Sequence[Change]) -> Sequence[bool]:
        self._maybe_fail()
        self.applied.extend(changes)
        return self.inner.apply(changes)

    def alive(self, until: float) -> None:
        self._maybe_fail()
        self.inner.alive(until)

    def _maybe_fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class CountingQueue:
    """A MemoryQueue that keeps what was asked of it, and refuses while `error` is set."""

    inner: MemoryQueue
    error: Optional[CollectorError] = None
    delete_error: Optional[CollectorError] = None
    receives: List[int] = field(default_factory=list)
    deletes: List[List[str]] = field(default_factory=list)
    changes: List[Tuple[int, List[str]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, count: int, **how: Any) -> Sequence[Message]:
        if self.error is not None:
            raise self.error
        messages = self.inner.receive(count, **how)
        if messages:
            self.receives.append(len(messages))
        return messages

    def delete(self, messages: Sequence[Message]) -> Mapping[str, CollectorError]:
        if self.delete_error is not None:
            raise self.delete_error
        self.deletes.append([message.message_id for message in messages])
        return self.inner.delete(messages)

    def change_visibility(
        self, messages: Sequence[Message], *, timeout_seconds: int
    ) -> Mapping[str, CollectorError]:
        self.changes.append((timeout_seconds, [message.message_id for message in messages]))
        return self.inner.change_visibility(messages, timeout_seconds=timeout_seconds)


class Bench:
    """An engine and its surroundings. `limits` are those of collector.engine.outputs.Limits.

    A `plan` takes the place of the one made here, and of `read`, `route`, `digests`, `ignores` and `limits`.
    """

    def __init__(
        self,
        *,
        table: Optional[MemoryTable] = None,
        clock: Optional[ManualClock] = None,
        queue: Optional[CountingQueue] = None,
        bucket: Optional[MemoryBucket] = None,
        sinks: Optional[Sequence[MemorySink]] = None,
        owner: str = "owner",
        fifo: bool = False,
        route: Optional[Callable[[str], Route]] = None,
        digests: Optional[Digests] = None,
        read_bytes: int = 262144,
        max_receive_count: int = 0,
        inner_store: Optional[CheckpointStore] = None,
        read: Callable[[str], Notification] = parse,
        ignores: Optional[Callable[[bytes], str]] = None,
        plan: Optional[Plan] = None,
        **limits: Any,
    ) -> None:
        self.clock = clock or ManualClock()
        name = "https://sqs.eu-west-1.amazonaws.com/111111111111/twin" + (".fifo" if fifo else "")
        self.queue = queue or CountingQueue(
            MemoryQueue(
                self.clock, name=name, visibility_timeout_seconds=300, max_receive_count=max_receive_count
            )
        )
        self.bucket = bucket or MemoryBucket(self.clock, BUCKET, read_bytes=read_bytes)
        self.sinks = list(sinks or [MemorySink(self.clock)])
        self.sink = self.sinks[0]
        self.table = table or MemoryTable()
        self.store = FaultyStore(
            inner_store or MemoryCheckpointStore(self.table, owner=owner, clock=self.clock)
        )
        self.store.alive(self.clock.now() + 60.0)
        plan = plan or Plan(
            INPUT, read, decode, buckets=frozenset({BUCKET}), limits=Limits(**limits),
            route=route or (lambda key: Route()), digests=digests, ignores=ignores,
        )
        self.engine = Engine(
            plan, queue=self.queue, objects=self.bucket, sinks=self.sinks, store=self.store,
            clock=self.clock, rng=random.Random(7),
        )
        self.ledger = self.engine.ledger
        self.engine.resume(self.store.start_from(self.clock.now()), self.store.spooled())
        self.stations: Dict[str, Station[Any]] = {one.name: one for one in self.engine.stations()}
        self._polls: List[Tuple[Receive, float]] = []
        self._waits: List[float] = []

    # -- the provider ---------------------------------------------------------------------------

    def put(self, key: str, *lines: str) -> ObjectRef:
        return self.bucket.put(key, "".join(line + "\n" for line in lines).encode())

    def notify(self, *refs: ObjectRef, etags: bool = True) -> str:
        """One message that names these objects."""
        named = [[ref.key, ref.etag if etags else None, None, ref.size] for ref in refs]
        return self.queue.send(json.dumps({"refs": named}))

    def publish(self, key: str, *lines: str) -> ObjectRef:
        """An object and its own message."""
        ref = self.put(key, *lines)
        self.notify(ref)
        return ref

    # -- time and turns -------------------------------------------------------------------------

    def turn(self, name: str) -> Any:
        """One take, perform and record of one station; its work, or its Wait."""
        station = self.stations[name]
        work = station.take(self.ledger)
        if isinstance(work, Wait):
            return work
        self._finish(station, work)
        return work

    def drive(self, *, without: Sequence[str] = ()) -> None:
        """Until every station waits at this moment."""
        moved = True
        turns = 0
        while moved:
            turns += 1
            assert turns < 5000, "the stations never come to rest"
            self._waits = []
            moved = self._drive_polls() if "receiver" not in without else False
            for name, station in self.stations.items():
                if name not in without:
                    moved = self._drive_one(station) or moved

    def run(self, seconds: float, *, without: Sequence[str] = ()) -> None:
        """Let this much time pass, stopping wherever a station has something to do."""
        end = self.clock.monotonic() + seconds
        while True:
            self.drive(without=without)
            now = self.clock.monotonic()
            moments = [at for at in (*self._waits, *(at for _, at in self._polls)) if at > now]
            step = max(0.05, min([*moments, end]) - now)
            if now + step >= end:
                break
            self.clock.advance(step)
        self.clock.advance(end - self.clock.monotonic())
        self.drive(without=without)

    def _drive_one(self, station: Station[Any]) -> bool:
        work = station.take(self.ledger)
        if isinstance(work, Wait):
            if work.until is not None:
                self._waits.append(work.until)
            return False
        if isinstance(work, Receive):
            self._polls.append((work, self.clock.monotonic() + work.wait_seconds))
        else:
            self._finish(station, work)
        return True

    def _drive_polls(self) -> bool:
        moved = False
        for poll in list(self._polls):
            work, ends = poll
            result = perform_safely(self.stations["receiver"], work)
            assert getattr(result, "code", "") != "bug", result
            if result == [] and self.clock.monotonic() < ends:
                continue
            self._polls.remove(poll)
            self.stations["receiver"].record(self.ledger, work, result)
            moved = True
        return moved

    def _finish(self, station: Station[Any], work: Any) -> None:
        result = perform_safely(station, work)
        assert getattr(result, "code", "") != "bug", result
        station.record(self.ledger, work, result)

    # -- what came of it ------------------------------------------------------------------------

    def delivered(self) -> List[str]:
        return [body.decode() for body in self.sink.bodies()]

    def row(self, ref: ObjectRef) -> Checkpoint:
        return self.table.rows[object_identity(INPUT, ref)]

    def state(self, ref: ObjectRef) -> str:
        return self.row(ref).state

    def quarantined(self) -> List[Quarantined]:
        return list(self.store.quarantine())

    def restarted(self, **changes: Any) -> Bench:
        """A new process on the same disk, queue and outputs; this one is dead, and known to be."""
        self.store.leave()
        known = {
            "table": self.table, "clock": self.clock, "queue": self.queue, "bucket": self.bucket,
            "sinks": self.sinks, "owner": self.store.owner + "+",
        }
        return Bench(**{**known, **changes})

    def beside(self, **changes: Any) -> Bench:
        """A second collector on the same queue and store."""
        known = {
            "table": self.table, "clock": self.clock, "queue": self.queue, "bucket": self.bucket,
            "sinks": self.sinks, "owner": self.store.owner + "-2",
        }
        return Bench(**{**known, **changes})


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    """For benches with limits, outputs or queues of their own."""
    return Bench
