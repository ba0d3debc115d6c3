"""The inline session policy that narrows an assumed role to what one input needs.

An assumed session may do what both the role and this policy allow (STS API: AssumeRole, "Policy"), so
the promise of a dry-run not to delete is kept by IAM. STS takes at most 2,048 characters, and packs them
into less room together with session tags, so a policy that fits by its length may still be refused
(PackedPolicyTooLarge). There are wider ones for that, which name less; none allows another action.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence, Tuple

__all__ = ["session_policies", "takes"]

_LIMIT = 2048
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


def session_policies(
    *,
    queue_arn: str,
    buckets: Sequence[str],
    prefix: str,
    kms_key_arns: Sequence[str],
    read_only: bool = False,
    verifies_digests: bool = False,
) -> Tuple[str, ...]:
    """The policies as JSON texts, the narrowest first; the last names no resource and always fits.

    The second allows whole buckets and any key in place of prefixes and keys. A queue or key that is not
    known by ARN is allowed by any name: the role itself still limits it.
    """
    actions = [*_READ_QUEUE] if read_only else [*_READ_QUEUE, _DELETE]
    queue = _allow(actions, [queue_arn or "*"])
    partition = queue_arn.split(":")[1] if queue_arn else "aws"
    digests = [_allow(["cloudtrail:ListPublicKeys"], ["*"])] if verifies_digests else []  # knows no resources
    whole = [f"arn:{partition}:s3:::{bucket}" for bucket in buckets]
    exact = _objects([f"{bucket}/{prefix}*" for bucket in whole], whole, kms_key_arns)
    wider = _objects([f"{bucket}/*" for bucket in whole], whole, ())
    if buckets:
        actions = [*actions, *_READ_OBJECT, *_LIST, "kms:Decrypt"]
    texts = [_text([queue, *part, *digests]) for part in (exact, wider)]
    texts.append(_text([_allow(actions, ["*"]), *digests]))
    return tuple(dict.fromkeys(texts))


def takes(policy: str) -> bool:
    """Whether STS takes a policy of this length."""
    return len(policy) <= _LIMIT


def _objects(
    objects: Sequence[str], buckets: Sequence[str], kms_key_arns: Sequence[str]
) -> List[Dict[str, Any]]:
    """What reading and listing takes; nothing without a bucket."""
    if not buckets:
        return []
    keys = _allow(["kms:Decrypt"], list(kms_key_arns) or ["*"])
    return [_allow(_READ_OBJECT, objects), _allow(_LIST, buckets), keys]


def _text(statements: Sequence[Dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def _allow(actions: Sequence[str], resources: Sequence[str]) -> Dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
