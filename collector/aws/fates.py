"""What each of AWS's refusals means for us, one function per meaning; `errors` says which code is which.

Each builds one Retry, Poison or Fatal with a stable code and, where somebody has to move, a hint that
says who ("You", "Provider") and how.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Mapping, Optional

from collector.aws.denials import hint_of, read_denial, who_moves
from collector.errors import CollectorError, Fatal, Poison, Retry


@dataclass(frozen=True)
class Call:
    """What was tried, in IAM's words.

    `scope` is the breaker that a denial opens ("role", "queue", "object"). `role` is the access role's
    ARN, empty when the collector's own credentials made the call.
    """

    action: str
    where: str
    resource: str
    scope: str
    role: str = ""

    @property
    def identity(self) -> str:
        return f"role {self.role}" if self.role else "the collector's own credentials"

    @property
    def is_ours(self) -> bool:
        """Whether it is the customer's own keys that are refused, not a role of the provider's."""
        return not self.role


@dataclass(frozen=True)
class Answer:
    """What came back: the normalised code, AWS's own words, the HTTP status, its headers."""

    code: str
    message: str
    status: int = 0
    headers: Optional[Mapping[str, str]] = None
    kms: bool = False


def throttled(answer: Answer, call: Call) -> CollectorError:
    wish = (answer.headers or {}).get("retry-after", "")
    return Retry(
        _said(answer, call),
        code="throttled",
        where=call.where,
        after_seconds=float(wish) if wish.isdigit() else None,
    )


def server_error(answer: Answer, call: Call) -> CollectorError:
    return Retry(_said(answer, call), code="aws_unavailable", where=call.where)


def in_flight_full(answer: Answer, call: Call) -> CollectorError:
    hint = "The queue has its most messages in flight: they come back as they are finished or lapse"
    return Retry(_said(answer, call), code="in_flight_full", where=call.where, hint=hint)


def unexpected(answer: Answer, call: Call) -> CollectorError:
    return Retry(_said(answer, call), code="aws_unexpected", where=call.where)


