"""Two real collectors on one queue and one SQLite ledger, one of them stopped for longer than its leases."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.scenario import LEASE_SECONDS, Scenario, note, wait_for

#: A process that says nothing for so long has lost its rows to the other one.
DEAD_AFTER_SECONDS = 2.0


def _pair(scenario, folder):
    shared = folder / "state"
    pair = [scenario.collector(checkpoint_dir=shared) for _ in range(2)]
    for one in pair:
        one.spec = {**one.spec, "alive_for": DEAD_AFTER_SECONDS, "dead_after": 0.5}
    return pair


@pytest.mark.parametrize("output", ["hec-acks", pytest.param("hec", marks=pytest.mark.exhaustive)])
def test_one_that_was_paused_finds_its_rows_taken_and_leaves_them(ministack, folder, output):
    """SIGSTOP while it holds objects, until the other has delivered all of them; then SIGCONT."""
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        paused, other = _pair(scenario, folder)
        # It comes back to find slices read but not sent, batches sent but not committed, and leases lapsed.
        paused.spec["slow"] = {"store.apply": 0.6, "object.read": 0.2}
        first = paused.start()
        wait_for(lambda: scenario.arrived())
        first.send_signal(signal.SIGSTOP)
        second = other.start()
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost(), seconds=60)
        first.send_signal(signal.SIGCONT)
        wait_for(lambda: "taken over" in paused.log)
        for one, process in ((paused, first), (other, second)):
            one.stop(process)
            assert "Traceback" not in one.log, one.log[-4000:]
        fenced = paused.counters().get("fenced", 0)
        note("paused", output=output, fenced=fenced, fenced_other=other.counters().get("fenced", 0))
        assert fenced > 0, "no stale commit was tried"
        assert not other.counters().get("fenced", 0), "the living one was fenced"
        # A batch on its way in each lane at SIGSTOP, and one that SIGCONT lets out before the fence is met.
        bound = 2 * scenario.batch_a_lane() + (scenario.asked_a_lane() if output == "hec-acks" else 0)
        bound = min(bound, len(scenario.expected) - 1)
        scenario.check(repeats=bound, proof="paused longer than its leases")


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
def test_two_that_are_paused_in_turn_lose_nothing(ministack, folder, output):
    """Each of them twice, with messages in hand, for longer than its leases and its owner row last."""
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        pair = _pair(scenario, folder)
        for one in pair:
            one.spec["slow"] = {"objects.open": 0.3, "store.apply": 0.2}
        running = [one.start() for one in pair]
        for one in pair:
            wait_for(lambda one=one: "Collecting." in one.log)
        for turn in range(4):
            one, process = pair[turn % 2], running[turn % 2]
            received = one.log.count("Received messages")
            for number in range(30):
                scenario.upload(f"turn{turn}-{number}", 20)
            for more in range(120):  # the other one may have had them all
                if one.log.count("Received messages") > received:
                    break
                scenario.upload(f"turn{turn}-more{more}", 20)
                time.sleep(0.5)
            else:
                pytest.fail("it received nothing in a minute")
            process.send_signal(signal.SIGSTOP)
            time.sleep(DEAD_AFTER_SECONDS + LEASE_SECONDS)
            process.send_signal(signal.SIGCONT)
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost(), seconds=90)
        for one, process in zip(pair, running):
            one.stop(process)
            assert "Traceback" not in one.log, one.log[-4000:]
        fenced = [one.counters().get("fenced", 0) for one in pair]
        note("paused in turn", output=output, fenced=fenced)
        # At each pause a batch in each lane, one more that SIGCONT lets out, and an answer that came late.
        asked = scenario.asked_a_lane() if output == "hec-acks" else 0
        bound = min(4 * (2 * scenario.batch_a_lane() + asked), len(scenario.expected) - 1)
        scenario.check(repeats=bound, proof="paused in turn")


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
def test_two_that_are_left_alone_repeat_nothing(ministack, folder, output):
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        for number in range(60):
            scenario.upload(f"more{number}", 20)
            if number % 2:
                scenario.provider.notify(f"k/more{number}")
        pair = _pair(scenario, folder)
        for one in pair:
            one.spec = {"visibility": 30, "ack_resume": 60.0}
        running = [one.start() for one in pair]
        wait_for(lambda: scenario.depth() == 0, seconds=90)
        for one, process in zip(pair, running):
            one.stop(process)
        objects = [one.counters().get("done", 0) for one in pair]
        note("two alone", output=output, objects=objects)
        assert min(objects) > 0, "one of them did all the work"
        scenario.check(repeats=0, proof="two collectors, half of all messages repeated")
