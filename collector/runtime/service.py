"""All inputs of one process, from their settings to an orderly end.

Each has an engine, a store and threads of its own (`runner`), so that one input's trouble never stops
another's. Those that cannot be started are tried again (`starts`), and when configuration is read again only
what has changed is stopped and started.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import BinaryIO, Callable, Mapping, Optional, Sequence

from collector.config.inputs import Input
from collector.errors import CollectorError, Fatal
from collector.runtime import arenas
from collector.runtime.adapters import Adapters
from collector.runtime.core import OneCore
from collector.runtime.errand import Errand
from collector.runtime.runner import Runner
from collector.runtime.starts import Starts
from collector.schedule import Timetable

__all__ = ["Host", "run"]

log = logging.getLogger("collector")

#: Rule 15: what is not handed back within this time lapses.
STOP_SECONDS = 8.0


class Host:
    """Who runs the service: the main loop tells it how it goes, and asks what is new.

    One of this class itself wants to know nothing and has nothing new; a host says what it is for.
    """

    def watch(self, runners: Sequence[Runner], failures: Mapping[str, CollectorError]) -> None:
        """What runs now, and by input why the rest does not: told whenever that changes."""

    def turn(self, *, decided: bool) -> None:
        """The loop has come round. `decided`: each input runs, or its first attempt has failed."""

    def reread(self) -> Optional[Sequence[Input]]:
        """The inputs to have in place of the present ones; None where nothing is new."""
        return None

    def ended(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        """It is over, and this is what each input has counted."""


def run(
    inputs: Sequence[Input],
    *,
    stop: threading.Event,
    host: Optional[Host] = None,
    once: bool = False,
    stdout: Optional[BinaryIO] = None,
    errand: Optional[Errand] = None,
) -> int:
    """Collect until `stop` is set, or with `once` until nothing is left; returns the exit code.

    With `once`, 0: all that was met is delivered; 1: something failed, was returned or is in quarantine.
    Without it, once told to stop, 0: it stopped in order; 1: something in hand could be neither saved
    nor handed back. What was met before is told in the log and by `audit-s3 status`. An input that cannot be
    started is tried again, but not with `once`; Fatal is raised only if there is nothing but wrong
    configuration. With an `errand` (and `once`) the queue is left alone.
    """
    if stdout is None and sys.stdout is None:
        raise Fatal(
            "stdout is closed", code="stdout_closed", where="stdout",
            hint="Start the program with a stdout, /dev/null where nobody reads it",
        )
    stream = stdout if stdout is not None else sys.stdout.buffer
    host = host if host is not None else Host()
    arenas.bound()

    def kit_of(one: Input) -> Kit:
        return Kit(one, once=once, stdout=stream, errand=errand)

    supervisor = Supervisor(inputs, kit_of, again=not once)
    try:
        _go_round(supervisor, host, stop=stop, once=once)
    finally:
        runners = supervisor.stop()
    host.ended({runner.name: runner.counters() for runner in runners})
    is_clean = _tell_shortcomings(runners, asked=stop.is_set()) and not supervisor.starts.failures
    if not once:
        is_clean = not any(runner.was_left_by_stop() for runner in runners)
    return 0 if is_clean else 1


def _go_round(supervisor: Supervisor, host: Host, *, stop: threading.Event, once: bool) -> None:
    """The main loop."""
    starts, shown = supervisor.starts, 0
    with OneCore() as core:
        while not stop.is_set():
            found = host.reread()
            if found is not None:
                supervisor.change(found)
            supervisor.go_on()
            core.turn()
            if starts.changes != shown:
                shown = starts.changes
                host.watch(starts.running, starts.failures)
            host.turn(decided=starts.is_decided)
            if once and starts.is_decided and all(runner.is_finished() for runner in starts.running):
                return
            stop.wait(0.05 if once or not starts.is_decided else 0.5)


def _tell_shortcomings(runners: Sequence[Runner], *, asked: bool) -> bool:
    """Why this was no clean run, a line each; whether it was one."""
    told = [(runner.name, why) for runner in runners for why in runner.shortcomings(asked=asked)]
    for name, why in told:
        log.warning("Not all is well: %s. input=%s", why, name)
    return not told


class Supervisor:
    """All inputs of this process, over every change of their configuration. For one thread."""

    def __init__(self, inputs: Sequence[Input], kit_of: Callable[[Input], Kit], *, again: bool) -> None:
        self._kit_of = kit_of
        self._kits = {one.name: kit_of(one) for one in inputs}
        begin = {name: kit.start for name, kit in self._kits.items()}
        self.starts: Starts[Runner] = Starts(begin, again=again, late=_stop_late)
        self._timetable = Timetable()
        self._timetable.start()

    def go_on(self) -> None:
        """Start what is due."""
        for runner in self.starts.go_on():
            runner.schedule(self._timetable)
            runner.set_out()

    def change(self, inputs: Sequence[Input]) -> None:
        """Have these inputs: what is new is started, what is gone stopped, what has changed both.

        All others go on, with secrets read again. An orderly stop saves what it knows and hands its messages
        back, so that whoever comes after loses nothing and repeats nothing.
        """
        wanted = {one.name: one for one in inputs}
        same = [name for name, one in wanted.items() if name in self._kits and self._kits[name].serves(one)]
        gone = [name for name in self._kits if name not in same]
        for name in gone:
            self._timetable.forget(name)
        ended = [self.starts.withdraw(name) for name in gone]
        _stop_all([runner for runner in ended if runner is not None])
        for name in gone:
            kit = self._kits.pop(name)
            if not self.starts.is_leaving(name):
                kit.close()
        new = [name for name in wanted if name not in self._kits]
        for name in new:
            self._kits[name] = self._kit_of(wanted[name])
            self.starts.add(name, self._kits[name].start)
        for runner in self.starts.running:
            runner.renew()
        log.info(
            "The configuration was read again. unchanged=%s stopped=%s started=%s",
            *(",".join(names) or "-" for names in (same, gone, new)),
        )

    def stop(self) -> Sequence[Runner]:
        """End everything in order; what was at work."""
        deadline = time.monotonic() + STOP_SECONDS
        self._timetable.stop()
        runners = self.starts.stop()
        _stop_all(runners)
        self.starts.outlast(deadline)
        for kit in self._kits.values():
            kit.close()
        return runners


class Kit:
    """What one input is made of, over as many attempts to start it as that takes."""

    def __init__(
        self, configured: Input, *, once: bool, stdout: BinaryIO, errand: Optional[Errand] = None
    ) -> None:
        self._input = configured
        self._once = once
        self._errand = errand
        self._stdout = stdout
        self._adapters: Optional[Adapters] = None

    def serves(self, configured: Input) -> bool:
        """Whether what it is made for says the same as this, but for secrets that are kept elsewhere."""
        return self._input.says_the_same_as(configured)

    def start(self) -> Runner:
        """One attempt; what it has built is there for the next one."""
        if self._adapters is None:
            self._adapters = Adapters(self._input, stdout=self._stdout, queue=self._errand is None)
        runner = Runner(self._input, self._adapters, once=self._once, errand=self._errand)
        runner.start()
        self._adapters = None  # the runner's, which closes them
        return runner

    def close(self) -> None:
        """Close what attempts that failed have left open."""
        adapters, self._adapters = self._adapters, None
        if adapters is None:
            return
        try:
            adapters.close()
        except CollectorError as error:
            log.warning("What was opened could not be closed in order: %s. input=%s", error, self._input.name)


def _stop_all(runners: Sequence[Runner]) -> None:
    """All inputs hand back at the same time, within one deadline."""
    deadline = time.monotonic() + STOP_SECONDS
    for runner in runners:
        runner.begin_stop()
    for runner in runners:
        runner.finish_stop(deadline)


def _stop_late(runner: Runner) -> None:
    """It came to life while the others were being stopped."""
    _stop_all([runner])
