"""The exact next step: a policy statement with the real ARNs, in a text that can be sent as it is.

What a statement goes into follows from AWS's words: the policy of whoever was refused, or the resource's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Sequence

__all__ = ["Grant", "assume_text", "sender_text", "setting_text"]


@dataclass(frozen=True)
class Grant:
    """A right that is missing: `action` on `resource`, for `identity` (an ARN)."""

    actions: Sequence[str]
    resource: str
    identity: str

    def text(self, owner: str, *, kind_of_policy: str) -> str:
        """What to do; with `owner` provider, what to send. `kind_of_policy` is AWS's denial in its words."""
        to = "" if owner == "you" else "Send to the provider: "
        if "no resource-based policy" in kind_of_policy:
            return f"{to}please add to the policy of {self.resource} itself: {self._of_resource()}"
        text = f"{to}please add to the policy of {self.identity}: {_statement(self.actions, self.resource)}"
        if "kms:Decrypt" in self.actions:
            text += f" and to the key's own policy: {self._of_resource()}"
        return text

    def _of_resource(self) -> str:
        resource = "*" if "kms:Decrypt" in self.actions else self.resource  # a key's policy is about its key
        return _statement(self.actions, resource, principal={"AWS": self.identity})


def assume_text(*, user: str, role: str, session_name: str, has_external_id: bool) -> str:
    """For a role that may not be assumed, of which AWS does not say why across accounts."""
    condition = {"StringEquals": {"sts:ExternalId": "the external id that was agreed on"}}
    trust = _statement(["sts:AssumeRole"], "", principal={"AWS": user}, condition=condition)
    compare = (
        "You first, then the provider, as AWS does not say whose fault it is. "
        "Compare external_id and role_arn with what you were given, letter by letter."
        if has_external_id
        else "Ask whether there is an external id, and set external_id: none is set."
    )
    return (
        f"{compare} Your user needs: {_statement(['sts:AssumeRole'], role)} "
        f"Send to the provider: please let our user assume {role} (we name the session {session_name}); "
        f"its trust policy needs: {trust}"
    )


def sender_text(*, queue_arn: str, bucket: str) -> str:
    """For a queue that takes messages from anybody."""
    source = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}" if bucket else "the sender's ARN"}}
    account = queue_arn.split(":")[4] if queue_arn.count(":") == 5 else ""
    if account:
        source["StringEquals"] = {"aws:SourceAccount": account}
    send = _statement(
        ["sqs:SendMessage"], queue_arn, principal={"Service": "s3.amazonaws.com"}, condition=source
    )
    return (
        f"Send to the provider: please let only the bucket send to the queue, and put in place of that "
        f"statement: {send} (or the topic: Service sns.amazonaws.com and the topic's ARN)"
    )


def setting_text(what: str, *, attribute: str, value: int, queue: str) -> str:
    """For a queue's attribute."""
    command = (
        f"aws sqs set-queue-attributes --queue-url {queue} --attributes {attribute}={value}"
    )
    return f"Send to the provider: {what}: {command}"


def _statement(
    actions: Sequence[str], resource: str, *, principal: Mapping[str, str] = {},
    condition: Mapping[str, Any] = {},
) -> str:
    said: Dict[str, Any] = {"Effect": "Allow"}
    if principal:
        said["Principal"] = dict(principal)
    said["Action"] = list(actions) if len(actions) > 1 else actions[0]
    if resource:
        said["Resource"] = resource
    if condition:
        said["Condition"] = dict(condition)
    return json.dumps(said)
