"""The session policy: no action that this input does not need."""

from __future__ import annotations

import json
from typing import Any, List

from collector.aws.policy import session_policy

QUEUE = "arn:aws:sqs:eu-west-1:111111111111:audit-queue"


def actions(**options: Any) -> List[str]:
    text = session_policy(queue_arn=QUEUE, buckets=["trail"], prefix="", kms_key_arns=[], **options)
    return [action for statement in json.loads(text)["Statement"] for action in statement["Action"]]


def test_public_keys_may_be_listed_only_where_digests_are_verified() -> None:
    assert "cloudtrail:ListPublicKeys" in actions(verifies_digests=True)
    assert not any(action.startswith("cloudtrail:") for action in actions())


def test_a_session_that_only_reads_may_delete_nothing() -> None:
    assert any("DeleteMessage" in action for action in actions())
    assert not any("Delete" in action for action in actions(read_only=True, verifies_digests=True))
