"""A whole run, as splunkd sees it: XML on stdin, events on stdout, a signal at the end."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List

import pytest

from collector.hosts.splunkd.rest import REALM
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.splunkd_stream import StreamEvent, StreamReader

#: What differs by Python is held by test_as_splunkd.py, which runs the package on each.
pytestmark = pytest.mark.once

_NUMBERS = itertools.count(1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def provider(ministack: LocalAws) -> Provider:
    return Provider(ministack, f"splunkd-{next(_NUMBERS)}")


class Run:
    """One process of the input, read by a strict splunkd, `pause_seconds` after each piece."""

    def __init__(
        self, document: bytes, environment: Dict[str, str], ledger: Path, pause_seconds: float = 0.0
    ) -> None:
        self.pause_seconds = pause_seconds
        self._ledger = ledger
        self.reader = StreamReader()
        self.failure: List[AssertionError] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "bin" / "audit_s3.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(document)
        self.process.stdin.close()
        self._thread = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._thread.start()

    def _read(self, stdout: BinaryIO) -> None:
        try:
            for piece in iter(lambda: stdout.read1(65536), b""):  # type: ignore[attr-defined]
                self.reader.feed(piece)
                time.sleep(self.pause_seconds)
            if self.reader.bytes_read:
                self.reader.close()
        except AssertionError as error:
            self.failure.append(error)

    def wait_for(self, count: int, *, seconds: float = 90) -> List[StreamEvent]:
        _wait(lambda: len(self.reader.events) >= count or self.process.poll() is not None, seconds=seconds)
        assert self.process.poll() is None, self.process.stderr.read()  # type: ignore[union-attr]
        assert len(self.reader.events) >= count
        return self.reader.events

    def wait_until_it_began(self) -> None:
        """Until its ledger is made: it has said what it has to say of its settings, and hears signals."""
        _wait(self._ledger.exists, seconds=90)
        assert self._ledger.exists()

    def forget(self) -> None:
        for file in self._ledger.parent.glob(self._ledger.name + "*"):
            file.unlink()

    def stop(self) -> float:
        """SIGTERM; returns the seconds that it took to end, with exit code 0 and its stream closed."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
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
    provider: Provider, run_document, environment: Dict[str, str], splunkd, tmp_path: Path
) -> Iterator[Callable[..., Run]]:
    """Starts the input as splunkd would; its secret key is in storage/passwords only."""
    settings = {**provider.handover(), "provider": "thrive", "wait_time_seconds": "1"}
    splunkd.store(REALM, "thrive:aws_secret_access_key", settings.pop("aws_secret_access_key"))
    ledger = tmp_path / "modinputs" / "audit_s3" / "thrive.sqlite3"
    started: List[Run] = []

    def run(pause_seconds: float = 0.0, **more: str) -> Run:
        stanza = {**settings, **more}
        splunkd.inputs.stanzas["thrive"] = dict(stanza)
        started.append(Run(run_document("thrive", stanza), environment, ledger, pause_seconds))
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
    _wait(lambda: provider.queue_depth() == 0, seconds=90)
    assert provider.queue_depth() == 0
    assert first.stop() < 10

    time.sleep(2)  # the queue still holds the first run's last poll, and would answer into the void
    provider.notify(*(f"audits/{number}.json.gz" for number in range(5)))
    _upload(provider, "audits/last.json.gz", _audits(1000, 1))
    second = start()
    assert [json.loads(event.data)["id"] for event in second.wait_for(1)] == [1000]
    _wait(lambda: provider.queue_depth() == 0, seconds=90)
    assert provider.queue_depth() == 0
    assert second.stop() < 10
    assert len(second.reader.events) == 1

    log = Path(environment["SPLUNK_HOME"]) / "var" / "log" / "splunk" / "audit_s3_thrive.log"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert {line["input"] for line in lines} == {"thrive"}
    assert provider.secret_access_key not in log.read_text(encoding="utf-8")


def test_an_idle_input_stops_at_once_with_a_closed_stream(start) -> None:
    run = start(wait_time_seconds="20")
    run.wait_until_it_began()
    time.sleep(1)  # and has asked the queue
    assert run.stop() < 10
    assert run.reader.bytes_read == len(b"<stream>\n</stream>\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells of children")
def test_an_input_has_no_children_that_could_outlive_it(provider, start) -> None:
    _upload(provider, "audits/1.json.gz", _audits(0, 10))
    run = start()
    run.wait_for(10)
    parents = list(_parents())
    assert os.getpid() in parents  # of the input itself
    assert run.process.pid not in parents
    run.stop()


