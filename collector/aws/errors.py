"""AWS's errors in our three fates: one table, read by every adapter of this package.

    with translated(Call("s3:GetObject", where=ref.url, resource=arn, scope="object", role=role)):
        client.get_object(...)

AWS answers with a code, sometimes prefixed by a service ("AWS.SimpleQueueService.X", "com.amazonaws.sqs#X",
"KMS.X"), sometimes with nothing but an HTTP status (HeadObject, gateways). The code is normalised, the
table gives its fate; codes that the table does not know go by their status. A denial's hint names the
action, the resource, the identity that was refused, and who has to move.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from collector.errors import CollectorError, Fatal, Poison, Retry

__all__ = ["Call", "error_code", "translate", "translate_code", "translated"]


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


@dataclass(frozen=True)
class _Answer:
    """What came back: the normalised code, AWS's own words, the HTTP status, its headers."""

    code: str
    message: str
    status: int = 0
    headers: Optional[Mapping[str, str]] = None
    kms: bool = False


@contextmanager
def translated(call: Call) -> Iterator[None]:
    """Raise Retry, Poison or Fatal for what boto3 raises inside; let bugs through as they are."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, OSError) as error:
        raise translate(error, call) from error


def translate(error: Exception, call: Call) -> CollectorError:
    """The fate of one exception of boto3, botocore or urllib3."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return _translate_local(error, call)
    if getattr(error, "operation_name", "") == "AssumeRole":
        # Credentials are renewed inside whatever call needs them first.
        call = Call("sts:AssumeRole", where=call.role, resource=call.role, scope="role")
    return _by_table(_read_answer(response), call)


def translate_code(code: str, message: str, call: Call) -> CollectorError:
    """The fate of one failed entry of a batch call."""
    return _by_table(_Answer(_normalised(code), message, kms=_is_kms(code)), call)


def error_code(response: Mapping[str, Any]) -> str:
    """The normalised code of an answer ("AccessDenied", "NoSuchKey"); "" if it is not an error."""
    return _read_answer(response).code if "Error" in response else ""


def _read_answer(response: Mapping[str, Any]) -> _Answer:
    said = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode") or 0)
    raw = str(said.get("Code", ""))
    if raw.isdigit():
        status = status or int(raw)
    code = _normalised(raw)
    if code not in _TABLE:
        code = _BY_STATUS.get(status, "InternalError" if status >= 500 else code)
    message = " ".join(str(said.get("Message", "")).split())[:500]
    return _Answer(code, message, status, meta.get("HTTPHeaders"), _is_kms(raw))


def _normalised(code: str) -> str:
    """`com.amazonaws.sqs#X`, `AWS.SimpleQueueService.X`, `KMS.X` and `X:http://...` are all X."""
    return re.split(r"[.#]", code.split(":", 1)[0])[-1]


def _is_kms(code: str) -> bool:
    return code.upper().startswith("KMS")


def _by_table(answer: _Answer, call: Call) -> CollectorError:
    make = _TABLE.get(answer.code)
    if make is None or (answer.kms and make not in (_throttled, _server_error, _denied)):
        make = _key_unusable if answer.kms else _unexpected
    return make(answer, call)


# The fates, in the order of the table below.


def _throttled(answer: _Answer, call: Call) -> CollectorError:
    wish = (answer.headers or {}).get("retry-after", "")
    return Retry(
        _said(answer, call),
        code="throttled",
        where=call.where,
        after_seconds=float(wish) if wish.isdigit() else None,
    )


def _server_error(answer: _Answer, call: Call) -> CollectorError:
    return Retry(_said(answer, call), code="aws_unavailable", where=call.where)


def _in_flight_full(answer: _Answer, call: Call) -> CollectorError:
    hint = "The queue has its most messages in flight: they come back as they are finished or lapse"
    return Retry(_said(answer, call), code="in_flight_full", where=call.where, hint=hint)


def _unexpected(answer: _Answer, call: Call) -> CollectorError:
    return Retry(_said(answer, call), code="aws_unexpected", where=call.where)


