"""The last hour of every input, a sum a minute: what the status page draws, and its rates.

    history = History()
    history.note(board.each(), now=time.time())        every few seconds
    history.minutes("thrive", now=time.time())         60 numbers, the oldest first

It is kept in memory and never grows: 60 minutes and 40 looks for each input. A process that was started again
counts from zero; what it had counted before stays counted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Dict, List, Optional, Sequence, Set, Tuple

from collector.hosts.service.observation import Observation, Problem

__all__ = ["MINUTES", "History", "Rate"]

MINUTES = 60
#: A rate is that of the last looks within so long.
RATE_SECONDS = 60.0
_LOOKS = 40
#: In these states an error is not over yet.
_STANDING = frozenset({"blocked", "retrying", "not_started"})


@dataclass(frozen=True)
class Rate:
    """Of the last minute, or of as much of it as was seen."""

    events_per_second: float = 0.0
    bytes_per_second: float = 0.0


@dataclass
class _Past:
    """One input. `counted` is how far each process was; `looks` are (epoch seconds, events, bytes)."""

    counted: Dict[int, Tuple[int, int]] = field(default_factory=dict)
    total: Tuple[int, int] = (0, 0)
    minutes: Deque[Tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MINUTES))
    looks: Deque[Tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=_LOOKS))
    error: Optional[Problem] = None
    error_at: float = 0.0
    #: Whether the input stood still with this error, and when it was seen to collect again.
    has_stood: bool = False
    again_at: Optional[float] = None


class History:
    """Of all inputs of a board. Thread safe."""

    def __init__(self) -> None:
        self._pasts: Dict[str, _Past] = {}
        self._lock = threading.Lock()

    def note(self, seen: Sequence[Tuple[int, Observation]], *, now: float) -> None:
        """What each process has counted by now (epoch seconds)."""
        with self._lock:
            for number, one in seen:
                past = self._pasts.setdefault(one.name, _Past())
                _count(past, number, one.counters.get("events", 0), one.counters.get("bytes", 0), now=now)
                if one.last_error is not None and one.last_error != past.error:
                    past.error, past.error_at = one.last_error, now
                    past.has_stood, past.again_at = False, None
            for name in {one.name for _, one in seen}:
                states = {one.state for _, one in seen if one.name == name}
                _note_states(self._pasts[name], states, now=now)
            for past in self._pasts.values():
                past.looks.append((now, *past.total))

    def minutes(self, name: str, *, now: float) -> List[int]:
        """Events delivered in each of the last 60 minutes, the one that goes on last."""
        with self._lock:
            sums = dict(self._pasts.get(name, _Past()).minutes)
        this = int(now // 60)
        return [sums.get(minute, 0) for minute in range(this - MINUTES + 1, this + 1)]

    def rate(self, name: str, *, now: float) -> Rate:
        """Events and bytes a second, delivered lately."""
        with self._lock:
            looks = [one for one in self._pasts.get(name, _Past()).looks if one[0] > now - RATE_SECONDS]
        if len(looks) < 2 or looks[-1][0] - looks[0][0] < 1.0:
            return Rate()
        (began, events, size), (ended, more_events, more_size) = looks[0], looks[-1]
        seconds = ended - began
        return Rate((more_events - events) / seconds, (more_size - size) / seconds)

    def error_at(self, name: str, error: Optional[Problem]) -> Optional[float]:
        """When this error was seen first (epoch seconds); None if it was not seen yet."""
        with self._lock:
            past = self._pasts.get(name, _Past())
            return past.error_at if error is not None and past.error == error else None

    def again_at(self, name: str, error: Optional[Problem]) -> Optional[float]:
        """Since when it collects again after this error stopped it (epoch seconds); None if it does not."""
        with self._lock:
            past = self._pasts.get(name, _Past())
            return past.again_at if error is not None and past.error == error else None


def _note_states(past: _Past, states: Set[str], *, now: float) -> None:
    """Of all processes: the input stands while one of them does."""
    if past.error is not None and states & _STANDING:
        past.has_stood, past.again_at = True, None
    elif past.has_stood and states == {"collecting"} and past.again_at is None:
        past.again_at = now


def _count(past: _Past, number: int, events: int, size: int, *, now: float) -> None:
    before = past.counted.get(number, (0, 0))
    if events < before[0]:
        before = (0, 0)  # it was started again
    past.counted[number] = (events, size)
    more, more_bytes = events - before[0], size - before[1]
    past.total = (past.total[0] + more, past.total[1] + more_bytes)
    minute = int(now // 60)
    if past.minutes and past.minutes[-1][0] == minute:
        past.minutes[-1] = (minute, past.minutes[-1][1] + more)
    elif more:
        past.minutes.append((minute, more))
