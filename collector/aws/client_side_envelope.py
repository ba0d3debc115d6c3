"""What an object's metadata says of its encryption: formats V1, V2 and V3 of the S3 Encryption Client.

    if is_marked(opened.metadata):
        envelope = read_envelope(opened.metadata, where=ref.url)

Nothing here is secret, and nothing is believed: who can write the object can write its metadata. So whatever
deviates from the formats is Poison with a code of its own, and what would choose a key, an algorithm or a
format for us is compared with what KMS, the commitment and the tag vouch for.

https://github.com/awslabs/aws-encryption-sdk-specification (s3-encryption/data-format/content-metadata)
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Dict, Mapping

from collector.errors import Poison

__all__ = ["CBC", "COMMITTED", "GCM", "TAMPERED", "Envelope", "is_marked", "read_envelope"]

#: Content algorithms, by the metadata's own words.
GCM = "AES/GCM/NoPadding"
CBC = "AES/CBC/PKCS5Padding"
COMMITTED = "115"

IV_BYTES = {GCM: 12, CBC: 16}
MESSAGE_ID_BYTES = COMMITMENT_BYTES = 28
#: What KMS takes as a CiphertextBlob.
WRAPPED_KEY_MAX_BYTES = 6144
#: The next step when an object is not what a sound client writes.
TAMPERED = "Security: nothing of it was released. Ask who can write to the bucket, and for the object anew"

_WRAPPED_KEYS = ("x-amz-key", "x-amz-key-v2", "x-amz-3")
_V1_V2 = frozenset(
    "x-amz-key x-amz-key-v2 x-amz-wrap-alg x-amz-matdesc x-amz-iv x-amz-cek-alg x-amz-tag-len "
    "x-amz-unencrypted-content-length".split()
)
_V3 = frozenset("x-amz-3 x-amz-c x-amz-w x-amz-t x-amz-m x-amz-d x-amz-i".split())
_MARKS = _V1_V2 | _V3
#: The entry of the encryption context by which KMS vouches for the content algorithm.
_BOUND = "aws:x-amz-cek-alg"
_KMS_WRAPS = ("kms+context", "kms")
_LOCAL_WRAPS = (
    "AES/GCM", "AESWrap", "AES", "RSA-OAEP-SHA1", "RSA", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
)
_V3_WRAPS = {"02": "AES/GCM", "12": "kms+context", "22": "RSA-OAEP-SHA1"}


@dataclass(frozen=True)
class Envelope:
    """How one object was encrypted. `content` is GCM, CBC or COMMITTED.

    `wrapped_key` is for KMS to open under `context`. GCM and CBC have an `iv`, COMMITTED has `message_id` and
    `commitment`.
    """

    content: str
    wrapped_key: bytes
    context: Mapping[str, str] = field(default_factory=dict)
    iv: bytes = b""
    message_id: bytes = b""
    commitment: bytes = b""


def is_marked(metadata: Mapping[str, str]) -> bool:
    """Whether a writer says that it encrypted the object. Names are in lower case."""
    return not _MARKS.isdisjoint(metadata)


def read_envelope(metadata: Mapping[str, str], *, where: str) -> Envelope:
    """The envelope, if KMS can open it.

    Poison "mixed_encryption_metadata", "bad_encryption_metadata", "unknown_key_wrap",
    "unknown_content_cipher", "encryption_context_mismatch" (none of them is written by a sound client);
    "instruction_file_needed", "local_key_needed" (what the object needs is not here).
    """
    found = _Metadata(metadata, where)
    found.refuse_mixture()
    return _read_v3(found) if "x-amz-3" in metadata else _read_v1_v2(found)


def _read_v3(found: _Metadata) -> Envelope:
    code = found["x-amz-w"]
    found.refuse_wrap(_V3_WRAPS.get(code, code), allowed=("kms+context",))
    return Envelope(
        content=found.content("x-amz-c", allowed=(COMMITTED,)),
        wrapped_key=found.wrapped_key("x-amz-3"),
        context=found.context("x-amz-t", bound_to="x-amz-c"),
        message_id=found.exactly("x-amz-i", MESSAGE_ID_BYTES),
        commitment=found.exactly("x-amz-d", COMMITMENT_BYTES),
    )


def _read_v1_v2(found: _Metadata) -> Envelope:
    """V2, and V1, which knows neither kms+context nor, where that is not said, anything but CBC."""
    is_v1 = "x-amz-key" in found.values
    wrap = found.values.get("x-amz-wrap-alg", "AES" if is_v1 else "")
    found.refuse_wrap(wrap, allowed=("kms",) if is_v1 else _KMS_WRAPS)
    content = CBC
    if not is_v1 or "x-amz-cek-alg" in found.values:
        content = found.content("x-amz-cek-alg", allowed=(GCM, CBC))
    if content == GCM and found.values.get("x-amz-tag-len", "128") != "128":
        raise found.unknown_cipher(f"a tag of {found['x-amz-tag-len']} bits")
    return Envelope(
        content=content,
        wrapped_key=found.wrapped_key("x-amz-key" if is_v1 else "x-amz-key-v2"),
        context=found.context("x-amz-matdesc", bound_to="x-amz-cek-alg", must_bind=wrap == "kms+context"),
        iv=found.exactly("x-amz-iv", IV_BYTES[content]),
    )


@dataclass(frozen=True)
class _Metadata:
    """Values by name, each read in the one way that it may be written."""

    values: Mapping[str, str]
    where: str

    def __getitem__(self, name: str) -> str:
        if name not in self.values:
            raise self.bad(f"{name} is missing")
        return self.values[name]

    def refuse_mixture(self) -> None:
        keys = [name for name in _WRAPPED_KEYS if name in self.values]
        if not keys:
            raise Poison(
                "The object's key is not with it: it may be in an instruction file, which is never used",
                code="instruction_file_needed", where=self.where,
                hint="Provider: store the envelope in the object's metadata, not in an instruction file",
            )
        others = (_V1_V2 if "x-amz-3" in keys else _V3).intersection(self.values)
        if len(keys) > 1 or others:
            what = f"Keys of several formats together ({', '.join(sorted({*keys, *others}))})"
            raise self.tampered(what, code="mixed_encryption_metadata")

    def refuse_wrap(self, wrap: str, *, allowed: tuple[str, ...]) -> None:
        if wrap in _LOCAL_WRAPS:
            raise Poison(
                f"The object's key is wrapped with {wrap}, by a key that only its writer has",
                code="local_key_needed", where=self.where,
                hint="Provider: encrypt with a KMS key (kms+context); other keys cannot be used here",
            )
        if wrap not in allowed:
            raise self.tampered(f"No sound client wraps keys by {wrap[:60]!r}", code="unknown_key_wrap")

    def content(self, name: str, *, allowed: tuple[str, ...]) -> str:
        content = self[name]
        if content not in allowed:
            raise self.unknown_cipher(repr(content[:60]))
        return content

    def unknown_cipher(self, what: str) -> Poison:
        return self.tampered(f"No sound client encrypts with {what}", code="unknown_content_cipher")

    def context(self, name: str, *, bound_to: str, must_bind: bool = True) -> Dict[str, str]:
        """The encryption context. What it says of the content algorithm must be what the metadata say."""
        context = self._text_pairs(name)
        bound = context.get(_BOUND)
        if (bound is not None or must_bind) and bound != self.values.get(bound_to):
            what = f"The encryption context is for {str(bound)[:60]}, not for what {bound_to} says"
            raise self.tampered(what, code="encryption_context_mismatch")
        return context

    def _text_pairs(self, name: str) -> Dict[str, str]:
        try:
            pairs = json.loads(self[name])
        except (ValueError, RecursionError) as error:
            raise self.bad(f"{name} is not JSON") from error
        if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
            raise self.bad(f"{name} is not a JSON object of texts")
        return pairs

    def wrapped_key(self, name: str) -> bytes:
        wrapped = self._bytes(name)
        if not 0 < len(wrapped) <= WRAPPED_KEY_MAX_BYTES:
            raise self.bad(f"{name} has {len(wrapped)} bytes")
        return wrapped

    def exactly(self, name: str, length: int) -> bytes:
        found = self._bytes(name)
        if len(found) != length:
            raise self.bad(f"{name} has {len(found)} bytes, not {length}")
        return found

    def _bytes(self, name: str) -> bytes:
        """Bytes have one spelling, so that no change of the metadata goes unnoticed."""
        text = self[name]
        try:
            found = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise self.bad(f"{name} is not base64") from error
        if base64.b64encode(found).decode() != text:
            raise self.bad(f"{name} is not base64 as it is written")
        return found

    def bad(self, what: str) -> Poison:
        return self.tampered(f"The envelope cannot be read: {what}", code="bad_encryption_metadata")

    def tampered(self, what: str, *, code: str) -> Poison:
        return Poison(what, code=code, where=self.where, hint=TAMPERED)
