"""No secret is in anything that the program says: every output of real runs at DEBUG, bugs included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, environment, ndjson, wait_for
from tests.e2e.test_web import ask, is_ready

TOKEN = "cafe0000-aaaa-4bbb-8ccc-canary000001"
SESSION_TOKEN = "IQoJcanarySessionToken//////////" + "A" * 300
#: The program with a bug in its output: it shows all that it has in a traceback.
BUGGY = """
from collector.sinks.hec import HecSink
def send(self, batch, *, lane):
    raise RuntimeError(f"a bug shows {self._token()} of {vars(self)}")
HecSink.send = send
from collector.hosts.cli import main
main()
"""


class Stage:
    """A provider, an output that answers with what it was sent, and what must not be seen."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        aws.reset()
        self.folder = folder
        self.provider = Provider(aws, "thrive")
        self.provider.external_id, old = "canary-external-id-77", self.provider.external_id
        self._trust(old)
        self.hec = FakeHec(token=TOKEN).start()
        given = self.provider.handover()
        self.canaries: Dict[str, str] = {
            "HEC token": TOKEN,
            "secret key": given["aws_secret_access_key"],
            "access key": given["aws_access_key_id"],
            "external id": self.provider.external_id,
            "session token": SESSION_TOKEN,
        }
        self.settings = {
            **given, "hec_url": self.hec.url, "hec_token": self._secret("hec-token", TOKEN),
            "log_level": "debug", "reconcile_grace_seconds": 0,
        }

    def _secret(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return f"file:{path}"

    def _trust(self, old: str) -> None:
        """The access role now trusts us under the canary."""
        iam, name = self.provider.client("iam"), self.provider.role_arn.rpartition("/")[2]
        role = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        text = json.dumps(role).replace(old, self.provider.external_id)
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=text)

    def collector(self, **more: Any) -> Collector:
        return Collector(self.folder, {**self.settings, **more})

    def leaked(self, *said: bytes) -> List[str]:
        """Which canaries are in any of these."""
        text = b"\n".join(said)
        return [name for name, canary in self.canaries.items() if canary.encode() in text]


@pytest.fixture
def stage(ministack: LocalAws, tmp_path: Path) -> Iterator[Stage]:
    built = Stage(ministack, tmp_path)
    yield built
    built.hec.close()


@pytest.mark.parametrize("form", ["text", pytest.param("json", marks=pytest.mark.exhaustive)])
def test_a_service_at_work_and_in_trouble_says_none(stage: Stage, address: str, form: str) -> None:
    echo = f"no such token {TOKEN} Authorization: Splunk {TOKEN}".encode()
    ours = stage.collector(http_listen=address, log_format=form)
    process = ours.start()
    try:
        wait_for(lambda: is_ready(address))
        stage.provider.upload("k/one", ndjson("one", 3))
        wait_for(lambda: len(stage.hec.events) == 3)
        stage.hec.fail_next(403, body=echo, times=3)
        stage.provider.upload("k/two", ndjson("two", 3))
        wait_for(lambda: '"last_error": {' in ask(address, "/status.json")[1].decode())
        pages = [ask(address, path)[1] for path in ("/", "/status.json", "/metrics", "/readyz")]
        told = ours.verb("status", "--format", "json", code=1)
    finally:
        ours.stop(process)
        ours.end()
    assert "DEBUG" in ours.log or '"debug"' in ours.log
    assert stage.leaked(ours.log.encode(), *pages, told.stdout, told.stderr, *ours.output()) == []


@pytest.mark.parametrize("words", [
    ["check", "--format", "html"], ["check", "--format", "json"], ["run", "--dry-run"],
    ["run", "--dry-run", "--peek", "--format", "html"],
])
def test_no_report_has_one(stage: Stage, words: List[str]) -> None:
    stage.provider.upload("k/one", ndjson("one", 3))
    command = [sys.executable, "-m", "collector", *words, "--config", str(stage.collector().config)]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=60)
    assert done.stdout
    assert stage.leaked(done.stdout, done.stderr) == []


@pytest.mark.parametrize("form", ["text", pytest.param("json", marks=pytest.mark.exhaustive)])
def test_the_traceback_of_a_bug_has_none(stage: Stage, form: str) -> None:
    stage.provider.upload("k/one", ndjson("one", 3))
    config = stage.collector(log_format=form).config
    with subprocess.Popen(
        [sys.executable, "-c", BUGGY, "run", "--config", str(config)], env=environment(),
        stdout=subprocess.PIPE, stderr=(stage.folder / "log").open("wb"),
    ) as process:
        try:
            wait_for(lambda: b"a bug shows" in (stage.folder / "log").read_bytes())
        finally:
            process.terminate()
    said = (stage.folder / "log").read_bytes()
    assert b"Traceback" in said and b"********" in said
    assert stage.leaked(said) == []


def test_keys_that_aws_does_not_know_are_not_said_back(stage: Stage) -> None:
    done = stage.collector(aws_session_token=stage._secret("session-token", SESSION_TOKEN)).run("--once")
    assert done.returncode != 0 and done.stderr
    assert stage.leaked(done.stdout, done.stderr) == []
