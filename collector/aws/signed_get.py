"""GetObject as `lean` makes it, answered in the words of boto3's get_object.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import base64
import hashlib
import threading
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Tuple
from urllib.parse import quote

from collector import accel
from collector.aws.connections import Asked, Body
from collector.aws.lean import Lean

__all__ = ["SignedGet"]

#: Bucket, key, etag and version id, as `get` takes them.
Call = Tuple[str, str, Optional[str], str]

_META = "x-amz-meta-"
_ALSO = {
    "x-amz-version-id": "VersionId",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
}


class SignedGet:
    """What S3Store asks before it asks boto3. Thread safe."""

    def __init__(self, lean: Lean) -> None:
        self._lean = lean
        self._mine = threading.local()

    def watch(self, client: Any) -> None:
        """Learn from this boto3 client."""
        self._lean.watch(client, "s3.GetObject")

    def learn(self, bucket: str, key: str) -> None:
        """boto3 has just answered for this object, in this thread."""
        self._lean.learn(("s3", bucket), without=_quoted(key))

    def get(
        self, bucket: str, key: str, *, etag: Optional[str], version_id: str = ""
    ) -> Optional[Dict[str, Any]]:
        """What get_object would return, as far as S3Store asks; None: ask boto3."""
        asked = self._ahead().pop((bucket, key, etag, version_id), None)
        asked = asked or self._begin(bucket, key, etag, version_id)
        answer = None if asked is None else self._lean.finish(("s3", bucket), asked)
        if answer is None:
            return None
        if "etag" not in answer.headers or "last-modified" not in answer.headers:
            answer.body.close()
            self._lean.forget(("s3", bucket))
            return None
        return _answer(answer.headers, answer.body)

    def foresee(self, calls: Iterable[Call]) -> None:
        """Send these already; `get` of the same thread takes up the answers. What nobody asked for goes."""
        ahead = self._ahead()
        while ahead:
            ahead.popitem()[1].close()
        for call in calls:
            asked = self._begin(*call)
            if asked is None:
                return  # boto3 is to be asked first, for all of them
            ahead[call] = asked

    def _begin(self, bucket: str, key: str, etag: Optional[str], version_id: str) -> Optional[Asked]:
        query = f"versionId={quote(version_id, safe='~')}" if version_id else ""
        headers = {"if-match": f'"{etag}"'} if etag is not None else {}
        return self._lean.begin(("s3", bucket), "GET", path=_quoted(key), query=query, headers=headers)

    def _ahead(self) -> Dict[Call, Asked]:
        """What this thread has sent and not taken up."""
        ahead: Dict[Call, Asked] = self._mine.__dict__.setdefault("ahead", {})
        return ahead


def _quoted(key: str) -> str:
    return quote(key, safe="/~")


def _answer(headers: Mapping[str, str], body: Body) -> Dict[str, Any]:
    answer = {
        "Body": _Checked(body, *_checksum(headers)),
        "ContentLength": body.length,
        "ETag": headers["etag"],
        "LastModified": _moment(headers["last-modified"]),
        "Metadata": {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)},
    }
    for name, said in _ALSO.items():
        if name in headers:
            answer[said] = headers[name]
    return answer


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, piece: bytes) -> None:
        self._value = accel.crc32(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_CHECKSUMS: Dict[str, Callable[[], Any]] = {
    "x-amz-checksum-crc32": _Crc32,
    "x-amz-checksum-sha256": hashlib.sha256,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
}


def _checksum(headers: Mapping[str, str]) -> Tuple[Optional[Any], bytes]:
    """S3's own checksum of the whole object and what computes it; composite ones are of parts."""
    for name, make in _CHECKSUMS.items():
        value = headers.get(name, "")
        if value and "-" not in value:
            return make(), base64.b64decode(value)
    return None, b""


class _Checked:
    """A body in the shape of botocore's StreamingBody, held to S3's checksum when its last byte has come."""

    def __init__(self, body: Body, checksum: Optional[Any], wanted: bytes) -> None:
        self._body = body
        self._left = body.length
        self._checksum = checksum
        self._wanted = wanted

    def read(self, count: int) -> bytes:
        """FlexibleChecksumError with the last bytes, if they are not the object's."""
        piece = self._body.read(count)
        if self._checksum is not None:
            self._checksum.update(piece)
            self._left -= len(piece)
            if not self._left and self._checksum.digest() != self._wanted:
                from botocore.exceptions import FlexibleChecksumError

                raise FlexibleChecksumError(error_msg="the body is not what S3's checksum was made of")
        return piece

    def close(self) -> None:
        self._body.close()
