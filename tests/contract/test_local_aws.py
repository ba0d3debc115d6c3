"""The local AWS leaves nothing behind, however the process that started it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.testing.local_aws import LocalAws

STARTER = """
import os, sys, time
from collector.testing.local_aws import LocalAws
aws = getattr(LocalAws, sys.argv[1])()
print(aws.pid, aws.log_path, flush=True)
time.sleep(60)
"""


def _is_gone(pid: int, *, within_seconds: float) -> bool:
    """Whether the process has ended; one that nobody has waited for yet (a zombie) counts as ended."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
@pytest.mark.parametrize("kind", ["ministack", "moto"])
def test_it_dies_with_a_parent_that_was_killed(kind: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTER, kind], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, log_path = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone = _is_gone(int(pid), within_seconds=15)
    Path(log_path).unlink()
    assert gone


def test_stop_ends_the_process_and_removes_its_log() -> None:
    with LocalAws.ministack() as aws:
        pid, log_path = aws.pid, aws.log_path
        assert log_path.exists()
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not log_path.exists()
    aws.stop()
