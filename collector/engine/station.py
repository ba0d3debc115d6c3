"""What a station is: take under the lock, perform without it, record under it again.

`take` and `record` read and change the ledger and never do I/O; `perform` makes one port call and does
not touch the ledger. Threads drive stations in production (`Driver`); in tests/simulation one thread
schedules the three as separate choices of a seeded generator.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any, Callable, Generic, Mapping, Optional, Protocol, Tuple, TypeVar, Union

from collector.engine.ledger import Ledger
from collector.errors import CollectorError, Retry

__all__ = ["Driver", "Place", "Station", "Task", "Wait", "earliest"]

log = logging.getLogger("collector.engine")

W = TypeVar("W")
T = TypeVar("T")

#: A thread looks again after this long even if nobody woke it: a missed wake-up costs seconds, not work.
LONGEST_SLEEP_SECONDS = 5.0


@dataclass(frozen=True)
class Wait:
    """Nothing to do before the monotonic time `until` (None: until something changes)."""

    until: Optional[float] = None


def earliest(*times: Optional[float]) -> Optional[float]:
    """The first of these times, of which those that are None will never come."""
    return min((time for time in times if time is not None), default=None)


class Task(Protocol[W]):
    """One kind of work in its three parts. `name` is what it is asked for by."""

    name: str

    def take(self, ledger: Ledger) -> Union[W, Wait]:
        """Choose the next work and mark it as in hand."""

    def perform(self, work: W) -> Any:
        """One port call. Raises CollectorErrors."""

    def record(self, ledger: Ledger, work: W, result: Any) -> None:
        """Enter the result, which is a CollectorError where `perform` raised one."""


class Station(Task[W], Protocol[W]):
    """A task that has threads of its own, which the ledger wakes by its name."""

    def has_more(self, ledger: Ledger) -> bool:
        """Whether a thread that is woken may find work, or has to wait for another time than it does.

        A yes in vain costs a little; a no must be certain.
        """


def perform_safely(task: Task[W], work: W) -> Any:
    """The result of `perform`, with what it raised as a value."""
    return safely(task.name, task.perform, work)


def safely(name: str, perform: Callable[[W], T], work: W) -> Union[T, CollectorError]:
    """What `perform` makes of `work`, or what it raised. What is not ours is a bug: Retry."""
    try:
        return perform(work)
    except CollectorError as error:
        return error
    except Exception as error:
        log.exception("You have found a bug in the %s; the work is kept and tried again.", name)
        return Retry(f"unexpected {type(error).__name__}: {error}", code="bug", where=name)


@dataclass(frozen=True)
class Place:
    """Where the threads of one station wait, under the ledger's lock."""

    station: Station[Any]
    condition: threading.Condition

    def wake(self, ledger: Ledger) -> None:
        """Wake one of them, if it is worth it: with its turn it wakes the next one itself."""
        if self.station.has_more(ledger):
            self.condition.notify()


class Driver(Generic[W]):
    """Runs one station on any number of threads until told to stop. `places` are those of all stations."""

    def __init__(self, station: Station[W], ledger: Ledger, places: Mapping[str, Place]) -> None:
        self.station = station
        self._ledger = ledger
        self._places = places
        #: When it was last between two calls (monotonic): who watches the threads reads it without the lock.
        self.turned_at = ledger.clock.monotonic()

    def run(self, stopped: threading.Event) -> None:
        """The life of one thread: what it did is recorded, and the next is taken, in one hold of the lock."""
        own = self._places[self.station.name]
        done: Optional[Tuple[W, Any]] = None
        while done is not None or not stopped.is_set():
            with own.condition:
                self.turned_at = self._ledger.clock.monotonic()
                if done is not None:
                    self.station.record(self._ledger, *done)
                    done = None
                work = Wait(0.0) if stopped.is_set() else self.station.take(self._ledger)
                for name in self._ledger.take_news():
                    self._places[name].wake(self._ledger)
                if isinstance(work, Wait):
                    own.condition.wait(self._sleep_seconds(work))
                    continue
                own.wake(self._ledger)
            done = work, perform_safely(self.station, work)

    def _sleep_seconds(self, wait: Wait) -> float:
        if wait.until is None:
            return LONGEST_SLEEP_SECONDS
        return max(0.001, min(LONGEST_SLEEP_SECONDS, wait.until - self._ledger.clock.monotonic()))
