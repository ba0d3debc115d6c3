"""What an input under splunkd writes into its log while it collects, is refused, quarantines and reports."""

from __future__ import annotations

import json
import logging
import time
from types import SimpleNamespace
from typing import Any, List

import pytest

from collector.config import load
from collector.errors import Fatal, Poison, Retry
from collector.hosts.splunkd.log import JsonLines
from collector.hosts.web.metrics import COUNTED
from collector.runtime import runner as runner_module
from collector.runtime.adapters import SystemClock
from collector.runtime.runner import Runner
from collector.schedule import Timetable
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable
from collector.testing.twins import MemoryBucket, MemoryQueue, MemorySink

__all__ = ["COUNTERS", "logged_lines"]

#: Left out of a progress line while they are zero.
COUNTERS = frozenset({*COUNTED, "in_hand", "held_bytes"})
BUCKET = "audit-logs"


def logged_lines() -> List[str]:
    """Of one run of a real input between twins, a second or two long."""
    kept, ours = _Kept(), logging.getLogger("collector")
    level = ours.level
    ours.addHandler(kept)
    ours.setLevel(logging.INFO)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner_module, "PROGRESS_EVERY_SECONDS", 0.2)
            patch.setattr(runner_module, "WATCH_EVERY_SECONDS", 0.1)
            patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            _collect(kept)
    finally:
        ours.removeHandler(kept)
        ours.setLevel(level)
    return kept.lines


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines("thrive"))
        self.lines: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def _collect(kept: _Kept) -> None:
    clock = SystemClock()
    bucket, queue = MemoryBucket(clock, BUCKET), MemoryQueue(clock)
    (found,) = load(flags={"bucket": BUCKET, "output": "stdout", "provider": "thrive"})
    store = MemoryCheckpointStore(MemoryTable(), owner="a", clock=clock)
    adapters: Any = SimpleNamespace(
        queue=queue, objects=bucket, sinks=[MemorySink(clock)], store=store, clock=clock, digests=None,
        refresh=None, verify=None, assumes_role=False, close=store.leave,
    )
    for key, age_seconds in (("a b.json", 60), ("refused.json", 16 * 86400), ("odd.json", 60)):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now() - age_seconds))
        bucket.put(key, json.dumps({"eventTime": moment, "n": 1}).encode() + b"\n")
        queue.send(_notification(key, moment))
    bucket.refuse("refused.json", Fatal("AWS refused s3:GetObject", code="object_denied", scope="object"))
    bucket.refuse("odd.json", Poison("no such shape", code="odd_shape", where="odd.json"))
    queue.send("no notification at all")
    runner, timetable = Runner(found, adapters), Timetable()
    runner.start()
    runner.schedule(timetable)
    timetable.start()
    deadline = time.monotonic() + 20.0
    while not any(" lag_collector_p95_seconds=" in one and "bucket_deadline" in one for one in kept.lines):
        assert time.monotonic() < deadline, kept.lines
        time.sleep(0.05)
    timetable.stop()
    runner.begin_stop()
    runner.finish_stop(time.monotonic() + 8.0)
    log = logging.getLogger("collector")
    log.warning("A batch was not taken: %s", Retry("busy", code="hec_busy"))
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("You have found a bug in the %s.", "reader")


def _notification(key: str, moment: str) -> str:
    where = {"bucket": {"name": BUCKET}, "object": {"key": key.replace(" ", "+"), "size": 40}}
    record = {"eventSource": "aws:s3", "eventVersion": "2.1", "eventName": "ObjectCreated:Put"}
    return json.dumps({"Records": [{**record, "eventTime": moment, "s3": where}]})
