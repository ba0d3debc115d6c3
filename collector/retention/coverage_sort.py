"""Sorting more lines than memory should hold: sorted runs in scratch files, merged when they are read.

    with SortedLines() as lines:
        lines.add("b")
        lines.add("a")
        list(lines)        # ["a", "b"]

The files have no names and go with the process; they lie where TMPDIR says. Two million lines of 200
characters take 400 MB there, and 15 MB of memory.
"""

from __future__ import annotations

import heapq
import tempfile
from typing import IO, Iterator, List

__all__ = ["SortedLines"]

#: Lines in memory at one time.
AT_ONCE = 50_000
#: Files that are open at one time; so many are merged into one.
MOST_RUNS = 64


class SortedLines:
    """Lines of ASCII without line breaks, in the order of their characters. Used by one thread."""

    def __init__(self, *, at_once: int = AT_ONCE, most_runs: int = MOST_RUNS) -> None:
        self._at_once = at_once
        self._most_runs = most_runs
        self._fresh: List[str] = []
        self._runs: List[IO[str]] = []

    def add(self, line: str) -> None:
        self._fresh.append(line + "\n")
        if len(self._fresh) >= self._at_once:
            self._fresh.sort()
            self._keep(iter(self._fresh))
            self._fresh = []
            if len(self._runs) >= self._most_runs:
                runs, self._runs = self._runs, []
                self._keep(_merged(runs))
                _close(runs)

    def __iter__(self) -> Iterator[str]:
        self._fresh.sort()
        for line in heapq.merge(_merged(self._runs), self._fresh):
            yield line[:-1]

    def __enter__(self) -> SortedLines:
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._runs)

    def _keep(self, lines: Iterator[str]) -> None:
        run = tempfile.TemporaryFile("w+", encoding="ascii", newline="\n")  # noqa: SIM115 (closed at the end)
        self._runs.append(run)
        run.writelines(lines)


def _merged(runs: List[IO[str]]) -> Iterator[str]:
    for run in runs:
        run.seek(0)
    return heapq.merge(*runs)


def _close(runs: List[IO[str]]) -> None:
    for run in runs:
        run.close()
