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
from collector.runtime.runner import Errand, Runner
from collector.runtime.starts import Starts
from collector.schedule import Timetable

__all__ = ["run"]

log = logging.getLogger("collector")

#: Rule 15: what is not handed back within this time lapses.
STOP_SECONDS = 8.0


def run(
    inputs: Sequence[Input],
    *,
    stop: threading.Event,
    once: bool = False,
    checkpoint_dir: Optional[str] = None,
    stdout: Optional[BinaryIO] = None,
    errand: Optional[Errand] = None,
    watch: Optional[Callable[[Sequence[Runner], Mapping[str, CollectorError]], None]] = None,
    summary: Optional[Callable[[Mapping[str, Mapping[str, int]]], None]] = None,
    reread: Optional[Callable[[], Optional[Sequence[Input]]]] = None,
    turn: Optional[Callable[[Sequence[Runner], bool], None]] = None,
) -> int:
    """Collect until `stop` is set, or with `once` until nothing is left; returns the exit code.

    With `once`, 0: all that was met is delivered; 1: something failed, was returned or is in quarantine.
    Without it, once told to stop, 0: it stopped in order; 1: something in hand could be neither saved
    nor handed back. What was met before is told in the log and by `audit-s3 status`. An input that cannot be
    started is tried again, but not with `once`; Fatal is raised only if there is nothing but wrong
    configuration. With an `errand` (and `once`) the queue is left alone. `watch` is told what runs, and why
    the rest does not, whenever that changes; `summary` gets each input's counters at the end. `reread` is
    asked again and again for inputs to have in place of these, None where nothing is new. `turn` is told of
    every turn of the loop: what runs, and whether each input has been tried.
    """
    if stdout is None and sys.stdout is None:
        raise Fatal(
            "stdout is closed", code="stdout_closed", where="stdout",
            hint="Start the program with a stdout, /dev/null where nobody reads it",
        )
    stream = stdout if stdout is not None else sys.stdout.buffer
    arenas.bound()

    def kit_of(one: Input) -> Kit:
        return Kit(one, once=once, checkpoint_dir=checkpoint_dir, stdout=stream, errand=errand)

    supervisor = Supervisor(inputs, kit_of, again=not once)
    starts, shown = supervisor.starts, 0
    try:
        while not stop.is_set():
            found = reread() if reread is not None else None
            if found is not None:
                supervisor.change(found)
            supervisor.go_on()
            if watch is not None and starts.changes != shown:
                shown = starts.changes
                watch(starts.running, starts.failures)
            if turn is not None:
                turn(starts.running, starts.is_decided)
            if once and starts.is_decided and all(runner.is_finished() for runner in starts.running):
                break
            stop.wait(0.05 if once or not starts.is_decided else 0.5)
    finally:
        runners = supervisor.stop()
    if summary is not None:
        summary({runner.name: runner.counters() for runner in runners})
    was_clean = not starts.failures
    for runner in runners:
        for shortcoming in runner.shortcomings(asked=stop.is_set()):
            was_clean = False
            log.warning("Not all is well: %s. input=%s", shortcoming, runner.name)
    if not once:
        was_clean = not any(runner.was_left_by_stop() for runner in runners)
    return 0 if was_clean else 1


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
        self, configured: Input, *, once: bool, checkpoint_dir: Optional[str], stdout: BinaryIO,
        errand: Optional[Errand] = None,
    ) -> None:
        self._input = configured
        self._once = once
        self._errand = errand
        self._checkpoint_dir = checkpoint_dir
        self._stdout = stdout
        self._adapters: Optional[Adapters] = None

    def serves(self, configured: Input) -> bool:
        """Whether what it is made for says the same as this, but for secrets that are kept elsewhere."""
        return self._input.says_the_same_as(configured)

    def start(self) -> Runner:
        """One attempt; what it has built is there for the next one."""
        if self._adapters is None:
            self._adapters = Adapters(
                self._input, checkpoint_dir=self._checkpoint_dir, stdout=self._stdout,
                queue=self._errand is None,
            )
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
