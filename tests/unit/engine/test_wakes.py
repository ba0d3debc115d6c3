"""Who made work for another station says so: its threads would find it seconds later only.

The simulation holds the whole engine to it; here is where it went wrong once.
"""

from __future__ import annotations

import threading

from collector.engine import gate
from collector.engine.receiver import FILL_SECONDS, Receive
from collector.engine.station import Driver, Place, Wait
from collector.errors import Retry
from collector.testing.twins import ManualClock, MemorySink


class Listened(threading.Condition):
    """A condition that remembers who was woken by it."""

    woken = 0

    def notify(self, n=1):
        self.woken += 1
        super().notify(n)


def acknowledging(make_bench):
    """An output of two lanes, so that one is free while another waits."""
    clock = ManualClock()
    return make_bench(clock=clock, sinks=[MemorySink(clock, ack=True, lanes=2)])


def test_a_thread_that_found_nothing_to_do_still_passes_on_what_it_learnt(bench):
    lock, stopped = threading.RLock(), threading.Event()
    class Learner:
        name = "settler"

        def take(self, ledger):
            ledger.tell("receiver")
            stopped.set()
            return Wait(ledger.clock.monotonic())

    learner = Learner()
    stations = {"settler": learner, "receiver": bench.stations["receiver"]}
    places = {name: Place(station, Listened(lock)) for name, station in stations.items()}
    bench.ledger.take_news()
    Driver(learner, bench.ledger, places).run(stopped)
    assert places["receiver"].condition.woken == 1


def test_a_read_that_ends_makes_room_for_a_receive(make_bench):
    bench = make_bench(workers=1, batch_linger_seconds=30.0)
    bench.publish("a", "one")
    bench.drive(without=("reader",))
    bench.ledger.take_news()
    bench.turn("reader")
    assert "receiver" in bench.ledger.take_news()


def test_a_full_window_that_empties_makes_room_for_a_receive(make_bench):
    bench = make_bench(held_bytes=3)
    bench.publish("a", "one")
    bench.drive(without=("sender:memory",))
    assert not gate.may_receive(bench.ledger)
    bench.ledger.take_news()
    bench.turn("sender:memory")
    assert "receiver" in bench.ledger.take_news()


def test_a_sender_whose_receipt_waits_for_the_store_looks_again_when_the_store_may_be_tried(make_bench):
    bench = acknowledging(make_bench)
    bench.publish("a", "one")
    bench.drive(without=("sender:memory", "keeper"))
    bench.turn("sender:memory")
    bench.store.error = Retry("busy", code="store_busy")
    bench.turn("sender:memory")
    assert bench.turn("sender:memory") == Wait(bench.ledger.store.probe_at())


def test_a_receipt_that_is_saved_during_a_shutdown_lets_the_settler_go_on(make_bench):
    bench = acknowledging(make_bench)
    bench.publish("a", "one")
    bench.drive(without=("sender:memory",))
    bench.turn("sender:memory")
    bench.engine.stop()
    bench.drive(without=("sender:memory",))
    bench.ledger.take_news()
    bench.turn("sender:memory")
    assert "settler" in bench.ledger.take_news()


def test_what_is_no_longer_to_be_claimed_does_not_keep_a_receive_waiting(make_bench):
    bench = make_bench()
    bench.notify(bench.put("a", "one"))
    bench.turn("receiver")
    item = bench.ledger.unclaimed[0]
    bench.ledger.detach(item)
    bench.ledger.take_news()
    assert isinstance(bench.stations["receiver"].take(bench.ledger), Receive)


def test_a_question_without_an_answer_lets_a_shutdown_go_on(make_bench):
    bench = acknowledging(make_bench)
    bench.publish("a", "one")
    bench.drive(without=("acknowledger",))
    bench.clock.advance(2)
    work = bench.stations["acknowledger"].take(bench.ledger)
    bench.engine.stop()
    bench.ledger.take_news()
    bench.stations["acknowledger"].record(bench.ledger, work, Retry("reset", code="reset"))
    assert "settler" in bench.ledger.take_news()


def test_a_receive_waits_for_readers_about_to_be_free_and_not_for_long(make_bench):
    bench = make_bench(workers=2, batch_linger_seconds=30.0)
    receiver, ledger = bench.stations["receiver"], bench.ledger
    ledger.reading = 1  # one Reader is at work, the other is free

    assert receiver.take(ledger) == Wait(bench.clock.monotonic() + FILL_SECONDS)
    bench.clock.advance(FILL_SECONDS)
    assert receiver.take(ledger) == Receive(1, ledger.limits.wait_time_seconds, ledger.lease_seconds)
