"""When a failure is everybody's: stop, keep one probe, and try it once a minute.

A breaker belongs to one thing that can fail for all work alike: the role, the queue, an output, the
store, one (bucket, key) of KMS (`keys`), or objects in general. It knows nothing of threads or time but
what it is told.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional, Set, Tuple

from collector.errors import CollectorError

__all__ = ["PROBE_SECONDS", "AlikeFailures", "Breaker"]

#: How often an open breaker lets one attempt through.
PROBE_SECONDS = 60.0


class Breaker:
    """Closed: everything passes. Open: one probe a minute, and `error` says why."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: Optional[CollectorError] = None
        self._probe_at = 0.0
        self._probe_after = PROBE_SECONDS

    @property
    def is_open(self) -> bool:
        return self.error is not None

    def open(self, error: CollectorError, *, now: float, probe_after: float = PROBE_SECONDS) -> bool:
        """Open, or stay open until the next probe; True if it was closed before."""
        was_closed = self.error is None
        self.error = error
        self._probe_after = probe_after
        self._probe_at = now + probe_after
        return was_closed

    def close(self) -> bool:
        """True if it was open before."""
        was_open, self.error = self.is_open, None
        return was_open

    def probe_at(self) -> float:
        """The monotonic time at which the next attempt may pass; 0 when closed."""
        return self._probe_at if self.is_open else 0.0

    def passes(self, *, now: float) -> bool:
        """Whether an attempt may be made now. An open breaker counts the probe as made."""
        if not self.is_open:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + self._probe_after
        return True


class AlikeFailures:
    """Tells one bad object from a bad day: 10 objects in a row, or 10 of the last 50, with one code.

    Objects are counted, not failures: one that fails again and again on a quiet queue is still one.
    """

    IN_A_ROW = 10
    OF_THE_LAST = 50
    SHARE = 0.2

    def __init__(self) -> None:
        self._row_code = ""
        self._row: Set[str] = set()
        self._last: Deque[Tuple[str, str]] = deque(maxlen=self.OF_THE_LAST)

    def succeeded(self) -> None:
        self._row.clear()
        self._last.append(("", ""))

    def failed(self, code: str, which: str) -> bool:
        """True when this failure is no longer one object's own; `which` names the object."""
        if code != self._row_code:
            self._row_code, self._row = code, set()
        self._row.add(which)
        if (code, which) not in self._last:
            self._last.append((code, which))
        alike = sum(known == code for known, _ in self._last)
        many = len(self._last) == self.OF_THE_LAST and alike >= self.SHARE * self.OF_THE_LAST
        return len(self._row) >= self.IN_A_ROW or many

    def reset(self) -> None:
        self._row.clear()
        self._last.clear()
