"""Starts every input, each in a thread of its own, and starts again those that could not be.

An input whose AWS is away, whose store is busy or whose role is refused is tried again after 30 s, then
more and more seldom, for as long as the process runs: a service outlives what it needs being away at boot.
Only where nothing runs, and nothing is wrong but configuration, is it over (Fatal, scope "config").
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Callable, Dict, Generic, List, Optional, Sequence, TypeVar

from collector.errors import CollectorError, Fatal, Retry

__all__ = ["FIRST_AGAIN_SECONDS", "LONGEST_AGAIN_SECONDS", "Starts"]

log = logging.getLogger("collector")

FIRST_AGAIN_SECONDS = 30.0
LONGEST_AGAIN_SECONDS = 300.0

R = TypeVar("R")


@dataclass(eq=False)
class _Start(Generic[R]):
    """One input on its way: `begin` is its next attempt, and raises CollectorErrors."""

    name: str
    begin: Callable[[], R]
    failures: int = 0
    error: Optional[CollectorError] = None
    running: Optional[R] = None
    busy: bool = False
    withdrawn: bool = False
    due: float = 0.0


class Starts(Generic[R]):
    """Which inputs run, and why the others do not. Its owner calls `go_on` again and again.

    `again` is False for one drain: then each input has one attempt. `late` gets what has been started after
    `stop`, to end it.
    """

    def __init__(
        self,
        begin: Dict[str, Callable[[], R]],
        *,
        again: bool,
        late: Callable[[R], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._starts = [_Start(name, each) for name, each in begin.items()]
        self._again = again
        self._late = late
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._fresh: List[R] = []
        self._stopped = self._has_run = False
        self._leaving: List[_Start[R]] = []
        self.changes = 0

    def go_on(self) -> Sequence[R]:
        """Begin the attempts that are due; returns what has been started since the last call.

        Raises the error of an input if that is all there is: wrong configuration, and nothing ever at work.
        """
        now = self._monotonic()
        with self._lock:
            leaving = {start.name for start in self._leaving}
            for start in self._starts:
                waits = start.name in leaving or start.due > now
                if start.running is None and not start.busy and not waits:
                    start.busy = True
                    self._set_out(start)
            self._raise_if_hopeless()
            fresh, self._fresh = self._fresh, []
        return fresh

    def add(self, name: str, begin: Callable[[], R]) -> None:
        """One more input to start. If one of its name was withdrawn in mid-attempt, once that is over."""
        with self._lock:
            self._starts.append(_Start(name, begin))
            self.changes += 1

    def withdraw(self, name: str) -> Optional[R]:
        """Start this input no more; returns it if it runs, for the owner to end."""
        with self._lock:
            start = next(one for one in self._starts if one.name == name)
            self._starts.remove(start)
            self.changes += 1
            if start.busy:
                start.withdrawn = True
                self._leaving.append(start)
            self._fresh = [one for one in self._fresh if one is not start.running]
            return start.running

    def is_leaving(self, name: str) -> bool:
        """Whether an attempt of an input that was withdrawn is still under way."""
        with self._lock:
            return any(start.name == name for start in self._leaving)

    @property
    def running(self) -> List[R]:
        """In the order of the configuration."""
        with self._lock:
            return [start.running for start in self._starts if start.running is not None]

    @property
    def failures(self) -> Dict[str, CollectorError]:
        """By input, why it does not run; nothing for one whose first attempt is not over."""
        with self._lock:
            return {one.name: one.error for one in self._starts if one.running is None and one.error}

    @property
    def is_decided(self) -> bool:
        """Every input runs or has failed."""
        with self._lock:
            return all(start.running is not None or start.error for start in self._starts)

    def stop(self) -> List[R]:
        """Begin nothing more; what runs, for its owner to end."""
        with self._lock:
            self._stopped = True
            self._fresh = []
        return self.running

    def outlast(self, deadline: float) -> None:
        """After `stop`: wait for the attempts under way, and for the end of what they brought to life.

        At most until `deadline` (monotonic): what they have received by then would stay hidden for long.
        """
        while time.monotonic() < deadline:
            with self._lock:
                if not any(start.busy for start in (*self._starts, *self._leaving)):
                    return
            time.sleep(0.02)

    def _set_out(self, start: _Start[R]) -> None:
        name = f"{start.name}/start"
        threading.Thread(target=self._attempt, args=(start,), name=name, daemon=True).start()

    def _attempt(self, start: _Start[R]) -> None:
        running: Optional[R] = None
        error: Optional[CollectorError] = None
        try:
            running = start.begin()
        except CollectorError as failure:
            error = failure
        except Exception as failure:
            log.exception("You have found a bug in how an input starts. input=%s", start.name)
            error = Retry(f"unexpected {type(failure).__name__}: {failure}", code="bug", where=start.name)
        with self._lock:
            self.changes += 1
            if not self._stopped and not start.withdrawn:
                start.busy = False
                self._enter(start, running, error)
                return
        if running is not None:
            self._late(running)
        with self._lock:
            start.busy = False
            self._leaving = [one for one in self._leaving if one is not start]

    def _enter(self, start: _Start[R], running: Optional[R], error: Optional[CollectorError]) -> None:
        if running is not None:
            start.running = running
            self._has_run = True
            self._fresh.append(running)
            return
        start.error = error
        start.failures += 1
        if not self._again:
            start.due = float("inf")
            log.error("An input cannot be started: %s. input=%s", error, start.name)
            return
        wait = min(LONGEST_AGAIN_SECONDS, FIRST_AGAIN_SECONDS * 2.0 ** (start.failures - 1))
        start.due = self._monotonic() + wait
        log.error(
            "An input cannot be started and is tried again in %.0f s: %s. input=%s", wait, error, start.name
        )

    def _raise_if_hopeless(self) -> None:
        if self._has_run:
            return
        errors = [start.error for start in self._starts if start.running is None]
        if errors and len(errors) == len(self._starts) and all(_is_configuration(one) for one in errors):
            assert errors[-1] is not None
            raise errors[-1]


def _is_configuration(error: Optional[CollectorError]) -> bool:
    return isinstance(error, Fatal) and error.scope == "config"
