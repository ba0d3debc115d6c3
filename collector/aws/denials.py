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

__all__ = ["WEB_IDENTITY", "Denial", "hint_of", "read_denial", "who_moves"]

#: How a pod gets credentials for its token, with no keys: no other call of ours is made by nobody.
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"

#: Kinds of policy that may mean the role's own; "" where AWS does not say, as it does not across accounts.
_TRUST = ("", "trust", "resource")

_ACTION = re.compile(r"not authorized to perform: ([\w-]+:[\w*]+)")
_IMPLICIT = re.compile(r"because no ([a-z -]+?)(?: policy)? allows", re.IGNORECASE)
_EXPLICIT = re.compile(r"with an explicit deny in (?:an?|the) ([a-z -]+)", re.IGNORECASE)
_KINDS = {
    "session": "session",
    "role trust": "trust",
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


def who_moves(message: str, *, action: str, resource: str, identity: str, is_ours: bool) -> str:
    """The hint for whoever reads that `identity` was denied `action` on `resource`.

    `is_ours`: who was refused are the customer's own keys, not a role of the provider's.
    """
    denial = read_denial(message)
    if action == "s3:GetObject" and denial.action == "s3:ListBucket":
        return (
            f"Provider: the object is not there: S3 says so by 403 to {identity}, who may not list the "
            f"bucket; attach s3:ListBucket on {resource.rpartition('/')[0]}"
        )
    if action == WEB_IDENTITY and denial.kind in _TRUST:
        return (
            f"You: compare AWS_ROLE_ARN; the trust policy of {resource} must allow {action} to the issuer, "
            "the subject (system:serviceaccount:NAMESPACE:NAME) and the audience of the token"
        )
    if action == "sts:AssumeRole" and denial.kind in _TRUST:
        return _trust(denial, resource)
    hint = hint_of(denial, action=action, resource=resource, identity=identity, is_ours=is_ours)
    if action == "s3:GetObject" and not denial.kind:
        hint += " (without s3:ListBucket a missing object looks like this too)"
    return hint


def _trust(denial: Denial, role: str) -> str:
    """A wrong external id and a trust policy that names somebody else are refused in the same words.

    Comparing costs nothing and needs nobody, so it comes first.
    """
    if denial.explicit:
        return f"Provider: an explicit deny stands in the trust policy of {role}; remove it"
    ours = "compare external_id and role_arn with what was handed over"
    if not denial.kind:  # across accounts AWS does not say which of the two sides it is
        ours += f", and allow the collector's user sts:AssumeRole on {role}"
    return f"You: {ours}. Provider: the role's trust policy must name that user and that external id"


def hint_of(denial: Denial, *, action: str, resource: str, identity: str, is_ours: bool) -> str:
    """Whose move it is and what to do.

    An identity's policies are its owner's, and what its organization and its boundary say; a resource's own
    policy and its organization's are the provider's.
    """
    what = f"{action} on {resource}"
    owner = "You" if is_ours and denial.kind not in ("resource", "resource control") else "Provider"
    verb = "denies" if denial.explicit else "does not allow"
    if denial.kind == "session":
        if is_ours:
            return f"You: the session policy under which your credentials were issued {verb} {what}"
        return f"You: the session_policy setting {verb} {what}: it is made of the settings"
    if denial.kind == "endpoint":
        return (
            f"Network: the policy of the VPC endpoint on the way {verb} {what} to {identity}: whoever runs "
            "that VPC has to change it"
        )
    if denial.kind in _WHO_RUNS:
        name, who = _WHO_RUNS[denial.kind]
        denied = f"{owner}: {name} {verb} {what} to {identity}"
        return f"{denied}, whatever other policies say: {who} has to change it"
    if denial.explicit:
        place = _place(denial, resource, identity)
        return f"{owner}: an explicit deny stands against {what}{place}; remove it"
    if denial.kind == "resource":
        return f"Provider: attach {action} for {identity} to the policy of {_bare(resource)} itself"
    if is_ours and not denial.kind:  # AWS does not say which side it is
        return f"You: attach {what} to {identity}; in another account its own policy has to allow it, too"
    return f"{owner}: attach {what} to {identity}"


#: What stands above the policies of one identity or resource, and who may change it.
_WHO_RUNS = {
    "service control": ("a service control policy", "whoever runs that AWS organization"),
    "resource control": ("a resource control policy", "whoever runs that AWS organization"),
    "boundary": ("a permissions boundary", "whoever administers that account"),
}


def _place(denial: Denial, resource: str, identity: str) -> str:
    if denial.kind == "resource":
        return f" for {identity} in the policy of {_bare(resource)} itself"
    return f" in an identity-based policy of {identity}" if denial.kind == "identity" else f" for {identity}"


def _bare(resource: str) -> str:
    """What has a policy of its own: of objects it is their bucket that has one."""
    return resource.partition("/")[0] if resource.startswith("arn:aws") and ":s3:::" in resource else resource


def _kind(words: str) -> str:
    return next((kind for name, kind in _KINDS.items() if name in words), "")
