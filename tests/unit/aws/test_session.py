"""Credentials that renew themselves, and the requests and clients that AwsSession makes. No sockets."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, NoCredentialsError

from collector.aws.credentials import BaseCredentials, RoleCredentials
from collector.aws.session import Access, AwsSession
from collector.errors import CollectorError, Fatal

ROLE = "arn:aws:iam::111111111111:role/audit-access"
KEYS = Access(region="eu-west-1", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="top-secret")


class Sts:
    """AssumeRole: the answers in order, each a lifetime in seconds or an exception."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []

    def assume_role(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        expires = datetime.now(timezone.utc) + timedelta(seconds=answer)
        number = len(self.requests)
        given = {"AccessKeyId": f"ASIA{number}", "SecretAccessKey": "s", "SessionToken": "t"}
        return {"Credentials": {**given, "Expiration": expires}}


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "AssumeRole")


def _session(sts: Sts, **changed: Any) -> AwsSession:
    access = Access(**{**KEYS.__dict__, "role_arn": ROLE, **changed})
    session = AwsSession(access)
    session._clients[("sts", access.region, False)] = sts
    return session


def _key_id(session: AwsSession) -> str:
    return str(session._credentials_for(assumed=True).get_frozen_credentials().access_key)


def test_the_role_is_assumed_with_everything_the_provider_asked_for() -> None:
    sts = Sts(3600)
    session = _session(
        sts, external_id="x-1", role_session_name="audit", role_duration_seconds=900, session_policies=("{}",)
    )
    _key_id(session)
    assert sts.requests == [
        {
            "RoleArn": ROLE,
            "RoleSessionName": "audit",
            "DurationSeconds": 900,
            "ExternalId": "x-1",
            "Policy": "{}",
        }
    ]


def test_a_session_policy_that_is_too_large_gives_way_to_a_wider_one_with_one_warning(caplog: Any) -> None:
    too_large = _refusal("PackedPolicyTooLarge")
    sts = Sts(too_large, too_large, 3600, 3600)
    session = _session(sts, session_policies=('"narrow"', '"wider"', '"widest"'))
    _key_id(session)
    session.refresh()
    sent = [request["Policy"] for request in sts.requests]
    assert sent == ['"narrow"', '"wider"', '"widest"', '"widest"'], "what STS refused is not asked again"
    (warning,) = caplog.messages
    assert "session policy" in warning and ROLE in warning


def test_a_session_policy_beyond_2048_characters_is_not_sent_at_all(caplog: Any) -> None:
    sts = Sts(3600)
    _key_id(_session(sts, session_policies=("x" * 2049, '"wider"')))
    assert [request["Policy"] for request in sts.requests] == ['"wider"']
    assert "2,048 characters" in caplog.text


def test_where_even_the_widest_session_policy_is_refused_the_operator_is_told() -> None:
    refusals = [_refusal("PackedPolicyTooLarge") for _ in range(2)]
    session = _session(Sts(*refusals), session_policies=('"narrow"', '"widest"'))
    with pytest.raises(Fatal, match="session_policy"):
        session.refresh()


def test_the_role_is_assumed_once_while_its_credentials_last() -> None:
    sts = Sts(3600)
    session = _session(sts)
    assert [_key_id(session) for _ in range(3)] == ["ASIA1"] * 3


def test_credentials_are_renewed_a_quarter_of_an_hour_ahead() -> None:
    sts = Sts(899, 3600)
    session = _session(sts)
    assert [_key_id(session) for _ in range(3)] == ["ASIA1", "ASIA2", "ASIA2"]


def test_a_failed_renewal_ahead_of_expiry_leaves_what_is_still_good() -> None:
    sts = Sts(800, _refusal("Throttling"), 3600)
    session = _session(sts)
    assert [_key_id(session) for _ in range(3)] == ["ASIA1", "ASIA1", "ASIA3"]


def test_the_shortest_session_is_not_renewed_at_every_call() -> None:
    sts = Sts(900)
    session = _session(sts, role_duration_seconds=900)
    assert [_key_id(session) for _ in range(3)] == ["ASIA1"] * 3


def test_refresh_renews_at_once_and_without_a_role_does_nothing() -> None:
    sts = Sts(3600, 3600)
    session = _session(sts)
    assert _key_id(session) == "ASIA1"
    session.refresh()
    assert _key_id(session) == "ASIA2"
    AwsSession(KEYS).refresh()


def test_a_failed_refresh_is_translated_and_what_we_hold_stays() -> None:
    sts = Sts(3600, _refusal("AccessDenied"))
    session = _session(sts)
    _key_id(session)
    with pytest.raises(Fatal, match="role_denied"):
        session.refresh()
    assert _key_id(session) == "ASIA1"


