"""A denial in AWS's own words: which kind of policy said no, and so whose move it is.

    ... is not authorized to perform: s3:GetObject on resource: ARN because no session policy allows ...
    ... is not authorized to perform: s3:GetObject on resource: ARN with an explicit deny in a ... policy

Of several kinds that deny AWS names one; across accounts it names none, and so do services that have no such
wording ("Access Denied").
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Denial", "hint_of", "read_denial"]

_ACTION = re.compile(r"not authorized to perform: ([\w-]+:[\w*]+)")
_IMPLICIT = re.compile(r"because no ([a-z -]+?)(?: policy)? allows", re.IGNORECASE)
_EXPLICIT = re.compile(r"with an explicit deny in an? ([a-z -]+)", re.IGNORECASE)
_KINDS = {
    "session": "session",
    "endpoint": "endpoint",
    "service control": "service control",
    "resource control": "resource control",
    "boundary": "boundary",
    "resource-based": "resource",
    "identity-based": "identity",
}


@dataclass(frozen=True)
class Denial:
    """`kind` is that of the policy that decided: one of _KINDS' values, "" where AWS does not say.

    `action` is the one that AWS names, which may be another than the one asked for: for an object that is not
    there S3 names s3:ListBucket, for one whose key is denied kms:Decrypt.
    """

    kind: str = ""
    explicit: bool = False
    action: str = ""


def read_denial(message: str) -> Denial:
    """What is said in a denial's message."""
    action = _ACTION.search(message)
    explicit = _EXPLICIT.search(message)
    words = explicit or _IMPLICIT.search(message)
    kind = _kind(words.group(1).lower()) if words else ""
    return Denial(kind, explicit is not None, action.group(1) if action else "")


def hint_of(denial: Denial, *, action: str, resource: str, identity: str, is_ours: bool) -> str:
    """Whose move it is and what to do. `is_ours`: who was refused is the customer's, not the provider's."""
    owner = "You" if is_ours else "Provider"
    what = f"{action} on {resource}"
    if denial.kind == "session":
        return f"You: the session_policy setting does not allow {what}: it is made of the settings"
    if denial.kind == "endpoint":
        verb = "denies" if denial.explicit else "must allow"
        return f"Network: the policy of the VPC endpoint on the way {verb} {what}; whoever runs the VPC"
    if denial.kind in ("service control", "resource control", "boundary"):
        name = "a permissions boundary" if denial.kind == "boundary" else f"a {denial.kind} policy"
        verb = "denies" if denial.explicit else "does not allow"
        return f"{owner}: {name} {verb} {what}, whatever other policies say; whoever runs the organization"
    if denial.explicit:
        where = f" in its {denial.kind}-based policy" if denial.kind else ""
        return f"{owner}: an explicit deny stands against {what}{where}; remove it"
    if denial.kind == "resource":
        return f"Provider: attach {action} for {identity} to the policy of {resource} itself"
    return f"{owner}: attach {what} to {identity}"


def _kind(words: str) -> str:
    return next((kind for name, kind in _KINDS.items() if name in words), "")
