"""What a CloudTrail digest file says: a document that names log files, their hashes, and its predecessor.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
"""

from __future__ import annotations

import hashlib
import json
import re
from calendar import timegm
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Optional, Tuple

from collector.errors import Poison

__all__ = ["Digest", "Listed", "epoch_seconds", "read_digest"]

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z", re.ASCII)


@dataclass(frozen=True)
class Listed:
    """A file that a digest vouches for. `sha256` is lower-case hex of the uncompressed content.

    It is "" where the digest names another algorithm.
    """

    bucket: str
    key: str
    sha256: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Digest:
    """One digest file. `previous` and `previous_signature` are None on the first of a chain.

    `document` is its content as it was stored, uncompressed; `ended` is epoch seconds.
    """

    document: bytes
    bucket: str
    key: str
    account: str
    start_text: str
    end_text: str
    ended: int
    fingerprint: str
    previous: Optional[Listed]
    previous_signature: Optional[str]
    logs: Tuple[Listed, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.document).hexdigest()

    @property
    def signed_text(self) -> bytes:
        """What CloudTrail signs; a digest without predecessor has the word null in its place."""
        place = f"{self.bucket}/{self.key}"
        previous = "null" if self.previous_signature is None else self.previous_signature
        return "\n".join((self.end_text, place, self.sha256, previous)).encode("utf-8", "surrogatepass")


def read_digest(document: bytes, *, where: str) -> Digest:
    """Poison "digest_format" for what is no digest."""
    try:
        found = json.loads(document.decode("utf-8"), parse_constant=_refuse_constant)
        return _digest(document, found)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Poison(
            f"this is no CloudTrail digest: {type(error).__name__}: {error}", code="digest_format",
            where=where, hint="Provider: who wrote this beside CloudTrail's digests?",
        ) from error


def epoch_seconds(text: str) -> int:
    """The second that an ISO time in UTC names. Raises ValueError for any other text."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time")
    return timegm(datetime.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S").timetuple())


def _digest(document: bytes, found: Any) -> Digest:
    if not isinstance(found, dict):
        raise TypeError("no JSON object")
    end_text = _text(found, "digestEndTime")
    previous = None
    if found.get("previousDigestS3Bucket") is not None:
        previous = _listed(found, "previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHash")
    return Digest(
        document=document,
        bucket=_text(found, "digestS3Bucket"),
        key=_text(found, "digestS3Object"),
        account=_text(found, "awsAccountId"),
        start_text=_text(found, "digestStartTime"),
        end_text=end_text,
        ended=epoch_seconds(end_text),
        fingerprint=_text(found, "digestPublicKeyFingerprint"),
        previous=previous,
        previous_signature=_text_or_none(found, "previousDigestSignature"),
        logs=tuple(_listed(log, "s3Bucket", "s3Object", "hash") for log in found["logFiles"]),
    )


def _listed(found: Mapping[str, Any], bucket: str, key: str, hashed: str) -> Listed:
    known = _text(found, f"{hashed}Algorithm") == "SHA-256"
    sha256 = _text(found, f"{hashed}Value").lower() if known else ""
    return Listed(_text(found, bucket), _text(found, key), sha256)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _text_or_none(found: Mapping[str, Any], name: str) -> Optional[str]:
    return None if found[name] is None else _text(found, name)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
