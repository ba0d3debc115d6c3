"""Splunk says true once for an ackId: of several who ask, all are to learn it (DESIGN section 4)."""

from __future__ import annotations

from typing import Any, Callable, List

import pytest

from collector.errors import Retry


def _sent_by_an_earlier_run(make_bench: Callable[..., Any], names: List[str]) -> Any:
    """One batch with all these objects is sent and its receipt saved; then the process dies."""
    bench = make_bench()
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    for name in names:
        bench.publish(name, f"event of {name}")
    bench.run(5)
    assert len(bench.table.receipts) == 1
    bench.store.leave()
    bench.clock.advance(320)  # its leases have lapsed
    return bench


def _taken_up_by_two(bench: Any) -> List[Any]:
    """Two collectors, each with one of the two objects in hand, before either has asked anything."""
    one = bench.restarted(owner="one", max_number_of_messages=1)
    two = one.beside(owner="two", max_number_of_messages=1)
    for collector in (one, two):
        collector.turn("receiver")  # receives
        collector.turn("receiver")  # claims
        assert [item.state for item in collector.ledger.items.values()] == ["asking"]
    return [one, two]


def _run_together(collectors: List[Any], seconds: int) -> None:
    for _ in range(seconds):
        collectors[0].clock.advance(1.0)
        for one in collectors:
            one.drive()


@pytest.mark.parametrize("first", [0, 1])
def test_what_one_collector_heard_is_not_sent_again_by_the_other(
    make_bench: Callable[..., Any], first: int
) -> None:
    bench = _sent_by_an_earlier_run(make_bench, ["a", "b"])
    collectors = _taken_up_by_two(bench)
    bench.sink.confirm()
    collectors[first].drive()
    _run_together(collectors, 100)
    assert sorted(bench.delivered()) == ["event of a", "event of b"], "sent twice"
    assert {row.state for row in bench.table.rows.values()} == {"done"}
    assert bench.queue.depth == 0


def test_what_nobody_heard_is_sent_again_by_both(make_bench: Callable[..., Any]) -> None:
    bench = _sent_by_an_earlier_run(make_bench, ["a", "b"])
    collectors = _taken_up_by_two(bench)
    bench.sink.forget()
    bench.sink.ack_after_seconds = 1.0
    _run_together(collectors, 120)
    assert {row.state for row in bench.table.rows.values()} == {"done"}
    assert sorted(bench.delivered()).count("event of a") == 2
    assert bench.queue.depth == 0


def test_a_receipt_that_nobody_waits_for_is_dropped(make_bench: Callable[..., Any]) -> None:
    bench = _sent_by_an_earlier_run(make_bench, ["a", "b"])
    again = bench.restarted(owner="again")
    again.ledger.next_id("spent")  # else its first receipt would have the name of the other's
    bench.sink.forget()
    bench.sink.ack_after_seconds = 1.0
    again.run(100)
    assert again.table.receipts == {}
    assert again.ledger.counters["batches"] == 1, "both were sent again, in one batch"


def test_a_store_that_is_busy_when_it_is_asked_again_costs_no_repeat(make_bench: Callable[..., Any]) -> None:
    bench = _sent_by_an_earlier_run(make_bench, ["a", "b"])
    one, two = _taken_up_by_two(bench)
    bench.sink.confirm()
    one.drive()
    two.drive()
    _run_together([one, two], 58)
    two.store.error = Retry("busy", code="store_busy")
    _run_together([one, two], 30)
    two.store.error = None
    _run_together([one, two], 60)
    assert sorted(bench.delivered()) == ["event of a", "event of b"]


def test_an_object_taken_over_meanwhile_is_left_to_who_has_it(make_bench: Callable[..., Any]) -> None:
    bench = _sent_by_an_earlier_run(make_bench, ["a", "b"])
    _, two = _taken_up_by_two(bench)
    (oid,) = [item.oid for item in two.ledger.items.values()]
    row = bench.table.rows[oid]
    bench.table.put(type(row)(**{**row.__dict__, "owner": "three", "epoch": row.epoch + 1}))
    bench.table.owners["three"] = bench.clock.now() + 1000.0
    two.run(100)
    assert not two.ledger.items
    assert two.ledger.counters["fenced"] == 1
    assert len(bench.delivered()) == 2


