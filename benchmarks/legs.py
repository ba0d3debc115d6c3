"""Runs collectors in fresh processes against the emulators, and says what each cost.

What counts is CPU time, user and system, of the process and all its children, less what the same program
costs on an empty queue: interpreter, imports and clients are start-up, which is reported apart. A run whose
events are not all there, or are there twice, is an error and no result.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from benchmarks.objects import ObjectSet

__all__ = ["LEGS", "ROOT", "Leg", "Spent", "Theatre", "spend"]

ROOT = Path(__file__).resolve().parent.parent
#: Longer than any leg takes, on any machine.
_LONGEST_SECONDS = 900.0


class Leg(NamedTuple):
    """One contender. `settings` and `pure` are for this program only, `gzip` is for it and for the limit."""

    program: str = "collector"
    gzip: bool = False
    pure: bool = False
    settings: Mapping[str, Any] = {}


#: The contenders of every comparison, by the names of the results.
LEGS: Dict[str, Leg] = {
    "collector": Leg(),
    "collector_gzip": Leg(gzip=True),
    "pure_python": Leg(pure=True),
    "typical": Leg("typical"),
    "limit": Leg("limit"),
    "limit_gzip": Leg("limit", gzip=True),
}


class Spent(NamedTuple):
    """What one run came to. `report` is what the emulators counted."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    code: int
    report: Dict[str, Any]


class Incomplete(Exception):
    """A run that lost, repeated or changed events: it has no speed."""


class Theatre:
    """The emulators' process, a folder for sets and one for each run's files.

    `with_start_up` leaves start-up in every leg's account: for looks that are too short to measure.
    """

    def __init__(self, objects: Path, *, with_start_up: bool = False) -> None:
        self._objects = objects
        self._with_start_up = with_start_up
        self._folder = Path(tempfile.mkdtemp(prefix="audit-s3-benchmark-"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.emulators"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._runs = 0
        self._start_ups: Dict[str, float] = {}

    def __enter__(self) -> Theatre:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, leg: Leg, wanted: Optional[ObjectSet], *, copies: int = 1, **conditions: Any) -> Spent:
        """One leg on so many copies of a set, or on an empty queue; Incomplete if anything is missing."""
        said = self.load(wanted, copies=copies, **conditions)
        stdin = json.dumps(said["keys"]).encode() if leg.program == "limit" else b""
        spent = spend(self.command(leg), environment=environment(pure=leg.pure), stdin=stdin,
                      log=self._folder / "log")
        report = self.ask("/_report", {})
        if leg.program == "limit":
            report["left"] = 0
        found = self.ask("/_verify", {"plain": leg.program == "limit"})
        if spent.code or report["left"] or not found["complete"]:
            tail = (self._folder / "log").read_text(errors="replace")[-2000:]
            raise Incomplete(f"{leg} ended with {spent.code}: {found}, {report}\n{tail}")
        return spent._replace(report=report)

    def net(self, leg: Leg, wanted: ObjectSet, *, copies: int = 1, **conditions: Any) -> Spent:
        """The same without start-up."""
        spent = self.run(leg, wanted, copies=copies, **conditions)
        return spent._replace(cpu_seconds=max(0.001, spent.cpu_seconds - self.start_up(leg)))

    def start_up(self, leg: Leg) -> float:
        """What a leg costs that has nothing to do: the least of some, as noise only adds."""
        if self._with_start_up:
            return 0.0
        key = repr(leg)
        if key not in self._start_ups:
            runs = 3 if leg.program != "limit" else 5
            self._start_ups[key] = min(self.run(leg, None).cpu_seconds for _ in range(runs))
        return self._start_ups[key]

    def load(self, wanted: Optional[ObjectSet], **conditions: Any) -> Dict[str, Any]:
        chosen = {"set": list(wanted), "folder": str(self._objects)} if wanted else {}
        return self.ask("/_load", {**chosen, **conditions})

    def ask(self, path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_LONGEST_SECONDS)
        try:
            connection.request("POST", path, json.dumps(body))
            answer: Dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def command(self, leg: Leg, *, once: bool = True) -> List[str]:
        host = f"127.0.0.1:{self.port}"
        if leg.program == "limit":
            return [sys.executable, "-m", "benchmarks.limit", host, "gzip" if leg.gzip else "plain"]
        if leg.program == "typical":
            return [sys.executable, "-m", "benchmarks.typical", f"http://{host}/111111111111/audits",
                    f"http://{host}"]
        flags = ["--once"] if once else []
        return [sys.executable, "-m", "collector", "run", "--config", str(self._configure(leg)), *flags]

    def _configure(self, leg: Leg) -> Path:
        """A folder of its own for each run: an empty ledger, checkpoints as durable as they always are."""
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        host = f"http://127.0.0.1:{self.port}"
        settings = {
            "provider": "custom", "region": "eu-west-1", "bucket": "audits", "endpoint_url": host,
            "queue_url": f"{host}/111111111111/audits", "hec_url": host, "hec_token": "token",
            "aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret", "output": "hec",
            "checkpoint_dir": folder, "start_from": "2026-05-01T00:00:00Z", "hec_gzip": leg.gzip,
            **leg.settings,
        }
        shared = {"processes": settings.pop("processes", 1)}
        lines = ["[audit_s3]", *_lines(shared), "[audit_s3://benchmark]", *_lines(settings)]
        path = folder / "audit-s3.conf"
        path.write_text("\n".join(lines) + "\n")
        return path


def spend(
    command: Sequence[str], *, environment: Optional[Mapping[str, str]] = None, stdin: bytes = b"",
    log: Optional[Path] = None, stop_after_seconds: float = 0.0,
) -> Spent:
    """Run a program to its end, or until it is told to stop; what it and its children took."""
    began = time.monotonic()
    with (log or Path(os.devnull)).open("wb") as err:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment or os.environ), stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=err,
        )
    end = (process.terminate, stop_after_seconds) if stop_after_seconds else (process.kill, _LONGEST_SECONDS)
    timer = threading.Timer(end[1], end[0])
    timer.start()
    try:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        _, status, used = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
    process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    cpu, wall = used.ru_utime + used.ru_stime, time.monotonic() - began
    return Spent(cpu, wall, used.ru_maxrss / unit, process.returncode, {})


def environment(*, pure: bool = False) -> Dict[str, str]:
    """Ours, without anything that could lead to a real account."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "AUDIT_S3_"))}
    return {**ours, "AUDIT_S3_ACCELERATORS": "off" if pure else "on", "AWS_EC2_METADATA_DISABLED": "true"}


def _lines(settings: Mapping[str, Any]) -> List[str]:
    return [f"{name} = {str(value).lower() if isinstance(value, bool) else value}"
            for name, value in settings.items()]
