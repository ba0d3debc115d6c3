"""The session policies: no action that this input does not need, and one that STS takes."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

from collector.aws.policy import session_policies, takes

QUEUE = "arn:aws:sqs:eu-west-1:111111111111:audit-queue"
KEY = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def policies(*, buckets: Sequence[str] = ("trail",), **options: Any) -> Sequence[str]:
    asked: Dict[str, Any] = {"queue_arn": QUEUE, "prefix": "", "kms_key_arns": [], **options}
    return session_policies(buckets=buckets, **asked)


def actions(text: str) -> List[str]:
    return [action for statement in json.loads(text)["Statement"] for action in statement["Action"]]


def resources(text: str) -> List[str]:
    return [resource for statement in json.loads(text)["Statement"] for resource in statement["Resource"]]


def test_public_keys_may_be_listed_only_where_digests_are_verified() -> None:
    assert all("cloudtrail:ListPublicKeys" in actions(text) for text in policies(verifies_digests=True))
    assert not any(action.startswith("cloudtrail:") for text in policies() for action in actions(text))


def test_a_session_that_only_reads_may_delete_nothing() -> None:
    assert all("sqs:DeleteMessage*" in actions(text) for text in policies())
    for text in policies(read_only=True, verifies_digests=True):
        assert not any("Delete" in action for action in actions(text))


def test_no_policy_allows_an_action_that_the_narrowest_does_not() -> None:
    for buckets in ((), ("trail",)):
        narrowest, *wider = policies(buckets=buckets, kms_key_arns=[KEY], prefix="AWSLogs/")
        assert wider
        assert all(set(actions(text)) == set(actions(narrowest)) for text in wider)


def test_each_policy_is_shorter_than_the_one_before() -> None:
    texts = policies(buckets=[f"trail-{i:02}" for i in range(12)], prefix="AWSLogs/", kms_key_arns=[KEY] * 9)
    lengths = [len(text) for text in texts]
    assert (len(texts), lengths) == (3, sorted(lengths, reverse=True))


def test_the_narrowest_names_every_prefix_and_key_and_the_last_nothing() -> None:
    narrowest, whole_buckets, last = policies(prefix="AWSLogs/", kms_key_arns=[KEY])
    assert resources(narrowest) == [QUEUE, "arn:aws:s3:::trail/AWSLogs/*", "arn:aws:s3:::trail", KEY]
    assert resources(whole_buckets) == [QUEUE, "arn:aws:s3:::trail/*", "arn:aws:s3:::trail", "*"]
    assert resources(last) == ["*"]


def test_the_last_always_fits_and_2048_characters_do() -> None:
    many = policies(buckets=[f"a-bucket-with-a-long-name-{i:03}" for i in range(60)])
    assert not takes(many[0])
    assert takes(many[-1])
    assert takes("x" * 2048)
    assert not takes("x" * 2049)
