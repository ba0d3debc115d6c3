"""What the official S3 Encryption Client writes, read by S3Store with the KMS of both emulators."""

from __future__ import annotations

import base64
import gzip
import os
from typing import Any, Dict, Sequence

import pytest

from collector.aws.client_side import ClientSide
from collector.aws.kms import DataKeys
from collector.aws.s3 import S3Store
from collector.errors import CollectorError, Poison
from collector.model import ObjectRef
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.client_side import CBC, write_v1, write_v2, write_v3
from tests.s3_encryption_client import S3EncryptionClient

BODY = gzip.compress(os.urandom(3000))
LARGE = os.urandom(1 << 16) * 300  # 18.75 MiB: read twice, and written in parts


class RealKms:
    """Wraps with the emulator's own KMS, for objects made by hand."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def wrap(self, key: bytes, context: Dict[str, str], *, arn: str) -> bytes:
        answer = self._client.encrypt(KeyId=arn, Plaintext=key, EncryptionContext=context)
        return bytes(answer["CiphertextBlob"])


def _provider(aws: LocalAws) -> Provider:
    return Provider(aws, "cse", delivery="none")


def _store(provider: Provider, *, cbc: bool = False, allowed: Sequence[str] = ()) -> S3Store:
    keys = DataKeys(
        lambda region: provider.client("kms"), allowed=allowed or [provider.kms_key_arn], region="eu-west-1"
    )
    client_side = ClientSide(keys, allow_unauthenticated_cbc=cbc)
    return S3Store(lambda region: provider.client("s3"), [provider.bucket], client_side=client_side)


def _read(store: S3Store, provider: Provider, key: str) -> bytes:
    opened = store.open(ObjectRef(provider.bucket, key))
    try:
        return b"".join(iter(opened.read, b""))
    finally:
        opened.close()


@pytest.mark.once
@pytest.mark.parametrize("form", ["v2", "v3"])
def test_what_the_official_client_writes_is_read_byte_for_byte(
    local_aws: LocalAws, s3_encryption_client: S3EncryptionClient, form: str
) -> None:
    provider = _provider(local_aws)
    bodies = {"small.gz": BODY, "empty": b"", "large": LARGE}
    s3_encryption_client.put(form, provider, bodies, context={"department": "audit, '1'"})
    store = _store(provider)
    for key, body in bodies.items():
        assert _read(store, provider, key) == body, key


@pytest.mark.once
@pytest.mark.parametrize("form", ["v2", "v3"])
def test_what_was_changed_after_the_official_client_wrote_it_is_never_read(
    local_aws: LocalAws, s3_encryption_client: S3EncryptionClient, form: str
) -> None:
    provider = _provider(local_aws)
    s3_encryption_client.put(form, provider, {"k": BODY})
    store, answer = _store(provider), provider.client("s3").get_object(Bucket=provider.bucket, Key="k")
    body, metadata = bytearray(answer["Body"].read()), answer["Metadata"]
    body[-17] ^= 1
    provider.upload("k", bytes(body), Metadata=metadata)
    with pytest.raises(Poison) as caught:
        _read(store, provider, "k")
    assert caught.value.code == "ciphertext_tampered"
    body[-17] ^= 1
    wrapped = "x-amz-3" if form == "v3" else "x-amz-key-v2"
    blob = bytearray(base64.b64decode(metadata[wrapped]))
    blob[-1] ^= 1
    provider.upload("key", bytes(body), Metadata={**metadata, wrapped: base64.b64encode(blob).decode()})
    with pytest.raises(Poison) as caught:
        _read(store, provider, "key")
    assert caught.value.code in ("data_key_refused", "key_commitment_failed", "ciphertext_tampered")


@pytest.mark.once
def test_older_formats_made_by_hand_are_read_as_the_official_client_reads_them(
    local_aws: LocalAws, s3_encryption_client: S3EncryptionClient
) -> None:
    provider = _provider(local_aws)
    kms, arn = RealKms(provider.client("kms")), provider.kms_key_arn
    written = {
        "v1": write_v1(BODY, kms, arn=arn), "v2": write_v2(BODY, kms, arn=arn),
        "v2 kms": write_v2(BODY, kms, arn=arn, wrap="kms"), "v3": write_v3(BODY, kms, arn=arn),
        "v2 cbc": write_v2(BODY, kms, arn=arn, content=CBC),
        "v2 kms cbc": write_v2(BODY, kms, arn=arn, wrap="kms", content=CBC),
    }
    for key, (ciphertext, metadata) in written.items():
        provider.upload(key, ciphertext, Metadata=metadata)
    assert s3_encryption_client.get(provider, *written) == dict.fromkeys(written, BODY)
    store = _store(provider, cbc=True)
    assert {key: _read(store, provider, key) for key in written} == dict.fromkeys(written, BODY)


def test_an_object_that_nobody_encrypted_asks_no_kms(local_aws: LocalAws) -> None:
    provider, asked = _provider(local_aws), []
    client_side = ClientSide(DataKeys(asked.append, allowed=[provider.kms_key_arn]))
    store = S3Store(lambda region: provider.client("s3"), [provider.bucket], client_side=client_side)
    provider.upload("k", BODY, Metadata={"writer": "audit", "x-amz-crypto-instr-file": ""})
    assert _read(store, provider, "k") == BODY
    assert asked == []


def test_another_key_than_the_allowed_one_opens_nothing(local_aws: LocalAws) -> None:
    provider = _provider(local_aws)
    other = provider.client("kms").create_key()["KeyMetadata"]["Arn"]
    ciphertext, metadata = write_v3(BODY, RealKms(provider.client("kms")), arn=other)
    provider.upload("k", ciphertext, Metadata=metadata)
    assert _read(_store(provider, allowed=[other]), provider, "k") == BODY
    with pytest.raises(CollectorError) as caught:
        _read(_store(provider), provider, "k")
    # AWS answers IncorrectKeyException; ministack opens a key of noise, moto denies.
    assert caught.value.code in ("foreign_kms_key", "key_commitment_failed", "kms_denied")


def test_a_body_that_breaks_off_is_asked_for_from_there_as_ciphertext(local_aws: LocalAws) -> None:
    provider = _provider(local_aws)
    body = os.urandom(1_000_000)
    ciphertext, metadata = write_v3(body, RealKms(provider.client("kms")), arn=provider.kms_key_arn)
    provider.upload("k", ciphertext, Metadata=metadata)
    opened: Any = _store(provider).open(ObjectRef(provider.bucket, "k"))
    real = opened._stored._body
    opened._stored._body = _BreaksAfter(real, 300_000)
    assert b"".join(iter(opened.read, b"")) == body


class _BreaksAfter:
    """A botocore body whose connection breaks after so many bytes."""

    def __init__(self, body: Any, left: int) -> None:
        self._body, self._left = body, left

    def read(self, amount: int) -> bytes:
        from urllib3.exceptions import ProtocolError

        if not self._left:
            raise ProtocolError("Connection broken")
        chunk = bytes(self._body.read(min(amount, self._left)))
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._body.close()
