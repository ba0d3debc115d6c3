"""A collector in Okera's place: its configuration in a bucket, queue and bucket in regions of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from collector.testing.local_aws import PROVIDER
from collector.testing.provider import Provider
from tests.e2e.collector_process import records

EX_CONFIG = 78


class Okera:
    """The provider's side, with its bucket elsewhere and the configuration in a bucket of the customer's."""

    def __init__(self, aws, folder):
        self.aws, self.folder = aws, folder
        self.queue = Provider(aws, "okera", delivery="none", bucket=False, role=False)
        self.s3 = aws.client("s3", account=PROVIDER, region="us-west-2")
        for name in ("trail-logs", "okera-conf"):
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        self.allow("s3:GetObject", "s3:ListBucket")

    def allow(self, *actions):
        rights = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"},
                  {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]
        self.aws.client("iam", account=PROVIDER).put_user_policy(
            UserName="okera-collector", PolicyName="collect",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
        )

    def configure(self, text, key="conf/okera.json"):
        self.s3.put_object(Bucket="okera-conf", Key=key, Body=text)
        return f"s3://okera-conf/{key}"

    def form(self, **more):
        return json.dumps({"s3Region": "us-west-2", "sqsRegion": self.aws.region,
                           "sqsUrl": self.queue.queue_url, **more})

    def run(self, config, *flags, **environ):
        """`run --once` with the keys and endpoint of the environment, and nothing else."""
        ours = ("AWS_", "AUDIT_S3_C")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env.update(
            AWS_ACCESS_KEY_ID=self.queue.access_key_id, AWS_SECRET_ACCESS_KEY=self.queue.secret_access_key,
            AUDIT_S3_ENDPOINT_URL=self.aws.endpoint_url, AUDIT_S3_CHECKPOINT_DIR=str(self.folder),
            AUDIT_S3_START_FROM="retention", **environ,
        )
        command = [sys.executable, "-m", "collector", "run", "--once", "--config", config, *flags]
        return subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)


@pytest.fixture
def okera(local_aws, tmp_path):
    return Okera(local_aws, tmp_path)


def test_okeras_own_form_is_enough_with_a_bucket_and_regions_differ(okera):
    key = "AWSLogs/111111111111/CloudTrail/us-west-2/2026/05/04/a.json.gz"
    okera.s3.put_object(Bucket="trail-logs", Key=key, Body=records("trail", 3))
    okera.queue.send_body(json.dumps({"s3Bucket": "trail-logs", "s3ObjectKey": [key]}))
    done = okera.run(okera.configure(okera.form(bucket="trail-logs")))
    assert done.returncode == 0, done.stderr.decode()
    ids = [json.loads(line)["eventID"] for line in done.stdout.splitlines()]
    assert ids == ["trail-0", "trail-1", "trail-2"]
    assert okera.queue.queue_depth() == 0
    log = done.stderr.decode()
    assert re.search(r"Received messages from the queue\. count=1 queue=\S*okera-audit-queue", log)
    assert f"Read an object to its end. events=3 url=s3://trail-logs/{key}" in log


@pytest.mark.exhaustive
def test_a_conf_file_in_a_bucket_is_read_as_one_on_disk(okera):
    okera.s3.put_object(Bucket="trail-logs", Key="k", Body=records("trail", 1))
    okera.queue.send_body(json.dumps({"s3Bucket": "trail-logs", "s3ObjectKey": ["k"]}))
    text = f"[audit_s3://t]\nbucket = trail-logs\nqueue_url = {okera.queue.queue_url}\nregion = eu-west-1\n"
    done = okera.run(okera.configure(text, "audit-s3.conf"))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr.decode()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("config", "code"),
    [
        ("s3://okera-conf/none.json", "config_missing"),
        ("s3://no-such-bucket/a.json", "config_missing"),
        ("s3://okera-conf", "config_missing"),
        ("broken", "config_malformed"),
        ("binary", "config_malformed"),
        ("without a bucket", "config_invalid"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named_by_a_code_of_its_own(okera, config, code):
    texts = {"broken": b'{"sqsUrl": ', "binary": b"\xff\xfe", "without a bucket": okera.form().encode()}
    done = okera.run(okera.configure(texts[config]) if config in texts else config)
    assert done.returncode == EX_CONFIG, done.stderr.decode()
    assert f"[{code}]" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.exhaustive
def test_a_configuration_that_may_not_be_read_says_so(ministack, tmp_path):
    ministack.reset()
    okera = Okera(ministack, tmp_path)
    config = okera.configure(okera.form(bucket="trail-logs"))
    okera.allow("sts:GetCallerIdentity")
    done = okera.run(config)
    assert done.returncode == EX_CONFIG, done.stderr.decode()
    assert b"[config_denied]" in done.stderr


@pytest.mark.exhaustive
@pytest.mark.exhaustive
def test_a_queue_that_cannot_be_reached_is_named_and_polled_again(ministack, tmp_path):
    ministack.reset()
    okera = Okera(ministack, tmp_path)
    config = okera.configure(okera.form(bucket="trail-logs"))
    done = okera.run(config, "--sqs-endpoint-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    log = done.stderr.decode()
    assert re.search(r"Receiving failed and is tried again in .* queue=\S*okera-audit-queue", log)
    assert log.count("Receiving failed and is tried again") > 1
