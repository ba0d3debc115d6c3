"""GetObject without boto3, for answers of 200: on small objects boto3's own work is most of the cost.

boto3 makes the first GET of every bucket, and what it sent is the pattern for the rest: host, path, signing
region and headers, so that endpoints, addressing styles, FIPS and redirects stay its business. From then on
a GET is one signed request on a kept connection. Whatever is not a plain 200 (another status, no length, a
broken connection, a surprise) is nobody's answer: `get` returns None, the caller asks boto3 for the same,
which has retries and words for it, and whose next success is the next pattern.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlsplit

from collector import accel

__all__ = ["SignedGet", "signature_headers"]

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_CONNECT_SECONDS = 10.0
#: Rule 5: what brings no byte for this long is stalled.
_READ_SECONDS = 60.0
#: S3 closes idle connections after about five seconds; asking on one that it closed is a wasted call.
_IDLE_SECONDS = 4.0
_HEAD_MAX_BYTES = 64 * 1024
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")
#: Of boto3's own request these are made anew each time.
_MADE = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")


@dataclass(frozen=True)
class _Pattern:
    """How boto3 asks for objects of one bucket; `path` is what stands before the key."""

    scheme: str
    host: str
    port: int
    netloc: str
    path: str
    region: str
    headers: Mapping[str, str]


class SignedGet:
    """GETs signed with `credentials` (botocore's frozen ones; asked for each request, so they may rotate).

    `is_proxied(url)` says that a proxy stands before that URL: then boto3 does it. `ca_file` names what
    server certificates are checked against. Thread safe.
    """

    def __init__(
        self,
        credentials: Callable[[], Any],
        *,
        ca_file: Callable[[], str],
        is_proxied: Callable[[str], bool],
        user_agent: str,
    ) -> None:
        self._credentials = credentials
        self._is_proxied = is_proxied
        self._user_agent = user_agent
        self._connections = _Connections(ca_file)
        self._patterns: Dict[str, _Pattern] = {}
        self._seen = threading.local()
        self._day_keys: Dict[Tuple[str, str, str], bytes] = {}

    def watch(self, client: Any) -> None:
        """Have a boto3 S3 client show each GetObject that it sends."""

        def keep(request: Any, **_: Any) -> None:
            self._seen.request = (request.url, dict(request.headers))

        client.meta.events.register("before-send.s3.GetObject", keep, unique_id=f"signed-get-{id(self)}")

    def learn(self, bucket: str, key: str) -> None:
        """boto3 has just succeeded for this object, in this thread: do the same for the next."""
        seen = getattr(self._seen, "request", None)
        self._seen.request = None
        if seen is not None and bucket not in self._patterns:
            pattern = _pattern(*seen, key=key)
            if pattern is not None and not self._is_proxied(seen[0]):
                self._patterns[bucket] = pattern

    def knows(self, bucket: str) -> bool:
        """Whether the next GET of this bucket is made here."""
        return bucket in self._patterns

    def get(
        self, bucket: str, key: str, *, etag: Optional[str], version_id: str = ""
    ) -> Optional[Dict[str, Any]]:
        """What boto3's get_object would return, as far as S3Store asks; None: ask boto3."""
        pattern = self._patterns.get(bucket)
        if pattern is None:
            return None
        try:
            head = self._head(pattern, key, etag=etag, version_id=version_id)
            answer = self._connections.ask(pattern, head)
        except Exception:  # whatever it was, boto3 meets it again and has the words for it
            answer = None
        if answer is None:
            self._patterns.pop(bucket, None)
        return answer

    def close(self) -> None:
        """Close the connections that nobody holds."""
        self._connections.close()

    def _head(self, pattern: _Pattern, key: str, *, etag: Optional[str], version_id: str) -> bytes:
        path = pattern.path + quote(key, safe="/~")
        query = f"versionId={quote(version_id, safe='~')}" if version_id else ""
        headers = {"host": pattern.netloc, **pattern.headers}
        if etag is not None:
            headers["if-match"] = f'"{etag}"'
        headers.update(
            signature_headers(
                self._credentials(), path, query, headers,
                region=pattern.region, at=time.gmtime(), day_keys=self._day_keys,
            )
        )  # fmt: skip
        target = f"{path}?{query}" if query else path
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        text = "\r\n".join([*lines, f"user-agent: {self._user_agent}", "accept-encoding: identity", "", ""])
        return text.encode("latin-1")


def _pattern(url: str, headers: Mapping[Any, Any], *, key: str) -> Optional[_Pattern]:
    parts = urlsplit(url)
    said = {_text(name).lower(): _text(value) for name, value in headers.items()}
    credential = _CREDENTIAL.match(said.get("authorization", ""))
    end = quote(key, safe="/~")
    if credential is None or not parts.path.endswith("/" + end) or parts.scheme not in ("http", "https"):
        return None
    kept = {name: value for name, value in said.items() if name.startswith("x-amz-") and name not in _MADE}
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = parts.path[: len(parts.path) - len(end)]
    return _Pattern(parts.scheme, str(parts.hostname), port, parts.netloc, path, credential.group(1), kept)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def signature_headers(
    credentials: Any, path: str, query: str, headers: Mapping[str, str],
    *, region: str, at: time.struct_time, day_keys: Dict[Tuple[str, str, str], bytes],
) -> Dict[str, str]:  # fmt: skip
    """The headers that sign an S3 GET of `path` and `query`, both encoded, with `headers` (lower case).

    `day_keys` keeps the signing key of the day: three of the four HMACs are the same all day.
    """
    stamp, day = time.strftime("%Y%m%dT%H%M%SZ", at), time.strftime("%Y%m%d", at)
    made = {"x-amz-content-sha256": _EMPTY_SHA256, "x-amz-date": stamp}
    if credentials.token:
        made["x-amz-security-token"] = credentials.token
    signed = sorted({**headers, **made}.items())
    names = ";".join(name for name, _ in signed)
    canonical = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in signed)
    request = f"GET\n{path}\n{query}\n{canonical}\n{names}\n{_EMPTY_SHA256}"
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    known = (credentials.secret_key, day, region)
    key = day_keys.get(known)
    if key is None:
        day_keys.clear()
        day_keys[known] = key = _day_key(*known)
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    made["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return made


def _day_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


class _Connections:
    """Kept connections, by endpoint. One that is in use belongs to the body that is read from it."""

    def __init__(self, ca_file: Callable[[], str]) -> None:
        self._ca_file = ca_file
        self._context: Optional[ssl.SSLContext] = None
        self._idle: Dict[Tuple[str, str, int], List[Tuple[float, _Connection]]] = {}
        self._lock = threading.Lock()

    def ask(self, pattern: _Pattern, head: bytes) -> Optional[Dict[str, Any]]:
        """One request; the answer if it is a 200 with a length, else None."""
        key = (pattern.scheme, pattern.host, pattern.port)
        connection = self._take(key) or self._connect(pattern)
        try:
            connection.sock.sendall(head)
            status, headers = _read_head(connection.file)
            length = headers.get("content-length", "")
            if status != 200 or not length.isdigit() or "transfer-encoding" in headers:
                connection.close()
                return None
            keep = headers.get("connection", "").lower() != "close"
            give_back = (lambda: self._put(key, connection)) if keep else connection.close
            return _answer(headers, _Body(connection, int(length), give_back, _checksum(headers)))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()

    def _take(self, key: Tuple[str, str, int]) -> Optional[_Connection]:
        """The one used last; those idle for too long are closed."""
        with self._lock:
            waiting = self._idle.get(key, [])
            found = waiting.pop() if waiting else None
            late = []
            if found is not None and found[0] < time.monotonic() - _IDLE_SECONDS:
                late, found = [found, *waiting], None
                waiting.clear()
        for _, connection in late:
            connection.close()
        return found[1] if found else None

    def _put(self, key: Tuple[str, str, int], connection: _Connection) -> None:
        with self._lock:
            self._idle.setdefault(key, []).append((time.monotonic(), connection))

    def _connect(self, pattern: _Pattern) -> _Connection:
        sock = socket.create_connection((pattern.host, pattern.port), timeout=_CONNECT_SECONDS)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if pattern.scheme == "https":
                sock = self._tls().wrap_socket(sock, server_hostname=pattern.host)
            sock.settimeout(_READ_SECONDS)
            return _Connection(sock)
        except BaseException:
            sock.close()
            raise

    def _tls(self) -> ssl.SSLContext:
        """One for all: making one costs as much as a hundred GETs."""
        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context(cafile=self._ca_file())
                self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            return self._context


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file: BinaryIO = sock.makefile("rb")

    def close(self) -> None:
        """Never raises: it may be broken already."""
        for thing in (self.file, self.sock):
            try:
                thing.close()
            except OSError:
                continue


def _read_head(file: BinaryIO) -> Tuple[int, Dict[str, str]]:
    """Status and headers (names in lower case). ValueError for what is not HTTP/1.1."""
    version, _, rest = file.readline(_HEAD_MAX_BYTES).partition(b" ")
    if version != b"HTTP/1.1":
        raise ValueError("not an HTTP/1.1 answer")
    headers: Dict[str, str] = {}
    while True:
        line = file.readline(_HEAD_MAX_BYTES)
        if line in (b"\r\n", b"\n"):
            return int(rest[:3]), headers
        name, colon, value = line.partition(b":")
        if not colon:
            raise ValueError("the head of the answer ends early")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")


_META = "x-amz-meta-"
_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def _answer(headers: Mapping[str, str], body: _Body) -> Dict[str, Any]:
    answer = {
        "Body": body,
        "ContentLength": body.length,
        "ETag": headers["etag"],
        "LastModified": _moment(headers["last-modified"]),
        "Metadata": {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)},
    }
    if "x-amz-version-id" in headers:
        answer["VersionId"] = headers["x-amz-version-id"]
    if _KMS_KEY in headers:
        answer["SSEKMSKeyId"] = headers[_KMS_KEY]
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


