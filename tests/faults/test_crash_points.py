"""SIGKILL at every named call of every port: nothing is lost, and little is repeated.

Each test kills one real collector at one point, starts another on the same ledger while the first one's
leases still run, and lets it drain the queue.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from tests.faults.scenario import OUTPUTS, Scenario, wait_for

Point = Tuple[str, int]
#: HEC has read by then what a killed process had put on the wire.
SETTLED_SECONDS = 0.5

#: The call, and the first or a later time that it is made.
EVERYWHERE: List[Point] = [
    ("store.start_from", 1), ("store.alive", 1), ("store.alive", 2), ("store.check", 1),
    ("queue.receive", 1), ("queue.receive", 2), ("store.claim", 1), ("store.claim", 2),
    ("objects.open", 1), ("objects.open", 4), ("object.read", 1), ("object.read", 3),
    ("sink.send", 1), ("sink.send", 3), ("store.apply:Advance", 1), ("store.apply:Finish", 1),
    ("store.apply:Finish", 2), ("store.apply:Quarantined", 1), ("queue.delete", 1), ("queue.delete", 2),
    ("queue.change_visibility", 1),
]
WITH_ACKS: List[Point] = [
    ("store.apply:SaveReceipt", 1), ("store.apply:SaveReceipt", 3), ("sink.ask", 1), ("sink.ask", 2),
    ("store.apply:DropReceipts", 1),
]
FIFO: List[Point] = [
    ("store.apply:Spool", 1), ("store.apply:Spool", 2), ("queue.delete", 1), ("sink.send", 1),
    ("store.apply:Finish", 1), ("store.apply:Unspool", 1),
]
STOPPING: List[Point] = [
    ("store.apply:Release", 1), ("queue.change_visibility", 1), ("sink.close", 1), ("store.leave", 1),
    ("store.close", 1),
]
#: Some calls are made only where something takes its time.
SLOW: Dict[str, Dict[str, float]] = {
    "store.apply:Advance": {"object.read": 0.7},
    "queue.change_visibility": {"objects.open": 1.3},
    "sink.ask": {"object.read": 0.7},
}
#: What `make test` runs of all this.
SAMPLE = {
    ("hec-acks", "store.apply:SaveReceipt", "before", 1), ("hec", "sink.send", "after", 1),
    ("stdout", "store.apply:Finish", "before", 1), ("hec-acks", "queue.delete", "before", 1),
}


def _cases() -> Iterator[Any]:
    for output in OUTPUTS:
        for point, nth in [*EVERYWHERE, *(WITH_ACKS if output == "hec-acks" else [])]:
            for when in ("before", "after"):
                marks = [] if (output, point, when, nth) in SAMPLE else [pytest.mark.exhaustive]
                yield pytest.param(output, point, when, nth, marks=marks, id=f"{output}-{when}-{point}-{nth}")


def _answers_in_flight(scenario: Scenario) -> int:
    """Events of which HEC has said true, at most, and no commit has taken that up: it says so only once.

    Every lane's channel is asked once more while one commit is made. Called right after the kill.
    """
    time.sleep(SETTLED_SECONDS)
    return scenario.asked_a_lane() if scenario.output == "hec-acks" else 0


def _beyond_the_prefix(scenario: Scenario, folder: Path) -> int:
    """Events of the large object that HEC has and no commit may take up: an earlier slice is on its way.

    Where HEC acknowledges, and on stdout, nothing is accepted out of order. It looks at a copy of the ledger.
    """
    if scenario.output != "hec" or not (folder / "state").is_dir():
        return 0
    copy = folder / "ledger-at-the-kill"
    shutil.copytree(folder / "state", copy)
    committed = 0
    for path in copy.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as ledger:
            ended = "CASE WHEN state = 'open' THEN offset ELSE events END"
            question = f"SELECT total({ended}) FROM checkpoints WHERE key = 'k/large'"
            committed += ledger.execute(question).fetchone()[0]
    taken = sum(count for name, count in scenario.arrived().items() if name.startswith("large-"))
    return max(0, taken - int(committed))


def _bound(scenario: Scenario, answers: int) -> int:
    """Events in flight at the kill, at most: one request a lane, and answers that no commit took up."""
    return min(scenario.batch_a_lane() + answers, len(scenario.expected) - 1)


@pytest.mark.parametrize(("output", "point", "when", "nth"), list(_cases()))
def test_killed_at_any_point_it_loses_nothing(ministack, folder, output, point, when, nth):
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        scenario.provider.send_body("not understood")
        ours = scenario.collector()
        restart = ours.spec
        ours.spec = {**restart, "kill": point, "when": when, "nth": nth, "slow": SLOW.get(point, {})}
        process = ours.start()
        assert process.wait(40) == -signal.SIGKILL, f"never came to {point}\n{ours.log[-2000:]}"
        answers = _answers_in_flight(scenario) + _beyond_the_prefix(scenario, ours.folder)
        ours.spec = restart
        scenario.drain(ours)
        scenario.check(repeats=_bound(scenario, answers), proof=f"crash {when} {point} {nth}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "nth"), FIFO)
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
def test_killed_with_a_fifo_queue_it_loses_nothing(ministack, folder, output, point, nth, when):
    with Scenario(ministack, folder, output=output, fifo=True, bucket=False) as scenario:
        scenario.send_bodies(25)
        ours = scenario.collector(provider="privacera-policysync")
        restart = ours.spec
        ours.spec = {**restart, "kill": point, "when": when, "nth": nth}
        process = ours.start()
        assert process.wait(40) == -signal.SIGKILL, f"never came to {point}\n{ours.log[-2000:]}"
        ours.spec = restart
        process = ours.start()
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost(), seconds=60)
        ours.stop(process)
        scenario.check(repeats=min(24, scenario.batch_a_lane()), proof=f"crash fifo {when} {point} {nth}")


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "nth"), STOPPING)
@pytest.mark.parametrize("output", OUTPUTS)
def test_killed_while_it_stops_it_loses_nothing(ministack, folder, output, point, nth, when):
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        ours = scenario.collector(workers=2)
        restart = ours.spec
        slow = {"objects.open": 1.0, "object.read": 0.3}
        # A lease of half a minute is not extended yet: what changes its visibility is the hand-back.
        ours.spec = {"visibility": 30, "kill": point, "when": when, "nth": nth, "slow": slow}
        process = ours.start()
        wait_for(lambda: (ours.folder / "log").exists() and "Received messages" in ours.log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == -signal.SIGKILL, f"never came to {point}\n{ours.log[-2000:]}"
        answers = _answers_in_flight(scenario)
        ours.spec = restart
        scenario.drain(ours)
        scenario.check(repeats=_bound(scenario, answers), proof=f"crash stopping {when} {point} {nth}")
