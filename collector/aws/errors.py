"""AWS's errors in our three fates: one table, read by every adapter of this package.

    with translated(Call("s3:GetObject", where=ref.url, resource=arn, scope="object", role=role)):
        client.get_object(...)

AWS answers with a code, sometimes prefixed by a service ("AWS.SimpleQueueService.X", "com.amazonaws.sqs#X",
"KMS.X"), sometimes with nothing but an HTTP status (HeadObject, gateways). The code is normalised, the
table gives its fate; codes that the table does not know go by their status. A denial's hint names the
action, the resource, the identity that was refused, and who has to move.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type

from collector.aws import fates
from collector.aws.fates import Answer, Call
from collector.errors import CollectorError, Retry

__all__ = ["Call", "INSTALL_CRYPTOGRAPHY", "error_code", "translate", "translate_code", "translated"]

#: What to do where it is absent: Splunk's own Python takes no packages but those that an app brings along.
INSTALL_CRYPTOGRAPHY = (
    "install the package cryptography into the collector's Python; in Splunk, install the app from the "
    "package for this platform, audit_s3_collector-<version>-linux_x86_64.tgz or -linux_aarch64.tgz"
)


class translated:
    """Raise Retry, Poison or Fatal for what boto3 raises inside; let bugs through as they are.

    A class rather than a generator, as each read of an object is inside one.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if isinstance(error, Exception) and isinstance(error, _foreign()):
            raise translate(error, self._call) from error


