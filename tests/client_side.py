"""Objects as the S3 Encryption Client writes them, made by hand, and a KMS in memory for their keys."""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

__all__ = ["ARN", "OTHER_ARN", "MemoryKms", "Written", "write_v1", "write_v2", "write_v3"]

ARN = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_ARN = "arn:aws:kms:us-east-1:111111111111:key/5678abcd-12ab-34cd-56ef-1234567890ab"
GCM, CBC = "AES/GCM/NoPadding", "AES/CBC/PKCS5Padding"

#: Ciphertext and metadata.
Written = Tuple[bytes, Dict[str, str]]


class MemoryKms:
    """kms:Decrypt as AWS answers it, with the keys `arns`; `requests` are those it was asked."""

    def __init__(self, *arns: str) -> None:
        self._keys = {arn: AESGCM(os.urandom(32)) for arn in arns or (ARN,)}
        self.requests: List[Dict[str, Any]] = []
        self.refusals: Dict[str, str] = {}

    def wrap(self, key: bytes, context: Mapping[str, str], *, arn: str = ARN) -> bytes:
        nonce = os.urandom(12)
        return arn.encode() + b"\n" + nonce + self._keys[arn].encrypt(nonce, key, _associated(context))

    def decrypt(
        self,
        CiphertextBlob: bytes,
        KeyId: Optional[str] = None,
        EncryptionContext: Optional[Mapping[str, str]] = None,
    ) -> Dict[str, Any]:
        self.requests.append({"KeyId": KeyId, "EncryptionContext": EncryptionContext})
        arn, _, rest = CiphertextBlob.partition(b"\n")
        refusal = self.refusals.get(KeyId or arn.decode("latin-1"))
        if refusal:
            raise _refused(refusal)
        if arn.decode("latin-1") not in self._keys:
            raise _refused("InvalidCiphertextException")
        if KeyId not in (None, arn.decode()):
            raise _refused("IncorrectKeyException")
        try:
            key = self._keys[arn.decode()].decrypt(rest[:12], rest[12:], _associated(EncryptionContext or {}))
        except (InvalidTag, ValueError):
            raise _refused("InvalidCiphertextException") from None
        return {"Plaintext": key, "KeyId": arn.decode()}


def write_v3(body: bytes, kms: Any, *, arn: str = ARN) -> Written:
    key, message_id = os.urandom(32), os.urandom(28)
    pairs = {"aws:x-amz-cek-alg": "115"}

    def derived(purpose: bytes, length: int) -> bytes:
        return HKDF(SHA512(), length, salt=message_id, info=b"\x00\x73" + purpose).derive(key)

    metadata = {
        "x-amz-c": "115",
        "x-amz-3": _base64(kms.wrap(key, pairs, arn=arn)),
        "x-amz-w": "12",
        "x-amz-t": json.dumps(pairs),
        "x-amz-i": _base64(message_id),
        "x-amz-d": _base64(derived(b"COMMITKEY", 28)),
    }
    return AESGCM(derived(b"DERIVEKEY", 32)).encrypt(b"\x01" * 12, body, b"\x00\x73"), metadata


def write_v2(
    body: bytes, kms: Any, *, arn: str = ARN, wrap: str = "kms+context", content: str = GCM
) -> Written:
    key = os.urandom(32)
    pairs = {"aws:x-amz-cek-alg": content} if wrap == "kms+context" else {"kms_cmk_id": arn}
    ciphertext, iv = _encrypted(body, key, content)
    metadata = {
        "x-amz-key-v2": _base64(kms.wrap(key, pairs, arn=arn)),
        "x-amz-wrap-alg": wrap,
        "x-amz-matdesc": json.dumps(pairs),
        "x-amz-iv": _base64(iv),
        "x-amz-cek-alg": content,
    }
    if content == GCM:
        metadata["x-amz-tag-len"] = "128"
    return ciphertext, metadata


def write_v1(body: bytes, kms: Any, *, arn: str = ARN, content: str = CBC) -> Written:
    key, pairs = os.urandom(32), {"kms_cmk_id": arn}
    ciphertext, iv = _encrypted(body, key, content)
    metadata = {
        "x-amz-key": _base64(kms.wrap(key, pairs, arn=arn)),
        "x-amz-wrap-alg": "kms",
        "x-amz-matdesc": json.dumps(pairs),
        "x-amz-iv": _base64(iv),
        "x-amz-unencrypted-content-length": str(len(body)),
    }
    if content != CBC:
        metadata["x-amz-cek-alg"] = content
    return ciphertext, metadata


def _encrypted(body: bytes, key: bytes, content: str) -> Tuple[bytes, bytes]:
    if content == GCM:
        iv = os.urandom(12)
        return AESGCM(key).encrypt(iv, body, None), iv
    iv, padder = os.urandom(16), PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(body) + padder.finalize()) + encryptor.finalize(), iv


def _associated(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()


def _base64(found: bytes) -> str:
    return base64.b64encode(found).decode()


def _refused(code: str) -> ClientError:
    meta = {"HTTPStatusCode": 400, "HTTPHeaders": {}}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}, "Decrypt")