def _denied(answer: _Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    if answer.kms or "kms:" in message or "customer master key" in message or "kms key" in message:
        return _key_denied(answer, call)
    service = call.action.partition(":")[0]
    code = {"sts": "role_denied", "sqs": "queue_denied"}.get(service, "object_denied")
    if call.action == "s3:ListBucket":
        code = "list_denied"
    return Fatal(
        _said(answer, call), code=code, where=call.where, hint=_who_moves(answer, call), scope=call.scope
    )


def _who_moves(answer: _Answer, call: Call) -> str:
    if "session policy" in answer.message:
        return f"You: the session_policy setting does not allow {call.action} on {call.resource}"
    if "explicit deny" in answer.message:
        return f"Provider: an explicit deny stands against {call.action} on {call.resource}; remove it"
    if call.action == "sts:AssumeRole":
        return (
            f"You: allow the collector's user sts:AssumeRole on {call.resource}, and compare external_id. "
            "Provider: the role's trust policy must name that user and that external id"
        )
    if call.action == "s3:GetObject":
        return (
            f"Provider: attach s3:GetObject on {call.resource} to {call.identity} (without s3:ListBucket "
            "a missing object looks like this too)"
        )
    return f"Provider: attach {call.action} on {call.resource} to {call.identity}"


def _key_denied(answer: _Answer, call: Call) -> CollectorError:
    hint = f"Provider: attach kms:Decrypt on {_key_in(answer)} to {call.identity}, in the key's policy too"
    return Fatal(_said(answer, call), code="kms_denied", where=call.where, hint=hint, scope=_kms_scope(call))


def _key_unusable(answer: _Answer, call: Call) -> CollectorError:
    hint = f"Provider: {_key_in(answer)} must be enabled and not pending deletion"
    return Fatal(
        _said(answer, call), code="kms_key_unusable", where=call.where, hint=hint, scope=_kms_scope(call)
    )


def _kms_scope(call: Call) -> str:
    """A queue whose key is out of reach gives no message at all: that is the queue's breaker."""
    return "queue" if call.scope == "queue" else "kms"


def _key_in(answer: _Answer) -> str:
    found = re.search(r"arn:[\w-]+:kms:[\w:/-]+", answer.message)
    return f"the KMS key {found.group()}" if found else "the KMS key that encrypts it"


def _gone(answer: _Answer, call: Call) -> CollectorError:
    hint = "Deleted, or never written: nothing to do if the provider's retention has passed"
    return Poison(_said(answer, call), code="gone", where=call.where, hint=hint, sightings=3)


def _superseded(answer: _Answer, call: Call) -> CollectorError:
    hint = "The key holds another object by now, which is read under its own etag"
    return Poison(_said(answer, call), code="superseded", where=call.where, hint=hint)


def _archived(answer: _Answer, call: Call) -> CollectorError:
    hint = "Provider: restore the object from its archive storage class, then `backfill --again`"
    return Poison(_said(answer, call), code="archived", where=call.where, hint=hint)


def _bucket_missing(answer: _Answer, call: Call) -> CollectorError:
    hint = "You: compare the bucket setting with what the provider handed over"
    return Fatal(_said(answer, call), code="bucket_missing", where=call.where, hint=hint, scope=call.scope)


def _wrong_region(answer: _Answer, call: Call) -> CollectorError:
    region = (answer.headers or {}).get("x-amz-bucket-region", "")
    hint = f"You: set bucket_region{' = ' + region if region else ''}"
    return Fatal(_said(answer, call), code="wrong_region", where=call.where, hint=hint, scope=call.scope)


def _bad_request(answer: _Answer, call: Call) -> CollectorError:
    if "server side encryption" in answer.message.lower():
        hint = "Provider: the object needs a customer-provided key (SSE-C), which nobody can hand over here"
        return Fatal(_said(answer, call), code="customer_key", where=call.where, hint=hint, scope=call.scope)
    return _unexpected(answer, call)


def _queue_missing(answer: _Answer, call: Call) -> CollectorError:
    hint = "You: compare queue_url and queue_region with what the provider handed over"
    return Fatal(_said(answer, call), code="queue_missing", where=call.where, hint=hint, scope="queue")


def _lease_lost(answer: _Answer, call: Call) -> CollectorError:
    return Poison(_said(answer, call), code="lease_lost", where=call.where)


def _bad_value(answer: _Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    if "receipthandle" in message or "receipt handle" in message:
        return _lease_lost(answer, call)
    if "visibilitytimeout" in message and "43200" in message:
        hint = "SQS hides a message for 12 hours at most; it comes back by itself"
        return Poison(_said(answer, call), code="lease_limit", where=call.where, hint=hint)
    if call.action == "sts:AssumeRole":
        hint = "You: role_duration_seconds may not exceed the role's MaxSessionDuration; compare role_arn"
        return Fatal(_said(answer, call), code="role_refused", where=call.where, hint=hint, scope="role")
    return _unexpected(answer, call)


def _session_policy(answer: _Answer, call: Call) -> CollectorError:
    hint = "You: session_policy must be valid policy JSON of at most 2,048 characters"
    return Fatal(_said(answer, call), code="session_policy", where=call.where, hint=hint, scope="role")


def _expired(answer: _Answer, call: Call) -> CollectorError:
    hint = "The credentials are read anew before the next try"
    return Retry(_said(answer, call), code="credentials_expired", where=call.where, hint=hint)


def _invalid_keys(answer: _Answer, call: Call) -> CollectorError:
    hint = "You: aws_access_key_id and aws_secret_access_key must be a pair that is active in IAM"
    return Fatal(_said(answer, call), code="credentials_invalid", where=call.where, hint=hint, scope="role")


def _bad_signature(answer: _Answer, call: Call) -> CollectorError:
    message = answer.message.lower()
    if "expired" in message or "not yet current" in message:
        return _clock_skew(answer, call)
    return _invalid_keys(answer, call)


def _clock_skew(answer: _Answer, call: Call) -> CollectorError:
    off = _clock_offset_seconds(answer.headers or {})
    by = f" by {off:+.0f} s" if off is not None else ""
    hint = f"You: this host's clock differs from AWS's{by}; AWS allows 15 minutes, KMS 5. Synchronise it"
    return Fatal(_said(answer, call), code="clock_skew", where=call.where, hint=hint, scope="role")


def _clock_offset_seconds(headers: Mapping[str, str]) -> Optional[float]:
    try:
        return time.time() - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return None


def _said(answer: _Answer, call: Call) -> str:
    said = f"{answer.code}: {answer.message}" if answer.message else answer.code
    return f"AWS refused {call.action}: {said or answer.status}"


_Fate = Callable[[_Answer, Call], CollectorError]


def _codes(fate: _Fate, codes: str) -> Dict[str, _Fate]:
    return dict.fromkeys(codes.split(), fate)


_TABLE: Dict[str, _Fate] = {
    **_codes(
        _throttled,
        "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
        "TooManyRequestsException TooManyRequests SlowDown RequestLimitExceeded BandwidthLimitExceeded "
        "LimitExceededException KmsThrottled PriorRequestNotComplete",
    ),
    **_codes(
        _server_error,
        "InternalError InternalFailure InternalServerError ServiceUnavailable ServiceUnavailableException "
        "RequestTimeout RequestTimeoutException KMSInternalException DependencyTimeoutException "
        "KeyUnavailableException IDPCommunicationError OperationAborted QueueDeletedRecently",
    ),
    **_codes(_in_flight_full, "OverLimit"),
    **_codes(
        _denied,
        "AccessDenied AccessDeniedException UnauthorizedOperation NotAuthorized AuthorizationError "
        "AllAccessDisabled AccountProblem KmsAccessDenied",
    ),
    **_codes(
        _key_unusable,
        "DisabledException KMSInvalidStateException KmsDisabled KmsInvalidState KmsInvalidKeyUsage "
        "KmsNotFound KmsOptInRequired InvalidKeyUsageException",
    ),
    **_codes(_gone, "NoSuchKey NoSuchVersion NoSuchUpload MethodNotAllowed KeyTooLongError"),
    **_codes(_superseded, "PreconditionFailed"),
    **_codes(_archived, "InvalidObjectState"),
    **_codes(_bucket_missing, "NoSuchBucket InvalidBucketName"),
    **_codes(
        _wrong_region,
        "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException",
    ),
    **_codes(_bad_request, "InvalidRequest"),
    **_codes(_queue_missing, "QueueDoesNotExist NonExistentQueue InvalidAddress"),
    **_codes(_lease_lost, "ReceiptHandleIsInvalid MessageNotInflight"),
    **_codes(_bad_value, "InvalidParameterValue InvalidParameterValueException ValidationError"),
    **_codes(
        _session_policy, "MalformedPolicyDocument MalformedPolicyDocumentException PackedPolicyTooLarge"
    ),
    **_codes(_expired, "ExpiredToken ExpiredTokenException TokenRefreshRequired"),
    **_codes(
        _invalid_keys,
        "InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException InvalidToken AuthFailure "
        "InvalidSecurity MissingAuthenticationToken IncompleteSignature NotSignedUp OptInRequired "
        "RegionDisabledException",
    ),
    **_codes(_bad_signature, "SignatureDoesNotMatch InvalidSignatureException"),
    **_codes(_clock_skew, "RequestTimeTooSkewed RequestExpired RequestInTheFuture"),
}

#: For answers without a code that means anything.
_BY_STATUS = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    412: "PreconditionFailed",
    429: "TooManyRequests",
}


def _translate_local(error: Exception, call: Call) -> CollectorError:
    """What never got an answer: connections, certificates, credentials, and our own settings."""
    what = f"{call.action} got no answer: {str(error) or type(error).__name__}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "You: name the CA that signed this endpoint's (or proxy's) certificate in aws_ca_file"
        return Fatal(what, code="tls_untrusted", where=call.where, hint=hint, scope=call.scope)
    for kind in type(error).__mro__:
        make = _LOCAL.get(kind.__name__)
        if make is not None:
            return make(what, call)
    return Retry(what, code="connection_failed", where=call.where)


