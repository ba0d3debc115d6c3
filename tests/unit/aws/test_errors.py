"""The table of AWS's errors."""

from __future__ import annotations

import socket
from email.utils import formatdate
from typing import Any

import pytest
from botocore import exceptions as boto
from urllib3.exceptions import ProtocolError

from collector.aws.errors import Call, error_code, translate, translate_code, translated
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.retention.moves import mover

ROLE = "arn:aws:iam::111111111111:role/audit-access"
GET = Call("s3:GetObject", "s3://b/k", "arn:aws:s3:::b/*", scope="object", role=ROLE)
RECEIVE = Call("sqs:ReceiveMessage", "https://q", "arn:aws:sqs:eu-west-1:111111111111:q", scope="queue")

KEY = "arn:aws:kms:eu-west-1:111111111111:key/abc-1"
DECRYPT = Call("kms:Decrypt", "s3://b/k", KEY, scope="kms", role=ROLE)


def _answer(code: str, message: str = "", status: int = 400, operation: str = "Op", **headers: str) -> Any:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return boto.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}, operation
    )


def _fate(error: CollectorError) -> tuple[str, str, str]:
    return type(error).__name__, error.code, getattr(error, "scope", "")


@pytest.mark.parametrize(
    ("code", "status", "call", "fate"),
    [
        ("SlowDown", 503, GET, ("Retry", "throttled", "")),
        ("ThrottlingException", 400, RECEIVE, ("Retry", "throttled", "")),
        ("AWS.SimpleQueueService.RequestThrottled", 403, RECEIVE, ("Retry", "throttled", "")),
        ("KMS.ThrottlingException", 400, GET, ("Retry", "throttled", "")),
        ("InternalError", 500, GET, ("Retry", "aws_unavailable", "")),
        ("SomethingNew", 503, GET, ("Retry", "aws_unavailable", "")),
        ("SomethingNew", 400, GET, ("Retry", "aws_unexpected", "")),
        ("OverLimit", 403, RECEIVE, ("Retry", "in_flight_full", "")),
        ("NoSuchKey", 404, GET, ("Poison", "gone", "")),
        ("NoSuchVersion", 404, GET, ("Poison", "gone", "")),
        ("404", 404, GET, ("Poison", "gone", "")),
        ("404", 404, RECEIVE, ("Retry", "aws_unexpected", "")),
        ("MethodNotAllowed", 405, GET, ("Poison", "gone", "")),
        ("PreconditionFailed", 412, GET, ("Poison", "superseded", "")),
        ("412", 412, GET, ("Poison", "superseded", "")),
        ("InvalidObjectState", 403, GET, ("Poison", "archived", "")),
        ("NoSuchBucket", 404, GET, ("Fatal", "bucket_missing", "object")),
        ("AccessDenied", 403, GET, ("Fatal", "object_denied", "object")),
        ("403", 403, GET, ("Fatal", "object_denied", "object")),
        ("403", 403, RECEIVE, ("Fatal", "queue_denied", "queue")),
        ("com.amazonaws.sqs#QueueDoesNotExist", 400, RECEIVE, ("Fatal", "queue_missing", "queue")),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, RECEIVE, ("Fatal", "queue_missing", "queue")),
        ("ReceiptHandleIsInvalid", 400, RECEIVE, ("Poison", "lease_lost", "")),
        ("KMS.DisabledException", 400, GET, ("Fatal", "kms_key_unusable", "kms")),
        ("KMS.NotFoundException", 400, GET, ("Fatal", "kms_key_unusable", "kms")),
        ("KMS.KMSInvalidStateException", 400, GET, ("Fatal", "kms_key_unusable", "kms")),
        ("KmsAccessDenied", 400, RECEIVE, ("Fatal", "kms_denied", "queue")),
        ("KmsThrottled", 400, RECEIVE, ("Retry", "throttled", "")),
        ("ExpiredToken", 400, GET, ("Retry", "credentials_expired", "")),
        ("AWS.SimpleQueueService.ExpiredToken", 400, RECEIVE, ("Retry", "credentials_expired", "")),
        ("InvalidClientTokenId", 403, RECEIVE, ("Fatal", "credentials_invalid", "role")),
        ("InvalidAccessKeyId", 403, GET, ("Fatal", "credentials_invalid", "role")),
        ("SignatureDoesNotMatch", 403, GET, ("Fatal", "credentials_invalid", "role")),
        ("RequestTimeTooSkewed", 403, GET, ("Fatal", "clock_skew", "role")),
        ("PermanentRedirect", 301, GET, ("Fatal", "wrong_region", "object")),
        ("InvalidCiphertextException", 400, DECRYPT, ("Poison", "data_key_refused", "")),
        ("IncorrectKeyException", 400, DECRYPT, ("Poison", "foreign_kms_key", "")),
        ("AccessDeniedException", 400, DECRYPT, ("Fatal", "kms_denied", "kms")),
        ("NotFoundException", 400, DECRYPT, ("Fatal", "kms_key_unusable", "kms")),
        ("DisabledException", 400, DECRYPT, ("Fatal", "kms_key_unusable", "kms")),
        ("KMSInvalidStateException", 400, DECRYPT, ("Fatal", "kms_key_unusable", "kms")),
        ("ThrottlingException", 400, DECRYPT, ("Retry", "throttled", "")),
        ("KMSInternalException", 500, DECRYPT, ("Retry", "aws_unavailable", "")),
        ("DependencyTimeoutException", 503, DECRYPT, ("Retry", "aws_unavailable", "")),
        ("404", 404, DECRYPT, ("Retry", "aws_unexpected", "")),
    ],
)
def test_every_code_has_one_fate(code: str, status: int, call: Call, fate: tuple[str, str, str]) -> None:
    assert _fate(translate(_answer(code, status=status), call)) == fate


