"""When an input is said to stand still, and when it only waits."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, List, Tuple

import pytest

from collector.runtime import threads
from collector.runtime.threads import CALL_SECONDS, Threads
from collector.testing.twins import ManualClock


class Input(Threads):
    """Threads that were never started, as `standstill` looks at them."""

    def __init__(self, *threads: Tuple[str, Any, float]) -> None:
        clock = ManualClock()
        self.lock = threading.RLock()
        self._stopped = threading.Event()
        self._engine: Any = SimpleNamespace(ledger=SimpleNamespace(clock=clock))
        self._threads: List[Any] = [
            (thread, SimpleNamespace(station=SimpleNamespace(name=name), turned_at=clock.monotonic() - ago))
            for name, thread, ago in threads
        ]


ALIVE = SimpleNamespace(name="thrive/reader-0", is_alive=lambda: True)
DEAD = SimpleNamespace(name="thrive/reader-1", is_alive=lambda: False)


def test_a_station_of_which_one_thread_turns_is_alive_however_long_the_others_call() -> None:
    assert Input(("settler", ALIVE, CALL_SECONDS * 9), ("settler", ALIVE, 1.0)).standstill() == ""


def test_a_station_of_which_no_thread_comes_back_stands_still() -> None:
    found = Input(("keeper", ALIVE, CALL_SECONDS + 1), ("reader", ALIVE, 1.0)).standstill()
    assert found == "no call of keeper has come back for 900 s"


@pytest.mark.parametrize("output", ["sender:stdout", "sender:splunkd"])
def test_a_reader_of_our_stdout_that_takes_nothing_is_waited_for(output: str) -> None:
    assert Input((output, ALIVE, CALL_SECONDS + 1)).standstill() == ""


def test_a_thread_that_died_is_seen_unless_it_was_told_to_end() -> None:
    found = Input(("reader", ALIVE, 1.0), ("reader", DEAD, 1.0))
    assert found.standstill() == "the thread thrive/reader-1 died"
    found._stopped.set()
    assert found.standstill() == ""


def test_a_lock_that_is_not_given_back_is_seen(monkeypatch: Any) -> None:
    monkeypatch.setattr(threads, "LOCK_SECONDS", 0.05)
    found, held, done = Input(), threading.Event(), threading.Event()

    def hold() -> None:
        with found.lock:
            held.set()
            done.wait(10)

    threading.Thread(target=hold, daemon=True).start()
    held.wait(10)
    assert "its lock has not been given back" in found.standstill()
    done.set()