def _checksum(headers: Mapping[str, str]) -> Optional[Tuple[Any, bytes]]:
    """S3's own checksum of the whole object and what computes it; composite ones are of parts."""
    for name, make in _CHECKSUMS.items():
        value = headers.get(name, "")
        if value and "-" not in value:
            return make(), base64.b64decode(value)
    return None


class _Body:
    """botocore's StreamingBody, as far as S3Store reads it."""

    def __init__(
        self,
        connection: _Connection,
        length: int,
        give_back: Callable[[], None],
        checksum: Optional[Tuple[Any, bytes]],
    ) -> None:
        self.length = length
        self._connection: Optional[_Connection] = connection
        self._left = length
        self._give_back = give_back
        self._checksum = checksum
        if not length:
            self._end()

    def read(self, count: int) -> bytes:
        """At most `count` bytes, b"" at the end or when the connection ended early."""
        connection = self._connection
        if connection is None:
            return b""
        piece = connection.file.read(min(count, self._left))
        self._left -= len(piece)
        if self._checksum is not None:
            self._checksum[0].update(piece)
        if not self._left:
            self._end()
        elif not piece:
            self.close()
        return piece

    def close(self) -> None:
        """Let go of a connection that was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        self._connection = None
        self._give_back()
        if self._checksum is not None and self._checksum[0].digest() != self._checksum[1]:
            from botocore.exceptions import FlexibleChecksumError

            raise FlexibleChecksumError(error_msg="the body is not what S3's checksum was made of")
