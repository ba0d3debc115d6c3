"""`audit-s3 init` as it is used: at a terminal, in a script, from the inputs of Splunk's add-on, and run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import pytest

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT
from tests.e2e.collector_process import environment, ndjson, records

QUEUE = "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue"


def program(
    folder: Path, *words: str, code: int = 0, environ: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """`audit-s3` in a folder, without a terminal."""
    env = {**environment(), "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run([sys.executable, "-m", "collector", *words], cwd=folder, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done


def at_a_terminal(folder: Path, words: Sequence[str], answers: Sequence[str]) -> str:
    """`audit-s3` at a terminal of its own, each answer given at a prompt; what the terminal showed."""
    terminal, theirs = os.openpty()
    env = {**environment(), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = subprocess.Popen([sys.executable, "-m", "collector", *words], cwd=folder, env=env, stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown, left, seen = b"", list(answers), 0
    while True:
        try:
            got = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side is gone
            break
        if not got:
            break
        shown += got
        if left and shown[seen:].endswith(b": "):
            seen = len(shown)
            time.sleep(0.1)  # a hidden prompt first says what it asks, then turns the echo off
            os.write(terminal, left.pop(0).encode() + b"\n")
    os.close(terminal)
    assert (process.wait(20), left) == (0, []), shown.decode()
    return shown.decode()


@pytest.fixture
def aws(ministack: LocalAws) -> LocalAws:
    ministack.reset()
    return ministack


def more(aws: LocalAws, folder: Path) -> Dict[str, str]:
    """What only these tests need, as environment."""
    return {"AUDIT_S3_ENDPOINT_URL": aws.endpoint_url, "AUDIT_S3_WAIT_TIME_SECONDS": "1",
            "AUDIT_S3_CHECKPOINT_DIR": str(folder / "state")}


def test_what_is_asked_at_a_terminal_becomes_an_input_that_collects(aws: LocalAws, tmp_path: Path) -> None:
    provider = Provider(aws, "thrive")
    with FakeHec() as hec:
        answers = [
            "thrive", "audit-access", provider.role_arn, provider.external_id, provider.queue_url,
            aws.region, provider.bucket, provider.kms_key_arn, provider.access_key_id,
            provider.secret_access_key, hec.url, hec.token, "",
        ]
        shown = at_a_terminal(tmp_path, ["init"], answers)
        assert "not the ARN of an IAM role" in shown, "a wrong answer is asked for again"
        for secret in (provider.secret_access_key, hec.token):
            assert secret not in shown
            assert secret not in (tmp_path / "audit-s3.conf").read_text()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert (modes["aws-secret"], modes["hec-token"]) == (0o600, 0o600)
        environ = more(aws, tmp_path)
        next_steps = [line.split()[1:] for line in shown.splitlines() if line.startswith("  audit-s3 ")]
        assert [words[0] for words in next_steps] == ["check", "run"]
        for words in next_steps:
            program(tmp_path, *words, environ=environ)
        provider.upload("a.json.gz", ndjson("a", 3))
        program(tmp_path, "run", "--once", "--config", "audit-s3.conf", environ=environ)
        assert sorted(json.loads(body)["eventId"] for body in hec.bodies) == ["a-0", "a-1", "a-2"]


def test_a_script_gives_flags_and_the_environment_gives_secrets(tmp_path: Path) -> None:
    flags = ["--provider", "privacera-pgaudit", "--queue-url", QUEUE, "--hec-url", "https://splunk:8088"]
    done = program(tmp_path, "init", *flags, "--output", "etc/a.conf", environ={"AUDIT_S3_HEC_TOKEN": "hush"})
    assert done.stdout == ""
    assert "run --dry-run --peek --config etc/a.conf" in done.stderr
    assert (tmp_path / "etc" / "hec-token").read_text() == "hush\n"
    assert f"hec_token = file:{tmp_path}/etc/hec-token" in (tmp_path / "etc" / "a.conf").read_text()
    assert "hush" not in done.stderr


@pytest.mark.exhaustive
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    flags = ["init", "--provider", "privacera-policysync", "--queue-url", QUEUE]
    program(tmp_path, *flags)
    before = (tmp_path / "audit-s3.conf").read_text()
    assert "--force" in program(tmp_path, *flags, "--index", "other", code=2).stderr
    assert (tmp_path / "audit-s3.conf").read_text() == before
    program(tmp_path, *flags, "--index", "other", "--force")
    assert "index = other" in (tmp_path / "audit-s3.conf").read_text()
    (tmp_path / "hec-token").write_text("another's")
    hec = ["--hec-url", "https://splunk:8088", "--output", "new.conf"]
    program(tmp_path, *flags, *hec, code=78, environ={"AUDIT_S3_HEC_TOKEN": "hush"})
    assert ((tmp_path / "hec-token").read_text(), (tmp_path / "new.conf").exists()) == ("another's", False)


@pytest.mark.exhaustive
def test_what_cannot_be_is_not_written(tmp_path: Path) -> None:
    flags = ["init", "--provider", "thrive", "--queue-url", QUEUE]
    assert "--bucket" in program(tmp_path, *flags, code=2).stderr
    done = program(tmp_path, *flags, "--bucket", "s3://x", "--role-arn", "x", code=78)
    assert "2 problems" in done.stderr
    assert "--provider, one of" in program(tmp_path, "init", code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_can_go_to_stdout_alone(tmp_path: Path) -> None:
    flags = ["--provider", "privacera-policysync", "--queue-url", QUEUE, "--output", "-"]
    done = program(tmp_path, "init", *flags)
    assert done.stdout.splitlines()[2:] == [
        "[audit_s3://privacera-policysync]", "provider = privacera-policysync", f"queue_url = {QUEUE}",
    ]
    assert list(tmp_path.iterdir()) == []


def test_an_input_of_the_add_on_is_taken_over_without_a_repeat_and_without_a_gap(
    aws: LocalAws, tmp_path: Path
) -> None:
    """What the add-on has delivered is in the bucket, what it has not is in the queue."""
    provider = Provider(aws, "trail", delivery="none")
    provider.upload("AWSLogs/1/CloudTrail/delivered.json.gz", records("delivered", 2))
    provider.upload("AWSLogs/1/CloudTrail/waiting.json.gz", records("waiting", 2))
    provider.notify("AWSLogs/1/CloudTrail/waiting.json.gz")
    time.sleep(1.1)  # S3 tells whole seconds
    local = tmp_path / "local"
    local.mkdir()
    (local / "inputs.conf").write_text(
        "[aws_sqs_based_s3://trail]\naws_account = prod\naws_iam_role = reader\n"
        "s3_file_decoder = CloudTrail\nsourcetype = aws:cloudtrail\n"
        f"sqs_queue_url = {provider.queue_url}\nsqs_queue_region = {aws.region}\n"
    )
    (local / "aws_iam_roles.conf").write_text(f"[reader]\narn = {provider.role_arn}\n")
    flags = ["--bucket-of", f"trail={provider.bucket}", "--external-id", provider.external_id]
    done = program(tmp_path, "init", "--from-splunk", "local/inputs.conf", *flags)
    assert "trail: aws_account: 'prod'" in done.stderr
    text = (tmp_path / "audit-s3.conf").read_text()
    assert f"role_arn = {provider.role_arn}" in text
    environ = {**more(aws, tmp_path), "AWS_ACCESS_KEY_ID": provider.access_key_id,
               "AWS_SECRET_ACCESS_KEY": provider.secret_access_key,
               "AUDIT_S3_RECONCILE_GRACE_SECONDS": "0"}
    words = ["run", "--once", "--config", "audit-s3.conf"]
    lines = program(tmp_path, *words, environ=environ).stdout.splitlines()
    assert event_ids(lines) == ["waiting-0", "waiting-1"]
    assert provider.queue_depth() == 0


def event_ids(lines: List[str]) -> List[Any]:
    return sorted(json.loads(line)["eventID"] for line in lines)


@pytest.mark.exhaustive
def test_the_add_ons_file_needs_its_buckets_named(tmp_path: Path) -> None:
    (tmp_path / "inputs.conf").write_text(f"[aws_sqs_based_s3://two words]\nsqs_queue_url = {QUEUE}\n")
    done = program(tmp_path, "init", "--from-splunk", "inputs.conf", code=2)
    assert "--bucket-of 'two words=BUCKET'" in done.stderr
    (tmp_path / "inputs.conf").write_text("[monitor:///var/log]\n")
    assert "aws_sqs_based_s3" in program(tmp_path, "init", "--from-splunk", "inputs.conf", code=2).stderr
    assert "cannot be read" in program(tmp_path, "init", "--from-splunk", "none.conf", code=2).stderr