def test_a_missing_object_is_believed_after_three_sightings() -> None:
    error = translate(_answer("NoSuchKey", status=404), GET)
    assert isinstance(error, Poison)
    assert error.sightings == 3


def test_a_denial_names_action_resource_role_and_whose_move_it_is() -> None:
    error = translate(_answer("AccessDenied", "User is not authorized", 403), GET)
    assert error.where == "s3://b/k"
    assert error.hint.startswith("Provider: attach s3:GetObject on arn:aws:s3:::b/* to role " + ROLE)


@pytest.mark.parametrize(
    ("message", "start"),
    [
        ("... because no session policy allows the s3:GetObject action", "You: the session_policy"),
        ("... with an explicit deny in a resource-based policy", "Provider: an explicit deny"),
        ("... with an explicit deny in an identity-based policy: arn:x", "Provider: an explicit deny"),
        ("... because no identity-based policy allows the action", "Provider: attach s3:GetObject"),
        ("... because no resource-based policy allows the action", "Provider: attach s3:GetObject"),
        ("... with an explicit deny in a service control policy", "Provider: a service control policy d"),
        ("... because no service control policy allows the x", "Provider: a service control policy does not"),
        ("... with an explicit deny in a resource control policy", "Provider: a resource control policy"),
        ("... because no permissions boundary allows the x", "Provider: a permissions boundary do"),
        ("... with an explicit deny in a permissions boundary", "Provider: a permissions boundary denies"),
        ("... because no VPC endpoint policy allows the action", "Network: the policy of the VPC"),
        ("... not authorized to perform: s3:ListBucket on resource: x", "Provider: the object is not there"),
    ],
)
def test_the_kind_of_denial_decides_whose_move_it_is(message: str, start: str) -> None:
    assert translate(_answer("AccessDenied", message, 403), GET).hint.startswith(start)


@pytest.mark.parametrize(
    ("message", "start"),
    [
        ("... because no session policy allows the kms:Decrypt action", "You: the session_policy"),
        ("... with an explicit deny in a service control policy", "Provider: a service control policy"),
        ("... because no VPC endpoint policy allows the kms:Decrypt action", "Network: the policy"),
    ],
)
def test_what_denied_a_key_decides_whose_move_it_is(message: str, start: str) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/abc-1"
    said = f"User: x is not authorized to perform: kms:Decrypt on resource: {key} {message}"
    assert translate(_answer("AccessDenied", said, 403), GET).hint.startswith(start)


