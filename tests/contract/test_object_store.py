"""The laws of `ports.ObjectStore`, held by the twin and by S3Store on both emulators."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, replace
from typing import Any, Callable

import pytest

from collector.aws.s3 import S3Store
from collector.aws.signed_get import SignedGet
from collector.errors import Fatal, Poison, Retry
from collector.model import ObjectRef
from collector.ports import ObjectStore, OpenObject
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.twins import ManualClock, MemoryBucket
from tests.contract.lean import lean_after


@dataclass
class Setup:
    store: ObjectStore
    bucket: str
    put: Callable[[str, bytes], str]
    remove: Callable[[str], None]

    def ref(self, key: str, **said: Any) -> ObjectRef:
        return ObjectRef(self.bucket, key, **said)


def _twin(versioned: bool) -> Setup:
    twin = MemoryBucket(ManualClock(), "contract-audit-logs", versioned=versioned, page_size=4)
    return Setup(twin, twin.names[0], lambda key, body: str(twin.put(key, body).etag), twin.remove)


def _real(aws: LocalAws, versioned: bool, *, signed: bool = False) -> Setup:
    aws.reset()
    provider = Provider(aws, "contract", delivery="none", versioned=versioned)
    s3 = provider.client("s3")
    lean = lean_after(s3) if signed else None
    signed_get = SignedGet(lean) if lean is not None else None
    if signed_get is not None:
        signed_get.watch(s3)
    store = S3Store(
        lambda region: s3, [provider.bucket], region=aws.region, page_size=4, signed_get=signed_get
    )
    if lean is not None:
        provider.upload("first", b"boto3 asks for it, and shows how")
        _drain(store.open(ObjectRef(provider.bucket, "first")))
        s3.delete_object(Bucket=provider.bucket, Key="first")
        assert lean.knows(("s3", provider.bucket))

    def remove(key: str) -> None:
        s3.delete_object(Bucket=provider.bucket, Key=key)

    return Setup(store, provider.bucket, provider.upload, remove)


@pytest.fixture(params=["twin", "ministack", "moto", "ministack signed", "moto signed"])
def make(request: pytest.FixtureRequest) -> Callable[..., Setup]:
    def build(*, versioned: bool = False) -> Setup:
        if request.param == "twin":
            return _twin(versioned)
        name, _, signed = request.param.partition(" ")
        return _real(request.getfixturevalue(name), versioned, signed=bool(signed))

    return build


def _drain(opened: OpenObject) -> bytes:
    body = b"".join(iter(opened.read, b""))
    assert opened.read() == b""
    opened.close()
    return body


AWKWARD = ["plain.json", "a b/c+d.json", "é中=eq&amp?.json", "~(paren)'q*!,;:@$", "%2Fencoded%20", "a//b"]


@pytest.mark.parametrize("key", AWKWARD)
def test_an_object_is_read_byte_for_byte_under_any_key(make: Callable[..., Setup], key: str) -> None:
    setup = make()
    body = bytes(range(256)) * 3000
    etag = setup.put(key, body)
    opened = setup.store.open(setup.ref(key, etag=etag, size=len(body)))
    assert _drain(opened) == body
    assert opened.ref == setup.ref(key, etag=etag, size=len(body))
    assert opened.last_modified > 1_700_000_000


def test_a_ref_without_etag_learns_it(make: Callable[..., Setup]) -> None:
    setup = make()
    etag = setup.put("k", b"{}")
    opened = setup.store.open(setup.ref("k"))
    assert (opened.ref.etag, opened.ref.size) == (etag, 2)
    opened.close()
    opened.close()


def test_an_empty_object_ends_at_once(make: Callable[..., Setup]) -> None:
    setup = make()
    setup.put("empty", b"")
    assert _drain(setup.store.open(setup.ref("empty"))) == b""


def test_a_missing_object_is_gone_after_three_sightings(make: Callable[..., Setup]) -> None:
    setup = make()
    for ask in (setup.store.open, setup.store.current):
        with pytest.raises(Poison) as caught:
            ask(setup.ref("missing", etag="0" * 32))
        assert (caught.value.code, caught.value.sightings) == ("gone", 3)
        assert caught.value.where.endswith("/missing")


def test_an_overwritten_object_is_superseded_and_the_current_one_can_be_found(
    make: Callable[..., Setup],
) -> None:
    setup = make()
    old = setup.put("k", b"old")
    new = setup.put("k", b"newer")
    with pytest.raises(Poison) as caught:
        setup.store.open(setup.ref("k", etag=old))
    assert caught.value.code == "superseded"
    current = setup.store.current(setup.ref("k", etag=old, version_id="gone", sequencer="1"))
    assert (current.etag, current.size, current.sequencer) == (new, 5, None)
    assert current.event_time is not None
    assert _drain(setup.store.open(current)) == b"newer"


def test_an_old_version_is_still_read_by_its_version_id(make: Callable[..., Setup]) -> None:
    setup = make(versioned=True)
    etag = setup.put("k", b"old")
    version = setup.store.current(setup.ref("k")).version_id
    assert version
    setup.put("k", b"new")
    opened = setup.store.open(setup.ref("k", etag=etag, version_id=version))
    assert opened.ref.version_id == version
    assert _drain(opened) == b"old"


def test_a_key_that_its_producer_did_not_encode_is_tried_raw_after_a_404(
    make: Callable[..., Setup],
) -> None:
    setup = make()
    setup.put("a+b%20c", b"raw")
    opened = setup.store.open(setup.ref("a b c", raw_key="a+b%20c"))
    assert opened.ref.key == "a+b%20c"
    assert _drain(opened) == b"raw"
    with pytest.raises(Poison, match="gone"):
        setup.store.open(setup.ref("x y", raw_key="x+y"))


def test_a_foreign_bucket_is_refused(make: Callable[..., Setup]) -> None:
    setup = make()
    foreign = replace(setup.ref("k"), bucket="someone-elses")
    for ask in (setup.store.open, setup.store.current, lambda ref: setup.store.list(ref.bucket)):
        with pytest.raises(Poison) as caught:
            ask(foreign)
        assert caught.value.code == "foreign_bucket"


def test_a_listing_gives_what_can_be_opened_in_key_order(make: Callable[..., Setup]) -> None:
    setup = make()
    etags = {key: setup.put(key, key.encode()) for key in ("p/b", "p/a", "p/c d+é", "q/z")}
    page = setup.store.list(setup.bucket, prefix="p/")
    assert [ref.key for ref in page.refs] == ["p/a", "p/b", "p/c d+é"]
    assert page.next_token == ""
    for ref in page.refs:
        assert ref.etag == etags[ref.key]
        assert ref.event_time is not None
        assert _drain(setup.store.open(ref)) == ref.key.encode()
    after = setup.store.list(setup.bucket, prefix="p/", start_after="p/a")
    assert [ref.key for ref in after.refs] == ["p/b", "p/c d+é"]


def test_a_long_listing_comes_in_pages_that_join_without_gap_or_repeat(make: Callable[..., Setup]) -> None:
    setup = make()
    keys = [f"{number:04d}" for number in range(11)]
    for key in keys:
        setup.put(key, b"")
    pages = [setup.store.list(setup.bucket)]
    while pages[-1].next_token:
        pages.append(setup.store.list(setup.bucket, token=pages[-1].next_token, start_after="ignored"))
    assert [len(page.refs) for page in pages] == [4, 4, 3]
    assert [ref.key for page in pages for ref in page.refs] == keys


# What only S3 can get wrong.


def _s3(aws: LocalAws) -> tuple[Provider, S3Store]:
    provider = Provider(aws, "s3only", delivery="none")
    return provider, S3Store(lambda region: provider.client("s3"), [provider.bucket])


def test_stored_bytes_are_never_decoded(local_aws: LocalAws) -> None:
    provider, store = _s3(local_aws)
    body = gzip.compress(b'{"a":1}\n' * 1000)
    provider.upload("k.gz", body, ContentEncoding="gzip", ContentType="application/json")
    assert _drain(store.open(ObjectRef(provider.bucket, "k.gz"))) == body


def test_the_rest_of_an_object_is_asked_for_from_where_it_stopped(local_aws: LocalAws) -> None:
    provider, store = _s3(local_aws)
    body = hashlib.sha256(b"seed").digest() * 20_000
    etag = provider.upload("k", body)
    opened: Any = store.open(ObjectRef(provider.bucket, "k", etag=etag))
    start = opened.read()
    opened._body.close()
    opened._body = _Broken()
    assert start + _drain(opened) == body


def test_ciphertext_is_not_delivered(local_aws: LocalAws) -> None:
    provider, store = _s3(local_aws)
    for mark in ("x-amz-key", "x-amz-key-v2", "x-amz-3"):
        provider.upload(mark, b"\x00\x01", Metadata={mark: "c2VjcmV0"})
        with pytest.raises(Fatal) as caught:
            store.open(ObjectRef(provider.bucket, mark))
        assert (caught.value.code, caught.value.scope) == ("client_side_encrypted", "object")


def test_fewer_bytes_than_the_notification_said_is_a_truncation(local_aws: LocalAws) -> None:
    provider, store = _s3(local_aws)
    etag = provider.upload("k", b"short")
    with pytest.raises(Retry, match="truncated"):
        store.open(ObjectRef(provider.bucket, "k", etag=etag, size=500))


def test_a_bucket_that_does_not_exist_is_the_operators_to_correct(local_aws: LocalAws) -> None:
    store = S3Store(lambda region: local_aws.client("s3"), ["missing-bucket"])
    with pytest.raises(Fatal, match="bucket_missing"):
        store.list("missing-bucket")


class _Broken:
    def read(self, amount: int) -> bytes:
        from urllib3.exceptions import ProtocolError

        raise ProtocolError("Connection broken")

    def close(self) -> None:
        """Broken already."""