def test_who_sent_it_learns_that_a_collector_that_took_over_a_part_was_told(
    make_bench: Callable[..., Any],
) -> None:
    bench = make_bench(ack_timeout_seconds=30.0)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    bench.publish("a", "event of a")
    ref = bench.publish("b", "event of b")
    bench.run(5)
    bench.store.leave()  # its word has run out: it was paused, say
    bench.notify(ref)
    other = bench.beside(owner="other")
    other.turn("receiver")
    other.turn("receiver")
    bench.store.alive(bench.clock.now() + 60.0)
    bench.sink.confirm()
    other.drive()
    _run_together([bench, other], 100)
    assert sorted(bench.delivered()) == ["event of a", "event of b"], "sent twice"
    assert {row.state for row in bench.table.rows.values()} == {"done"}


def test_who_was_paused_does_not_wait_for_what_another_was_told(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(visibility_timeout_seconds=60)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    bench.publish("a", "event of a")
    ref = bench.publish("b", "event of b")
    bench.run(5)
    bench.clock.advance(90)  # it says nothing for so long
    bench.notify(ref)
    other = bench.beside(owner="other", max_number_of_messages=1)
    while not other.ledger.items:
        other.turn("receiver")
    other.turn("receiver")
    assert [item.state for item in other.ledger.items.values()] == ["asking"]
    bench.drive()
    bench.sink.confirm()
    other.drive()
    assert [row.state for row in bench.table.rows.values()].count("done") < 2
    _run_together([bench, other], int(bench.ledger.limits.ack_resume_seconds) + 15)
    assert {row.state for row in bench.table.rows.values()} == {"done"}
    assert sorted(bench.delivered()) == ["event of a", "event of b"], "sent twice"


def test_who_was_never_silent_gives_a_slow_output_its_time(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    bench.sink.ack, bench.sink.ack_after_seconds = True, 250.0
    bench.publish("a", "event of a")
    bench.run(260)
    assert bench.delivered() == ["event of a"]
    assert {row.state for row in bench.table.rows.values()} == {"done"}


def _given_up_while_another_had_it(make_bench: Callable[..., Any], confirmed: int) -> Any:
    """One collector gives a receipt up; meanwhile another sent its events again, and had `confirmed`."""
    bench = make_bench(batch_max_bytes=1000)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    ref = bench.publish("a", *(f"event {number}" for number in range(2000)))
    bench.run(5)
    bench.store.leave()
    bench.sink.forget()
    bench.clock.advance(320)
    one = bench.restarted(owner="one")
    one.turn("receiver")
    one.turn("receiver")
    assert [item.state for item in one.ledger.items.values()] == ["asking"]
    one.store.leave()  # it sleeps, and its word runs out
    bench.notify(ref)
    two = one.beside(owner="two", batch_max_bytes=1000)
    two.ledger.rng.seed("two")  # else its receipts would have the names of the others
    two.run(70)
    assert len(bench.delivered()) == 4000
    bench.sink.confirm(2 + confirmed)  # those that were forgotten are the oldest
    two.run(20)
    two.store.leave()
    return one


@pytest.mark.parametrize("confirmed", [0, 1])
def test_what_another_sent_meanwhile_is_asked_about_and_not_sent_again(
    make_bench: Callable[..., Any], confirmed: int
) -> None:
    one = _given_up_while_another_had_it(make_bench, confirmed)
    one.run(20)
    one.sink.confirm()
    one.run(20)
    assert len(one.delivered()) == 4000, "sent a third time"
    assert {row.state for row in one.table.rows.values()} == {"done"}
    assert not one.table.receipts
