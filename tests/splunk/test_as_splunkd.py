"""The app as splunkd runs it: the built package, unpacked, on bare interpreters, read by a strict reader.

Nothing but the package's own lib/ is on the path. The reader may be slow, stop reading, or close the pipe;
whatever it did, what it has not read comes again, and what it has read and was committed does not.
"""

from __future__ import annotations

import fcntl
import gzip
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Tuple
from xml.etree import ElementTree

import pytest

from collector.config.generate import scheme_arguments
from collector.hosts.splunkd.rest import REALM
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.splunkd_stream import StreamEvent, StreamReader
from tests.client_side import write_v2
from tests.contract.test_client_side import RealKms
from tests.splunk.app_package import PYTHONS, SPLUNKS_PYTHONS, bare, build, python, unpack

_NUMBERS = itertools.count(1)
_LEVEL = re.compile(r"(DEBUG|INFO|WARN|ERROR|FATAL) ")
PIPE_BYTES = 65536
#: After what has been read for five seconds counts as taken.
SETTLED_SECONDS = 7


def pythons(*always: str) -> pytest.MarkDecorator:
    """Every interpreter, those but `always` with FAULTS=all only: a run waits more than it works."""
    marks = {version: [] if version in always else [pytest.mark.exhaustive] for version in PYTHONS}
    versions = [pytest.param(version, marks=marks[version]) for version in PYTHONS]
    return pytest.mark.parametrize("version", versions)


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(package, tmp_path_factory.mktemp("splunk") / "etc" / "apps")


@pytest.fixture
def provider(ministack: LocalAws) -> Provider:
    return Provider(ministack, f"as-splunkd-{next(_NUMBERS)}")


class Run:
    """One process of the input. Its stdout is read in pieces, as strictly as splunkd would."""

    def __init__(
        self, command: List[str], document: bytes, environment: Dict[str, str], *, pace_seconds: float
    ) -> None:
        self.reader = StreamReader()
        self.failure: List[AssertionError] = []
        self._pace_seconds = pace_seconds
        self._wanted = float("inf")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._process.stdin.write(document)
        self._process.stdin.close()
        self._stdout = self._process.stdout.fileno()
        self._errors: List[str] = []
        reading = (self._read, self._read_errors)
        self._threads = [threading.Thread(target=each, daemon=True) for each in reading]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        try:
            while len(self.reader.events) < self._wanted:
                piece = os.read(self._stdout, PIPE_BYTES // 4)
                if not piece:
                    self.reader.close()
                    return
                self.reader.feed(piece)
                time.sleep(self._pace_seconds)
        except AssertionError as error:
            self.failure.append(error)

    def _read_errors(self) -> None:
        for line in self._process.stderr:  # type: ignore[union-attr]
            self._errors.append(line.decode())

    def read_only(self, count: int) -> None:
        """Read no more once so many events have been read; returns when that is so."""
        self._wanted = count
        self._threads[0].join(60)
        assert len(self.reader.events) >= count, self.stderr()

    def wait_until_blocked(self) -> None:
        """Returns when the pipe is full and stays so."""
        wait(lambda: self._unread() > PIPE_BYTES - 4096, seconds=90)
        time.sleep(0.5)

    def _unread(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self._stdout, termios.FIONREAD, struct.pack("i", 0)))[0])

    def close_stdout(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait_for(self, count: int, *, seconds: float = 90) -> None:
        wait(lambda: len(self.reader.events) >= count or self._process.poll() is not None, seconds=seconds)
        assert not self.failure, self.failure
        assert len(self.reader.events) >= count, self.stderr()

    def stop(self) -> None:
        """SIGTERM: it ends before splunkd would kill it, with a closed stream."""
        self._process.send_signal(signal.SIGTERM)
        assert self.wait(seconds=10) == 0, self.stderr()
        self._threads[0].join(10)
        assert not self.failure, self.failure

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self, *, seconds: float) -> int:
        return self._process.wait(timeout=seconds)

    def stderr(self) -> List[str]:
        self._threads[1].join(0.5 if self._process.poll() is None else 5)
        return self._errors

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@pytest.fixture
def start(
    installed: Path, provider: Provider, run_document, environment: Dict[str, str], splunkd
) -> Iterator[Callable[..., Run]]:
    """Starts the installed app as splunkd would: `start("3.9")`. Its secret is in storage/passwords only."""
    settings = {
        **provider.handover(), "provider": "thrive", "wait_time_seconds": "1",
        # What a blocked process could not hand back comes again when its lease is over.
        "visibility_timeout_seconds": "30",
    }
    splunkd.store(REALM, "thrive:aws_secret_access_key", settings.pop("aws_secret_access_key"))
    started: List[Run] = []

    def run(version: str, *, pace_seconds: float = 0.0, app: Path = installed) -> Run:
        command = [*bare(version), str(app / "bin" / "audit_s3.py")]
        document = run_document("thrive", settings)
        started.append(Run(command, document, environment, pace_seconds=pace_seconds))
        return started[-1]

    yield run
    for each in started:
        each.kill()