def denied(answer: Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    names_key = any(word in message for word in ("kms:", "customer master key", "kms key"))
    if answer.kms or names_key or call.action == "kms:Decrypt":
        return key_denied(answer, call)
    service = call.action.partition(":")[0]
    codes = {"sts": "role_denied", "sqs": "queue_denied", "cloudtrail": "keys_denied"}
    code = codes.get(service, "object_denied")
    if call.action == "s3:ListBucket":
        code = "list_denied"
    hint = who_moves(
        answer.message, action=call.action, resource=call.resource, identity=call.identity,
        is_ours=call.is_ours,
    )
    return Fatal(_said(answer, call), code=code, where=call.where, hint=hint, scope=call.scope)


def key_denied(answer: Answer, call: Call) -> CollectorError:
    denial = read_denial(answer.message)
    key = _key_in(answer)
    if denial.kind == "session" and not call.is_ours:
        hint = f"You: the session_policy setting does not allow kms:Decrypt with {key}: add it to kms_key_arn"
    elif denial.explicit or denial.kind not in ("", "identity", "resource"):
        hint = hint_of(
            denial, action="kms:Decrypt", resource=key, identity=call.identity, is_ours=call.is_ours
        )
    else:
        owner = "You" if call.is_ours and denial.kind != "resource" else "Provider"
        hint = f"{owner}: attach kms:Decrypt on {key} to {call.identity}, in the key's policy too"
    if call.action == "kms:Decrypt":  # S3 did not call it for us
        hint += ", without a kms:ViaService condition: the object is encrypted by its writer"
    return Fatal(
        _said(answer, call), code="kms_denied", where=call.where, hint=hint, scope=_kms_scope(call),
        resource=_key_arn(answer) or _key_asked_for(call),
    )


def key_unusable(answer: Answer, call: Call) -> CollectorError:
    hint = f"Provider: {_key_in(answer)} must be enabled and not pending deletion"
    return Fatal(
        _said(answer, call), code="kms_key_unusable", where=call.where, hint=hint, scope=_kms_scope(call),
        resource=_key_arn(answer) or _key_asked_for(call),
    )


def wrong_ciphertext(answer: Answer, call: Call) -> CollectorError:
    hint = "Security: its wrapped key or its encryption context is not what its writer stored"
    return Poison(_said(answer, call), code="data_key_refused", where=call.where, hint=hint)


def foreign_key(answer: Answer, call: Call) -> CollectorError:
    hint = "You: if the provider uses another key by now, add it to kms_key_arn, then `quarantine retry`"
    return Poison(_said(answer, call), code="foreign_kms_key", where=call.where, hint=hint)


def _kms_scope(call: Call) -> str:
    """A queue whose key is out of reach gives no message at all: that is the queue's breaker."""
    return "queue" if call.scope == "queue" else "kms"


def _key_in(answer: Answer) -> str:
    arn = _key_arn(answer)
    return f"the KMS key {arn}" if arn else "the KMS key that encrypts it"


def _key_asked_for(call: Call) -> str:
    return call.resource if call.action == "kms:Decrypt" and call.resource != "*" else ""


def _key_arn(answer: Answer) -> str:
    """The key that AWS names; S3's AccessDenied does, with "on resource: ARN", for most denials."""
    found = re.search(r"arn:[\w-]+:kms:[\w:/-]+", answer.message)
    return found.group() if found else ""


def gone(answer: Answer, call: Call) -> CollectorError:
    if call.scope != "object":  # a gateway's 404 says nothing about a queue or a role
        return unexpected(answer, call)
    hint = "Ask the provider who deleted it; `audit-s3 coverage` names all such objects"
    return Poison(_said(answer, call), code="gone", where=call.where, hint=hint, sightings=3)


def superseded(answer: Answer, call: Call) -> CollectorError:
    hint = "The key holds another object by now, which is read under its own etag"
    return Poison(_said(answer, call), code="superseded", where=call.where, hint=hint)


def archived(answer: Answer, call: Call) -> CollectorError:
    hint = "Provider: restore the object from its archive storage class, then `backfill --again`"
    return Poison(_said(answer, call), code="archived", where=call.where, hint=hint)


def bucket_missing(answer: Answer, call: Call) -> CollectorError:
    hint = "You: compare the bucket setting with what the provider handed over"
    return Fatal(_said(answer, call), code="bucket_missing", where=call.where, hint=hint, scope=call.scope)


def wrong_region(answer: Answer, call: Call) -> CollectorError:
    region = (answer.headers or {}).get("x-amz-bucket-region", "")
    hint = f"You: set bucket_region{' = ' + region if region else ''}"
    return Fatal(_said(answer, call), code="wrong_region", where=call.where, hint=hint, scope=call.scope)


def bad_request(answer: Answer, call: Call) -> CollectorError:
    if "server side encryption" in answer.message.lower():
        hint = "Provider: the object needs a customer-provided key (SSE-C), which nobody can hand over here"
        return Fatal(_said(answer, call), code="customer_key", where=call.where, hint=hint, scope=call.scope)
    return unexpected(answer, call)


def queue_missing(answer: Answer, call: Call) -> CollectorError:
    hint = "You: compare queue_url and queue_region with what the provider handed over"
    return Fatal(_said(answer, call), code="queue_missing", where=call.where, hint=hint, scope="queue")


def lease_lost(answer: Answer, call: Call) -> CollectorError:
    return Poison(_said(answer, call), code="lease_lost", where=call.where)


def bad_value(answer: Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    if "receipthandle" in message or "receipt handle" in message:
        return lease_lost(answer, call)
    if "visibilitytimeout" in message and "43200" in message:
        hint = "SQS hides a message for 12 hours at most; it comes back by itself"
        return Poison(_said(answer, call), code="lease_limit", where=call.where, hint=hint)
    if call.action == "sts:AssumeRole":
        hint = "You: role_duration_seconds may not exceed the role's MaxSessionDuration; compare role_arn"
        if "role chaining" in message:
            hint = "You: set role_duration_seconds = 3600: who is a role gets another for an hour at most"
        return Fatal(_said(answer, call), code="role_refused", where=call.where, hint=hint, scope="role")
    return unexpected(answer, call)


def session_policy(answer: Answer, call: Call) -> CollectorError:
    hint = (
        "You: set session_policy = off; a policy of your own there must be valid JSON of at most 2,048 "
        "characters"
    )
    return Fatal(_said(answer, call), code="session_policy", where=call.where, hint=hint, scope="role")


def expired(answer: Answer, call: Call) -> CollectorError:
    hint = "The credentials are read anew before the next try"
    return Retry(_said(answer, call), code="credentials_expired", where=call.where, hint=hint)


def invalid_keys(answer: Answer, call: Call) -> CollectorError:
    hint = "You: aws_access_key_id and aws_secret_access_key must be a pair that is active in IAM"
    if answer.code == "RegionDisabledException":
        hint = "You: activate STS in this region (IAM, Account settings), or set sts_endpoint_url"
    return Fatal(_said(answer, call), code="credentials_invalid", where=call.where, hint=hint, scope="role")


def token_refused(answer: Answer, call: Call) -> CollectorError:
    hint = (
        "You: the token in AWS_WEB_IDENTITY_TOKEN_FILE must be of an issuer that is an IAM identity provider "
        "in the role's account, and for an audience that it lists"
    )
    return Fatal(_said(answer, call), code="credentials_invalid", where=call.where, hint=hint, scope="role")


def bad_signature(answer: Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    if "expired" in message or "not yet current" in message:
        return clock_skew(answer, call)
    return invalid_keys(answer, call)


def clock_skew(answer: Answer, call: Call) -> CollectorError:
    off = clock_offset_seconds(answer.headers or {})
    by = f" by {off:+.0f} s" if off is not None else ""
    hint = f"You: this host's clock differs from AWS's{by}; AWS allows 15 minutes, KMS 5. Synchronise it"
    return Fatal(_said(answer, call), code="clock_skew", where=call.where, hint=hint, scope="role")


def proxy_denied(answer: Answer, call: Call) -> CollectorError:
    return proxy_refused(f"{call.action} got no further than the proxy, which answers 407", call)


def clock_offset_seconds(headers: Mapping[str, str]) -> Optional[float]:
    """By how much this host's clock is ahead of the one that wrote these headers; None if they do not say."""
    try:
        return time.time() - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return None


def _said(answer: Answer, call: Call) -> str:
    said = f"{answer.code}: {answer.message}" if answer.message else answer.code
    return f"AWS refused {call.action}: {said or answer.status}"


# What never got an answer: connections, certificates, credentials, and our own settings.


def no_credentials(what: str, call: Call) -> CollectorError:
    hint = "You: set aws_access_key_id and aws_secret_access_key, or aws_profile, or run under an AWS role"
    return Fatal(what, code="no_credentials", where=call.where, hint=hint, scope="role")


def credentials_out_of_reach(what: str, call: Call) -> CollectorError:
    hint = "The source of the credentials (a metadata service, a process, SSO) did not answer"
    return Retry(what, code="credentials_unavailable", where=call.where, hint=hint)


def no_profile(what: str, call: Call) -> CollectorError:
    hint = "You: compare aws_profile with the profiles in the AWS config file of this user"
    return Fatal(what, code="no_profile", where=call.where, hint=hint)


def bad_parameter(what: str, call: Call) -> CollectorError:
    if call.scope == "object":  # the key came from a message: no setting is at fault
        return Poison(what, code="bad_key", where=call.where)
    return Fatal(what, code="bad_parameter", where=call.where, hint="You: correct the setting it names")


def bad_setting(what: str, call: Call) -> CollectorError:
    hint = "You: compare region, endpoint_url, use_fips_endpoint and the AWS config file"
    if "specify a region" in what:
        hint = "You: set region, as neither queue_url nor AWS_REGION names one"
    return Fatal(what, code="bad_aws_setting", where=call.where, hint=hint)


def unreadable_file(what: str, call: Call) -> CollectorError:
    hint = "You: compare aws_ca_file and the AWS config files; this user must be able to read them"
    return Fatal(what, code="bad_aws_setting", where=call.where, hint=hint)


def proxy_failed(what: str, call: Call) -> CollectorError:
    hint = "You: compare proxy_url; the proxy must be reachable and allow this host"
    return Retry(what, code="proxy_failed", where=call.where, hint=hint)


def proxy_refused(what: str, call: Call) -> CollectorError:
    """The proxy stands between us and all of AWS: the breaker is the role's, whatever was asked for."""
    hint = (
        "You: put user:password@ into proxy_url"
        if "407" in what
        else "You: compare proxy_url; the proxy must allow this host and port"
    )
    return Fatal(what, code="proxy_refused", where=call.where, hint=hint, scope="role")


def untrusted(what: str, call: Call) -> CollectorError:
    """A setting of ours, whichever service meets it first: no object is to pay for it."""
    hint = "You: name the CA that signed this endpoint's (or proxy's) certificate in aws_ca_file"
    return Fatal(what, code="tls_untrusted", where=call.where, hint=hint, scope="role")


def unresolved(what: str, call: Call) -> CollectorError:
    hint = "Network: DNS here does not know that name; compare region and endpoint settings, and the resolver"
    return Retry(what, code="dns_failed", where=call.where, hint=hint)


def timed_out(what: str, call: Call) -> CollectorError:
    return Retry(what, code="timeout", where=call.where)


def corrupted(what: str, call: Call) -> CollectorError:
    return Retry(what, code="checksum_mismatch", where=call.where)
