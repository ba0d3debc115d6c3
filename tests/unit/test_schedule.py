"""When jobs run, and when what runs them is loaded."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter

from collector.schedule import Timetable

_BEFORE_THE_FIRST_JOB = """
import sys
from collector.schedule import Timetable
timetable = Timetable()
timetable.start()
timetable.every(60, print, first_after_seconds=60)
print("apscheduler" in sys.modules)
timetable.stop()
"""


def test_the_scheduler_is_not_loaded_before_a_job_is_due() -> None:
    said = subprocess.run([sys.executable, "-c", _BEFORE_THE_FIRST_JOB], capture_output=True, check=True)
    assert said.stdout.split() == [b"False"]


def test_each_job_runs_from_its_first_time_on_until_its_owner_is_forgotten() -> None:
    ran: Counter[str] = Counter()
    twice = {name: threading.Event() for name in "abc"}

    def job(name: str) -> None:
        ran[name] += 1
        if ran[name] == 2:
            twice[name].set()

    timetable = Timetable()
    timetable.every(0.02, lambda: job("a"), first_after_seconds=0.0, owner="a")
    timetable.start()
    timetable.every(0.02, lambda: job("b"), first_after_seconds=0.01, owner="b")
    timetable.every(0.02, lambda: job("late"), first_after_seconds=60.0, owner="b")
    assert twice["a"].wait(60) and twice["b"].wait(60)
    timetable.every(0.02, lambda: job("c"), first_after_seconds=0.0, owner="c")  # it is loaded by now
    assert twice["c"].wait(60)
    timetable.forget("a")
    _more_of("b", ran)  # jobs run one after the other: one of "a" that was due just then has ended
    before = ran["a"]
    _more_of("b", ran)
    assert ran["a"] == before and not ran["late"]
    timetable.stop()


def test_who_is_stopped_before_the_first_job_runs_none() -> None:
    ran = threading.Event()
    timetable = Timetable()
    timetable.start()
    timetable.every(0.01, ran.set, first_after_seconds=0.1)
    timetable.stop()
    assert not ran.wait(0.2)


def _more_of(name: str, ran: Counter) -> None:
    """Wait until this job has run twice more."""
    wanted, deadline = ran[name] + 2, time.monotonic() + 60
    while ran[name] < wanted:
        assert time.monotonic() < deadline, f"{name} runs no more"
        time.sleep(0.01)
