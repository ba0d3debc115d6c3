"""A whole process, from its settings to its end."""

from __future__ import annotations

import io
import threading

import pytest

from collector.config import load
from collector.runtime import service


@pytest.fixture
def inputs(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return load(flags={"bucket": "audit-logs", "output": "stdout", "checkpoint_dir": str(tmp_path)})


def test_told_to_stop_before_its_first_turn_it_stops_in_order(inputs):
    stop = threading.Event()
    stop.set()
    assert service.run(inputs, stop=stop, stdout=io.BytesIO()) == 0


def test_a_host_is_told_what_runs_and_at_the_end_what_was_counted(inputs):
    told = []

    class Curious(service.Host):
        def watch(self, runners, failures):
            told.append(("runs", [runner.name for runner in runners], dict(failures)))

        def turn(self, *, decided):
            if decided:
                stop.set()

        def ended(self, counters):
            told.append(("ended", counters["default"]["in_hand"]))

    stop = threading.Event()
    assert service.run(inputs, stop=stop, host=Curious(), stdout=io.BytesIO()) == 0
    assert told == [("runs", ["default"], {}), ("ended", 0)]


def test_what_a_host_has_read_again_runs_in_place_of_what_ran(inputs, monkeypatch, tmp_path):
    other = {"bucket": "other-logs", "output": "stdout", "checkpoint_dir": str(tmp_path / "other")}
    (changed,) = load(flags=other)
    ran, found = [], [[changed], None]

    class Changing(service.Host):
        def reread(self):
            return found.pop(0) if ran and found else None

        def watch(self, runners, failures):
            ran.extend(runner for runner in runners if runner not in ran)
            if len(ran) == 2:
                stop.set()

    stop = threading.Event()
    assert service.run(inputs, stop=stop, host=Changing(), stdout=io.BytesIO()) == 0
    assert [list(runner.engine.plan.buckets) for runner in ran] == [["audit-logs"], ["other-logs"]]