QUEUE, OWN = RECEIVE.resource, "the collector's own credentials"


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("because no identity-based policy allows", f"You: attach sqs:ReceiveMessage on {QUEUE} to {OWN}"),
        ("with an explicit deny in an identity-based policy: arn:p", "You: an explicit deny stands"),
        ("because no resource-based policy allows x", f"Provider: attach sqs:ReceiveMessage for {OWN} to"),
        ("with an explicit deny in a resource-based policy", "Provider: an explicit deny stands against sqs"),
        ("because no session policy allows x", "You: the session policy under which your credentials were"),
        ("with an explicit deny in a session policy", "You: the session policy under which your credentials"),
        ("because no service control policy allows x", "You: a service control policy does not allow"),
        ("with an explicit deny in a service control policy", "You: a service control policy denies"),
        ("with an explicit deny in a resource control policy", "Provider: a resource control policy denies"),
        ("because no permissions boundary allows x", "You: a permissions boundary does not"),
        ("with an explicit deny in a permissions boundary", "You: a permissions boundary denies"),
        ("because no VPC endpoint policy allows x", "Network: the policy of the VPC endpoint on the way"),
        ("with an explicit deny in a VPC endpoint policy", "Network: the policy of the VPC endpoint on the"),
        ("", f"You: attach sqs:ReceiveMessage on {QUEUE} to {OWN}; in another account its own policy has to"),
    ],
)
def test_without_a_role_the_customers_own_policies_are_to_be_mended(message: str, hint: str) -> None:
    said = f"User: x is not authorized to perform: sqs:ReceiveMessage {message}"
    error = translate(_answer("AccessDenied", said, 403), RECEIVE)
    assert error.hint.startswith(hint)
    assert mover(error.code, error.hint) == hint.partition(":")[0].lower()


def test_a_denial_says_in_whose_policy_it_stands() -> None:
    def hint(message: str, call: Call) -> str:
        return translate(_answer("AccessDenied", message, 403), call).hint

    bucket = "the policy of arn:aws:s3:::b itself"  # objects have none
    assert bucket in hint("because no resource-based policy allows x", GET)
    assert bucket in hint("with an explicit deny in a resource-based policy", GET)
    explicit = "with an explicit deny in an identity-based policy"
    assert f"identity-based policy of role {ROLE}" in hint(explicit, GET)
    assert f"to role {ROLE}, whatever" in hint("with an explicit deny in a service control policy", GET)
    assert f"to role {ROLE}: whoever" in hint("because no VPC endpoint policy allows x", GET)
    assert f"the policy of {QUEUE} itself" in hint("with an explicit deny in a resource-based", RECEIVE)


@pytest.mark.parametrize(
    ("message", "owner"),
    [
        ("because no identity-based policy allows the kms:Decrypt action", "You"),
        ("because no resource-based policy allows the kms:Decrypt action", "Provider"),
        ("because no session policy allows the kms:Decrypt action", "You"),
        ("with an explicit deny in a resource control policy", "Provider"),
        ("", "You"),
    ],
)
def test_a_key_denied_without_a_role_is_ours_but_for_its_own_policy(message: str, owner: str) -> None:
    said = f"User: x is not authorized to perform: kms:Decrypt on resource: {KEY} {message}"
    own = Call("s3:GetObject", "s3://b/k", "arn:aws:s3:::b/*", scope="object")
    hint = translate(_answer("AccessDenied", said, 403), own).hint
    assert hint.startswith(f"{owner}: ") and "session_policy setting" not in hint


def test_a_resource_control_policy_on_the_role_is_of_the_providers_organization() -> None:
    call = Call("sts:AssumeRole", where=ROLE, resource=ROLE, scope="role")
    message = "... sts:AssumeRole with an explicit deny in a resource control policy"
    hint = translate(_answer("AccessDenied", message, 403), call).hint
    assert hint.startswith("Provider: a resource control policy denies")


@pytest.mark.parametrize(
    "message",
    [
        "because no role trust policy allows the sts:AssumeRole action",
        "because no resource-based policy allows the sts:AssumeRole action",
        "",
    ],
)
def test_comparing_the_external_id_comes_before_asking_for_another_trust_policy(message: str) -> None:
    call = Call("sts:AssumeRole", where=ROLE, resource=ROLE, scope="role")
    hint = translate(_answer("AccessDenied", f"... sts:AssumeRole {message}", 403), call).hint
    assert hint.startswith("You: compare external_id and role_arn")
    assert "Provider: the role's trust policy must name that user" in hint
    assert (f"allow the collector's user sts:AssumeRole on {ROLE}" in hint) == (message == "")


def test_an_explicit_deny_in_a_trust_policy_is_the_providers_alone() -> None:
    call = Call("sts:AssumeRole", where=ROLE, resource=ROLE, scope="role")
    message = "... sts:AssumeRole with an explicit deny in the role trust policy"
    hint = translate(_answer("AccessDenied", message, 403), call).hint
    assert hint.startswith("Provider: an explicit deny") and ROLE in hint and "external_id" not in hint


