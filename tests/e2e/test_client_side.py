"""Client-side encrypted objects through the queue: the official client writes, the real process reads."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest

from collector.testing.provider import Provider
from tests.client_side import write_v1
from tests.e2e.collector_process import ndjson


class _Kms:
    def __init__(self, client: Any) -> None:
        self._client = client

    def wrap(self, key: bytes, context: Any, *, arn: str) -> bytes:
        answer = self._client.encrypt(KeyId=arn, Plaintext=key, EncryptionContext=context)
        return bytes(answer["CiphertextBlob"])


def _large(name: str, count: int) -> bytes:
    """`count` audits of 2 KB each."""
    return b"".join(
        json.dumps({"eventId": f"{name}-{number}", "noise": os.urandom(1000).hex()}).encode() + b"\n"
        for number in range(count)
    )


def _ids(lines: Any) -> Any:
    return Counter(json.loads(line)["eventId"] for line in lines)


def _expected(**counts: int) -> Any:
    return Counter(f"{name}-{number}" for name, count in counts.items() for number in range(count))


def _reasons(ours: Any) -> Any:
    listed = ours.verb("quarantine", "list", "--format", "json").stdout
    entries = [json.loads(line) for line in listed.splitlines()]
    return {entry["where"].rpartition("/")[2]: entry["reason"] for entry in entries}


def test_encrypted_objects_of_any_size_arrive_as_plain_ones_do(local_aws, collector, s3_encryption_client):
    provider = Provider(local_aws, "thrive", delivery="none")
    s3_encryption_client.put("v2", provider, {"k/two.gz": ndjson("two", 20)}, context={"department": "audit"})
    large = _large("large", 9000)
    assert len(large) > 17 * 1024 * 1024
    s3_encryption_client.put("v3", provider, {"k/three.gz": ndjson("three", 30), "k/large": large})
    provider.upload("k/plain.gz", ndjson("plain", 3))
    provider.notify("k/two.gz", "k/three.gz")
    provider.notify("k/large")
    provider.notify("k/plain.gz")
    ours = collector(provider.handover())
    assert _ids(ours.once()) == _expected(two=20, three=30, large=9000, plain=3)
    assert provider.queue_depth() == 0
    assert ours.once() == []


def test_a_tampered_object_is_quarantined_and_none_of_it_is_delivered(
    local_aws, collector, s3_encryption_client
):
    provider = Provider(local_aws, "thrive", delivery="none")
    bodies = {"small": ndjson("small", 20, compress=False), "large": _large("large", 9000)}
    s3_encryption_client.put("v3", provider, {f"k/{name}": body for name, body in bodies.items()})
    for name in bodies:
        answer = provider.client("s3").get_object(Bucket=provider.bucket, Key=f"k/{name}")
        body = bytearray(answer["Body"].read())
        body[-20] ^= 1
        provider.upload(f"k/{name}", bytes(body), Metadata=answer["Metadata"])
        provider.notify(f"k/{name}")
    provider.upload("k/good", ndjson("good", 2))
    provider.notify("k/good")
    ours = collector(provider.handover())
    done = ours.run("--once")
    assert done.returncode == 1
    assert _ids(done.stdout.splitlines()) == _expected(good=2)
    assert b"Security: nothing of it was released" in done.stderr
    assert b"kms_key_arn is not set" not in done.stderr
    assert _reasons(ours) == dict.fromkeys(bodies, "ciphertext_tampered")
    assert provider.queue_depth() == 0


@pytest.mark.exhaustive
def test_cbc_is_delivered_once_the_operator_accepts_it(local_aws, collector):
    provider = Provider(local_aws, "thrive", delivery="none")
    kms = _Kms(provider.client("kms"))
    body, metadata = write_v1(ndjson("old", 5), kms, arn=provider.kms_key_arn)
    provider.upload("k/old", body, Metadata=metadata)
    provider.notify("k/old")
    ours = collector(provider.handover())
    assert ours.once(code=1) == []
    assert _reasons(ours) == {"old": "unauthenticated_cbc"}
    ours.configure({**provider.handover(), "allow_unauthenticated_cbc": "true"})
    assert _ids(ours.verb("quarantine", "retry").stdout.splitlines()) == _expected(old=5)
    assert _reasons(ours) == {}


@pytest.mark.exhaustive
def test_a_key_that_only_s3_may_use_is_the_operators_and_costs_no_object(
    ministack, collector, s3_encryption_client
):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    s3_encryption_client.put("v3", provider, {"k/one": ndjson("one", 5)})
    rights = json.loads(provider.least_privilege())
    for statement in rights["Statement"]:
        if statement["Action"] == ["kms:Decrypt"]:
            statement["Condition"] = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
    provider.set_rights(json.dumps(rights))
    provider.notify("k/one")
    ours = collector(provider.handover())
    done = ours.run("--once")
    assert done.returncode == 1
    assert b"kms_denied" in done.stderr and b"kms:ViaService" in done.stderr
    assert done.stdout == b""
    assert _reasons(ours) == {}
    assert provider.queue_depth() == 1
