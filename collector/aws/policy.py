"""The inline session policy that narrows an assumed role to what one input needs.

An assumed session may do what both the role and this policy allow (STS API: AssumeRole, "Policy"), so
the promise of a dry-run not to delete is kept by IAM. STS takes at most 2,048 characters.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

__all__ = ["session_policy"]

_LIMIT = 2048
#: AWS checks a batch as the plain action; the star is for those who check it by its own name (emulators).
#: The stars cover the batch calls, which AWS counts as the single ones and emulators by their own names.
_READ_QUEUE = [
    "sqs:ReceiveMessage",
    "sqs:ChangeMessageVisibility*",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
]
_DELETE = "sqs:DeleteMessage*"
_READ_OBJECT = ["s3:GetObject", "s3:GetObjectVersion"]
_LIST = ["s3:ListBucket", "s3:GetBucketLocation"]


def session_policy(
    *,
    queue_arn: str,
    buckets: Sequence[str],
    prefix: str,
    kms_key_arns: Sequence[str],
    read_only: bool = False,
    verifies_digests: bool = False,
) -> str:
    """The policy as JSON text; "" where it would be too long to send, and the role stands as it is.

    A queue or key that is not known by ARN is allowed by any name: the role itself still limits it.
    """
    partition = queue_arn.split(":")[1] if queue_arn else "aws"
    actions = _READ_QUEUE if read_only else [*_READ_QUEUE, "sqs:DeleteMessage*"]
    statements: List[Dict[str, Any]] = [_allow(actions, [queue_arn or "*"])]
    if buckets:
        objects = [f"arn:{partition}:s3:::{bucket}/{prefix}*" for bucket in buckets]
        statements.append(_allow(_READ_OBJECT, objects))
        statements.append(_allow(_LIST, [f"arn:{partition}:s3:::{bucket}" for bucket in buckets]))
        statements.append(_allow(["kms:Decrypt"], list(kms_key_arns) or ["*"]))
    if verifies_digests:
        statements.append(_allow(["cloudtrail:ListPublicKeys"], ["*"]))  # it knows no resources
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    return text if len(text) <= _LIMIT else ""


def _allow(actions: Sequence[str], resources: Sequence[str]) -> Dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
