"""Starts the real program on a configuration written for it, and reads what it says."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping

__all__ = ["Collector", "environment", "ndjson", "records", "wait_for"]


class Collector:
    """One input in a folder of its own: its configuration, its checkpoints, its processes."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, name: str = "thrive") -> None:
        self.folder = folder
        self.config = folder / "audit-s3.conf"
        self.name = name
        self._running: List[subprocess.Popen[bytes]] = []
        self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        own = {"checkpoint_dir": self.folder / "state", "start_from": "retention", "wait_time_seconds": 1}
        if "hec_url" in settings:
            own["hec_gzip"] = "on"  # as it is where a network lies between
        text = {**own, **settings}
        secret = self.folder / "aws-secret"
        if "aws_secret_access_key" in text:
            secret.touch(mode=0o600)
            secret.write_text(text["aws_secret_access_key"])
            text["aws_secret_access_key"] = f"file:{secret}"
        lines = [f"[audit_s3://{self.name}]", *(f"{key} = {value}" for key, value in text.items())]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(
        self, *flags: str, timeout: float = 60, config: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """`audit-s3 run` with these flags, to its end."""
        return subprocess.run(self._command(*flags, config=config), env=environment(), capture_output=True,
                              timeout=timeout, check=False)

    def once(self, *flags: str, code: int = 0) -> List[bytes]:
        """`run --once`; the lines of stdout. Fails the test on another exit code."""
        done = self.run("--once", *flags)
        assert done.returncode == code, done.stderr.decode()[-4000:]
        return done.stdout.splitlines()

    def verb(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
        """Another verb of the program, to its end."""
        command = [sys.executable, "-m", "collector", *words, "--config", str(self.config)]
        done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=60)
        assert done.returncode == code, done.stderr.decode()[-4000:]
        return done

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        """`run` in the background; stdout and stderr go to files in the folder."""
        out, log = (self.folder / "out").open("ab"), (self.folder / "log").open("ab")
        if out.tell() and not (self.folder / "out").read_bytes().endswith(b"\n"):
            out.write(b"\n")  # who was killed in a write left half a line; each run has a stdout of its own
            out.flush()
        process = subprocess.Popen(self._command(*flags), env=environment(), stdout=out, stderr=log)
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes], *, number: int = signal.SIGTERM) -> float:
        """Signal and wait; returns the seconds it took."""
        began = time.monotonic()
        process.send_signal(number)
        process.wait(20)
        return time.monotonic() - began

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def output(self) -> List[bytes]:
        return (self.folder / "out").read_bytes().splitlines()

    def _command(self, *flags: str, config: bool = True) -> List[str]:
        named = ["--config", str(self.config)] if config else []
        return [sys.executable, "-m", "collector", "run", *named, *flags]


#: Ways to a real account, and what the run of the tests tells itself.
_OF_THE_RUN = ("AWS_", "AUDIT_S3_C", "AUDIT_S3_TEST_", "AUDIT_S3_NO_SKIPS")


def environment() -> Dict[str, str]:
    """Ours without anything that could lead to a real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_RUN)}


def ndjson(name: str, count: int, *, compress: bool = True) -> bytes:
    """`count` audits as NDJSON, recognisable by `name`."""
    event = {"eventTime": "2026-05-04T10:15:02.412Z", "eventType": "user.login"}
    lines = [json.dumps({**event, "eventId": f"{name}-{i}"}) for i in range(count)]
    text = ("\n".join(lines) + "\n").encode()
    return gzip.compress(text, mtime=0) if compress else text


def records(name: str, count: int) -> bytes:
    """`count` CloudTrail records in one line, compressed."""
    time_and_version = {"eventVersion": "1.09", "eventTime": "2026-05-04T10:15:02Z"}
    found = [{**time_and_version, "eventID": f"{name}-{i}"} for i in range(count)]
    return gzip.compress(json.dumps({"Records": found}, separators=(",", ":")).encode(), mtime=0)


def wait_for(condition: Any, *, seconds: float = 90.0) -> None:
    """Wait until `condition()` holds, or fail: late enough for a machine that does much else."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)
