"""One commit for all who wait: a commit costs a disk flush, whatever the number of rows.

The first thread that finds nobody committing leads: it takes what is queued, commits it in one
transaction and wakes the others. What arrives meanwhile is the next group. Nobody waits for company, so
an idle store answers in the time of one commit, and a busy one fills its groups by itself.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Sequence, TypeVar, cast

from collector.errors import CollectorError, Retry

__all__ = ["GROUP_MAX_ROWS", "GroupCommit", "Work"]

#: A group closes at this many rows, so that its members do not wait for everybody else's.
GROUP_MAX_ROWS = 100

T = TypeVar("T")
#: What one caller wants done inside the transaction.
Work = Callable[[sqlite3.Connection], Any]


class GroupCommit:
    """Runs the work of many threads in few transactions; safe to call from any thread.

    `commit(works)` runs them in order in one transaction and returns their results. If it raises a
    CollectorError (the disk is full, the store is busy) every member of the group gets it. Any other
    exception is somebody's bug: each member is then tried alone, and only the guilty one fails.
    """

    def __init__(self, commit: Callable[[Sequence[Work]], Sequence[Any]]) -> None:
        self._commit = commit
        self._changed = threading.Condition()
        self._waiting: Deque[_Turn] = deque()
        self._leading = False

    def run(self, work: Callable[[sqlite3.Connection], T], *, rows: int = 1) -> T:
        """The result of `work` once it is durable; raises what stood in the way."""
        turn = _Turn(work, rows)
        with self._changed:
            self._waiting.append(turn)
        while True:
            group = self._lead_or_wait(turn)
            if not group:
                return cast(T, turn.outcome())
            self._settle(group)

    @property
    def waiting(self) -> int:
        """How many callers the commit under way does not serve yet."""
        with self._changed:
            return len(self._waiting)

    def _lead_or_wait(self, turn: _Turn) -> List[_Turn]:
        """The group that this thread is to commit, or nothing once its own turn is settled."""
        with self._changed:
            while self._leading and not turn.settled:
                self._changed.wait()
            if turn.settled:
                return []
            self._leading = True
            return self._next_group()

    def _next_group(self) -> List[_Turn]:
        group = [self._waiting.popleft()]
        rows = group[0].rows
        while self._waiting and rows + self._waiting[0].rows <= GROUP_MAX_ROWS:
            group.append(self._waiting.popleft())
            rows += group[-1].rows
        return group

    def _settle(self, group: Sequence[_Turn]) -> None:
        try:
            self._attempt(group)
        finally:  # also when this thread is interrupted: nobody may wait for ever
            with self._changed:
                for turn in group:
                    turn.settled = True
                self._leading = False
                self._changed.notify_all()

    def _attempt(self, group: Sequence[_Turn]) -> None:
        try:
            results = self._commit([turn.work for turn in group])
        except CollectorError as error:
            for turn in group:
                turn.error = error
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
                return
            for turn in group:
                self._attempt([turn])
        else:
            for turn, result in zip(group, results):
                turn.error, turn.result = None, result


class _Turn:
    """One caller's place in the queue."""

    def __init__(self, work: Work, rows: int) -> None:
        self.work = work
        self.rows = rows
        self.settled = False
        self.result: Any = None
        self.error: Optional[Exception] = Retry(
            "The thread that was committing was interrupted", code="store_interrupted"
        )

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result
