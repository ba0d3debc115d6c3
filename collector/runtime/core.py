"""One core at a time for a process whose threads take turns quickly: a turn on another core is dear.

Python runs one thread at a time. Where threads lie on several cores, each hand-over wakes another core and
takes the interpreter's memory there; with many small objects that is a quarter of all CPU. The kernel cannot
know. So it is left to choose a core, every some seconds anew, and all threads stay on its choice until then:
whatever else comes to that core is moved away by the kernel, or we may be, with the next choice. Large
objects hand over seldom, and gain more from inflating and sending on another core: they are let be.

More cores are for more processes (`processes`). Pages: sched(7), sched_setaffinity(2), getrusage(2),
proc_pid_stat(5).
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Callable, Collection, FrozenSet, List, Optional, Set

__all__ = ["OneCore"]

#: The kernel chooses for so long, and its choice holds for so long.
LOOK_SECONDS = 0.25
STAY_SECONDS = 10.0
#: Hand-overs a second, by the kernel's count of waits: with fewer there is nothing to win. Small objects make
#: twice as many, large ones half.
QUICK = 4000.0


class OneCore:
    """Keeps the threads of this process together while that pays. For one thread, which calls `turn` often.

    Does nothing where there is one core, no such affinity (not Linux), or no lock of the interpreter.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._allowed = _allowed()
        self._held: Optional[int] = None
        self._look()

    def turn(self) -> None:
        """Hold all threads on the core where most was done, if they take turns quickly; or let go again."""
        now = self._monotonic()
        if now < self._next or len(self._allowed) < 2:
            return
        if self._held is not None:
            self.leave()
        elif _waits() - self._waits < QUICK * (now - self._since):
            self._look()
        else:
            self._hold(_busiest(), until=now + STAY_SECONDS)

    def __enter__(self) -> OneCore:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Let the kernel choose among all cores again, unless somebody else has chosen meanwhile."""
        if self._held is not None and _allowed() == {self._held}:
            _put(self._allowed)
        self._look()

    def _look(self) -> None:
        self._held = None
        self._since, self._waits = self._monotonic(), _waits()
        self._next = self._since + LOOK_SECONDS

    def _hold(self, core: Optional[int], *, until: float) -> None:
        allowed = _allowed()  # somebody may have given us others meanwhile
        if core not in allowed or len(allowed) < 2:
            self._look()
        elif _put([core]):
            self._allowed, self._held, self._next = allowed, core, until
        else:
            _put(allowed)  # some may be there already
            self._allowed = frozenset()  # we may not: that does not change


def _allowed() -> FrozenSet[int]:
    if not hasattr(os, "sched_getaffinity") or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return frozenset()
    try:
        return frozenset(os.sched_getaffinity(0))
    except OSError:  # a sandbox refuses even to ask
        return frozenset()


def _waits() -> int:
    """How often a thread of this process has waited for something, so that another could go on."""
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def _put(cores: Collection[int]) -> bool:
    """Have each thread run on these cores only, as those that it makes later do; whether we may."""
    done: Set[str] = set()
    try:
        # Until there is none that one of those not yet there has made meanwhile: it would stay as it is.
        while new := {*_tasks()} - done:
            for name in new:
                with suppress(ProcessLookupError):  # it has just ended
                    os.sched_setaffinity(int(name), cores)
            done |= new
    except OSError:
        return False
    return True


def _busiest() -> Optional[int]:
    """The core on which those threads are that have done most so far."""
    done: Counter[int] = Counter()
    for name in _tasks():
        try:
            with open(f"/proc/self/task/{name}/stat", "rb") as file:
                # The second field, a name, may hold anything: the third is the first behind it.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        done[int(fields[36])] += int(fields[11]) + int(fields[12])
    return done.most_common(1)[0][0] if done else None


def _tasks() -> List[str]:
    try:
        return os.listdir("/proc/self/task")
    except OSError:
        return []