def _no_credentials(what: str, call: Call) -> CollectorError:
    hint = "You: set aws_access_key_id and aws_secret_access_key, or aws_profile, or run under an AWS role"
    return Fatal(what, code="no_credentials", where=call.where, hint=hint, scope="role")


def _credentials_out_of_reach(what: str, call: Call) -> CollectorError:
    hint = "The source of the credentials (a metadata service, a process, SSO) did not answer"
    return Retry(what, code="credentials_unavailable", where=call.where, hint=hint)


def _no_profile(what: str, call: Call) -> CollectorError:
    hint = "You: compare aws_profile with the profiles in the AWS config file of this user"
    return Fatal(what, code="no_profile", where=call.where, hint=hint)


def _bad_parameter(what: str, call: Call) -> CollectorError:
    if call.scope == "object":  # the key came from a message: no setting is at fault
        return Poison(what, code="bad_key", where=call.where)
    return Fatal(what, code="bad_parameter", where=call.where, hint="You: correct the setting it names")


def _bad_setting(what: str, call: Call) -> CollectorError:
    hint = "You: compare region, endpoint_url, use_fips_endpoint and the AWS config file"
    return Fatal(what, code="bad_aws_setting", where=call.where, hint=hint)


def _unreadable_file(what: str, call: Call) -> CollectorError:
    hint = "You: compare aws_ca_file and the AWS config files; this user must be able to read them"
    return Fatal(what, code="bad_aws_setting", where=call.where, hint=hint)