def _parents() -> Iterator[int]:
    """The parent of every process that there is, zombies included."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield int(path.read_text().rpartition(")")[2].split()[1])


def test_settings_that_cannot_be_used_end_the_run_with_78_and_say_why(start) -> None:
    run = start(workers="many")
    assert run.process.wait(timeout=30) == 78
    assert run.process.stderr is not None
    err = run.process.stderr.read()
    assert err.startswith(b"FATAL ")
    assert b"workers" in err


def test_a_stop_under_a_slow_splunkd_loses_nothing_and_repeats_nothing(provider, start) -> None:
    for number in range(30):
        audits = [{**audit, "filling": "x" * 1000} for audit in _audits(number * 100, 100)]
        _upload(provider, f"audits/{number}.json.gz", audits)
    first = start(pause_seconds=0.02)
    first.wait_for(200)
    assert first.stop() < 10
    read = [json.loads(event.data)["id"] for event in first.reader.events]
    assert 200 <= len(read) < 3000  # it was in the middle
    second = start()
    second.wait_for(3000 - len(read))
    _wait(lambda: provider.queue_depth() == 0, seconds=90)
    assert second.stop() < 10
    read += [json.loads(event.data)["id"] for event in second.reader.events]
    assert sorted(read) == list(range(3000))


@pytest.mark.exhaustive
def test_a_splunkd_that_stopped_reading_for_good_costs_repeats_and_no_event(provider, start) -> None:
    """The messages of what could not be written lapse after their visibility timeout: half a minute here."""
    for number in range(10):
        audits = [{**audit, "filling": "x" * 1000} for audit in _audits(number * 100, 100)]
        _upload(provider, f"audits/{number}.json.gz", audits)
    first = start(pause_seconds=3600, visibility_timeout_seconds="30")
    _wait(lambda: bool(first.reader.bytes_read), seconds=90)
    time.sleep(2)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(timeout=30) == 0
    second = start()
    second.wait_for(1000, seconds=90)
    assert {json.loads(event.data)["id"] for event in second.reader.events} == set(range(1000))


def test_hec_with_acknowledgement_is_an_output_inside_splunk_too(provider, start) -> None:
    _upload(provider, "audits/1.json.gz", _audits(0, 100))
    with FakeHec(acks=True) as hec:
        run = start(output="hec", hec_url=hec.url, hec_token=hec.token)
        _wait(lambda: len(hec.events) >= 100 and provider.queue_depth() == 0, seconds=90)
        assert provider.queue_depth() == 0
        assert run.stop() < 10
        assert sorted(event["event"]["id"] for event in hec.events) == list(range(100))
    assert run.reader.bytes_read == 0


def test_what_is_allowed_and_deserves_a_warning_is_said_in_splunkd_log(provider, start) -> None:
    _upload(provider, "audits/1.json.gz", _audits(0, 10))
    run = start(hec_url="https://splunk.example.com:8088", hec_token="storage:thrive:aws_secret_access_key")
    run.wait_for(10)
    run.stop()
    said = run.process.stderr.read().decode().splitlines()
    (line,) = [line for line in said if "hec_url" in line]
    assert line.startswith("WARN inputs.conf [audit_s3://thrive]: hec_url has no effect: ")


def test_no_secret_is_seen_outside_of_storage_passwords(provider, start, splunkd, tmp_path) -> None:
    """Plain values in the stanza: in use at once, masked for the next start, and in no output at all."""
    _upload(provider, "audits/1.json.gz", _audits(0, 10))
    with FakeHec() as hec:
        run = start(
            output="hec, splunkd", hec_url=hec.url, hec_token=hec.token, log_level="debug",
            aws_secret_access_key=provider.secret_access_key,
        )
        run.wait_for(10)
        _wait(lambda: provider.queue_depth() == 0, seconds=90)
        process = Path(f"/proc/{run.process.pid}")
        seen = b"".join((process / name).read_bytes() for name in ("cmdline", "environ"))
        assert run.stop() < 10
    stanza = splunkd.inputs.stanzas["thrive"]
    assert (stanza["hec_token"], stanza["aws_secret_access_key"]) == ("********", "********")
    assert splunkd.passwords[REALM, "thrive:hec_token"] == hec.token
    assert splunkd.passwords[REALM, "thrive:aws_secret_access_key"] == provider.secret_access_key
    seen += run.process.stderr.read()
    seen += "".join(event.data + str(event.fields) for event in run.reader.events).encode()
    seen += " ".join(path for _, path in splunkd.requests).encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "audit_s3_thrive.log" for path in files)
    assert tmp_path / "modinputs" / "audit_s3" / "thrive.sqlite3" in files
    seen += b"".join(path.read_bytes() for path in files)
    for secret in (hec.token, provider.secret_access_key, splunkd.session_key):
        assert secret.encode() not in seen


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("hec_token", "canary-0123456789", "hec_token_invalid"),
        ("proxy_url", "http://user:canary-0123456789@127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_trouble_with_a_secret_is_told_without_it(provider, start, environment, name, value, said) -> None:
    _upload(provider, "audits/1.json.gz", _audits(0, 10))
    log = Path(environment["SPLUNK_HOME"]) / "var" / "log" / "splunk" / "audit_s3_thrive.log"
    with FakeHec() as hec:
        stanza = {"output": "hec", "hec_url": hec.url, "hec_token": hec.token, name: value}
        run = start(**stanza, log_level="debug")
        _wait(lambda: log.exists() and said in log.read_text(encoding="utf-8"), seconds=90)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=30) == 0
    seen = run.process.stderr.read().decode() + log.read_text(encoding="utf-8")
    assert said in seen
    assert "canary" not in seen


def test_a_member_of_a_search_head_cluster_does_not_list_unless_it_is_told_to(start, splunkd) -> None:
    splunkd.server_roles = ["search_head", "shc_member"]
    run = start(log_level="warning", sns_signature="off")
    run.wait_until_it_began()
    assert run.stop() < 10
    said = run.process.stderr.read()
    assert said.startswith(b"WARN The bucket is not listed for what the queue forgot")
    run.forget()
    told = start(log_level="warning", sns_signature="off", reconcile_interval_seconds="21600")
    told.wait_until_it_began()
    assert told.stop() < 10
    assert told.process.stderr.read() == b""
