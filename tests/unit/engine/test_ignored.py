"""Events that are ignored for what they say: counted, never sent, and nobody waits for them."""

from __future__ import annotations

import json

import pytest

from collector.engine import slicer
from collector.errors import Refused
from collector.model import Block, Origin, Slice, payload_identity
from collector.testing.twins import MemorySink
from tests.unit.engine.conftest import INPUT, parse


def ignores(body: bytes) -> str:
    return "ignored user" if b"robot" in body else ""


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(slicer, "SLICE_MAX_EVENTS", 2)


def test_ordinals_are_counted_before_events_are_ignored(make_bench):
    bench = make_bench(ignores=ignores)
    ref = bench.publish("a", "one", "robot", "robot", "robot", "two", "three", "robot")
    bench.drive()
    assert bench.delivered() == ["one", "two", "three"]
    assert [event.ordinal for batch in bench.sink.batches for _, event in batch] == [0, 4, 5]
    assert bench.state(ref) == "done"
    assert bench.row(ref).events == 7
    assert bench.ledger.counters["filtered_events"] == 4
    assert bench.queue.depth == 0


def test_an_object_of_nothing_but_ignored_events_is_done(make_bench):
    bench = make_bench(ignores=ignores)
    ref = bench.publish("a", *["robot"] * 5)
    bench.drive()
    assert bench.delivered() == []
    assert (bench.state(ref), bench.row(ref).events) == ("done", 5)
    assert bench.queue.depth == 0


@pytest.mark.once
def test_ignored_events_are_committed_while_the_object_is_still_read(make_bench):
    bench = make_bench(ignores=ignores, read_bytes=6)
    ref = bench.publish("a", *["robot"] * 400000)
    for _ in range(6):
        bench.turn("receiver")
        bench.turn("settler")
    bench.turn("reader")
    for _ in range(3):
        bench.turn("settler")
    assert 0 < bench.row(ref).offset < 400000
    assert bench.ledger.held_bytes == 0


def test_every_output_lets_ignored_events_pass(make_bench):
    clock = make_bench().clock
    sinks = [MemorySink(clock, name="one"), MemorySink(clock, name="two")]
    bench = make_bench(ignores=ignores, clock=clock, sinks=sinks)
    ref = bench.publish("a", "one", "robot", "robot", "robot", "two")
    bench.drive()
    assert [[body.decode() for body in sink.bodies()] for sink in sinks] == [["one", "two"]] * 2
    assert bench.state(ref) == "done"


def test_what_was_ignored_is_not_asked_for_after_a_restart(make_bench):
    bench = make_bench(ignores=ignores)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    ref = bench.publish("a", "one", "robot", "robot", "robot", "two")
    bench.drive()
    again = bench.restarted(ignores=ignores)
    bench.sink.confirm()
    again.run(400)
    assert again.delivered() == ["one", "two"], "receipts name ranges, whatever is left out of them"
    assert again.state(ref) == "done"


def test_another_filter_cuts_nothing_elsewhere(make_bench):
    bench = make_bench(ignores=ignores)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    ref = bench.publish("a", "one", "robot 1", "robot 2", "robot 3", "two", "three")
    bench.drive()
    again = bench.restarted()
    bench.sink.confirm()
    again.run(400)
    assert again.delivered() == ["one", "two", "three", "robot 2", "robot 3"], "what was not yet passed over"
    bench.sink.confirm()
    again.run(20)
    assert again.state(ref) == "done"


def test_a_payload_that_is_ignored_is_filtered(make_bench):
    def whole(body):
        found = parse(body)
        payloads = tuple(type(one)(one.producer_id, one.body, whole=True) for one in found.payloads)
        return type(found)(found.shape, (), payloads)

    bench = make_bench(ignores=ignores, read=whole)
    bench.queue.send(json.dumps({"audits": [["1", "robot"], ["2", "kim"]]}))
    bench.drive()
    assert bench.delivered() == ["kim"]
    rows = {row.oid: row for row in bench.table.rows.values()}
    payloads = whole(json.dumps({"audits": [["1", "robot"], ["2", "kim"]]})).payloads
    states = [rows[payload_identity(INPUT, payload)].state for payload in payloads]
    assert states == ["filtered", "done"]
    assert bench.ledger.counters["filtered"] == 1
    assert bench.queue.depth == 0


def test_a_refused_event_among_ignored_ones_is_found(make_bench):
    bench = make_bench(ignores=ignores)
    refused = Refused("not valid", code="event_refused")
    bench.sink.fail = lambda batch: refused if any(event.body == b"bad" for _, event in batch) else None
    ref = bench.publish("a", "one", "robot", "bad", "robot", "two", "robot")
    bench.drive()
    bench.run(5)
    assert bench.delivered() == ["one", "two"]
    assert [entry.ordinal for entry in bench.quarantined()] == [2]
    assert bench.row(ref).events == 6


def test_a_slice_keeps_its_range_and_the_order_of_its_events():
    bodies = [b"a", b"robot", b"robot", b"b", b"c", b"robot"]
    block = Block(10, bodies[:4], ["1", None, None, "2"], False)
    piece = Slice(Origin("o", "s", "0"), 10, 16, (block, Block(14, bodies[4:], [None] * 2, True)), 18)
    left = piece.without(ignores)
    assert (left.first, left.end, left.size_bytes, left.count) == (10, 16, 3, 3)
    assert [(event.ordinal, event.body, event.time, event.is_json) for event in left] == [
        (10, b"a", "1", False), (13, b"b", "2", False), (14, b"c", None, True),
    ]


def test_events_without_a_time_of_their_own_are_counted_once(make_bench):
    bench = make_bench()
    bench.publish("a", "one", "two")
    bench.notify(bench.put("a", "one", "two"))
    bench.drive()
    assert bench.ledger.counters["untimed_events"] == 2