def test_stale_base_credentials_are_read_again() -> None:
    found = [Credentials("old", "s"), Credentials("new", "s")]
    base = BaseCredentials(lambda: found.pop(0))
    assert [base.get_frozen_credentials().access_key for _ in range(2)] == ["old", "old"]
    base.stale = True
    assert [base.get_frozen_credentials().access_key for _ in range(2)] == ["new", "new"]


def test_no_credentials_are_looked_for_again_at_every_call() -> None:
    found: list[Any] = [None, Credentials("late", "s")]
    base = BaseCredentials(lambda: found.pop(0))
    with pytest.raises(NoCredentialsError):
        base.get_frozen_credentials()
    assert base.get_frozen_credentials().access_key == "late"


def test_a_refusal_met_while_renewing_does_not_condemn_the_new_credentials() -> None:
    def assume() -> dict[str, str]:
        credentials.stale = True  # another thread, with the old ones
        expires = datetime.now(timezone.utc) + timedelta(hours=1)
        return {"access_key": "a", "secret_key": "s", "token": "t", "expiry_time": expires.isoformat()}

    credentials = RoleCredentials(assume, duration_seconds=3600)
    assert credentials.get_frozen_credentials().access_key == "a"


class Rotated:
    """AWS after a rotation: knows one key, and refuses the others with `code`. No sockets."""

    def __init__(self, session: AwsSession, *, knows: str, code: str) -> None:
        self.asked: list[str] = []
        self._knows, self._code = knows, code
        self.client = session.client("sts")
        self.client.meta.events.register("before-send", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        key = str(request.headers["Authorization"]).partition("Credential=")[2].partition("/")[0]
        self.asked.append(key)
        known = key == self._knows
        text = ANSWER if known else REFUSAL.format(code=self._code)
        return AWSResponse(request.url, 200 if known else 403, {}, Raw(text.encode()))


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


ANSWER = """<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/a</Arn>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
REFUSAL = "<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_a_refused_call_is_made_once_more_with_the_keys_of_now(code: str) -> None:
    now = ["AKIAOLD"]
    session = AwsSession(KEYS, keys=lambda: (now[0], "s", ""))
    aws = Rotated(session, knows="AKIANEW", code=code)
    with pytest.raises(CollectorError):
        session.identity()
    assert aws.asked == ["AKIAOLD", "AKIAOLD"]
    now[0] = "AKIANEW"
    assert session.identity() == "arn:aws:iam::1:user/a"
    assert aws.asked[2:] == ["AKIANEW"], "what was refused is not tried again"


def test_a_denied_call_is_made_once() -> None:
    session = AwsSession(KEYS)
    aws = Rotated(session, knows="", code="AccessDenied")
    with pytest.raises(Fatal):
        session.identity()
    assert len(aws.asked) == 1


def test_keys_that_have_changed_sign_the_next_call() -> None:
    now = ["AKIAOLD"]
    session = AwsSession(KEYS, keys=lambda: (now[0], "s", ""))
    aws = Rotated(session, knows="AKIAOLD", code="")
    session.identity()
    now[0] = aws._knows = "AKIANEW"
    session.forget_keys()
    session.identity()
    assert aws.asked == ["AKIAOLD", "AKIANEW"]


def test_secrets_do_not_show() -> None:
    access = Access(
        secret_access_key="top-secret", session_token="tok", external_id="ext", proxy_url="http://u:pw@p"
    )
    for secret in ("top-secret", "tok", "ext", "u:pw"):
        assert f"'{secret}" not in repr(access)


def test_every_client_has_the_same_way_to_aws(tmp_path: Path) -> None:
    access = Access(
        **{
            **KEYS.__dict__,
            "proxy_url": "http://127.0.0.1:3128",
            "ca_file": str(tmp_path / "ca.pem"),
            "use_fips_endpoint": True,
            "max_connections": 42,
            "endpoint_urls": {"sqs": "https://vpce.example.com"},
        }
    )
    session = AwsSession(access)
    for service, endpoint in (
        ("s3", "https://s3-fips.eu-west-1.amazonaws.com"),
        ("sqs", "https://vpce.example.com"),
        ("sts", "https://sts-fips.eu-west-1.amazonaws.com"),
    ):
        client = session.client(service)
        config = client.meta.config
        assert client.meta.endpoint_url == endpoint
        assert config.proxies["https"] == "http://127.0.0.1:3128"
        assert config.max_pool_connections == 42
        assert (config.connect_timeout, config.read_timeout) == (10, 60)
        assert config.retries["total_max_attempts"] == 3
        assert client._endpoint.http_session._verify == access.ca_file
    assert session.client("s3").meta.config.use_fips_endpoint


#: One call of each service: operation, request, and the host that AWS gives it by default.
CALLS = {
    "sts": ("get_caller_identity", {}, "sts.us-west-2.amazonaws.com"),
    "sqs": (
        "receive_message",
        {"QueueUrl": "https://sqs.us-west-2.amazonaws.com/111111111111/q"},
        "sqs.us-west-2.amazonaws.com",
    ),
    "s3": ("list_objects_v2", {"Bucket": "audit-logs"}, "audit-logs.s3.us-west-2.amazonaws.com"),
    "kms": ("decrypt", {"CiphertextBlob": b"x"}, "kms.us-west-2.amazonaws.com"),
    "dynamodb": ("list_tables", {}, "dynamodb.us-west-2.amazonaws.com"),
}


class Sent(Exception):
    """Stops a request at the door."""


def _host(service: str, **changed: Any) -> str:
    """Where a call would go."""
    client = AwsSession(replace(KEYS, region="us-west-2", **changed)).client(service)

    def stop(request: Any, **_: Any) -> None:
        raise Sent(request.url)

    client.meta.events.register("before-send", stop)
    operation, request, _ = CALLS[service]
    with pytest.raises(Sent) as caught:
        getattr(client, operation)(**request)
    return str(urlsplit(str(caught.value)).netloc)


@pytest.mark.parametrize("service", CALLS)
def test_fips_endpoints_are_asked_unless_an_endpoint_is_named(service: str) -> None:
    usual = CALLS[service][2]
    assert _host(service) == usual
    assert _host(service, use_fips_endpoint=True) == usual.replace(f"{service}.", f"{service}-fips.")
    named = {service: "https://private.example.com"}
    assert _host(service, use_fips_endpoint=True, endpoint_urls=named) == "private.example.com"


@pytest.mark.parametrize("service", CALLS)
def test_the_endpoint_of_a_service_wins_over_the_one_for_all(service: str) -> None:
    for_all = {"": "https://all.example.com"}
    assert _host(service, endpoint_urls=for_all) == "all.example.com"
    assert _host(service, endpoint_urls={**for_all, service: "https://own.example.com"}) == "own.example.com"


def _proxies(client: Any) -> dict[str, str]:
    """What it sends by: the proxies of its HTTP session."""
    return dict(client._endpoint.http_session._proxy_config._proxies)


def test_the_proxy_of_the_environment_is_taken_unless_the_setting_names_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment.example.com:3128")
    assert _proxies(AwsSession(KEYS).client("sqs"))["https"] == "http://environment.example.com:3128"
    ours = replace(KEYS, proxy_url="http://setting.example.com:3128")
    assert set(_proxies(AwsSession(ours).client("sqs")).values()) == {"http://setting.example.com:3128"}
    monkeypatch.setenv("NO_PROXY", "sqs.eu-west-1.amazonaws.com")
    assert _proxies(AwsSession(KEYS).client("sqs")) == {}
    assert _proxies(AwsSession(KEYS).client("s3"))["https"] == "http://environment.example.com:3128"


def test_an_emulator_on_our_own_host_needs_the_setting_to_be_asked_by_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://environment.example.com:3128")
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]"):
        local = replace(KEYS, endpoint_urls={"": f"http://{host}:4566"})
        assert _proxies(AwsSession(local).client("s3")) == {}
        assert not AwsSession(local)._is_proxied(f"http://{host}:4566")
        named = replace(local, proxy_url="http://setting.example.com:3128")
        assert _proxies(AwsSession(named).client("s3"))["http"] == "http://setting.example.com:3128"


def test_what_a_profile_asks_by_itself_goes_the_same_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A profile with a role of its own makes botocore build an STS client that we never see."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text("[profile audit]\nregion = us-east-1\n")
    access = Access(
        profile="audit", proxy_url="http://127.0.0.1:3128", ca_file=str(tmp_path / "ca.pem"),
        use_fips_endpoint=True,
    )
    theirs = AwsSession(access)._core_session().create_client(
        "sts", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="s"
    )
    assert _proxies(theirs)["https"] == "http://127.0.0.1:3128"
    assert theirs._endpoint.http_session._verify == access.ca_file
    assert theirs.meta.endpoint_url == "https://sts-fips.us-east-1.amazonaws.com"
    private = replace(access, endpoint_urls={"sts": "https://private.example.com"})
    theirs = AwsSession(private)._core_session().create_client(
        "sts", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="s"
    )
    assert theirs.meta.endpoint_url == "https://private.example.com"
    assert _proxies(theirs)["https"] == "http://127.0.0.1:3128"


def test_a_profile_that_does_not_exist_is_the_users_to_correct(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(Fatal, match="no_profile") as caught:
        AwsSession(Access(region="eu-west-1", profile="absent")).client("sqs")
    assert "aws_profile" in caught.value.hint


def test_a_profile_gives_region_and_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        "[profile audit]\nregion = eu-north-1\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
    )
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    session = AwsSession(Access(profile="audit"))
    assert session.client("sqs").meta.region_name == "eu-north-1"
    assert session._credentials_for(assumed=False).get_frozen_credentials().access_key == "AKIAPROFILE"
