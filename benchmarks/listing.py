"""What a reconcile takes of a bucket of any size: one table. Nothing is asked of S3; pages are generated.

    python -m benchmarks.listing                 # 500,000, 1,000,000 and 2,000,000 keys: about ten minutes
    python -m benchmarks.listing --keys 50000    # a small one

Each line is a fresh process that drives the production Reconciler over generated pages of 1,000 keys of a
CloudTrail (10 accounts, 17 regions, 30 days), against a SQLite ledger that holds a finished row for each:
`full` lists everything, `recent` what may be new since, jumping over old dates. `nothing known` meets an
empty ledger, until what it found fills the heap and listing pauses. Peak is the process's own, interpreter
and SQLite included.
"""

from __future__ import annotations

import argparse
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

from collector.engine.engine import Engine, Plan
from collector.engine.station import Wait
from collector.model import Notification, ObjectRef, object_identity
from collector.ports import Page
from collector.stores.sqlite import SqliteStore
from collector.testing.twins import ManualClock, MemorySink

INPUT, BUCKET = "cloudtrail", "trail"
ACCOUNTS, REGIONS, DAYS = 10, 17, 30
DAY = 86400.0
#: 2026-05-31T00:00:00Z: May is what is kept, and its last day is yesterday.
NOW = 1_780_185_600.0
PAGE_KEYS = 1000


class GeneratedBucket:
    """ports.ObjectStore, for listing alone: `count` keys in order, each made when it is listed."""

    def __init__(self, count: int) -> None:
        self.a_day = max(1, count // (ACCOUNTS * REGIONS * DAYS))
        self.count = self.a_day * ACCOUNTS * REGIONS * DAYS

    def ref(self, place: int) -> ObjectRef:
        rest, number = divmod(place, self.a_day)
        rest, day = divmod(rest, DAYS)
        account, region = divmod(rest, REGIONS)
        key = (
            f"AWSLogs/{account:012}/CloudTrail/region-{region:02}/2026/05/{day + 1:02}/"
            f"{account:012}_CloudTrail_region-{region:02}_202605{day + 1:02}T0000Z_{number:08}.json.gz"
        )
        written = NOW - (DAYS - day) * DAY + number * (DAY / self.a_day)
        return ObjectRef(BUCKET, key, etag=f"{place:032x}", size=20_000, event_time=written)

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        start = self._after(start_after) if start_after else 0
        end = min(self.count, start + PAGE_KEYS)
        return Page([self.ref(place) for place in range(start, end)], "more" if end < self.count else "")

    def _after(self, key: str) -> int:
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.ref(middle).key > key else (middle + 1, high)
        return low


class Line(NamedTuple):
    keys: int
    rows: int
    sweep: str
    lists: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


# -- one process of each ------------------------------------------------------------------------------


def fill(path: Path, bucket: GeneratedBucket) -> None:
    """A finished row for every key, in the order of the table: that of the digests."""
    SqliteStore(path, input_name=INPUT, owner="filler", clock=ManualClock(NOW)).close()
    places = sorted((object_identity(INPUT, bucket.ref(place)), place) for place in range(bucket.count))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        connection.executemany(
            "INSERT INTO checkpoints (oid, url, object_time, bucket, key, etag, version_id, size, state,"
            ' "offset", events, reason, attempts, first_failed, not_before, epoch, owner, updated)'
            " VALUES (?, NULL, ?, ?, ?, ?, '', 20000, 'done', 30, 30, '', 0, 0, 0, 1, 'filler', 0)",
            _rows(bucket, places),
        )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _rows(bucket: GeneratedBucket, places: List[Tuple[str, int]]) -> Iterator[Tuple[object, ...]]:
    for oid, place in places:
        ref = bucket.ref(place)
        yield oid, ref.event_time, ref.bucket, ref.key, ref.etag


def sweep(path: Path, bucket: GeneratedBucket, kind: str) -> Line:
    """One sweep, driven station by station as a thread would."""
    clock = ManualClock(NOW)
    store = SqliteStore(path, input_name=INPUT, owner="bench", clock=clock)
    rows = store.counts().get("done", 0)
    plan = Plan(INPUT, lambda body: Notification("none"), lambda *_: iter(()), buckets=frozenset({BUCKET}))
    engine = Engine(
        plan, queue=None, objects=bucket, sinks=[MemorySink(clock)], store=store, clock=clock,
        rng=random.Random(1),
    )
    engine.resume(0.0, ())
    if kind == "recent":  # as if the full one had just been: its keys were seen, and none lied
        engine.reconciler._watermark, engine.reconciler._full_began = NOW - DAY / 4, clock.monotonic()
    began, cpu_began = time.perf_counter(), time.process_time()
    engine.reconcile()
    while not engine.reconciler.is_idle:
        work = engine.reconciler.take(engine.ledger)
        if isinstance(work, Wait):
            if engine.reconciler.waiting:
                break  # the heap is full, and nobody reads
            continue
        engine.reconciler.record(engine.ledger, work, engine.reconciler.perform(work))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    done = engine.reconciler.sweep
    assert done is not None
    store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Line(bucket.count, rows, kind, done.lists, seconds, cpu_seconds, peak)


# -- the table ----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, action="append", help="how many keys; may be given several times")
    parser.add_argument("--alone", nargs=3, metavar=("FILE", "KEYS", "KIND"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        path, keys, kind = Path(given.alone[0]), int(given.alone[1]), given.alone[2]
        if kind == "fill":
            fill(path, GeneratedBucket(keys))
        else:
            print(*sweep(path, GeneratedBucket(keys), kind), sep="\t")
        return
    print("| keys | rows | sweep | LIST calls | seconds | CPU seconds | keys a CPU second | peak MB |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|", flush=True)
    for keys in given.keys or (500_000, 1_000_000, 2_000_000):
        with tempfile.TemporaryDirectory() as folder:
            ledger, empty = Path(folder) / "full.sqlite3", Path(folder) / "empty.sqlite3"
            alone(ledger, keys, "fill")
            for path, kind in ((ledger, "full"), (ledger, "recent"), (empty, "nothing known")):
                show(alone(path, keys, kind))


def alone(path: Path, keys: int, kind: str) -> str:
    command = [sys.executable, "-m", "benchmarks.listing", "--alone", str(path), str(keys), kind]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def show(printed: str) -> None:
    keys, rows, kind, lists, seconds, cpu_seconds, peak = printed.rstrip("\n").split("\t")
    seen = min(int(keys), int(lists) * PAGE_KEYS)
    rate = f"{seen / float(cpu_seconds):,.0f}"
    print(f"| {int(keys):,} | {int(rows):,} | {kind} | {int(lists):,} | {float(seconds):.1f} |"
          f" {float(cpu_seconds):.1f} | {rate} | {float(peak):.0f} |", flush=True)


if __name__ == "__main__":
    main()
