"""The content of a client-side encrypted object, decrypted as a stream; `cryptography` is imported here.

    content = Content(envelope, key, where=ref.url)
    for piece in content.plaintext(pieces): ...

Plaintext comes before its tag: nothing of it may be believed until the stream has ended without Poison. Who
calls holds it back until then (`client_side` does).

GCM: the last 16 bytes of the body are its tag. COMMITTED: the same under keys that HKDF-SHA512 derives, one
of which is stored beside the object, so that no body is valid under two keys. CBC: padding is all there is.
"""

from __future__ import annotations

import hmac
from typing import Any, Callable, Iterable, Iterator

from collector.aws.client_side_envelope import CBC, COMMITTED, GCM, TAMPERED, Envelope
from collector.aws.errors import INSTALL_CRYPTOGRAPHY
from collector.errors import Fatal, Poison

__all__ = ["Content", "require_cryptography"]

KEY_BYTES = 32
TAG_BYTES = 16
COMMITMENT_BYTES = 28
#: Algorithm suite 0x0073: part of every derivation, and what its tag covers beside the body.
_SUITE = b"\x00\x73"
_COMMITTED_IV = b"\x01" * 12


def require_cryptography(*, where: str) -> None:
    """Fatal "client_side_needs_cryptography" (scope object) where it is not there: the object waits."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: F401
    except ImportError as error:
        raise Fatal(
            f"The object was encrypted by its writer; without the package cryptography it waits: {error}",
            code="client_side_needs_cryptography", where=where, scope="object",
            hint=f"You: {INSTALL_CRYPTOGRAPHY}",
        ) from error


class Content:
    """One object's envelope with its key. Every call of `plaintext` decrypts from the beginning."""

    def __init__(self, envelope: Envelope, key: bytes, *, where: str) -> None:
        """Poison "data_key_refused" if it is no AES-256 key, "key_commitment_failed"."""
        self._where = where
        if len(key) != KEY_BYTES:
            what = f"KMS opened a key of {len(key)} bytes, not {KEY_BYTES}"
            raise self._tampered(what, code="data_key_refused")
        self._start: Callable[[], Any] = {
            GCM: lambda: _gcm(key, envelope.iv),
            CBC: lambda: _Padded(key, envelope.iv),
            COMMITTED: lambda: _gcm(_derived(key, envelope, b"DERIVEKEY", KEY_BYTES), _COMMITTED_IV, _SUITE),
        }[envelope.content]
        self._tag_bytes = 0 if envelope.content == CBC else TAG_BYTES
        if envelope.content == COMMITTED:
            self._verify_commitment(key, envelope)

    def plaintext(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """About a piece of plaintext for each of ciphertext, then Poison "ciphertext_tampered" or the end."""
        from cryptography.exceptions import InvalidTag

        cipher, held = self._start(), b""
        try:
            for piece in pieces:
                held += piece
                cut = max(0, len(held) - self._tag_bytes)
                yield cipher.update(memoryview(held)[:cut])
                held = held[cut:]
            yield cipher.finalize_with_tag(held) if self._tag_bytes else cipher.finalize()
        except (InvalidTag, ValueError) as error:
            what = "The body is not what its writer encrypted"
            raise self._tampered(what, code="ciphertext_tampered") from error

    def _verify_commitment(self, key: bytes, envelope: Envelope) -> None:
        derived = _derived(key, envelope, b"COMMITKEY", COMMITMENT_BYTES)
        if not hmac.compare_digest(derived, envelope.commitment):
            what = "The key is not the one that the object was committed to"
            raise self._tampered(what, code="key_commitment_failed")

    def _tampered(self, what: str, *, code: str) -> Poison:
        """Believed at the second sighting where a broken transfer can look the same."""
        sightings = 2 if code == "ciphertext_tampered" else 1
        return Poison(what, code=code, where=self._where, hint=TAMPERED, sightings=sightings)


def _gcm(key: bytes, iv: bytes, associated: bytes = b"") -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    decryptor = Cipher(algorithms.AES(key), modes.GCM(iv)).decryptor()
    decryptor.authenticate_additional_data(associated)
    return decryptor


def _derived(key: bytes, envelope: Envelope, purpose: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA512(), length, salt=envelope.message_id, info=_SUITE + purpose).derive(key)


class _Padded:
    """AES-CBC with PKCS #7 padding, shaped like a decryptor."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        self._decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        self._unpadder = PKCS7(128).unpadder()

    def update(self, ciphertext: Any) -> bytes:
        return self._unpadder.update(self._decryptor.update(ciphertext))

    def finalize(self) -> bytes:
        return self._unpadder.update(self._decryptor.finalize()) + self._unpadder.finalize()
