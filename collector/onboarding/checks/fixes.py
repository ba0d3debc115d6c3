"""The exact next step: a policy statement with the real ARNs, in a text that can be sent as it is.

What a statement goes into follows from AWS's words: the policy of whoever was refused, or the resource's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Sequence, Union

__all__ = [
    "OWN", "Grant", "assume_text", "object_text", "sender_text", "sent", "setting_text",
    "subscription_text", "table_text",
]


#: How hints name who asks without a role: they do not know the ARN.
OWN = "the collector's own credentials"


@dataclass(frozen=True)
class Grant:
    """A right that is missing: `actions` on `resource`, for `identity` (an ARN)."""

    actions: Sequence[str]
    resource: Union[str, Sequence[str]]
    identity: str

    def text(self, owner: str, *, kind_of_policy: str) -> str:
        """What to do; with `owner` provider, what to send. `kind_of_policy` is AWS's denial in its words."""
        itself = f"please add to the policy of {self._bare} itself: {self._of_resource()}"
        if "no resource-based policy" in kind_of_policy:
            return sent(itself)
        to = f"to the policy of {self.identity}: {_statement(self.actions, self.resource)}"
        text = f"Add {to}" if owner == "you" else sent(f"please add {to}")
        if "kms:Decrypt" in self.actions:
            text += f" and to the key's own policy: {self._of_resource()}"
        elif owner == "you" and "-based policy" not in kind_of_policy:
            # Across accounts AWS does not say which side it is.
            text += f". If {self._bare} is of another account, send to whoever owns it: {itself}"
        return text

    def _of_resource(self) -> str:
        resource = "*" if "kms:Decrypt" in self.actions else self.resource  # a key's policy is about its key
        return _statement(self.actions, resource, principal={"AWS": self.identity})

    @property
    def _bare(self) -> str:
        """What has a policy of its own: of objects it is their bucket."""
        if not isinstance(self.resource, str):
            return " and of ".join(self.resource)
        return self.resource.partition("/")[0] if ":s3:::" in self.resource else self.resource


def sent(text: str) -> str:
    """What is to be sent as it is."""
    return f"Send to the provider: {text}"


def object_text(code: str, *, url: str, key: str, days: int) -> str:
    """For an object that its writer has to do something about; "" where there is more to say."""
    texts = {
        "archived": f"please restore {url} from its archive storage class, and archive no audits that are "
        f"younger than {days} days",
        "customer_key": f"please write audits with SSE-S3 or SSE-KMS: {url} needs a key that only its writer "
        "has (SSE-C)",
        "kms_key_unusable": f"please enable {key or 'the KMS key'}, with which {url} is encrypted, and "
        "cancel its deletion if that is pending",
        "gone": f"{url} went while we looked: please delete no audits that are younger than {days} days",
    }
    return sent(texts[code]) if code in texts else ""


def subscription_text(code: str, *, topic: str, queue: str) -> str:
    """For a queue that a topic does not, or no longer, send to; "" for all other codes."""
    again = f"aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {queue}"
    texts = {
        "sns_unconfirmed": f"please confirm the subscription of {queue} to {topic}: the token lies in the "
        f"queue and is good for 3 days. Or subscribe it again: {again}",
        "sns_unsubscribed": f"the subscription of {queue} to {topic} was ended. If nobody meant that, please "
        f"subscribe it again: {again}",
    }
    return sent(texts[code]) if code in texts else ""


def table_text(actions: Sequence[str], *, table: str, identity: str) -> str:
    """For the checkpoints' table, which is asked by the collector's own credentials."""
    statement = _statement(actions, [table, f"{table}/index/*"])
    return f"Add to the policy of {identity}, which is not the access role: {statement}"


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
    return sent(
        "please let only the bucket send to the queue, and put in place of that statement: "
        f"{send} (or the topic: Service sns.amazonaws.com and the topic's ARN)"
    )


def setting_text(what: str, *, attribute: str, value: int, queue: str) -> str:
    """For a queue's attribute."""
    command = (
        f"aws sqs set-queue-attributes --queue-url {queue} --attributes {attribute}={value}"
    )
    return sent(f"{what}: {command}")


def _statement(
    actions: Sequence[str], resource: Union[str, Sequence[str]], *, principal: Mapping[str, str] = {},
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
