"""A signal never kills a service that is only starting, however early it comes."""

from __future__ import annotations

import configparser
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from tests.e2e.collector_process import environment, wait_for
from tests.e2e.notified import Listener

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells which signals a process catches"
)

#: Neither AWS nor Splunk is there: what starts is a service that tries again.
CONFIGURATION = """
[audit_s3://thrive]
provider = thrive
role_arn = arn:aws:iam::111111111111:role/audit-access
bucket = thrive-audit-logs
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue
endpoint_url = http://127.0.0.1:9
aws_access_key_id = testing
aws_secret_access_key = testing
hec_url = http://127.0.0.1:9
hec_token = testing
"""

#: A disk that takes its time over one of the first packages, and says when.
SLOW_DISK = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            print("importing", file=sys.stderr, flush=True)
            time.sleep(1.0)

sys.meta_path.insert(0, Slow())
"""


def _console_script() -> List[str]:
    """What the installed `audit-s3` does, as the package's metadata says."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    module, function = metadata["options.entry_points"]["console_scripts"].split("=")[1].strip().split(":")
    return ["-c", f"import sys; from {module} import {function}; sys.exit({function}())"]


PROGRAMS = pytest.mark.parametrize(
    "program", [["-m", "collector"], _console_script()], ids=["module", "script"]
)


class Starting:
    """A service from the moment its process exists."""

    def __init__(self, folder: Path, program: List[str], *words: str, slow: bool = False) -> None:
        (folder / "slow").mkdir(exist_ok=True)
        (folder / "slow" / "sitecustomize.py").write_text(SLOW_DISK if slow else "")
        config = folder / "audit-s3.conf"
        config.write_text(f"[audit_s3]\ncheckpoint_dir = {folder / 'state'}\n{CONFIGURATION}")
        self.listener = Listener()
        self.process = subprocess.Popen(
            [sys.executable, *program, "run", *words, "--config", str(config)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
            env={**environment(), **self.listener.environment(watchdog_seconds=3),
                 "PYTHONPATH": str(folder / "slow")},
        )

    def caught(self) -> Set[int]:
        """The signals that do not kill it now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        mask = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        return {number for number in range(1, 32) if mask >> (number - 1) & 1}

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        assert b"Traceback" not in said, said.decode()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.listener.close()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[List[Starting]]:
    found: List[Starting] = []
    yield found
    for one in found:
        one.close()


@PROGRAMS
def test_a_reload_while_it_imports_does_not_kill_it(started, tmp_path, program):
    started.append(Starting(tmp_path, program, slow=True))
    service = started[0]
    assert service.process.stderr is not None
    assert service.process.stderr.readline() == b"importing\n"
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: service.listener.said("READY") or service.process.poll() is not None)
    assert service.end(signal.SIGTERM) == 0


@PROGRAMS
def test_a_stop_while_it_imports_is_an_orderly_one(started, tmp_path, program):
    started.append(Starting(tmp_path, program, slow=True))
    assert started[0].process.stderr is not None
    assert started[0].process.stderr.readline() == b"importing\n"
    assert started[0].end(signal.SIGTERM) == 0


def test_reloads_from_its_first_moment_on_do_not_kill_it(started, tmp_path):
    started.append(Starting(tmp_path, ["-m", "collector"]))
    service = started[0]
    wait_for(lambda: signal.SIGHUP in service.caught())
    deadline = time.monotonic() + 20
    while not service.listener.said("READY") and time.monotonic() < deadline:
        assert service.process.poll() is None
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    assert service.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("words", [(), ("--processes=2",)], ids=["one", "several"])
def test_a_stop_is_an_orderly_one_at_any_moment_of_the_start(started, tmp_path, words):
    for delay_seconds in (0.0, 0.05, 0.15, 0.3, 0.6):
        one = Starting(tmp_path, ["-m", "collector"], *words)
        started.append(one)
        wait_for(lambda: signal.SIGTERM in one.caught())  # noqa: B023
        time.sleep(delay_seconds)
        assert one.end(signal.SIGTERM) == 0, delay_seconds
