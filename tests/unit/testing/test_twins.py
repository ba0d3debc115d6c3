"""What the twins add to their ports; the ports' own laws are in tests/contract."""

from __future__ import annotations

import pytest

from collector.errors import Fatal, Poison, Retry
from collector.model import Batch, Block, ObjectRef, Origin, Slice
from collector.testing.twins import ManualClock, MemoryBucket, MemoryQueue, MemorySink


def _batch(*bodies: bytes) -> Batch:
    block = Block(0, bodies, [None] * len(bodies), is_json=False)
    origin = Origin("oid", "s3://b/k", "1777890000")
    return Batch((Slice(origin, 0, len(bodies), (block,), sum(map(len, bodies))),))


def test_a_sink_without_acknowledgement_answers_for_good() -> None:
    sink = MemorySink(ManualClock())
    receipt = sink.send(_batch(b"a", b"b"), lane=0)
    assert receipt.ack_id is None
    assert sink.bodies() == [b"a", b"b"]
    assert sink.ask([receipt]) == [True]


def test_an_acknowledgement_comes_after_its_time_and_is_told_once() -> None:
    clock = ManualClock()
    sink = MemorySink(clock, ack=True, ack_after_seconds=60)
    receipt = sink.send(_batch(b"a"), lane=0)
    answers = [sink.ask([receipt])[0]]
    clock.advance(60)
    answers += [sink.ask([receipt])[0], sink.ask([receipt])[0]]
    assert answers == [False, True, False]


def test_acknowledgements_can_be_given_one_by_one_or_lost() -> None:
    sink = MemorySink(ManualClock(), ack=True, ack_after_seconds=None)
    receipts = [sink.send(_batch(b"a"), lane=0) for _ in range(3)]
    sink.confirm(1)
    assert list(sink.ask(receipts)) == [True, False, False]
    sink.forget()
    sink.confirm()
    assert list(sink.ask(receipts)) == [False, False, False]


def test_an_abandoned_receipt_moves_its_lane_to_a_new_channel_once() -> None:
    sink = MemorySink(ManualClock(), ack=True, lanes=2)
    first, second, other = (sink.send(_batch(b"a"), lane=lane) for lane in (0, 0, 1))
    sink.abandon(first)
    sink.abandon(second)
    third = sink.send(_batch(b"a"), lane=0)
    assert len({first.channel, third.channel, other.channel}) == 3
    assert third.channel == "lane-0-1"


def test_a_sink_told_to_fail_takes_nothing() -> None:
    sink = MemorySink(ManualClock(), fail=lambda batch: Retry("busy", code="busy"))
    with pytest.raises(Retry):
        sink.send(_batch(b"a"), lane=0)
    assert sink.bodies() == []


def test_a_message_received_too_often_is_given_up() -> None:
    clock = ManualClock()
    queue = MemoryQueue(clock, visibility_timeout_seconds=10, max_receive_count=2)
    queue.send("poison")
    for _ in range(3):
        queue.receive(1, wait_seconds=0)
        clock.advance(10)
    assert [message.body for message in queue.dead] == ["poison"]
    assert queue.depth == 0


def test_a_refused_key_refuses_until_it_no_longer_does() -> None:
    bucket = MemoryBucket(ManualClock())
    ref = bucket.put("k", b"{}")
    bucket.refuse("k", Fatal("no", code="object_denied", scope="object"))
    with pytest.raises(Fatal):
        bucket.open(ref)
    bucket.refuse("k", None)
    assert bucket.open(ref).read() == b"{}"
    assert bucket.opened == ["s3://audit-logs/k"]
    bucket.remove("k")
    with pytest.raises(Poison, match="gone"):
        bucket.open(ObjectRef("audit-logs", "k"))


def test_a_wall_clock_set_back_leaves_durations_alone() -> None:
    clock = ManualClock(now=1000.0)
    before = clock.monotonic()
    clock.set_back(500)
    clock.advance(10)
    assert clock.now() == 510.0
    assert clock.monotonic() == before + 10
