"""The composition root: settings -> adapters -> engine -> threads, and an orderly end.

One process serves all inputs; each has an engine, a store and threads of its own (collector.runner), so that
one input's trouble never stops another's.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import BinaryIO, Callable, Mapping, Optional, Sequence

from collector.adapters import Adapters
from collector.config.inputs import Input
from collector.errors import CollectorError, Fatal
from collector.runner import Errand, Runner
from collector.schedule import Timetable
from collector.starts import Starts

__all__ = ["Errand", "Runner", "run"]

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
) -> int:
    """Collect until `stop` is set, or with `once` until nothing is left; returns the exit code.

    0: all that was met is delivered; 1: something failed, was returned or is in quarantine. An input that
    cannot be started is tried again, but not with `once`; Fatal is raised only if there is nothing but wrong
    configuration. With an `errand` (and `once`) the queue is left alone. `watch` is told what runs, and why
    the rest does not, whenever that changes; `summary` gets each input's counters at the end.
    """
    if stdout is None and sys.stdout is None:
        raise Fatal(
            "stdout is closed", code="stdout_closed", where="stdout",
            hint="Start the program with a stdout, /dev/null where nobody reads it",
        )  # fmt: skip
    stream = stdout if stdout is not None else sys.stdout.buffer
    kits = {
        one.name: Kit(one, once=once, checkpoint_dir=checkpoint_dir, stdout=stream, errand=errand)
        for one in inputs
    }
    starts = Starts({name: kit.start for name, kit in kits.items()}, again=not once, late=_stop_late)
    timetable = Timetable()
    timetable.start()
    shown = 0
    try:
        while not stop.is_set():
            for runner in starts.go_on():
                runner.schedule(timetable)
                runner.set_out()
            if watch is not None and starts.changes != shown:
                shown = starts.changes
                watch(starts.running, starts.failures)
            if once and starts.is_decided and all(runner.is_finished() for runner in starts.running):
                break
            stop.wait(0.05 if once or not starts.is_decided else 0.5)
    finally:
        timetable.stop()
        runners = starts.stop()
        _stop_all(runners)
        for kit in kits.values():
            kit.close()
    if summary is not None:
        summary({runner.name: runner.counters() for runner in runners})
    clean = not starts.failures and all(runner.was_clean(asked=stop.is_set()) for runner in runners)
    return 0 if clean else 1


class Kit:
    """What one input is made of, over as many attempts to start it as that takes."""

    def __init__(
        self, configured: Input, *, once: bool, checkpoint_dir: Optional[str], stdout: BinaryIO,
        errand: Optional[Errand] = None,
    ) -> None:  # fmt: skip
        self._input = configured
        self._once = once
        self._errand = errand
        self._checkpoint_dir = checkpoint_dir
        self._stdout = stdout
        self._adapters: Optional[Adapters] = None

    def start(self) -> Runner:
        """One attempt; what it has built is there for the next one."""
        if self._adapters is None:
            self._adapters = Adapters(
                self._input, checkpoint_dir=self._checkpoint_dir, stdout=self._stdout,
                queue=self._errand is None,
            )  # fmt: skip
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