def test_a_user_who_may_not_assume_the_role_is_the_customers() -> None:
    message = "... because no identity-based policy allows the sts:AssumeRole action"
    call = Call("sts:AssumeRole", where=ROLE, resource=ROLE, scope="role")
    error = translate(_answer("AccessDenied", message, 403), call)
    assert error.hint.startswith(f"You: attach sts:AssumeRole on {ROLE}")


def test_a_denied_key_is_told_from_a_denied_object() -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/abc-1"
    message = (
        f"User: x is not authorized to perform: kms:Decrypt on resource: {key} because no policy allows it"
    )
    error = translate(_answer("AccessDenied", message, 403), GET)
    assert _fate(error) == ("Fatal", "kms_denied", "kms")
    assert error.resource == key
    assert key in error.hint
    assert ROLE in error.hint


def test_a_key_that_is_denied_to_us_but_not_to_s3_shows_it_in_the_hint() -> None:
    hint = translate(_answer("AccessDeniedException", "not authorized", 400), DECRYPT).hint
    assert "kms:ViaService" in hint and ROLE in hint
    assert "ViaService" not in translate(_answer("AccessDenied", "kms:Decrypt", 403), GET).hint


def test_a_refused_assume_role_is_the_roles_whatever_call_needed_it() -> None:
    error = translate(_answer("AccessDenied", "not authorized", 403, operation="AssumeRole"), GET)
    assert _fate(error) == ("Fatal", "role_denied", "role")
    assert error.where == ROLE


def test_a_role_that_a_profile_names_is_the_one_that_is_told_of() -> None:
    own = "arn:aws:iam::222222222222:role/own"
    message = f"User: x is not authorized to perform: sts:AssumeRole on resource: {own}"
    error = translate(_answer("AccessDenied", message, 403, operation="AssumeRole"), GET)
    assert (error.where, own in error.hint, ROLE in error.hint) == (own, True, False)


@pytest.mark.parametrize("call", [GET, RECEIVE, DECRYPT])
def test_a_refused_web_identity_is_the_roles_and_ours_to_mend(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "arn:aws:iam::222222222222:role/pod"
    monkeypatch.setenv("AWS_ROLE_ARN", own)
    operation = "AssumeRoleWithWebIdentity"
    denied = translate(
        _answer("AccessDenied", f"Not authorized to perform sts:{operation}", 403, operation=operation), call
    )
    assert (*_fate(denied), denied.where) == ("Fatal", "role_denied", "role", own)
    assert denied.hint.startswith("You: compare AWS_ROLE_ARN") and own in denied.hint
    message = "No OpenIDConnect provider found in your account for https://oidc.example.com"
    unknown = translate(_answer("InvalidIdentityToken", message, 400, operation=operation), call)
    assert (*_fate(unknown), unknown.where) == ("Fatal", "credentials_invalid", "role", own)
    assert unknown.hint.startswith("You: the token in AWS_WEB_IDENTITY_TOKEN_FILE")


def test_a_session_longer_than_the_role_allows_names_the_setting() -> None:
    message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    error = translate(_answer("ValidationError", message, operation="AssumeRole"), GET)
    assert _fate(error) == ("Fatal", "role_refused", "role")
    assert "role_duration_seconds" in error.hint


def test_a_role_that_is_assumed_by_a_role_is_given_for_an_hour() -> None:
    message = "DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    error = translate(_answer("ValidationError", message, operation="AssumeRole"), GET)
    assert (error.code, "role_duration_seconds = 3600" in error.hint) == ("role_refused", True)


def test_an_unset_region_is_to_be_set_and_an_inactive_one_activated() -> None:
    assert translate(boto.NoRegionError(), GET).hint.startswith("You: set region")
    call = Call("sts:AssumeRole", where=ROLE, resource=ROLE, scope="role")
    message = "STS is not activated in this region for account:222222222222."
    assert "activate STS" in translate(_answer("RegionDisabledException", message, 403), call).hint


def test_an_expired_signature_is_a_wrong_clock_and_says_by_how_much() -> None:
    message = "Signature expired: 20260504T101010Z is now earlier than 20260504T102010Z"
    error = translate(_answer("SignatureDoesNotMatch", message, 403, date=formatdate(0)), RECEIVE)
    assert _fate(error) == ("Fatal", "clock_skew", "role")
    assert "clock differs from AWS's by +" in error.hint


def test_a_throttle_passes_on_how_long_to_wait() -> None:
    error = translate(_answer("SlowDown", status=503, **{"retry-after": "7"}), GET)
    assert isinstance(error, Retry)
    assert error.after_seconds == 7


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            "lease_lost",
        ),
        ("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]", "lease_limit"),
        ("Something else", "aws_unexpected"),
    ],
)
def test_sqs_says_several_things_with_one_code(message: str, code: str) -> None:
    assert translate_code("InvalidParameterValue", message, RECEIVE).code == code


