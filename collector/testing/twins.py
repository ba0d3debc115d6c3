"""In-memory twins of the ports that face the network, under a clock that only a test moves.

They keep the same laws as the adapters (`tests/contract` holds both to them), answer at once, and never
wait: a long poll on an empty MemoryQueue returns nothing. Each adds what a test wants to see or to do.
All may be used from several threads.
"""

from __future__ import annotations

import threading

from collector.testing.memory_bucket import MemoryBucket
from collector.testing.memory_queue import MemoryQueue
from collector.testing.memory_sink import MemorySink

__all__ = ["ManualClock", "MemoryBucket", "MemoryQueue", "MemorySink"]


class ManualClock:
    """Time stands still until `advance`; `set_back` moves the wall clock alone, as an operator might."""

    def __init__(self, now: float = 1_777_890_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        with self._lock:
            self._now -= seconds
