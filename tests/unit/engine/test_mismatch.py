"""Rule 8 for `bucket`: a mistaken setting costs no message, and a stranger's message costs no standstill."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from collector.engine import gate
from collector.notifications import parse
from collector.notifications.pointers import follow
from tests.unit.engine.conftest import parse as read_body

OTHER = "audit-logs-eu"


def _tell_of(bench: Any, key: str, *, bucket: str = OTHER, **how: Any) -> str:
    sent: str = bench.queue.send(json.dumps({"bucket": bucket, "refs": [[key, "etag"]]}), **how)
    return sent


def _mistaken(bench: Any, count: int) -> None:
    for number in range(count):
        _tell_of(bench, f"k{number}")


def test_a_mistaken_bucket_quarantines_nothing_and_deletes_nothing(bench: Any) -> None:
    _mistaken(bench, 15)
    bench.run(86400)
    assert (bench.quarantined(), bench.queue.depth, bench.bucket.opened) == ([], 15, [])
    assert not bench.table.rows


@pytest.mark.once
def test_its_messages_are_kept_and_received_once_in_twelve_hours(bench: Any) -> None:
    _mistaken(bench, 60)
    bench.run(11 * 3600)
    assert len(bench.ledger.deliveries) == 32, "and no more than free readers could begin"
    assert sum(bench.queue.receives) == 32
    bench.run(13 * 3600)
    assert sum(bench.queue.receives) <= 3 * 32
    assert (bench.queue.depth, bench.quarantined()) == (60, [])


def test_the_error_says_which_bucket_is_told_of_which_is_configured_and_the_fix(bench: Any) -> None:
    _mistaken(bench, 1)
    bench.run(5)
    error = bench.ledger.mismatch.breaker.error
    assert (error.code, error.where) == ("wrong_bucket", bench.queue.name)
    assert OTHER in error.what
    assert "audit-logs," in error.what
    assert OTHER in error.hint
    assert error in [breaker.error for breaker in gate.troubled(bench.ledger)]


def test_with_the_right_bucket_everything_is_delivered(make_bench: Callable[..., Any]) -> None:
    mistaken = make_bench()
    refs = [mistaken.put(f"k{number}", f"event {number}") for number in range(12)]
    for ref in refs:
        _tell_of(mistaken, ref.key)
    mistaken.run(7200)
    mistaken.engine.stop()
    mistaken.drive()
    right = mistaken.restarted(read=_renamed)
    right.run(700)
    assert sorted(right.delivered()) == sorted(f"event {number}" for number in range(12))
    assert (right.queue.depth, right.quarantined()) == (0, [])


def _renamed(body: str) -> Any:
    """As if the bucket that is told of were the one that is configured."""
    refs = json.loads(body)["refs"]
    return read_body(json.dumps({"refs": [[key, None] for key, _ in refs]}))


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_once_ours_was_named_a_stranger_is_set_aside_and_receiving_goes_on(bench: Any, first: str) -> None:
    if first == "ours":
        bench.publish("a", "one")
    _tell_of(bench, "k")
    if first == "theirs":
        bench.publish("a", "one")
    bench.run(100)
    assert bench.delivered() == ["one"]
    assert [entry.reason for entry in bench.quarantined()] == ["foreign_bucket"]
    assert bench.queue.depth == 0
    bench.publish("b", "two")
    bench.run(5)
    assert bench.delivered() == ["one", "two"]


def test_a_look_that_brings_one_of_ours_ends_the_standstill(bench: Any) -> None:
    _mistaken(bench, 1)
    bench.run(30)
    assert not gate.may_receive(bench.ledger)
    bench.publish("a", "one")
    bench.run(60)
    assert bench.delivered() == ["one"]
    bench.run(60)
    assert [entry.reason for entry in bench.quarantined()] == ["foreign_bucket"]
    assert gate.may_receive(bench.ledger)


def test_what_a_listing_finds_in_our_bucket_ends_it_too(bench: Any) -> None:
    _mistaken(bench, 1)
    bench.put("never-told", "one")
    bench.run(30)
    bench.clock.advance(2000)
    bench.engine.reconcile()
    bench.run(100)
    assert bench.delivered() == ["one"]
    assert [entry.reason for entry in bench.quarantined()] == ["foreign_bucket"]


def test_after_a_restart_the_ledger_tells_that_the_bucket_is_right(bench: Any) -> None:
    bench.publish("a", "one")
    bench.run(30)
    again = bench.restarted()
    _tell_of(again, "k")
    again.run(5)
    assert [entry.reason for entry in again.quarantined()] == ["foreign_bucket"]
    assert again.queue.depth == 0


def test_a_ledger_full_of_audits_from_messages_tells_it_too(bench: Any) -> None:
    bench.publish("a", "one")
    bench.queue.send(json.dumps({"refs": [], "audits": [[str(one), "an audit"] for one in range(1500)]}))
    bench.run(30)
    rows = bench.table.rows
    ours = [oid for oid in rows if rows[oid].bucket]
    rows.update({oid: rows.pop(oid) for oid in ours})  # the last of all
    again = bench.restarted()
    _tell_of(again, "k")
    again.run(5)
    assert [entry.reason for entry in again.quarantined()] == ["foreign_bucket"]


def test_a_ledger_that_has_none_of_ours_is_asked_once_a_look(make_bench: Callable[..., Any]) -> None:
    bench, asked = make_bench(), []
    names = bench.store.names
    bench.store.names = lambda buckets: asked.append(bench.clock.monotonic()) or names(buckets)
    _mistaken(bench, 15)
    bench.run(50)
    assert len(asked) == 1
    bench.run(86400)
    assert len(asked) <= 30


def test_payloads_are_delivered_though_another_part_names_a_stranger(bench: Any) -> None:
    bench.queue.send(json.dumps({"bucket": OTHER, "refs": [["k", "e"]], "audits": [["1", "an audit"]]}))
    bench.run(5)
    assert bench.delivered() == ["an audit"]
    assert [entry.reason for entry in bench.quarantined()] == ["foreign_bucket"]


def test_a_body_in_another_bucket_is_doubted_alike(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    bench = first.beside(read=lambda body: parse(body, fetch=follow(first.bucket)))
    place = {"s3BucketName": OTHER, "s3Key": "k"}
    bench.queue.send(json.dumps(["com.amazon.sqs.javamessaging.MessageS3Pointer", place]))
    bench.run(3600)
    assert (bench.quarantined(), bench.queue.depth) == ([], 1)
    assert OTHER in bench.ledger.mismatch.breaker.error.what


def test_a_fifo_message_is_not_spooled_meanwhile(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(fifo=True)
    _tell_of(bench, "k", group_id="g")
    bench.run(600)
    assert (bench.queue.depth, bench.store.spooled(), bench.quarantined()) == (1, [], [])


def test_what_was_spooled_before_the_mistake_stays_spooled(make_bench: Callable[..., Any]) -> None:
    right = make_bench(fifo=True)
    right.sink.ack, right.sink.ack_after_seconds = True, None
    ref = right.put("k", "event")
    right.queue.send(json.dumps({"refs": [[ref.key, None]]}), group_id="g")
    right.run(5)
    right.table.rows.clear()
    right.table.open.clear()
    mistaken = right.restarted(fifo=True, read=_elsewhere)
    mistaken.run(600)
    assert len(mistaken.store.spooled()) == 1
    assert mistaken.quarantined() == []


def _elsewhere(body: str) -> Any:
    return read_body(json.dumps({**json.loads(body), "bucket": OTHER}))


def test_a_drain_ends_and_gives_back_what_it_holds(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(once=True)
    _mistaken(bench, 3)
    bench.run(30)
    assert bench.engine.is_stuck()
    bench.engine.stop()
    bench.run(1)
    assert (bench.queue.depth, bench.quarantined()) == (3, [])