def _tunnel(answer: str) -> boto.ProxyConnectionError:
    error = OSError(f"Tunnel connection failed: {answer}")
    return boto.ProxyConnectionError(proxy_url="http://p", error=error)


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (boto.EndpointConnectionError(endpoint_url="https://x"), ("Retry", "connection_failed", "")),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), ("Retry", "timeout", "")),
        (boto.ReadTimeoutError(endpoint_url="https://x"), ("Retry", "timeout", "")),
        (
            boto.EndpointConnectionError(endpoint_url="x", error="[Errno -2] Name or service not known"),
            ("Retry", "dns_failed", ""),
        ),
        (boto.ResponseStreamingError(error="reset"), ("Retry", "connection_failed", "")),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), ("Retry", "connection_failed", "")),
        (ProtocolError("broken"), ("Retry", "connection_failed", "")),
        (ConnectionResetError("reset"), ("Retry", "connection_failed", "")),
        (socket.timeout("slow"), ("Retry", "timeout", "")),
        (boto.ProxyConnectionError(proxy_url="http://p"), ("Retry", "proxy_failed", "")),
        (boto.FlexibleChecksumError(error_msg="crc"), ("Retry", "checksum_mismatch", "")),
        (
            boto.SSLError(endpoint_url="x", error="[SSL: CERTIFICATE_VERIFY_FAILED]"),
            ("Fatal", "tls_untrusted", "role"),
        ),
        (_tunnel("407 Proxy Authentication Required"), ("Fatal", "proxy_refused", "role")),
        (_tunnel("403 Forbidden"), ("Fatal", "proxy_refused", "role")),
        (_tunnel("503 Busy"), ("Retry", "proxy_failed", "")),
        (boto.SSLError(endpoint_url="x", error="EOF occurred"), ("Retry", "connection_failed", "")),
        (
            boto.SSLError(endpoint_url="x", error="[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate"),
            ("Fatal", "bad_aws_setting", "config"),
        ),
        (boto.NoCredentialsError(), ("Fatal", "no_credentials", "role")),
        (boto.ProfileNotFound(profile="p"), ("Fatal", "no_profile", "config")),
        (boto.NoRegionError(), ("Fatal", "bad_aws_setting", "config")),
        (FileNotFoundError("ca.pem"), ("Fatal", "bad_aws_setting", "config")),
        (boto.ParamValidationError(report="Key: too long"), ("Poison", "bad_key", "")),
    ],
)
def test_what_never_got_an_answer_has_a_fate_too(error: Exception, fate: tuple[str, str, str]) -> None:
    assert _fate(translate(error, GET)) == fate


def test_what_nobody_was_asked_for_is_not_said_to_have_had_no_answer() -> None:
    said = translate(boto.NoCredentialsError(), GET).what
    assert said.endswith("was not asked: Unable to locate credentials")
    assert "got no answer" in translate(boto.ReadTimeoutError(endpoint_url="x"), GET).what


def test_a_proxy_that_answers_in_place_of_aws_is_not_mistaken_for_it() -> None:
    error = translate(_answer("407", status=407), GET)
    assert _fate(error) == ("Fatal", "proxy_refused", "role")
    assert "user:password@ into proxy_url" in error.hint


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(KeyError), translated(GET):
        raise KeyError("Body")


def test_the_translation_keeps_its_cause() -> None:
    cause = _answer("SlowDown", status=503)
    with pytest.raises(Retry) as caught, translated(GET):
        raise cause
    assert caught.value.__cause__ is cause


def test_an_answer_that_is_no_error_has_no_code() -> None:
    assert error_code({"ResponseMetadata": {"HTTPStatusCode": 200}}) == ""
    assert error_code(_answer("AWS.SimpleQueueService.ExpiredToken").response) == "ExpiredToken"


def test_every_fatal_says_what_to_do() -> None:
    from collector.aws import errors

    for code in errors._TABLE:
        error = translate(_answer(code), GET)
        assert error.where
        assert not isinstance(error, Fatal) or error.hint, code
