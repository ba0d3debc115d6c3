"""Keys, role and refusals against emulated IAM: what AwsSession does, and what the operator is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collector.aws.s3 import S3Store
from collector.aws.session import Access, AwsSession
from collector.aws.sqs import SqsQueue
from collector.errors import CollectorError, Fatal, Retry
from collector.model import ObjectRef
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider


def _access(provider: Provider, **changed: Any) -> Access:
    given = provider.handover()
    access = Access(
        region=given["region"],
        access_key_id=given["aws_access_key_id"],
        secret_access_key=given["aws_secret_access_key"],
        role_arn=given.get("role_arn", ""),
        external_id=given.get("external_id", ""),
        endpoint_urls={"": given["endpoint_url"]},
    )
    return replace(access, **changed)


def _store(session: AwsSession, provider: Provider) -> S3Store:
    return S3Store(
        lambda region: session.client("s3", region=region),
        [provider.bucket],
        region=provider.aws.region,
        role=session.role,
    )


def _queue(session: AwsSession, provider: Provider) -> SqsQueue:
    return SqsQueue(session.client("sqs"), provider.queue_url, role=session.role)


def _refusal(error: pytest.ExceptionInfo[CollectorError]) -> tuple[str, str]:
    return error.value.code, getattr(error.value, "scope", "")


@pytest.mark.parametrize("role", [True, False])
def test_the_handed_over_values_are_enough_to_receive_and_read(local_aws: LocalAws, role: bool) -> None:
    provider = Provider(local_aws, "enough", delivery="s3", role=role)
    provider.upload("a.json", b"{}")
    session = AwsSession(_access(provider))
    wanted = "assumed-role/enough-audit-access/audit-s3" if role else "user/enough-collector"
    assert wanted in session.identity()
    queue = _queue(session, provider)
    messages = queue.receive(10, wait_seconds=2)
    assert messages
    assert queue.delete(messages) == {}
    store = _store(session, provider)
    assert store.open(ObjectRef(provider.bucket, "a.json")).read() == b"{}"
    session.refresh()
    assert wanted in session.identity()


def test_role_none_means_no_role(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "norole", bucket=False)
    session = AwsSession(_access(provider, role_arn="none"))
    assert "user/norole-collector" in session.identity()
    assert session.role == ""


def test_clients_are_built_once(ministack: LocalAws) -> None:
    session = AwsSession(Access(region="eu-west-1", access_key_id="1" * 12, secret_access_key="x"))
    assert session.client("s3") is session.client("s3", region="eu-west-1")
    assert session.client("s3") is not session.client("s3", region="us-east-1")


def test_a_wrong_external_id_names_the_role_and_both_sides_moves(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "wrongid", bucket=False)
    session = AwsSession(_access(provider, external_id="another"))
    with pytest.raises(Fatal) as caught:
        _queue(session, provider).receive(1, wait_seconds=0)
    assert _refusal(caught) == ("role_denied", "role")
    assert caught.value.where == provider.role_arn
    assert "external_id" in caught.value.hint
    assert "another" not in str(caught.value)


def test_wrong_keys_open_the_roles_breaker(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "wrongkeys", bucket=False)
    for changed in ({"access_key_id": "AKIAIOSFODNN7EXAMPLE"}, {"secret_access_key": "wrong"}):
        session = AwsSession(_access(provider, **changed))
        with pytest.raises(Fatal) as caught:
            _queue(session, provider).receive(1, wait_seconds=0)
        assert _refusal(caught) == ("credentials_invalid", "role")


@pytest.mark.parametrize(
    ("without", "code", "scope"),
    [
        ("sqs:ReceiveMessage", "queue_denied", "queue"),
        ("s3:GetObject", "object_denied", "object"),
        ("s3:ListBucket", "list_denied", "object"),
    ],
)
def test_a_missing_right_is_named_with_its_resource_and_role(
    ministack: LocalAws, without: str, code: str, scope: str
) -> None:
    ministack.reset()
    provider = Provider(ministack, "denied", delivery="none")
    provider.upload("a.json", b"{}")
    provider.set_rights(provider.least_privilege(without=without))
    session = AwsSession(_access(provider))
    queue, store = _queue(session, provider), _store(session, provider)
    attempts: dict[str, Any] = {
        "sqs:ReceiveMessage": lambda: queue.receive(1, wait_seconds=0),
        "s3:GetObject": lambda: store.open(ObjectRef(provider.bucket, "a.json")),
        "s3:ListBucket": lambda: store.list(provider.bucket),
    }
    with pytest.raises(Fatal) as caught:
        attempts[without]()
    assert _refusal(caught) == (code, scope)
    assert without in caught.value.hint
    assert provider.role_arn in caught.value.hint


def test_without_get_object_version_the_object_is_read_under_its_etag(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "noversion", delivery="none", versioned=True)
    etag = provider.upload("a.json", b"{}")
    version = provider.client("s3").head_object(Bucket=provider.bucket, Key="a.json")["VersionId"]
    provider.set_rights(provider.least_privilege(without="s3:GetObjectVersion"))
    store = _store(AwsSession(_access(provider)), provider)
    for _ in range(2):
        opened = store.open(ObjectRef(provider.bucket, "a.json", etag=etag, version_id=version))
        assert opened.read() == b"{}"


def test_a_session_policy_that_is_too_narrow_is_the_users_own_move(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "narrow", bucket=False)
    policy = provider.least_privilege(without="sqs:ReceiveMessage")
    session = AwsSession(_access(provider, session_policies=(policy,)))
    with pytest.raises(Fatal) as caught:
        _queue(session, provider).receive(1, wait_seconds=0)
    assert _refusal(caught) == ("queue_denied", "queue")


def test_a_role_that_comes_back_needs_no_restart(ministack: LocalAws) -> None:
    ministack.reset()
    provider = Provider(ministack, "comeback", bucket=False)
    session = AwsSession(_access(provider))
    queue = _queue(session, provider)
    queue.receive(1, wait_seconds=0)
    ministack.reset()  # the user, its key and the role's sessions are unknown from now on
    with pytest.raises((Fatal, Retry)) as caught:
        queue.receive(1, wait_seconds=0)
    assert caught.value.code in ("credentials_invalid", "credentials_expired")
    again = Provider(ministack, "comeback", bucket=False)
    session._credentials[False]._read = lambda: _static(again)
    queue.receive(1, wait_seconds=0)


def _static(provider: Provider) -> Any:
    from botocore.credentials import Credentials

    return Credentials(provider.access_key_id, provider.secret_access_key)


def test_an_endpoint_that_does_not_answer_is_tried_again() -> None:
    access = Access(
        region="eu-west-1",
        access_key_id="1" * 12,
        secret_access_key="x",
        endpoint_urls={"sqs": "http://127.0.0.1:9"},
    )
    queue = SqsQueue(AwsSession(access).client("sqs"), "http://127.0.0.1:9/111111111111/q")
    with pytest.raises(Retry, match="connection_failed"):
        queue.measure()


def test_a_proxy_that_does_not_answer_is_named() -> None:
    access = Access(
        region="eu-west-1",
        access_key_id="1" * 12,
        secret_access_key="x",
        proxy_url="http://127.0.0.1:9",
    )
    queue = SqsQueue(AwsSession(access).client("sqs"), "https://sqs.eu-west-1.amazonaws.com/111111111111/q")
    with pytest.raises(Retry, match="proxy_failed") as caught:
        queue.measure()
    assert "proxy_url" in caught.value.hint
