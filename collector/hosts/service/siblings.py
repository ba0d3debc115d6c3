"""What the collectors of one host tell each other with `processes = N`: a file each; the first reads them.

    with telling(folder, number=1, board=board): ...       every process but the first
    others = Others(folder)                                the first one; others() are their pictures

A picture holds numbers and masked texts, as the status page shows them. It is believed for a few seconds, and
only if it was written by a child of the same parent: what an earlier service left behind is no news.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from collector.engine.watch import Watched
from collector.hosts.service.board import Board
from collector.hosts.service.observation import Observation, Problem
from collector.ports import QueueDepth
from collector.retention.clock import Oldest, Reading
from collector.retention.lag import Lag

__all__ = ["Others", "telling"]

log = logging.getLogger("collector")

FOLDER = "processes"
EVERY_SECONDS = 2.0
#: A picture older than this is of a process that hangs or is gone.
BELIEVED_SECONDS = 10.0


class Others:
    """Reads what the other processes wrote; by number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def __call__(self) -> Mapping[int, Sequence[Observation]]:
        found: Dict[int, Sequence[Observation]] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
                if told["parent"] == os.getppid() and time.time() - told["at"] < BELIEVED_SECONDS:
                    found[int(told["number"])] = [_observation(one) for one in told["inputs"]]
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.debug("A process's picture cannot be read. file=%s error=%s", path, error)
        return found


@contextmanager
def telling(folder: Path, *, number: int, board: Board) -> Iterator[None]:
    """Write this process's picture every other second while the block runs."""
    over = threading.Event()
    path = folder / FOLDER / f"{number}.json"

    def go_on() -> None:
        can_write = True
        while not over.wait(EVERY_SECONDS):
            try:
                _write(path, number=number, board=board)
            except OSError as error:
                if can_write:
                    log.warning("Status page and metrics lack this process: %s. file=%s", error, path)
                can_write = False

    thread = threading.Thread(target=go_on, name="picture", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)


def _write(path: Path, *, number: int, board: Board) -> None:
    inputs = [asdict(one) for one in board.own()]
    told = {"parent": os.getppid(), "number": number, "at": time.time(), "inputs": inputs}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(told, file)
    os.replace(new, path)


def _observation(told: Dict[str, Any]) -> Observation:
    watched = told["watched"]
    depth: Optional[Dict[str, Any]] = watched["depth"]
    picture = {
        **told,
        "breakers": {name: _problem(one) for name, one in told["breakers"].items()},
        "last_error": _problem(told["last_error"]),
        "warnings": {name: Problem(**one) for name, one in told["warnings"].items()},
        "silence": _problem(told["silence"]),
        "watched": Watched(**{
            **watched,
            "deadlines": {name: _reading(one) for name, one in watched["deadlines"].items()},
            "depth": QueueDepth(**depth) if depth is not None else None,
            "lags": {owner: Lag(**one) for owner, one in watched["lags"].items()},
        }),
    }
    return Observation(**picture)


def _reading(told: Mapping[str, Any]) -> Reading:
    oldest = Oldest(**told["oldest"]) if told["oldest"] is not None else None
    return Reading(told["window_seconds"], told["used_seconds"], oldest)


def _problem(told: Optional[Dict[str, str]]) -> Optional[Problem]:
    return None if told is None else Problem(**told)
