"""A whole run, as splunkd sees it: XML on stdin, events on stdout, a signal at the end."""

from __future__ import annotations

import gzip
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List

import pytest

from collector.hosts.splunkd_rest import REALM
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.splunkd_stream import StreamEvent, StreamReader

_NUMBERS = itertools.count(1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def provider(ministack: LocalAws) -> Provider:
    return Provider(ministack, f"splunkd-{next(_NUMBERS)}")


class Run:
    """One process of the input, read by a strict splunkd."""

    def __init__(self, document: bytes, environment: Dict[str, str]) -> None:
        self.reader = StreamReader()
        self.failure: List[AssertionError] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "bin" / "audit_s3.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(document)
        self.process.stdin.close()
        self._thread = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._thread.start()

    def _read(self, stdout: BinaryIO) -> None:
        try:
            for piece in iter(lambda: stdout.read1(65536), b""):  # type: ignore[attr-defined]
                self.reader.feed(piece)
            self.reader.close()
        except AssertionError as error:
            self.failure.append(error)

    def wait_for(self, count: int, *, seconds: float = 60) -> List[StreamEvent]:
        _wait(lambda: len(self.reader.events) >= count or self.process.poll() is not None, seconds=seconds)
        assert self.process.poll() is None, self.process.stderr.read()  # type: ignore[union-attr]
        assert len(self.reader.events) >= count
        return self.reader.events

    def stop(self) -> float:
        """SIGTERM; returns how many seconds the process took to end, with exit code 0 and a closed stream."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=15)
        taken = time.monotonic() - started
        self._thread.join(10)
        assert not self.failure, self.failure
        assert code == 0, self.process.stderr.read()  # type: ignore[union-attr]
        return taken

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


@pytest.fixture
def start(
    provider: Provider, run_document, environment: Dict[str, str], splunkd
) -> Iterator[Callable[..., Run]]:
    """Starts the input as splunkd would; its secret key is in storage/passwords only."""
    settings = {**provider.handover(), "provider": "thrive", "wait_time_seconds": "1"}
    splunkd.store(REALM, "thrive:aws_secret_access_key", settings.pop("aws_secret_access_key"))
    started: List[Run] = []

    def run(**more: str) -> Run:
        started.append(Run(run_document("thrive", {**settings, **more}), environment))
        return started[-1]

    yield run
    for each in started:
        each.kill()


def _audits(first: int, count: int) -> List[Dict[str, Any]]:
    return [
        {"eventTime": f"2026-05-04T10:00:{number % 60:02}.123Z", "id": number, "note": "a]]>b <&> \u00e9"}
        for number in range(first, first + count)
    ]


def _upload(provider: Provider, key: str, audits: List[Dict[str, Any]]) -> None:
    body = "\n".join(json.dumps(audit, ensure_ascii=False) for audit in audits).encode()
    provider.upload(key, gzip.compress(body))


def _wait(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_events_reach_splunkd_once_and_a_second_run_repeats_none(provider, start, environment) -> None:
    for number in range(5):
        _upload(provider, f"audits/{number}.json.gz", _audits(number * 100, 100))
    first = start()
    events = first.wait_for(500)
    assert sorted(json.loads(event.data)["id"] for event in events) == list(range(500))
    assert {event.fields["sourcetype"] for event in events} == {"thrive:audit"}
    assert {event.fields["source"] for event in events} == {
        f"s3://{provider.bucket}/audits/{number}.json.gz" for number in range(5)
    }
    assert all(event.fields["time"].startswith("17778") for event in events)
    _wait(lambda: provider.queue_depth() == 0, seconds=30)
    assert provider.queue_depth() == 0
    assert first.stop() < 10

    time.sleep(2)  # the queue still holds the first run's last poll, and would answer into the void
    provider.notify(*(f"audits/{number}.json.gz" for number in range(5)))
    _upload(provider, "audits/last.json.gz", _audits(1000, 1))
    second = start()
    assert [json.loads(event.data)["id"] for event in second.wait_for(1)] == [1000]
    _wait(lambda: provider.queue_depth() == 0, seconds=30)
    assert provider.queue_depth() == 0
    assert second.stop() < 10
    assert len(second.reader.events) == 1

    log = Path(environment["SPLUNK_HOME"]) / "var" / "log" / "splunk" / "audit_s3_thrive.log"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert {line["input"] for line in lines} == {"thrive"}
    assert provider.secret_access_key not in log.read_text(encoding="utf-8")


def test_an_idle_input_stops_at_once_with_a_closed_stream(start) -> None:
    run = start(wait_time_seconds="20")
    time.sleep(3)
    assert run.stop() < 10
    assert run.reader.events == []


def test_settings_that_cannot_be_used_end_the_run_with_78_and_say_why(start) -> None:
    run = start(workers="many")
    assert run.process.wait(timeout=30) == 78
    assert run.process.stderr is not None
    err = run.process.stderr.read()
    assert err.startswith(b"FATAL ")
    assert b"workers" in err
