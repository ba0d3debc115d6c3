"""S3Store against clients that answer what they are told to."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any, Callable

import pytest
from botocore.exceptions import ClientError, FlexibleChecksumError, ResponseStreamingError

from collector.aws.s3 import RESUMES, S3Store
from collector.errors import Fatal, Poison, Retry
from collector.model import ObjectRef

BODY = bytes(range(256)) * 4
REF = ObjectRef("b", "k", etag="e", size=len(BODY))


class Body(io.BytesIO):
    """Gives `good` bytes, then raises `error`; without one it simply ends."""

    def __init__(self, body: bytes, good: int = 1 << 30, error: Any = None) -> None:
        super().__init__(body[:good])
        self.error = error

    def read(self, size: Any = -1) -> bytes:
        chunk = super().read(min(size, 100))
        if not chunk and self.error is not None:
            raise self.error
        return chunk


class FakeS3:
    """Every operation goes to `respond(operation, request)`, which returns an answer or raises."""

    def __init__(self, respond: Callable[[str, dict[str, Any]], Any]) -> None:
        self.respond = respond
        self.requests: list[dict[str, Any]] = []

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            self.requests.append(request)
            return self.respond(operation, request)

        return ask


def _answer(body: Any = None, **extra: Any) -> dict[str, Any]:
    return {
        "Body": Body(BODY) if body is None else body,
        "ContentLength": len(BODY),
        "ETag": '"e"',
        "LastModified": datetime(2026, 5, 4, tzinfo=timezone.utc),
        **extra,
    }


def _from(request: dict[str, Any], **kind: Any) -> dict[str, Any]:
    """The answer to a ranged request."""
    start = int(request["Range"][6:-1])
    span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
    return _answer(Body(BODY[start:], **kind), ContentRange=span)


def _refusal(code: str, status: int, **headers: str) -> ClientError:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}, "GetObject")


def _store(fake: FakeS3, **settings: Any) -> S3Store:
    return S3Store(lambda region: fake, ["b"], region="eu-west-1", **settings)


def _drain(store: S3Store, ref: ObjectRef = REF) -> bytes:
    return b"".join(iter(store.open(ref).read, b""))


def test_an_object_is_asked_for_under_its_etag_version_and_owner() -> None:
    fake = FakeS3(lambda operation, request: _answer(VersionId="v1"))
    store = _store(fake, expected_bucket_owner="111111111111")
    opened = store.open(ObjectRef("b", "k", etag="e", version_id="v1"))
    assert fake.requests == [
        {
            "Bucket": "b",
            "Key": "k",
            "IfMatch": '"e"',
            "VersionId": "v1",
            "ExpectedBucketOwner": "111111111111",
        }
    ]
    assert opened.ref == ObjectRef("b", "k", etag="e", version_id="v1", size=len(BODY))
    assert opened.last_modified == 1777852800.0
    assert opened.kms_key_arn == ""


def test_the_kms_key_that_decrypted_an_object_is_known_from_the_answer() -> None:
    arn = "arn:aws:kms:eu-west-1:111111111111:key/abc-1"
    fake = FakeS3(lambda operation, request: _answer(SSEKMSKeyId=arn))
    assert _store(fake).open(REF).kms_key_arn == arn


def test_a_foreign_bucket_is_refused_without_a_call() -> None:
    def built(region: str) -> Any:
        raise AssertionError("a client was asked for")

    store = S3Store(built, ["b"])
    ref = ObjectRef("b.evil", "k")
    for ask in (store.open, store.current, lambda ref: store.list(ref.bucket)):
        with pytest.raises(Poison, match="foreign_bucket"):
            ask(ref)


@pytest.mark.parametrize(
    "refusal", [("PermanentRedirect", 301), ("AuthorizationHeaderMalformed", 400), ("301", 301)]
)
def test_a_bucket_in_another_region_is_found_there_and_remembered(refusal: tuple[str, int]) -> None:
    def wrong(operation: str, request: dict[str, Any]) -> Any:
        code, status = refusal
        raise _refusal(code, status, **{"x-amz-bucket-region": "us-east-2"})

    clients = {"eu-west-1": FakeS3(wrong), "us-east-2": FakeS3(lambda operation, request: _answer())}
    store = S3Store(clients.__getitem__, ["b"], region="eu-west-1")
    assert _drain(store) == BODY
    assert _drain(store) == BODY
    assert [len(client.requests) for client in clients.values()] == [1, 2]


def test_what_cannot_be_a_region_never_becomes_a_host_name() -> None:
    def wrong(operation: str, request: dict[str, Any]) -> Any:
        raise _refusal("PermanentRedirect", 301, **{"x-amz-bucket-region": "x.example.com/"})

    fake = FakeS3(wrong)
    with pytest.raises(Fatal, match="wrong_region"):
        _store(fake).open(REF)
    assert len(fake.requests) == 1


def test_a_denied_version_is_read_under_its_etag_and_the_bucket_remembered() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        if "VersionId" in request:
            raise _refusal("AccessDenied", 403)
        return _answer()

    fake = FakeS3(respond)
    store = _store(fake)
    ref = ObjectRef("b", "k", etag="e", version_id="v1")
    assert _drain(store, ref) == _drain(store, ref) == BODY
    assert ["VersionId" in request for request in fake.requests] == [True, False, False]
    assert all(request["IfMatch"] == '"e"' for request in fake.requests)


def test_an_object_denied_with_and_without_version_is_denied() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        raise _refusal("AccessDenied", 403)

    fake = FakeS3(respond)
    store = _store(fake)
    for _ in range(2):
        with pytest.raises(Fatal, match="object_denied"):
            store.open(ObjectRef("b", "k", version_id="v1"))
    assert len(fake.requests) == 4


def test_a_body_that_breaks_off_is_continued_from_where_it_stopped() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        if "Range" in request:
            return _from(request, good=150, error=ResponseStreamingError(error="reset"))
        return _answer(Body(BODY, good=150, error=ResponseStreamingError(error="reset")))

    fake = FakeS3(respond)
    assert _drain(_store(fake)) == BODY
    assert [request.get("Range") for request in fake.requests[:3]] == [None, "bytes=150-", "bytes=300-"]
    assert all(request["IfMatch"] == '"e"' for request in fake.requests)


def test_a_body_that_ends_early_without_an_error_is_continued_too() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        return _from(request) if "Range" in request else _answer(Body(BODY, good=500))

    assert _drain(_store(FakeS3(respond))) == BODY


def test_a_proxy_that_answers_in_chunks_leaves_the_length_to_the_notification() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        answer = _answer(Body(BODY, good=300)) if "Range" not in request else _from(request)
        del answer["ContentLength"]
        return answer

    opened = S3Store(lambda region: FakeS3(respond), ["b"]).open(REF)
    assert opened.ref.size == len(BODY)
    assert b"".join(iter(opened.read, b"")) == BODY


def test_without_any_length_the_last_chunk_is_the_end() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        answer = _answer()
        del answer["ContentLength"]
        return answer

    opened = S3Store(lambda region: FakeS3(respond), ["b"]).open(ObjectRef("b", "k"))
    assert opened.ref.size is None
    assert b"".join(iter(opened.read, b"")) == BODY


def test_a_body_that_gives_nothing_more_is_given_up() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        return _from(request, good=0) if "Range" in request else _answer(Body(BODY, good=500))

    fake = FakeS3(respond)
    with pytest.raises(Retry, match="truncated"):
        _drain(_store(fake))
    assert len(fake.requests) == 1 + RESUMES


def test_an_object_that_was_overwritten_meanwhile_is_not_joined_to_the_old_one() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        if "Range" in request:
            raise _refusal("PreconditionFailed", 412)
        return _answer(Body(BODY, good=500))

    with pytest.raises(Poison, match="superseded"):
        _drain(_store(FakeS3(respond)))


def test_a_store_that_ignores_the_range_is_not_believed() -> None:
    def respond(operation: str, request: dict[str, Any]) -> Any:
        return _answer() if "Range" in request else _answer(Body(BODY, good=500))

    with pytest.raises(Retry, match="truncated"):
        _drain(_store(FakeS3(respond)))


def test_a_wrong_checksum_is_not_mended_by_reading_on() -> None:
    broken = Body(BODY, error=FlexibleChecksumError(error_msg="crc32"))
    fake = FakeS3(lambda operation, request: _answer(broken))
    with pytest.raises(Retry, match="checksum_mismatch"):
        _drain(_store(fake))
    assert len(fake.requests) == 1


def test_a_listing_passes_on_where_to_go_on() -> None:
    item = {"Key": "k", "ETag": '"e"', "Size": 3, "LastModified": datetime(2026, 5, 4, tzinfo=timezone.utc)}
    answer = {"Contents": [item], "IsTruncated": True, "NextContinuationToken": "t"}
    fake = FakeS3(lambda operation, request: answer)
    page = _store(fake).list("b", prefix="p/", start_after="p/a")
    assert fake.requests == [{"Bucket": "b", "Prefix": "p/", "StartAfter": "p/a", "MaxKeys": 1000}]
    assert (page.next_token, list(page.refs)) == (
        "t",
        [ObjectRef("b", "k", etag="e", size=3, event_time=1777852800.0)],
    )
