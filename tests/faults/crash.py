"""Runs the real program and kills it, by SIGKILL, at a named call of a port: before it, or after it.

    python crash.py '{"kill": "store.apply:Finish", "when": "before", "nth": 2}' run --once --config F

Production code has no hooks for this: the adapters that `collector.runtime` builds are wrapped here, from
outside. A point is `port.method`; `store.apply:Advance` is a call of apply with such a change in it. `slow`
makes a point take seconds longer. The same launcher shortens the minutes that tests cannot wait for: leases
(`visibility`), probes of breakers (`probe`), the life of an owner row (`alive_for`, `dead_after`), how often
others are looked for (`takeover`), how long receipts of an earlier run are asked about (`ack_resume`), and
the wait for another start (`start_again`). With `hosts` a pid tells nothing, as on another host.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from typing import Any, Callable, Dict, List

from collector.engine import breaker, failures, keeper
from collector.ports import FileStore
from collector.runtime import plan, runner, service, starts
from collector.runtime.adapters import Adapters
from collector.stores import dynamodb, owners

SPEC: Dict[str, Any] = {}


class Fuse:
    """Counts calls by point and blows at one of them."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self._point = spec.get("kill", "")
        self._when = spec.get("when", "before")
        self._nth = spec.get("nth", 1)
        self._slow: Dict[str, float] = spec.get("slow", {})
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def call(self, points: List[str], method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        fatal = self._is_fatal(points)
        if fatal and self._when == "before":
            die()
        for point in points:
            time.sleep(self._slow.get(point, 0.0))
        try:
            return method(*args, **named)
        finally:
            if fatal:
                die()

    def _is_fatal(self, points: List[str]) -> bool:
        if self._point not in points:
            return False
        with self._lock:
            self._calls[self._point] += 1
            return self._calls[self._point] == self._nth


def die() -> None:
    """As a power switch: nothing is flushed, nothing is said, no other thread gets another step."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Watched:
    """A port whose every call passes the fuse; attributes are its own."""

    def __init__(self, name: str, port: Any, fuse: Fuse) -> None:
        self._name, self._port, self._fuse = name, port, fuse

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._port, attribute)
        if not callable(found):
            return found
        point = f"{self._name}.{attribute}"

        def called(*args: Any, **named: Any) -> Any:
            answer = self._fuse.call(self._points(point, args), found, *args, **named)
            return Watched("object", answer, self._fuse) if point == "objects.open" else answer

        return called

    def _points(self, point: str, args: Any) -> List[str]:
        if point != "store.apply":
            return [point]
        return [point, *{f"{point}:{type(change).__name__}" for change in args[0]}]


class WatchedFile(Watched):
    """A ports.FileStore, which is known by attributes that stand in its class or in itself."""

    moved_aside = property(lambda self: self._port.moved_aside)
    salvage = property(lambda self: self._port.salvage)
    replaced = property(lambda self: self._port.replaced)


class ShortLived:
    """A store whose owner rows live for `seconds`, whatever the engine asks for."""

    def __init__(self, store: Any, seconds: float) -> None:
        self._store, self._seconds = store, seconds

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._store, attribute)

    def alive(self, until: float) -> None:
        self._store.alive(min(until, time.time() + self._seconds))


class WatchedAdapters(Adapters):
    """The adapters of one input, each behind the fuse."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._fuse = Fuse(SPEC)
        self.queue = Watched("queue", self.queue, self._fuse) if self.queue else None
        self.objects = Watched("objects", self.objects, self._fuse) if self.objects else None
        store: Any = super().store
        watched = WatchedFile if isinstance(store, FileStore) else Watched
        if "alive_for" in SPEC:
            store = ShortLived(store, SPEC["alive_for"])
        self.__dict__["store"] = watched("store", store, self._fuse)
        self.__dict__["sinks"] = [Watched("sink", sink, self._fuse) for sink in super().sinks]


def hurry() -> None:
    """Shorten what takes minutes, by the names it has in the modules that own it."""
    if "probe" in SPEC:
        breaker.PROBE_SECONDS = SPEC["probe"]
        breaker.Breaker.open.__kwdefaults__["probe_after"] = SPEC["probe"]
        failures.DENIED_FIRST_SECONDS = SPEC["probe"]
    if "alive_for" in SPEC:
        keeper.ALIVE_FOR_SECONDS = SPEC["alive_for"]
        keeper.ALIVE_EVERY_SECONDS = SPEC["alive_for"] / 3
    runner.TAKEOVER_EVERY_SECONDS = SPEC.get("takeover", runner.TAKEOVER_EVERY_SECONDS)
    if "hosts" in SPEC:
        dynamodb.DynamoStore.__init__.__kwdefaults__["process_lives"] = lambda process: True
    starts.FIRST_AGAIN_SECONDS = SPEC.get("start_again", starts.FIRST_AGAIN_SECONDS)
    owners.DEAD_AFTER_SECONDS = SPEC.get("dead_after", owners.DEAD_AFTER_SECONDS)
    run = service.run

    def run_hurried(inputs: Any, **named: Any) -> int:
        if "visibility" in SPEC:
            inputs = [
                dataclasses.replace(
                    one,
                    settings=dataclasses.replace(one.settings, visibility_timeout_seconds=SPEC["visibility"]),
                )
                for one in inputs
            ]
        return run(inputs, **named)

    service.run = run_hurried
    plan.Limits = _hurried(plan.Limits)
    service.Adapters = WatchedAdapters


def _hurried(limits: Any) -> Any:
    """The same limits with another default for how long an acknowledgement is asked about after a start."""
    wanted = ("ack_resume_seconds", float, SPEC.get("ack_resume", 60.0))
    return dataclasses.make_dataclass("Limits", [wanted], bases=(limits,), frozen=True)


def main() -> None:
    from collector.hosts.cli import main as program

    SPEC.update(json.loads(sys.argv[1]))
    hurry()
    sys.argv = ["audit-s3", *sys.argv[2:]]
    program()


if __name__ == "__main__":
    main()