def _foreign() -> Tuple[Type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    return BotoCoreError, ClientError, HTTPError, OSError


def translate(error: Exception, call: Call) -> CollectorError:
    """The fate of one exception of boto3, botocore or urllib3."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return _translate_local(error, call)
    answer = _read_answer(response)
    operation = getattr(error, "operation_name", "")
    if operation in ("AssumeRole", "AssumeRoleWithWebIdentity"):
        role = _role_asked_for(answer, operation) or call.role
        call = Call(f"sts:{operation}", where=role, resource=role, scope="role")
    return _by_table(answer, call)


def _role_asked_for(answer: Answer, operation: str) -> str:
    """Credentials are renewed inside whatever call needs them, and a profile may name a role of its own."""
    named = re.search(r"on resource: (arn:\S+:role/\S+)", answer.message)
    if named:
        return named.group(1)
    return os.environ.get("AWS_ROLE_ARN", "") if operation == "AssumeRoleWithWebIdentity" else ""


def translate_code(code: str, message: str, call: Call) -> CollectorError:
    """The fate of one failed entry of a batch call."""
    return _by_table(Answer(_normalised(code), message, kms=_is_kms(code)), call)


def error_code(response: Mapping[str, Any]) -> str:
    """The normalised code of an answer ("AccessDenied", "NoSuchKey"); "" if it is not an error."""
    return _read_answer(response).code if "Error" in response else ""


def _read_answer(response: Mapping[str, Any]) -> Answer:
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
    return Answer(code, message, status, meta.get("HTTPHeaders"), _is_kms(raw))


def _normalised(code: str) -> str:
    """`com.amazonaws.sqs#X`, `AWS.SimpleQueueService.X`, `KMS.X` and `X:http://...` are all X."""
    return re.split(r"[.#]", code.split(":", 1)[0])[-1]


def _is_kms(code: str) -> bool:
    return code.upper().startswith("KMS")


def _by_table(answer: Answer, call: Call) -> CollectorError:
    make = _TABLE.get(answer.code)
    if make is None or (answer.kms and make not in (fates.throttled, fates.server_error, fates.denied)):
        make = fates.key_unusable if answer.kms else fates.unexpected
    return make(answer, call)


_Fate = Callable[[Answer, Call], CollectorError]


def _codes(fate: _Fate, codes: str) -> Dict[str, _Fate]:
    return dict.fromkeys(codes.split(), fate)


_TABLE: Dict[str, _Fate] = {
    **_codes(
        fates.throttled,
        "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
        "TooManyRequestsException TooManyRequests SlowDown RequestLimitExceeded BandwidthLimitExceeded "
        "LimitExceededException KmsThrottled PriorRequestNotComplete",
    ),
    **_codes(
        fates.server_error,
        "InternalError InternalFailure InternalServerError ServiceUnavailable ServiceUnavailableException "
        "RequestTimeout RequestTimeoutException KMSInternalException DependencyTimeoutException "
        "KeyUnavailableException IDPCommunicationError OperationAborted QueueDeletedRecently",
    ),
    **_codes(fates.in_flight_full, "OverLimit"),
    **_codes(
        fates.denied,
        "AccessDenied AccessDeniedException UnauthorizedOperation NotAuthorized AuthorizationError "
        "AllAccessDisabled AccountProblem KmsAccessDenied",
    ),
    **_codes(
        fates.key_unusable,
        "DisabledException KMSInvalidStateException KmsDisabled KmsInvalidState KmsInvalidKeyUsage "
        "KmsNotFound KmsOptInRequired InvalidKeyUsageException NotFoundException",
    ),
    **_codes(fates.wrong_ciphertext, "InvalidCiphertextException"),
    **_codes(fates.foreign_key, "IncorrectKeyException"),
    **_codes(fates.gone, "NoSuchKey NoSuchVersion NoSuchUpload MethodNotAllowed KeyTooLongError"),
    **_codes(fates.superseded, "PreconditionFailed"),
    **_codes(fates.archived, "InvalidObjectState"),
    **_codes(fates.bucket_missing, "NoSuchBucket InvalidBucketName"),
    **_codes(
        fates.wrong_region,
        "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException",
    ),
    **_codes(fates.bad_request, "InvalidRequest"),
    **_codes(fates.queue_missing, "QueueDoesNotExist NonExistentQueue InvalidAddress"),
    **_codes(fates.lease_lost, "ReceiptHandleIsInvalid MessageNotInflight"),
    **_codes(fates.bad_value, "InvalidParameterValue InvalidParameterValueException ValidationError"),
    **_codes(
        fates.session_policy, "MalformedPolicyDocument MalformedPolicyDocumentException PackedPolicyTooLarge"
    ),
    **_codes(fates.expired, "ExpiredToken ExpiredTokenException TokenRefreshRequired"),
    **_codes(
        fates.invalid_keys,
        "InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException InvalidToken AuthFailure "
        "InvalidSecurity MissingAuthenticationToken IncompleteSignature NotSignedUp OptInRequired "
        "RegionDisabledException",
    ),
    **_codes(fates.token_refused, "InvalidIdentityToken IDPRejectedClaim"),
    **_codes(fates.bad_signature, "SignatureDoesNotMatch InvalidSignatureException"),
    **_codes(fates.clock_skew, "RequestTimeTooSkewed RequestExpired RequestInTheFuture"),
    **_codes(fates.proxy_denied, "ProxyAuthenticationRequired"),
}

#: For answers without a code that means anything.
_BY_STATUS = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    407: "ProxyAuthenticationRequired",
    412: "PreconditionFailed",
    429: "TooManyRequests",
}


#: How resolvers word a name that they do not know; urllib3 and each libc have words of their own.
_UNRESOLVED = (
    "NameResolutionError", "Name or service not known", "Temporary failure in name resolution",
    "nodename nor servname", "No address associated", "getaddrinfo failed",
)

#: How OpenSSL words a file of authorities that holds none.
_NO_CERTIFICATES = ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "BAD_BASE64_DECODE", "BAD_END_LINE")

#: How http.client words a proxy's answer to CONNECT.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


def _translate_local(error: Exception, call: Call) -> CollectorError:
    """What never got an answer: connections, certificates, credentials, and our own settings."""
    what = f"{call.action} got no answer: {str(error) or type(error).__name__}"
    reason = f"{error} {getattr(error, 'kwargs', {}).get('error', '')}"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return fates.untrusted(what, call)
    if any(words in reason for words in _NO_CERTIFICATES):
        return fates.unreadable_file(what, call)
    tunnel = _TUNNEL.search(reason)
    if tunnel and tunnel.group(1) in ("403", "407"):
        return fates.proxy_refused(f"{what}: the proxy answers {tunnel.group(1)} to CONNECT", call)
    for kind in type(error).__mro__:
        make = _LOCAL.get(kind.__name__)
        if make is not None:
            return make(f"{call.action} was not asked: {error}" if make in _UNASKED else what, call)
    if any(words in reason for words in _UNRESOLVED):
        return fates.unresolved(what, call)
    return Retry(what, code="connection_failed", where=call.where)


#: What boto3 finds before it asks anybody.
_UNASKED = (fates.no_credentials, fates.no_profile, fates.bad_parameter, fates.bad_setting)

#: By the name of the exception's class, or of the nearest class above it.
_LOCAL: Dict[str, Callable[[str, Call], CollectorError]] = {
    "NoCredentialsError": fates.no_credentials,
    "PartialCredentialsError": fates.no_credentials,
    "CredentialRetrievalError": fates.credentials_out_of_reach,
    "MetadataRetrievalError": fates.credentials_out_of_reach,
    "TokenRetrievalError": fates.credentials_out_of_reach,
    "SSOError": fates.no_credentials,
    "ProfileNotFound": fates.no_profile,
    "ParamValidationError": fates.bad_parameter,
    "NoRegionError": fates.bad_setting,
    "InvalidRegionError": fates.bad_setting,
    "UnknownEndpointError": fates.bad_setting,
    "EndpointProviderError": fates.bad_setting,
    "EndpointVariantError": fates.bad_setting,
    "InvalidConfigError": fates.bad_setting,
    "ConfigParseError": fates.bad_setting,
    "InvalidProxiesConfigError": fates.bad_setting,
    "FileNotFoundError": fates.unreadable_file,
    "PermissionError": fates.unreadable_file,
    "ProxyConnectionError": fates.proxy_failed,
    "ProxyError": fates.proxy_failed,
    "ConnectTimeoutError": fates.timed_out,
    "ReadTimeoutError": fates.timed_out,
    "TimeoutError": fates.timed_out,
    "timeout": fates.timed_out,  # socket.timeout, until Python 3.10
    "FlexibleChecksumError": fates.corrupted,
}
