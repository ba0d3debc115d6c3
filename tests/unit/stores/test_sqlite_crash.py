"""kill -9, again and again: what apply() reported is there afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import List

import pytest

import collector
from collector.ports import Checkpoint
from collector.stores.owners import new_owner
from collector.stores.sqlite import SqliteStore

NOW = 1_790_000_000.0
KILLS = 10

#: Three threads claim and finish objects; each line tells one oid that apply() has accepted.
WRITER = """
import sys, threading
from random import Random
from collector.ports import Checkpoint, Finish, Quarantined
from collector.stores.owners import new_owner
from collector.stores.sqlite import SqliteStore

class Clock:
    def now(self): return 1_790_000_000.0
    def monotonic(self): return 0.0

path, run = sys.argv[1:]
store = SqliteStore(path, input_name="thrive", owner=new_owner(Random(run)), clock=Clock())
assert not store.moved_aside, store.moved_aside
store.alive(1_790_000_060.0)

def work(name):
    turn = 0
    while True:
        oids = [f"{run}-{name}-{turn}-{number}" for number in range(3)]
        claims = store.claim([Checkpoint(oid, "s3://b/" + oid, 1.0) for oid in oids])
        assert [claim.verdict for claim in claims] == ["yours"] * 3
        entry = Quarantined(oids[0], "message", "", "", "", 1.0, b"x" * 9000)
        assert all(store.apply([Finish(oid, 1, "done", events=7) for oid in oids] + [entry]))
        sys.stdout.write("".join(oid + "\\n" for oid in oids))
        sys.stdout.flush()
        turn += 1

for name in "abc":
    threading.Thread(target=work, args=name).start()
"""


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW


def reported_until_killed(path: Path, run: int, *, lines: int) -> List[str]:
    """The oids a writer reported before it was killed, at least `lines` of them."""
    root = str(Path(collector.__file__).parents[1])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(run)],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert writer.stdout is not None
    read = [writer.stdout.readline() for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    rest, complaint = writer.communicate()
    assert complaint == ""
    read.extend(rest.splitlines(keepends=True))
    return [line.strip() for line in read if line.endswith("\n")]


@pytest.mark.once
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is POSIX")
def test_what_was_reported_survives_every_kill(tmp_path: Path) -> None:
    path = tmp_path / "thrive.sqlite"
    random = Random(5)
    reported: List[str] = []
    for run in range(KILLS):
        reported += reported_until_killed(path, run, lines=random.randrange(3, 60))
        store = SqliteStore(path, input_name="thrive", owner=new_owner(random), clock=FixedClock())
        assert store.moved_aside == ""
        assert list(store.missing(reported)) == []
        assert {oid for oid in reported if oid.endswith("-0")} <= {one.id for one in store.quarantine()}
        left = [row.oid for row in store.unfinished()]
        claims = store.claim([Checkpoint(oid, "", 1.0) for oid in left])
        assert {claim.verdict for claim in claims} <= {"yours"}, "a killed owner holds nothing"
        store.close()
    assert len(reported) >= 3 * KILLS
