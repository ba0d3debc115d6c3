"""The checkpoint file damaged or gone, while nobody runs and while a service does: nothing is skipped."""

from __future__ import annotations

import random

import pytest

from tests.faults.scenario import EVERYTHING, Scenario, note, wait_for


def _files(ours) -> list:
    return sorted((ours.folder / "state").glob("*.sqlite3*"))


def _header(files) -> None:
    for path in files:
        if path.name.endswith(".sqlite3"):
            with path.open("r+b") as file:
                file.write(b"\xff" * 100)


def _pages(files) -> None:
    """Every page but the first is noise, and the log of what is not yet in them is gone."""
    noise = random.Random(1)
    for path in files:
        if path.name.endswith("-wal"):
            path.unlink()
        elif path.name.endswith(".sqlite3"):
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(noise.randbytes(max(4096, size - 4096)))


def _cut(files) -> None:
    for path in files:
        if path.name.endswith("-wal"):
            path.unlink()
        elif path.name.endswith(".sqlite3"):
            with path.open("r+b") as file:
                file.truncate(5000)


def _vanish(files) -> None:
    for path in files:
        path.unlink()


DAMAGE = {"header overwritten": _header, "pages overwritten": _pages, "cut off": _cut, "gone": _vanish}


@pytest.mark.parametrize("output", ["hec-acks", pytest.param("hec", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    "damage",
    ["pages overwritten", *(pytest.param(each, marks=pytest.mark.exhaustive)
                            for each in DAMAGE if each != "pages overwritten")],
)
def test_damaged_while_nobody_runs_it_is_set_aside_and_said(ministack, folder, damage, output):
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        ours = scenario.collector(workers=2)
        restart = ours.spec
        ours.spec = {**restart, "slow": {"objects.open": 0.8}}
        process = ours.start()
        wait_for(scenario.arrived)
        ours.stop(process)
        assert scenario.depth(), "nothing was left to do"
        before = sum(scenario.arrived().values())
        DAMAGE[damage](_files(ours))
        ours.spec = restart
        scenario.drain(ours)
        if damage != "gone":
            assert "was damaged and is set aside" in ours.log, ours.log[-3000:]
            assert [path for path in _files(ours) if "damaged" in path.name or "corrupt" in path.name]
        # An empty ledger knows nothing of what was delivered: what the queue still holds is sent again.
        assert scenario.repeated() <= before
        scenario.check(repeats=EVERYTHING, proof=f"checkpoint file {damage}, stopped")


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_while_it_runs_nothing_is_lost(ministack, folder, damage, output):
    """It may go on, stop receiving, or end; after a restart everything has arrived."""
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        for number in range(40):
            scenario.upload(f"more{number}", 20)
        ours = scenario.collector()
        restart = ours.spec
        ours.spec = {**restart, "slow": {"objects.open": 0.3, "store.apply": 0.1}}
        process = ours.start()
        wait_for(lambda: sum(scenario.arrived().values()) > 200)
        before = sum(scenario.arrived().values())
        DAMAGE[damage](_files(ours))
        for number in range(20):
            scenario.upload(f"after{number}", 20)
        try:
            wait_for(lambda: scenario.depth() == 0 or process.poll() is not None, seconds=12)
            went_on = process.poll() is None
        except AssertionError:
            went_on = False
        if process.poll() is None:
            ours.stop(process)
        said = [word for word in ("set aside", "store_damaged", "vanished", "replaced") if word in ours.log]
        ours.spec = restart
        scenario.drain(ours)
        note(f"checkpoint file {damage}, running", output=output, went_on=went_on, said=said, before=before)
        scenario.check(repeats=EVERYTHING, proof=f"checkpoint file {damage}, running")
