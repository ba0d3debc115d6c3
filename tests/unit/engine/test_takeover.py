"""Spooled messages are in no queue any more: when their collector is gone, another takes them up."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from collector.errors import Retry

AUDIT = json.dumps({"audits": [["1", "one"]]})


@pytest.fixture
def pair(make_bench: Callable[..., Any]) -> Any:
    """A collector that has spooled a message and not read it yet, and one beside it that knows it."""
    first = make_bench(fifo=True)
    second = first.beside(fifo=True)
    second.engine.do("takeover")
    second.drive(without=("receiver",))
    first.queue.send(AUDIT)
    first.drive(without=("reader",))
    assert (first.queue.depth, len(first.table.spool)) == (0, 1)
    return first, second


def _look(bench: Any) -> None:
    bench.engine.do("takeover")
    bench.run(15.0)


def test_what_a_collector_that_left_had_spooled_is_taken_up_without_a_restart(pair: Any) -> None:
    first, second = pair
    first.store.leave()
    _look(second)
    assert second.delivered() == ["one"]
    assert second.table.spool == {}


def test_so_is_what_one_that_died_had_spooled(pair: Any) -> None:
    _, second = pair
    second.run(80.0)
    _look(second)
    assert second.delivered() == ["one"]
    assert second.table.spool == {}


def test_what_a_living_collector_has_spooled_is_left_to_it(pair: Any) -> None:
    first, second = pair
    _look(second)
    assert (second.delivered(), second.ledger.in_hand()) == ([], False)
    first.drive()
    assert first.delivered() == ["one"]
    assert first.table.spool == {}


@pytest.mark.parametrize("failures", [0, 1])
def test_what_was_taken_from_us_is_watched_until_it_is_done(
    make_bench: Callable[..., Any], failures: int
) -> None:
    """Another came and took it while we were paused: should it die now, nobody whom we knew has gone."""
    first = make_bench(fifo=True)
    first.engine.do("takeover")
    first.queue.send(AUDIT)
    first.drive(without=("reader",))
    first.clock.advance(80.0)
    second = first.beside(fifo=True)
    second.drive(without=("reader",))
    first.store.alive(first.clock.now() + 60.0)
    first.drive()
    assert (first.ledger.counters["fenced"], len(first.table.spool)) == (1, 1)
    others = first.store.inner.others
    for answer in (*[_fails] * failures, others):
        first.store.inner.others = answer
        _look(first)
    second.store.leave()
    first.run(15.0)
    assert {row.state for row in first.table.rows.values()} == {"done"}
    assert first.table.spool == {}


def test_a_look_that_failed_is_made_up_for(pair: Any) -> None:
    first, second = pair
    first.store.leave()
    others, second.store.inner.others = second.store.inner.others, _fails
    second.engine.do("takeover")
    second.drive(without=("receiver",))
    assert second.delivered() == []
    second.store.inner.others = others
    _look(second)
    assert second.delivered() == ["one"]


def _fails() -> Any:
    raise Retry("busy", code="store_busy")
