"""A ref without etag that stays denied: its failures outlive every lease, under a row of its own (rule 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict

import pytest

from collector.errors import Fatal, Poison, Retry
from collector.model import ObjectRef

DENIED = Fatal("access denied", code="object_denied", scope="object")
KEY_DENIED = Fatal("kms:Decrypt denied", code="kms_denied", scope="kms")


def _publish(bench: Any, key: str) -> ObjectRef:
    ref: ObjectRef = bench.put(key, f"event of {key}")
    bench.notify(ref, etags=False)
    return ref


def _states(bench: Any) -> Dict[str, int]:
    return dict(bench.store.counts())


@pytest.mark.parametrize("error", [DENIED, KEY_DENIED])
def test_a_denied_object_without_etag_ends_as_forbidden_after_a_day(bench: Any, error: Fatal) -> None:
    ref = _publish(bench, "a")
    bench.bucket.refuse("a", error)
    bench.run(23 * 3600)
    assert sum(bench.queue.receives) == 2, "one lease lapsed"
    assert _states(bench) == {"open": 1}
    bench.run(4 * 3600)
    (entry,) = bench.quarantined()
    assert (entry.kind, entry.reason, entry.url) == ("object", "forbidden", ref.url)
    assert _states(bench) == {"quarantined": 1}
    assert bench.queue.depth == 0


def test_its_day_goes_on_over_restarts(bench: Any) -> None:
    _publish(bench, "a")
    bench.bucket.refuse("a", DENIED)
    for _ in range(9):
        bench.run(3 * 3600)
        bench.engine.stop()
        bench.drive()
        bench = bench.restarted()
        bench.clock.advance(30)
    bench.run(60)
    assert [entry.reason for entry in bench.quarantined()] == ["forbidden"]
    assert bench.queue.depth == 0


def test_a_denial_that_is_put_right_leaves_one_finished_object(bench: Any) -> None:
    ref = _publish(bench, "a")
    bench.bucket.refuse("a", DENIED)
    bench.run(13 * 3600)
    bench.bucket.refuse("a", None)
    bench.run(2 * 3600)
    assert bench.delivered() == ["event of a"]
    assert bench.state(ref) == "done"
    assert _states(bench) == {"done": 1, "filtered": 1}, "the row under its etag, and what stood in for it"
    assert bench.queue.depth == 0


def test_the_next_object_under_that_key_is_not_taken_for_the_one_given_up(bench: Any) -> None:
    _publish(bench, "a")
    bench.bucket.refuse("a", DENIED)
    bench.run(27 * 3600)
    assert bench.queue.depth == 0
    bench.put("a", "a later event")
    bench.queue.send('{"refs": [["a", null]]}')
    bench.run(3600)
    assert bench.queue.depth == 1, "denied as well, and in hand"
    bench.bucket.refuse("a", None)
    bench.run(3700)
    assert bench.delivered() == ["a later event"]


def test_a_stand_in_that_was_released_is_free_for_another_collector(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    ref = _publish(first, "a")
    first.bucket.refuse("a", DENIED)
    first.run(60)
    first.engine.stop()
    first.drive()
    second = first.beside()
    first.bucket.refuse("a", None)
    second.run(60)
    assert second.state(ref) == "done", "though the first one's owner row is alive"
    assert second.queue.depth == 0


def test_a_stand_in_is_not_over_before_its_object_is(make_bench: Callable[..., Any]) -> None:
    first = make_bench()
    ref = _publish(first, "a")
    first.bucket.refuse("a", DENIED)
    first.run(60)
    first.bucket.refuse("a", None)
    first.sink.fail = lambda batch: Retry("down", code="down")
    first.run(300)
    first.engine.stop()
    first.drive()
    assert "filtered" not in _states(first)
    first.sink.fail = None
    second = first.restarted()
    second.run(330)
    assert second.state(ref) == "done"
    assert second.delivered() == ["event of a"]
    assert "open" not in _states(second)


def test_a_reconcile_brings_a_stand_in_to_its_end_when_its_message_is_gone(bench: Any) -> None:
    ref = _publish(bench, "a")
    bench.bucket.refuse("a", DENIED)
    bench.run(60)
    (delivery,) = bench.ledger.deliveries.values()
    bench.queue.delete([delivery.message])
    again = bench.restarted()
    again.bucket.refuse("a", None)
    again.clock.advance(3600)
    again.engine.reconcile()
    again.run(60)
    assert again.state(ref) == "done"
    assert "open" not in _states(again)
    assert again.delivered() == ["event of a"]


def test_what_everybody_suffers_from_leaves_no_stand_ins(bench: Any) -> None:
    refs = [_publish(bench, f"k{number}") for number in range(15)]
    for ref in refs:
        bench.bucket.refuse(ref.key, DENIED)
    bench.run(3600)
    for ref in refs:
        bench.bucket.refuse(ref.key, None)
    bench.run(3 * 3600)
    assert {bench.state(ref) for ref in refs} == {"done"}
    assert "open" not in _states(bench)


def test_an_object_that_was_empty_when_it_was_named_without_etag_is_read_as_it_is_now(bench: Any) -> None:
    """Denied at first, it has a row of its own, under an address that another object may have by now."""
    ref = bench.put("a", "one event")
    bench.notify(replace(ref, size=0), etags=False)
    bench.bucket.refuse("a", DENIED)
    bench.run(30)
    bench.bucket.refuse("a", None)
    bench.run(3600)
    assert bench.delivered() == ["one event"]
    assert bench.state(ref) == "done"


def test_what_is_named_without_etag_while_its_key_is_being_opened_is_looked_at_once_more(bench: Any) -> None:
    """The answer to that GET may be older than the word."""
    old = _publish(bench, "a")
    reader = bench.stations["reader"]
    bench.drive(without=("reader",))
    work = reader.take(bench.ledger)
    opened = reader.perform(work)
    new = bench.put("a", "a newer event")
    bench.notify(new, etags=False)
    bench.notify(new, etags=False)
    bench.drive(without=("reader",))
    reader.record(bench.ledger, work, opened)
    bench.run(5)
    assert sorted(bench.delivered()) == ["a newer event", "event of a"]
    assert bench.state(old) == bench.state(new) == "done"
    assert bench.queue.depth == 0
    assert len(bench.bucket.opened) == 2


def test_nor_is_what_is_wrong_with_an_older_object_held_against_a_newer_one(bench: Any) -> None:
    _publish(bench, "a")
    bench.bucket.refuse("a", Poison("in an archive", code="archived"))
    reader = bench.stations["reader"]
    bench.drive(without=("reader",))
    work = reader.take(bench.ledger)
    refused = reader.perform(work)
    bench.bucket.refuse("a", None)
    new = bench.put("a", "a newer event")
    bench.notify(new, etags=False)
    bench.drive(without=("reader",))
    reader.record(bench.ledger, work, refused)
    bench.run(5)
    assert bench.delivered() == ["a newer event"]
    assert bench.quarantined() == []
    assert bench.queue.depth == 0
