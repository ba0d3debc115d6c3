"""When periodic things happen. What they are is said elsewhere: a job only puts work into a ledger.

The long poll is not a job: it is its own clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

__all__ = ["Timetable"]


class Timetable:
    """Periodic jobs of one process, in memory. Start it once, stop it once."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=timezone.utc,
            executors={"default": ThreadPoolExecutor(1)},
            # APScheduler skips a job that is a second late by default; ours are to run, once, whenever.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._jobs: Dict[str, List[Any]] = {}

    def every(
        self, seconds: float, job: Callable[[], object], *, first_after_seconds: float, owner: str = ""
    ) -> None:
        """Run `job` every `seconds`, the first time after `first_after_seconds`. Jobs must be quick."""
        first = datetime.now(timezone.utc) + timedelta(seconds=first_after_seconds)
        entered = self._scheduler.add_job(job, "interval", seconds=seconds, next_run_time=first)
        self._jobs.setdefault(owner, []).append(entered)

    def forget(self, owner: str) -> None:
        """Start no job of this owner any more."""
        for job in self._jobs.pop(owner, ()):
            job.remove()

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Start no job any more; one that runs is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
