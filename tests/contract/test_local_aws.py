"""The local AWS says at once what S3 announces, and leaves nothing behind however its parent ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider

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


def test_what_an_object_announces_is_in_the_queue_once_it_is_uploaded(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    sns, sqs = provider.client("sns"), provider.client("sqs")
    (topic,) = [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    allowed = sqs.get_queue_attributes(QueueUrl=provider.queue_url, AttributeNames=["Policy"])["Attributes"]
    for number in range(40):  # the last of so many is not told by chance before the answer is here
        arn = f"{provider.queue_arn}-{number}"
        policy = allowed["Policy"].replace(provider.queue_arn, arn)
        last = sqs.create_queue(QueueName=arn.rpartition(":")[2], Attributes={"Policy": policy})["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for number in range(1, 6):
        provider.upload(f"k/{number}", b"{}")
        answer = sqs.get_queue_attributes(QueueUrl=last, AttributeNames=["ApproximateNumberOfMessages"])
        assert int(answer["Attributes"]["ApproximateNumberOfMessages"]) == number
