"""Messages whose sender cannot be checked yet: kept in hand, at no cost to the provider's queue."""

from __future__ import annotations

import logging
from typing import Any, Callable, List

import pytest

from collector.engine.receiver import Receiver
from collector.errors import CollectorError, Poison, Retry
from collector.model import Notification

from .conftest import parse


class Gate:
    """What checks senders: passes, or raises `error` while it is set."""

    def __init__(self, bench: Any, *, error: CollectorError | None = None) -> None:
        self.error = error
        self.asked = 0
        receiver = Receiver(bench.queue, bench.store, self)
        bench.engine.receiver = bench.stations["receiver"] = receiver

    def __call__(self, body: str) -> Notification:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return parse(body)


UNREACHABLE = Retry("no way to the certificate", code="sns_certificate_unreachable", after_seconds=60.0)


def waiting(bench: Any, *names: str) -> List[Any]:
    refs = [bench.publish(name, "one", "two") for name in names]
    bench.drive()
    return refs


def test_a_message_that_cannot_be_checked_yet_costs_one_receive_however_long_it_takes(bench: Any) -> None:
    gate = Gate(bench, error=UNREACHABLE)
    (ref,) = waiting(bench, "a")
    bench.run(4 * 3600.0)
    assert bench.queue.receives == [1] and bench.queue.deletes == [] and bench.delivered() == []
    assert 235 <= gate.asked <= 245
    gate.error = None
    bench.run(61.0)
    assert bench.state(ref) == "done" and bench.delivered() == ["one", "two"]
    assert bench.queue.receives == [1] and bench.queue.inner.depth == 0


def test_others_are_not_kept_waiting(bench: Any) -> None:
    gate = Gate(bench, error=UNREACHABLE)
    waiting(bench, "a")
    gate.error = None
    other = bench.publish("b", "three")
    bench.run(5.0)
    assert bench.state(other) == "done" and bench.delivered() == ["three"]


def test_what_waits_takes_the_room_of_what_could_be_received(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(workers=4)
    Gate(bench, error=UNREACHABLE)
    waiting(bench, *"abcdefgh")
    bench.run(300.0)
    assert sum(bench.queue.receives) == 4


def test_a_forgery_found_on_the_second_look_goes_to_quarantine(bench: Any) -> None:
    gate = Gate(bench, error=UNREACHABLE)
    waiting(bench, "a")
    gate.error = Poison("not a message of SNS", code="sns_forged")
    bench.run(61.0)
    (entry,) = bench.quarantined()
    assert (entry.kind, entry.reason) == ("body", "sns_forged") and b'"refs"' in entry.body
    assert bench.queue.inner.depth == 0 and bench.delivered() == []


def test_stopping_gives_back_what_waits_and_deletes_nothing(bench: Any) -> None:
    Gate(bench, error=UNREACHABLE)
    waiting(bench, "a", "b")
    bench.engine.stop()
    bench.run(1.0)
    assert bench.queue.deletes == [] and bench.queue.inner.depth == 2
    assert bench.ledger.counters["returned"] == 2
    assert not bench.ledger.in_hand()


@pytest.mark.parametrize("messages", [1, 3, 4, 9])
def test_a_drain_does_not_wait_for_it(make_bench: Callable[..., Any], messages: int) -> None:
    bench = make_bench(once=True, wait_time_seconds=1, workers=4)
    Gate(bench, error=UNREACHABLE)
    waiting(bench, *"abcdefghi"[:messages])
    bench.run(3.0)
    assert bench.engine.is_stuck() and not bench.engine.is_drained()
    bench.engine.stop()
    bench.run(1.0)
    assert bench.queue.inner.depth == messages
    assert bench.ledger.counters["returned"] == min(messages, 4)


def test_a_lease_that_lapsed_is_not_used(bench: Any) -> None:
    gate = Gate(bench, error=Retry("no", code="sns_certificate_unreachable", after_seconds=1000.0))
    waiting(bench, "a")
    bench.run(400.0, without=("keeper", "receiver"))
    bench.turn("keeper")
    gate.error = None
    bench.run(1200.0)
    assert bench.queue.receives == [1, 1]
    assert bench.delivered() == ["one", "two"] and bench.queue.inner.depth == 0


def test_one_whose_lease_lapsed_is_looked_at_again_when_it_comes_back(bench: Any) -> None:
    gate = Gate(bench, error=Retry("no", code="sns_certificate_unreachable", after_seconds=1000.0))
    waiting(bench, "a")
    bench.run(400.0, without=("keeper", "receiver"))
    bench.drive(without=("receiver",))
    assert bench.ledger.counters["leases_lapsed"] == 1
    bench.engine.receiver.unproven.take(bench.ledger)  # before it comes back
    gate.error = None
    bench.run(60.0)
    assert bench.delivered() == ["one", "two"] and bench.queue.inner.depth == 0


def test_the_log_has_one_line_at_the_beginning_and_one_at_the_end(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="collector.engine")
    gate = Gate(bench, error=UNREACHABLE)
    waiting(bench, *"abc")
    bench.run(600.0)
    gate.error = None
    bench.run(61.0)
    said = [one for one in caplog.messages if one.startswith(("Messages wait", "No message waits"))]
    assert len(said) == 2 and said[0].startswith("Messages wait")


def test_a_spooled_message_was_checked_before_and_is_not_again(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(fifo=True)
    Gate(bench)
    ref = bench.publish("a", "one")
    bench.run(1.0, without=("reader",))
    assert len(bench.store.spooled()) == 1
    again = bench.restarted()
    Gate(again, error=Poison("expired since", code="sns_certificate_invalid"))
    again.run(5.0)
    assert again.state(ref) == "done" and again.delivered() == ["one"]