def wait(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def let_go_of_the_queue() -> None:
    """It still holds the last poll of a process that has ended, and would answer into the void."""
    time.sleep(1.5)


def upload(provider: Provider, name: str, *, count: int, padding: int = 0) -> None:
    """`count` audits whose ids begin with `name`, some of them made to break an XML stream."""
    notes = ["a]]>b", "<&>\"'", "\u00e9\U0001f600", "a\\r\\nb", "\ufffe", "</data></event></stream>"]
    audits = [
        {
            "eventTime": f"2026-05-04T10:{number // 60 % 60:02}:{number % 60:02}.123Z",
            "id": f"{name}-{number}",
            "note": notes[number % len(notes)] + "x" * padding,
        }
        for number in range(count)
    ]
    lines = "\n".join(json.dumps(audit, ensure_ascii=False) for audit in audits)
    provider.upload(f"audits/{name}.json.gz", gzip.compress(lines.encode(), 1))


def ids(events: Iterable[StreamEvent]) -> List[str]:
    return sorted(str(json.loads(event.data)["id"]) for event in events)


def expected(names: Iterable[str], count: int) -> List[str]:
    return sorted(f"{name}-{number}" for name in names for number in range(count))


@pytest.mark.parametrize("version", PYTHONS)
def test_the_scheme_names_every_setting_and_a_bad_input_is_refused(
    installed: Path, version: str, items, environment
) -> None:
    command = [*bare(version), str(installed / "bin" / "audit_s3.py")]
    queue_url = "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue"
    good = {"provider": "thrive", "bucket": "thrive-audit-logs", "queue_url": queue_url}
    scheme = subprocess.run([*command, "--scheme"], capture_output=True, env=environment, timeout=30)
    assert (scheme.returncode, scheme.stderr) == (0, b"")
    named = [each.get("name") for each in ElementTree.fromstring(scheme.stdout).iter("arg")]
    assert named == [each["name"] for each in scheme_arguments()]

    validate = [*command, "--validate-arguments"]
    document = items("thrive", {**good, "workers": "many"})
    refused = subprocess.run(validate, input=document, capture_output=True, env=environment, timeout=30)
    assert refused.returncode != 0
    assert "workers" in (ElementTree.fromstring(refused.stdout).findtext("message") or "")

    document = items("thrive", good)
    accepted = subprocess.run(validate, input=document, capture_output=True, env=environment, timeout=30)
    assert (accepted.returncode, accepted.stdout, accepted.stderr) == (0, b"", b"")


@pythons("3.9")
def test_a_run_that_is_stopped_and_upgraded_in_the_middle_is_the_standalone_run(
    package: Path, provider: Provider, start, version: str, tmp_path: Path
) -> None:
    app = unpack(package, tmp_path / "apps")
    names = [f"object{number}" for number in range(6)]
    for name in names[:3]:
        upload(provider, name, count=400, padding=1000)
    first = start(version, app=app, pace_seconds=0.01)
    first.wait_for(1)  # of 1.2 MB, most of which is still to be read
    first.stop()
    assert len(first.reader.events) < 3 * 400
    assert all(_LEVEL.match(line) for line in first.stderr()), first.stderr()

    unpack(package, tmp_path / "apps")
    let_go_of_the_queue()
    for name in names[3:]:
        upload(provider, name, count=400)
    second = start(version, app=app)
    second.wait_for(6 * 400 - len(first.reader.events))
    wait(lambda: provider.queue_depth() == 0, seconds=90)
    assert provider.queue_depth() == 0
    second.stop()

    read = first.reader.events + second.reader.events
    let_go_of_the_queue()
    assert ids(read) == expected(names, 400)
    provider.notify(*(f"audits/{name}.json.gz" for name in names))
    standalone = _standalone(provider, tmp_path)
    assert sorted(_columns(event) for event in read) == sorted(standalone)


def _columns(event: StreamEvent) -> Tuple[str, str, float, str]:
    fields = event.fields
    return fields["source"], fields["sourcetype"], float(fields["time"]), event.data


def _standalone(provider: Provider, folder: Path) -> List[Tuple[str, str, float, str]]:
    """The events of `audit-s3 run --once`, as a stream of XML can carry them."""
    config = folder / "audit-s3.conf"
    settings = {
        **provider.handover(), "provider": "thrive", "output": "stdout", "stdout_format": "json",
        "checkpoint_dir": str(folder / "standalone"),
    }
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    config.write_text("[audit_s3://thrive]\n" + "".join(lines), encoding="utf-8")
    config.chmod(0o600)
    command = [sys.executable, "-m", "collector", "run", "--once", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        (row["source"], row["sourcetype"], float(row["time"]), row["event"].replace("\ufffe", "\ufffd"))
        for row in rows
    ]


@pythons()
def test_told_to_stop_while_stdout_is_blocked_it_ends_and_what_was_not_read_comes_again(
    provider: Provider, start, version: str
) -> None:
    names = ["a", "b", "c"]
    for name in names:
        upload(provider, name, count=1000, padding=1000)
    blocked = start(version)
    blocked.read_only(200)
    blocked.wait_until_blocked()
    blocked.terminate()
    assert blocked.wait(seconds=15) == 0, blocked.stderr()
    assert all(_LEVEL.match(line) for line in blocked.stderr())

    second = start(version)
    missing = set(expected(names, 1000)) - set(ids(blocked.reader.events))
    wait(lambda: missing <= set(ids(second.reader.events)), seconds=60)
    assert missing <= set(ids(second.reader.events)), second.stderr()
    second.stop()


@pytest.mark.exhaustive
@pythons("3.9")
def test_what_lies_in_the_pipe_when_its_reader_goes_comes_again(
    provider: Provider, start, version: str
) -> None:
    """All of it fits into the pipe: every write has succeeded, and less than one object was read."""
    names = ["a", "b", "c"]
    for name in names:
        upload(provider, name, count=15, padding=1000)
    left = start(version)
    left.read_only(1)
    time.sleep(SETTLED_SECONDS)
    assert provider.queue_depth() >= len(names)
    left.close_stdout()
    assert left.wait(seconds=15) in (0, 1)
    assert all(_LEVEL.match(line) and "Traceback" not in line for line in left.stderr())

    second = start(version)
    missing = set(expected(names, 15)) - set(ids(left.reader.events))
    assert len(missing) > 30
    wait(lambda: missing <= set(ids(second.reader.events)), seconds=60)
    assert missing <= set(ids(second.reader.events)), second.stderr()
    second.stop()


@pythons()
def test_a_slow_reader_holds_the_input_back_and_gets_everything_once(
    provider: Provider, start, version: str
) -> None:
    upload(provider, "slow", count=1000, padding=1000)
    run = start(version, pace_seconds=0.05)  # three seconds and more for what takes a blink
    run.wait_for(1000)
    wait(lambda: provider.queue_depth() == 0, seconds=90)
    assert provider.queue_depth() == 0
    run.stop()
    assert ids(run.reader.events) == expected(["slow"], 1000)


def test_without_cryptography_an_encrypted_object_waits_and_says_what_to_install(
    provider: Provider, start, environment
) -> None:
    _upload_encrypted(provider)
    upload(provider, "plain", count=10)
    run = start("3.9")
    run.wait_for(10)
    log = Path(environment["SPLUNK_HOME"]) / "var" / "log" / "splunk" / "audit_s3_thrive.log"
    wait(lambda: "client_side_needs_cryptography" in log.read_text(encoding="utf-8"), seconds=90)
    said = [line for line in log.read_text(encoding="utf-8").splitlines() if "client_side_needs" in line]
    assert "-linux_x86_64.tgz" in json.loads(said[0])["message"]
    wait(lambda: provider.queue_depth() == 1, seconds=90)
    run.stop()
    assert ids(run.reader.events) == expected(["plain"], 10)
    assert provider.queue_depth() == 1
    assert provider.dlq_depth() == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("version", SPLUNKS_PYTHONS)
def test_the_package_of_this_platform_decrypts_it(
    provider: Provider, start, version: str, tmp_path: Path
) -> None:
    app = unpack(build(tmp_path, platform=f"linux_{os.uname().machine}"), tmp_path / "apps")
    _upload_encrypted(provider)
    run = start(version, app=app)
    run.wait_for(1)
    run.stop()
    assert ids(run.reader.events) == ["sealed"]


def _upload_encrypted(provider: Provider) -> None:
    body = b'{"eventTime": "2026-05-04T10:00:00Z", "id": "sealed"}\n'
    ciphertext, metadata = write_v2(body, RealKms(provider.client("kms")), arn=provider.kms_key_arn)
    provider.upload("audits/sealed.json", ciphertext, Metadata=metadata)


def test_what_splunk_itself_has_on_its_path_is_not_taken(
    installed: Path, environment, tmp_path: Path
) -> None:
    for name in ("boto3", "botocore", "splunklib", "collector", "urllib3"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n", encoding="utf-8")
    command = [python("3.9"), str(installed / "bin" / "audit_s3.py"), "--scheme"]
    done = subprocess.run(
        command, capture_output=True, env={**environment, "PYTHONPATH": str(tmp_path)}, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"<scheme>")


