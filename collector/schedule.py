"""When periodic things happen. What they are is said elsewhere: a job only puts work into a ledger.

The long poll is not a job: it is its own clock. Loading APScheduler takes as long as collecting a hundred
small objects, so it is loaded when the first job is due: what waits in the queue comes first, and a drain
has no jobs.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, List, Optional

__all__ = ["Timetable"]


@dataclass(eq=False)
class _Entry:
    owner: str
    job: Callable[[], object]
    seconds: float
    first: datetime
    entered: Any = None

    def enter(self, scheduler: Any) -> None:
        self.entered = scheduler.add_job(self.job, "interval", seconds=self.seconds, next_run_time=self.first)


class Timetable:
    """Periodic jobs of one process, in memory. Start it once, stop it once. Thread safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: List[_Entry] = []
        self._scheduler: Any = None
        self._is_stopped = False

    def every(
        self, seconds: float, job: Callable[[], object], *, first_after_seconds: float, owner: str = ""
    ) -> None:
        """Run `job` every `seconds`, the first time after `first_after_seconds`. Jobs must be quick."""
        entry = _Entry(owner, job, seconds, _now() + timedelta(seconds=first_after_seconds))
        with self._changed:
            self._entries.append(entry)
            if self._scheduler is not None:
                entry.enter(self._scheduler)
            self._changed.notify()

    def forget(self, owner: str) -> None:
        """Start no job of this owner any more."""
        with self._changed:
            for entry in self._entries:
                if entry.owner == owner and entry.entered is not None:
                    entry.entered.remove()
            self._entries = [entry for entry in self._entries if entry.owner != owner]

    def start(self) -> None:
        threading.Thread(target=self._run, name="timetable", daemon=True).start()

    def stop(self) -> None:
        """Start no job any more; one that runs is not waited for."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
            if self._scheduler is not None:
                self._scheduler.shutdown(wait=False)

    def _run(self) -> None:
        with self._changed:
            while not self._is_stopped:
                wait = self._first_after_seconds()
                if wait is not None and wait <= 0:
                    self._scheduler = _scheduler()
                    for entry in self._entries:
                        entry.enter(self._scheduler)
                    self._scheduler.start()
                    return
                self._changed.wait(wait)

    def _first_after_seconds(self) -> Optional[float]:
        dues = [entry.first for entry in self._entries]
        return (min(dues) - _now()).total_seconds() if dues else None


def _scheduler() -> Any:
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    return BackgroundScheduler(
        timezone=timezone.utc,
        executors={"default": ThreadPoolExecutor(1)},
        # APScheduler skips a job that is a second late by default; ours are to run, once, whenever.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
