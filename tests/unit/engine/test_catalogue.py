"""Failures that have cost others data, and that no other test is about: F numbers of docs/reliability.md."""

from __future__ import annotations

from typing import Any, Callable, List

from collector.engine import capacity
from collector.engine.station import Wait, perform_safely
from collector.errors import Fatal, Retry


def test_f03_a_refused_extension_is_not_tried_again_and_receives_are_sized_for_the_work(bench: Any) -> None:
    tried: List[int] = []

    def refuse(messages: Any, *, timeout_seconds: int) -> Any:
        tried.append(timeout_seconds)
        raise Fatal("denied", code="queue_denied", scope="queue")

    bench.queue.inner.change_visibility = refuse
    bench.sink.ack, bench.sink.ack_after_seconds = True, 250.0
    bench.publish("a", "one")
    bench.run(280)
    bench.publish("b", "two")
    bench.run(280)
    assert tried == [300]
    assert bench.ledger.lease_seconds == 3600
    assert bench.queue.depth == 0
    assert sum(bench.queue.receives) == 2
    assert bench.delivered() == ["one", "two"]


def test_f05_a_lost_handle_is_extended_no_more_and_its_work_goes_on(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    bench.sink.ack, bench.sink.ack_after_seconds = True, 250.0
    ref = bench.publish("a", "one")
    bench.run(5)
    (stolen,) = bench.ledger.deliveries.values()
    # Somebody else received it: our handle is good for nothing any more.
    bench.queue.change_visibility([stolen.message], timeout_seconds=0)
    bench.queue.inner.receive(10, wait_seconds=0, hide_seconds=3600)
    bench.queue.changes.clear()
    bench.run(240)
    assert stolen.lost
    assert len(bench.queue.changes) == 1, "the extension that found it lost"
    bench.run(60)
    assert bench.state(ref) == "done"
    assert bench.queue.deletes == [], "it is not ours to delete"


def test_f12_an_acknowledgement_that_takes_minutes_costs_no_repeat(bench: Any) -> None:
    bench.sink.ack, bench.sink.ack_after_seconds = True, 290.0
    bench.publish("a", "one")
    bench.run(320)
    assert bench.delivered() == ["one"]
    assert bench.ledger.counters["batches"] == 1
    assert bench.queue.depth == 0


def test_f14_a_bug_in_asking_for_acknowledgements_does_not_end_the_asking(bench: Any) -> None:
    bench.sink.ack, bench.sink.ack_after_seconds = True, 1.0
    ref = bench.publish("a", "one")
    bench.drive(without=("acknowledger",))
    bench.clock.advance(2.0)
    asker, ask = bench.stations["acknowledger"], bench.sink.ask
    bench.sink.ask = lambda receipts: {}["a bug"]
    work = asker.take(bench.ledger)
    assert not isinstance(work, Wait)
    result = perform_safely(asker, work)
    assert isinstance(result, Retry)
    asker.record(bench.ledger, work, result)
    bench.sink.ask = ask
    bench.run(20)
    assert bench.state(ref) == "done"


def test_f24_messages_in_hand_stay_within_their_window(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(deliveries=20)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    for number in range(100):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(200)
    assert 20 <= bench.queue.in_flight < 30, "one receive beyond the window at most"
    bench.sink.ack_after_seconds = 1.0
    bench.run(600)
    assert bench.queue.depth == 0
    assert len(bench.delivered()) == 100


def test_f26_a_full_disk_stops_receiving_and_not_the_leases_of_what_is_in_hand(bench: Any) -> None:
    bench.sink.ack, bench.sink.ack_after_seconds = True, 290.0
    bench.publish("a", "one")
    bench.run(5)
    low = Retry("below its floor", code="disk_low")
    capacity.looked(bench.ledger, disk_low=low, quarantine_bytes=0)
    bench.run(25)  # a poll was under way
    bench.publish("b", "two")
    bench.run(250)
    assert bench.delivered() == ["one"]
    assert sum(bench.queue.receives) == 1
    assert [seconds for seconds, _ in bench.queue.changes] == [300, 300], "extended at a third of its time"
    capacity.looked(bench.ledger, disk_low=None, quarantine_bytes=0)
    bench.run(1200)
    assert bench.delivered() == ["one", "two"]
    assert bench.queue.depth == 0
