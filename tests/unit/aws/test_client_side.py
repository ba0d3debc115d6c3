"""Client-side encrypted objects: what is opened, what is refused, and that nothing comes before its tag."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.aws import client_side
from collector.aws.client_side import ClientSide
from collector.aws.client_side_envelope import is_marked
from collector.aws.kms import DataKeys
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.model import ObjectRef
from collector.ports import OpenObject
from collector.testing.twins import ManualClock, MemoryBucket
from tests.client_side import ARN, CBC, GCM, OTHER_ARN, MemoryKms, Written, write_v1, write_v2, write_v3

BODY = os.urandom(5000)
FORMATS: Dict[str, Callable[..., Written]] = {
    "v3": write_v3,
    "v2": write_v2,
    "v2 kms": lambda body, kms: write_v2(body, kms, wrap="kms"),
    "v2 cbc": lambda body, kms: write_v2(body, kms, content=CBC),
    "v2 kms cbc": lambda body, kms: write_v2(body, kms, wrap="kms", content=CBC),
    "v1": write_v1,
    "v1 gcm": lambda body, kms: write_v1(body, kms, content=GCM),
}
AUTHENTICATED = [name for name in FORMATS if name not in ("v2 cbc", "v2 kms cbc", "v1")]


class World:
    """A bucket and a KMS in memory, and the reader between them."""

    def __init__(self, *, cbc: bool = False, read_bytes: int = 262144, room_bytes: int = 1 << 26) -> None:
        self.kms = MemoryKms()
        self.bucket = MemoryBucket(ManualClock(), "audit-logs", read_bytes=read_bytes)
        self.keys = DataKeys(lambda region: self.kms, allowed=[ARN])
        self.client_side = ClientSide(self.keys, allow_unauthenticated_cbc=cbc, room_bytes=room_bytes)

    def put(self, written: Written, key: str = "k") -> ObjectRef:
        ciphertext, metadata = written
        return self.bucket.put(key, ciphertext, metadata=metadata)

    def open(self, ref: ObjectRef) -> OpenObject:
        return self.client_side.open(self.bucket.open(ref), again=self.bucket.open)

    def read(self, written: Written) -> bytes:
        opened = self.open(self.put(written))
        try:
            return b"".join(iter(opened.read, b""))
        finally:
            opened.close()


def refused(world: World, written: Written) -> CollectorError:
    """What reading raises; it must have given nothing before, and must not look like an end afterwards."""
    with pytest.raises(CollectorError) as caught:
        opened = world.open(world.put(written))
        try:
            opened.read()
        except CollectorError:
            with pytest.raises(CollectorError):
                opened.read()
            raise
    return caught.value


@pytest.mark.parametrize("room_bytes", [1 << 26, 0], ids=["in memory", "read twice"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_byte_for_byte(name: str, room_bytes: int) -> None:
    world = World(cbc=True, room_bytes=room_bytes)
    assert world.read(FORMATS[name](BODY, world.kms)) == BODY
    assert len(world.kms.requests) == 1
    assert world.bucket.opened == ["s3://audit-logs/k"] * (1 if room_bytes else 2)


@pytest.mark.parametrize("room_bytes", [1 << 26, 0], ids=["in memory", "read twice"])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 84, 100, 101, 184, 1000])
@pytest.mark.parametrize("name", ["v3", "v2", "v1"])
def test_neither_the_size_nor_the_network_s_cuts_matter(
    name: str, size: int, room_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_side, "PIECE_BYTES", 100)
    for read_bytes in (1, 7, 100, 250):
        world = World(cbc=True, read_bytes=read_bytes, room_bytes=room_bytes)
        assert world.read(FORMATS[name](BODY[:size], world.kms)) == BODY[:size]


def test_the_ref_stays_what_s3_stores() -> None:
    world = World()
    ref = world.put(write_v3(BODY, world.kms))
    opened = world.open(ref)
    assert (opened.ref.etag, opened.ref.size) == (ref.etag, len(BODY) + 16)
    assert opened.metadata["x-amz-w"] == "12"
    assert opened.last_modified == world.bucket.open(ref).last_modified


# -- nothing before the tag


@given(st.sampled_from(AUTHENTICATED), st.data(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_changed_bit_of_a_body_is_read_as_plaintext(name: str, draw: Any, twice: bool) -> None:
    world = World(room_bytes=0 if twice else 1 << 26)
    ciphertext, metadata = FORMATS[name](BODY[: draw.draw(st.integers(0, 300))], world.kms)
    changed = bytearray(ciphertext)
    changed[draw.draw(st.integers(0, len(changed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    error = refused(world, (bytes(changed), metadata))
    assert (type(error), error.code) == (Poison, "ciphertext_tampered")


@given(st.sampled_from(AUTHENTICATED), st.data())
@settings(max_examples=600, deadline=None)
def test_no_changed_character_of_the_metadata_leads_to_plaintext(name: str, draw: Any) -> None:
    world = World(cbc=True)
    ciphertext, metadata = FORMATS[name](BODY[:200], world.kms)
    metadata.pop("x-amz-unencrypted-content-length", None)  # means nothing to anybody
    header = draw.draw(st.sampled_from(sorted(metadata)))
    value = metadata[header]
    at = draw.draw(st.integers(0, len(value) - 1))
    other = draw.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != value[at]))
    metadata[header] = value[:at] + other + value[at + 1 :]
    error = refused(world, (ciphertext, metadata))
    assert isinstance(error, Poison), error


@given(st.sampled_from(AUTHENTICATED), st.data())
@settings(max_examples=200, deadline=None)
def test_no_part_of_the_metadata_can_be_left_out_or_come_from_another_object(name: str, draw: Any) -> None:
    world = World(cbc=True)
    ciphertext, metadata = FORMATS[name](BODY[:200], world.kms)
    _, other = FORMATS[name](BODY[:200], world.kms)
    for meaningless in ("x-amz-unencrypted-content-length", "x-amz-tag-len"):
        metadata.pop(meaningless, None)
    header = draw.draw(st.sampled_from(sorted(header for header in metadata if header != "x-amz-matdesc")))
    if metadata[header] != other[header]:
        swapped = {**metadata, header: other[header]}
        assert isinstance(refused(world, (ciphertext, swapped)), Poison)
    del metadata[header]
    assert is_marked(metadata)
    assert isinstance(refused(world, (ciphertext, metadata)), Poison)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 4000])
@pytest.mark.parametrize("name", AUTHENTICATED)
def test_a_body_that_was_cut_is_no_body(name: str, length: int) -> None:
    world = World()
    ciphertext, metadata = FORMATS[name](BODY, world.kms)
    assert refused(world, (ciphertext[:length], metadata)).code == "ciphertext_tampered"


def test_a_broken_transfer_may_look_like_tampering_so_it_is_looked_at_twice() -> None:
    world = World()
    ciphertext, metadata = write_v3(BODY, world.kms)
    error = refused(world, (ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), metadata))
    assert isinstance(error, Poison)
    assert error.sightings == 2
    assert "Security" in error.hint and error.where == "s3://audit-logs/k"


def test_the_second_reading_gives_only_what_the_first_one_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_side, "PIECE_BYTES", 1000)
    world = World(room_bytes=0)
    ciphertext, metadata = write_v3(BODY, world.kms)
    ref = world.put((ciphertext, metadata))
    for other in (_flipped(ciphertext, 2500), ciphertext[:2500], ciphertext[:2000], ciphertext + b"x", b""):
        stored = world.bucket.open(ref)
        changed = MemoryBucket(ManualClock(), "audit-logs")
        swapped = changed.put("k", other, metadata=metadata)
        opened = world.client_side.open(stored, again=lambda ref: changed.open(swapped))  # noqa: B023
        given_out: List[bytes] = []
        with pytest.raises(Retry) as caught:
            given_out.extend(iter(opened.read, b""))
        assert caught.value.code == "ciphertext_changed"
        assert BODY.startswith(b"".join(given_out))
        assert len(b"".join(given_out)) <= len(other)
        with pytest.raises(Retry):
            opened.read()


def test_the_first_of_two_readings_goes_a_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_side, "PIECE_BYTES", 1000)
    monkeypatch.setattr(client_side, "PIECES_A_STEP", 2)
    world = World(read_bytes=500, room_bytes=0)
    opened = world.open(world.put(write_v3(BODY, world.kms)))
    steps = 0
    while opened.prepare():
        steps += 1
    assert steps == 3
    assert b"".join(iter(opened.read, b"")) == BODY
    assert not opened.prepare()


@pytest.mark.parametrize("steps", [0, 2])
def test_tampering_is_found_however_much_was_prepared(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(client_side, "PIECE_BYTES", 1000)
    monkeypatch.setattr(client_side, "PIECES_A_STEP", 2)
    world = World(room_bytes=0)
    ciphertext, metadata = write_v3(BODY, world.kms)
    opened = world.open(world.put((_flipped(ciphertext, len(ciphertext) - 3), metadata)))
    assert all(opened.prepare() for _ in range(steps))
    with pytest.raises(Poison, match="ciphertext_tampered"):
        opened.read()


def test_an_object_overwritten_between_the_readings_is_superseded() -> None:
    world = World(room_bytes=0)
    opened = world.open(world.put(write_v3(BODY, world.kms)))
    world.put(write_v3(BODY, world.kms))
    with pytest.raises(Poison) as caught:
        opened.read()
    assert caught.value.code == "superseded"


def test_what_is_decrypted_in_memory_shares_one_room() -> None:
    world = World(room_bytes=2 * len(BODY))
    refs = [world.put(write_v2(BODY, world.kms), key) for key in ("a", "b", "c")]

    def read(ref: ObjectRef) -> OpenObject:
        opened = world.open(ref)
        assert opened.read() == BODY
        return opened

    first = read(refs[0])
    read(refs[1])
    assert world.bucket.opened == ["s3://audit-logs/a", "s3://audit-logs/b", "s3://audit-logs/b"]
    first.close()
    first.close()
    read(refs[2])
    read(refs[1])
    assert world.bucket.opened[3:] == ["s3://audit-logs/c", "s3://audit-logs/b", "s3://audit-logs/b"]


# -- what is refused, and by which name


def _changed(**changes: Any) -> Callable[[Written], Written]:
    """Headers set to new values; None removes one. Underscores stand for hyphens."""

    def change(written: Written) -> Written:
        ciphertext, metadata = written
        for name, value in changes.items():
            metadata[name.replace("_", "-")] = value
        return ciphertext, {name: value for name, value in metadata.items() if value is not None}

    return change


REFUSALS: List[Tuple[str, str, Callable[[Written], Written]]] = [
    ("v3", "mixed_encryption_metadata", _changed(x_amz_key_v2="AAAA")),
    ("v3", "mixed_encryption_metadata", _changed(x_amz_cek_alg=GCM)),
    ("v2", "mixed_encryption_metadata", _changed(x_amz_key="AAAA")),
    ("v2", "mixed_encryption_metadata", _changed(x_amz_d="AAAA")),
    ("v2", "mixed_encryption_metadata", _changed(x_amz_c="115")),
    ("v3", "instruction_file_needed", _changed(x_amz_3=None, x_amz_w=None, x_amz_t=None)),
    ("v1", "instruction_file_needed", _changed(x_amz_key=None, x_amz_wrap_alg=None, x_amz_iv=None)),
    ("v3", "local_key_needed", _changed(x_amz_w="02")),
    ("v3", "local_key_needed", _changed(x_amz_w="22")),
    ("v2", "local_key_needed", _changed(x_amz_wrap_alg="AES/GCM")),
    ("v2", "local_key_needed", _changed(x_amz_wrap_alg="RSA-OAEP-SHA1")),
    ("v2", "local_key_needed", _changed(x_amz_wrap_alg="AESWrap")),
    ("v1", "local_key_needed", _changed(x_amz_wrap_alg=None)),
    ("v3", "unknown_key_wrap", _changed(x_amz_w="13")),
    ("v3", "unknown_key_wrap", _changed(x_amz_w="kms")),
    ("v2", "unknown_key_wrap", _changed(x_amz_wrap_alg="KMS+context")),
    ("v2", "unknown_key_wrap", _changed(x_amz_wrap_alg=None)),
    ("v1", "unknown_key_wrap", _changed(x_amz_wrap_alg="kms+context")),
    ("v3", "unknown_content_cipher", _changed(x_amz_c="114")),
    ("v3", "unknown_content_cipher", _changed(x_amz_c=GCM)),
    ("v2", "unknown_content_cipher", _changed(x_amz_cek_alg="115")),
    ("v2", "unknown_content_cipher", _changed(x_amz_cek_alg="AES/CTR/NoPadding")),
    ("v2", "unknown_content_cipher", _changed(x_amz_tag_len="96")),
    ("v2", "encryption_context_mismatch", _changed(x_amz_cek_alg=CBC)),
    ("v2", "encryption_context_mismatch", _changed(x_amz_cek_alg=CBC, x_amz_wrap_alg="kms")),
    ("v2", "encryption_context_mismatch", _changed(x_amz_matdesc="{}")),
    ("v3", "encryption_context_mismatch", _changed(x_amz_t="{}")),
    ("v3", "encryption_context_mismatch", _changed(x_amz_t='{"aws:x-amz-cek-alg":"114"}')),
    ("v3", "bad_encryption_metadata", _changed(x_amz_t='{"aws:x-amz-cek-alg":115}')),
    ("v3", "bad_encryption_metadata", _changed(x_amz_t="[" * 100_000)),
    ("v3", "bad_encryption_metadata", _changed(x_amz_t="=?UTF-8?B?e30=?=")),
    ("v3", "bad_encryption_metadata", _changed(x_amz_3="")),
    ("v3", "bad_encryption_metadata", _changed(x_amz_3=base64.b64encode(bytes(7000)).decode())),
    ("v3", "bad_encryption_metadata", _changed(x_amz_i="AAAA")),
    ("v3", "bad_encryption_metadata", _changed(x_amz_i=None)),
    ("v3", "bad_encryption_metadata", _changed(x_amz_d="é")),
    ("v2", "bad_encryption_metadata", _changed(x_amz_iv=base64.b64encode(bytes(16)).decode())),
    ("v2", "bad_encryption_metadata", _changed(x_amz_matdesc="[]")),
]


@pytest.mark.parametrize(("name", "code", "change"), REFUSALS)
def test_what_a_sound_client_does_not_write_is_refused_before_any_key_is_asked_for(
    name: str, code: str, change: Callable[[Written], Written]
) -> None:
    world = World(cbc=True)
    error = refused(world, change(FORMATS[name](BODY, world.kms)))
    assert (type(error), error.code, error.where) == (Poison, code, "s3://audit-logs/k")
    assert error.hint
    assert world.kms.requests == []


@pytest.mark.parametrize("header", ["x-amz-i", "x-amz-d"])
def test_bytes_have_one_spelling(header: str) -> None:
    world = World()
    ciphertext, metadata = write_v3(BODY, world.kms)
    text = metadata[header]
    respelled = text[:-3] + chr(ord(text[-3]) + 1) + "=="
    assert base64.b64decode(respelled) == base64.b64decode(text)
    assert refused(world, (ciphertext, {**metadata, header: respelled})).code == "bad_encryption_metadata"


def test_a_commitment_to_another_key_is_refused_before_the_body_is_read() -> None:
    world = World()
    ciphertext, metadata = write_v3(BODY, world.kms)
    metadata["x-amz-d"] = base64.b64encode(bytes(28)).decode()
    with pytest.raises(Poison) as caught:
        world.open(world.put((ciphertext, metadata)))
    assert (caught.value.code, caught.value.sightings) == ("key_commitment_failed", 1)


@pytest.mark.parametrize("name", ["v1", "v2 cbc", "v2 kms cbc"])
def test_cbc_needs_the_operators_word_and_no_key_is_opened_without(name: str) -> None:
    world = World()
    error = refused(world, FORMATS[name](BODY, world.kms))
    assert (type(error), error.code) == (Poison, "unauthenticated_cbc")
    assert "allow_unauthenticated_cbc" in error.hint
    assert world.kms.requests == []


@pytest.mark.parametrize("name", ["v1", "v2 cbc"])
def test_cbc_that_does_not_come_out_even_gives_nothing(name: str) -> None:
    for cut in (1, 16, 4999):
        world = World(cbc=True)
        ciphertext, metadata = FORMATS[name](bytes(len(BODY)), world.kms)
        assert refused(world, (ciphertext[:-cut], metadata)).code == "ciphertext_tampered"


def test_a_key_of_another_length_is_refused() -> None:
    world = World()
    ciphertext, metadata = write_v2(BODY, world.kms)
    pairs = json.loads(metadata["x-amz-matdesc"])
    metadata["x-amz-key-v2"] = base64.b64encode(world.kms.wrap(bytes(16), pairs)).decode()
    assert refused(world, (ciphertext, metadata)).code == "data_key_refused"


def test_what_is_refused_is_closed() -> None:
    world, closed = World(), []
    stored: Any = world.bucket.open(world.put((b"x", {"x-amz-3": "AAAA"})))
    stored.close = lambda: closed.append(True)
    with pytest.raises(Poison):
        world.client_side.open(stored, again=world.bucket.open)
    assert closed == [True]


# -- without cryptography, and without leaks


def test_without_cryptography_such_objects_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    written = write_v3(BODY, world.kms)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    error = refused(world, written)
    assert isinstance(error, Fatal)
    assert (error.code, error.scope) == ("client_side_needs_cryptography", "object")
    assert "cryptography" in error.hint
    assert world.kms.requests == []


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_no_key_is_said_in_a_log_an_error_or_a_description(
    everything_logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, real = b"K" * 32, os.urandom
    monkeypatch.setattr("tests.client_side.os.urandom", lambda count: key if count == 32 else real(count))
    world = World()
    ciphertext, metadata = write_v3(BODY, world.kms)
    error = refused(world, (_flipped(ciphertext, 3), metadata))
    opened: Any = world.open(world.put((ciphertext, metadata)))
    shown = (error, vars(error), vars(world.client_side), vars(world.keys), opened, vars(opened))
    said = everything_logged.text + str(error) + repr(shown)
    assert "KKKK" not in said
    assert base64.b64encode(key).decode()[:12] not in said


def _flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def test_another_key_of_kms_cannot_be_chosen_by_the_metadata() -> None:
    world = World()
    world.kms = MemoryKms(ARN, OTHER_ARN)
    error = refused(world, write_v3(BODY, world.kms, arn=OTHER_ARN))
    assert (type(error), error.code) == (Poison, "foreign_kms_key")
    assert [request["KeyId"] for request in world.kms.requests] == [ARN]