def _proxy_failed(what: str, call: Call) -> CollectorError:
    hint = "You: compare proxy_url; the proxy must be reachable and allow this host"
    return Retry(what, code="proxy_failed", where=call.where, hint=hint)


def _timed_out(what: str, call: Call) -> CollectorError:
    return Retry(what, code="timeout", where=call.where)


def _corrupted(what: str, call: Call) -> CollectorError:
    return Retry(what, code="checksum_mismatch", where=call.where)


#: By the name of the exception's class, or of the nearest class above it.
_LOCAL: Dict[str, Callable[[str, Call], CollectorError]] = {
    "NoCredentialsError": _no_credentials,
    "PartialCredentialsError": _no_credentials,
    "CredentialRetrievalError": _credentials_out_of_reach,
    "MetadataRetrievalError": _credentials_out_of_reach,
    "TokenRetrievalError": _credentials_out_of_reach,
    "SSOError": _no_credentials,
    "ProfileNotFound": _no_profile,
    "ParamValidationError": _bad_parameter,
    "NoRegionError": _bad_setting,
    "InvalidRegionError": _bad_setting,
    "UnknownEndpointError": _bad_setting,
    "EndpointProviderError": _bad_setting,
    "EndpointVariantError": _bad_setting,
    "InvalidConfigError": _bad_setting,
    "ConfigParseError": _bad_setting,
    "InvalidProxiesConfigError": _bad_setting,
    "FileNotFoundError": _unreadable_file,
    "PermissionError": _unreadable_file,
    "ProxyConnectionError": _proxy_failed,
    "ProxyError": _proxy_failed,
    "ConnectTimeoutError": _timed_out,
    "ReadTimeoutError": _timed_out,
    "TimeoutError": _timed_out,
    "timeout": _timed_out,  # socket.timeout, until Python 3.10
    "FlexibleChecksumError": _corrupted,
}
