"""DynamoDB's errors in our fates, by code (developer guide, "Error handling with DynamoDB").

A refused condition is no error here: it is an answer, and the caller reads it as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping

from collector.errors import CollectorError, Fatal, Retry

__all__ = ["ACTIONS", "Place", "error_code", "translate"]

#: All that the store ever calls.
ACTIONS = (
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem",
)


@dataclass(frozen=True)
class Place:
    """The table as the operator knows it; `create_command` makes it, should it be missing."""

    table: str
    region: str
    create_command: str

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{self.region or '*'}:*:table/{self.table}"

    def __str__(self) -> str:
        return f"DynamoDB table {self.table}" + (f" in {self.region}" if self.region else "")


@dataclass(frozen=True)
class _Answer:
    code: str
    message: str
    action: str

    def __str__(self) -> str:
        return f"DynamoDB refused {self.action}: {self.code or 'no code'}: {self.message}"


def error_code(error: Exception) -> str:
    """AWS's code without a service's prefix; "" if the error is no answer of AWS's."""
    response = getattr(error, "response", None)
    said = response.get("Error", {}) if isinstance(response, Mapping) else {}
    return str(said.get("Code", "")).split("#")[-1].split(":")[0]


def translate(error: Exception, place: Place) -> CollectorError:
    """The fate of one exception of boto3, botocore or urllib3."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return _unanswered(error, place)
    message = " ".join(str(response.get("Error", {}).get("Message", "")).split())[:500]
    answer = _Answer(error_code(error), message, str(getattr(error, "operation_name", "") or "a call"))
    make = _TABLE.get(answer.code)
    if make is None:
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        make = {403: _denied, 429: _busy}.get(status, _busy if status >= 500 else _unexpected)
    return make(answer, place)


def _busy(answer: _Answer, place: Place) -> CollectorError:
    hint = "If it lasts: raise the table's and the index's capacity, or make the table on-demand"
    return Retry(str(answer), code="store_busy", where=str(place), hint=hint)


def _no_table(answer: _Answer, place: Place) -> CollectorError:
    if "index" in answer.message.lower():
        return _wrong_table(answer, place)
    hint = f"Compare checkpoint_table and checkpoint_region, or create it: {place.create_command}"
    return Fatal(str(answer), code="store_no_table", where=str(place), hint=hint)


def _invalid(answer: _Answer, place: Place) -> CollectorError:
    """Keys or an index that are not as we made them; anything else is unexpected."""
    said = answer.message.lower()
    if any(words in said for words in ("specified index", "key element", "missing the key", "key schema")):
        return _wrong_table(answer, place)
    return _unexpected(answer, place)


def _wrong_table(answer: _Answer, place: Place) -> CollectorError:
    hint = f"The table was not made for audit-s3; create another: {place.create_command}"
    return Fatal(str(answer), code="store_wrong_table", where=str(place), hint=hint)


def _denied(answer: _Answer, place: Place) -> CollectorError:
    named = answer.action if answer.action in ACTIONS else "Query"
    hint = (
        f"Attach dynamodb:{named} on {place.arn} to the collector's own credentials, not to the access role; "
        f"in all it needs {', '.join('dynamodb:' + one for one in ACTIONS)} there, and Query on /index/*"
    )
    if "kms" in answer.message.lower():
        hint = f"Allow the collector's own credentials kms:Decrypt on the key that encrypts {place.table}"
    return Fatal(str(answer), code="store_denied", where=str(place), hint=hint)


def _expired(answer: _Answer, place: Place) -> CollectorError:
    hint = "The credentials are read anew before the next try"
    return Retry(str(answer), code="credentials_expired", where=str(place), hint=hint)


def _invalid_keys(answer: _Answer, place: Place) -> CollectorError:
    hint = "aws_access_key_id and aws_secret_access_key must be a pair that is active in IAM, the clock right"
    return Fatal(str(answer), code="store_credentials", where=str(place), hint=hint)


def _unexpected(answer: _Answer, place: Place) -> CollectorError:
    return Retry(str(answer), code="store_unexpected", where=str(place))


def _unanswered(error: Exception, place: Place) -> CollectorError:
    what = f"DynamoDB gave no answer: {str(error) or type(error).__name__}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "Name the CA that signed this endpoint's (or proxy's) certificate in aws_ca_file"
        return Fatal(what, code="tls_untrusted", where=str(place), hint=hint)
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        hint = "Set aws_access_key_id and aws_secret_access_key, or aws_profile, or run under an AWS role"
        return Fatal(what, code="no_credentials", where=str(place), hint=hint)
    if type(error).__name__ == "ParamValidationError":
        return Retry(what, code="store_unexpected", where=str(place))
    return Retry(what, code="store_unreachable", where=str(place))


_Fate = Callable[[_Answer, Place], CollectorError]


def _codes(fate: _Fate, codes: str) -> Dict[str, Any]:
    return dict.fromkeys(codes.split(), fate)


_TABLE: Dict[str, _Fate] = {
    **_codes(
        _busy,
        "ProvisionedThroughputExceededException ThrottlingException Throttling RequestLimitExceeded "
        "LimitExceededException TransactionConflictException ReplicatedWriteConflictException "
        "InternalServerError InternalFailure ServiceUnavailable ServiceUnavailableException "
        "ItemCollectionSizeLimitExceededException ResourceInUseException",
    ),
    **_codes(_no_table, "ResourceNotFoundException TableNotFoundException"),
    **_codes(_invalid, "ValidationException"),
    **_codes(_denied, "AccessDeniedException AccessDenied UnauthorizedOperation"),
    **_codes(_expired, "ExpiredToken ExpiredTokenException TokenRefreshRequired"),
    **_codes(
        _invalid_keys,
        "UnrecognizedClientException InvalidClientTokenId InvalidAccessKeyId InvalidSignatureException "
        "SignatureDoesNotMatch MissingAuthenticationToken MissingAuthenticationTokenException "
        "IncompleteSignature IncompleteSignatureException RequestExpired",
    ),
}
