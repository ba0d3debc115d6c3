"""An output whose receipts die with the run, splunkd's pipe: only this run can ask, so it asks to its end."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from collector.ports import SaveReceipt
from collector.testing.twins import MemorySink


class FleetingSink(MemorySink):
    """Counts how often it was told that a stop has begun; then it answers, if `answers_at_the_end`."""

    answers_at_the_end = True

    def part(self) -> None:
        if self.answers_at_the_end:
            self.confirm()


@pytest.fixture
def pipe(make_bench: Callable[..., Any]) -> Any:
    bench = make_bench()
    sink = FleetingSink(bench.clock, ack=True, ack_after_seconds=None)
    return make_bench(clock=bench.clock, sinks=[sink])


def test_its_receipts_are_not_saved(pipe) -> None:
    pipe.sink.ack_after_seconds = 3.0
    ref = pipe.publish("a", "event")
    pipe.run(10)
    assert pipe.state(ref) == "done"
    assert pipe.queue.depth == 0
    assert not [change for change in pipe.store.applied if isinstance(change, SaveReceipt)]


def test_the_next_batch_does_not_wait_for_the_last_ones_answer(pipe) -> None:
    pipe.publish("a", "first")
    pipe.run(2)
    pipe.publish("b", "second")
    pipe.run(2)
    assert pipe.delivered() == ["first", "second"]
    assert pipe.queue.depth == 2


def test_what_is_slow_to_be_taken_is_never_sent_twice(pipe) -> None:
    pipe.publish("a", "event")
    pipe.run(3600)
    assert pipe.delivered() == ["event"]
    pipe.sink.confirm()
    pipe.run(15)
    assert (pipe.delivered(), pipe.queue.depth) == (["event"], 0)


def test_a_stop_asks_once_more_and_commits_what_was_taken(pipe) -> None:
    ref = pipe.publish("a", "event")
    pipe.run(2)
    pipe.engine.stop()
    pipe.drive()
    assert pipe.state(ref) == "done"
    assert pipe.queue.depth == 0


def test_a_stop_asks_for_three_seconds_and_hands_the_rest_back(pipe) -> None:
    pipe.sink.answers_at_the_end = False
    ref = pipe.publish("a", "event")
    pipe.run(2)
    asked = pipe.sink.asked
    pipe.engine.stop()
    pipe.run(2.9)
    assert pipe.sink.asked > asked + 10
    assert pipe.ledger.in_hand()
    pipe.run(0.3)
    assert not pipe.ledger.in_hand()
    assert (pipe.state(ref), pipe.row(ref).offset, pipe.queue.depth) == ("open", 0, 1)
