"""HTTP/1.1 on kept connections, as far as an answer is plain: a status, headers, and a body of known length.

It is what `lean` needs and no more. Whatever is not plain is an error here (ValueError, OSError): the caller
asks boto3 for the same, which knows the rest of HTTP.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO, Callable, Dict, List, Mapping, Optional, Tuple

__all__ = ["Answer", "Asked", "Body", "Connections"]

_CONNECT_SECONDS = 10.0
#: Rule 5: what brings no byte for this long is stalled. Long polls are of 20 s.
_READ_SECONDS = 60.0
#: S3 closes idle connections after about five seconds; asking on one that it closed is a wasted call.
_IDLE_SECONDS = 4.0
_LINE_MAX_BYTES = 64 * 1024
_HEADERS_MOST = 200

Endpoint = Tuple[str, str, int]


@dataclass(frozen=True)
class Answer:
    """Names of headers are in lower case. The body is to be read to its end, or closed."""

    status: int
    headers: Mapping[str, str]
    body: Body


class Connections:
    """Connections by endpoint (scheme, host, port). One that is in use belongs to the body read from it.

    `ca_file` names what server certificates are checked against. Thread safe.
    """

    def __init__(self, ca_file: Callable[[], str]) -> None:
        self._ca_file = ca_file
        self._context: Optional[ssl.SSLContext] = None
        self._idle: Dict[Endpoint, List[Tuple[float, _Connection]]] = {}
        self._lock = threading.Lock()

    def send(self, endpoint: Endpoint, request: bytes) -> Asked:
        """Send one request on a connection of its own; OSError if that cannot be done."""
        connection = self._take(endpoint) or self._connect(endpoint)
        try:
            connection.sock.sendall(request)
        except BaseException:
            connection.close()
            raise
        return Asked(connection, lambda: self._put(endpoint, connection))

    def close(self) -> None:
        """Close the connections that nobody holds."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()

    def _take(self, endpoint: Endpoint) -> Optional[_Connection]:
        """The one used last; if that has been idle for too long, so have the others."""
        with self._lock:
            waiting = self._idle.get(endpoint)
            if not waiting:
                return None
            if waiting[-1][0] >= time.monotonic() - _IDLE_SECONDS:
                return waiting.pop()[1]
            del self._idle[endpoint]
        for _, connection in waiting:
            connection.close()
        return None

    def _put(self, endpoint: Endpoint, connection: _Connection) -> None:
        with self._lock:
            self._idle.setdefault(endpoint, []).append((time.monotonic(), connection))

    def _connect(self, endpoint: Endpoint) -> _Connection:
        scheme, host, port = endpoint
        sock = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                sock = self._tls().wrap_socket(sock, server_hostname=host)
            sock.settimeout(_READ_SECONDS)
            return _Connection(sock)
        except BaseException:
            sock.close()
            raise

    def _tls(self) -> ssl.SSLContext:
        """One for all: making one costs as much as a hundred requests."""
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
        for end in (self.file, self.sock):
            try:
                end.close()
            except OSError:
                continue


class Asked:
    """A request that was sent, whose answer is to be read, or closed. Used by one thread at a time."""

    def __init__(self, connection: _Connection, put_back: Callable[[], None]) -> None:
        self._connection = connection
        self._put_back = put_back

    def answer(self) -> Answer:
        """Wait for it; ValueError for an answer that is not plain, OSError for none."""
        try:
            status, headers = _read_head(self._connection.file)
            length = headers.get("content-length", "")
            if not length.isdigit() or "transfer-encoding" in headers:
                raise ValueError("an answer of unknown length")
            keep = headers.get("connection", "").lower() != "close"
            done = self._put_back if keep else self._connection.close
            return Answer(status, headers, Body(self._connection, int(length), done))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection: its answer is of no use any more."""
        self._connection.close()


class Body:
    """The bytes of one answer. Used by one thread at a time."""

    def __init__(self, connection: _Connection, length: int, done: Callable[[], None]) -> None:
        self.length = length
        self._connection: Optional[_Connection] = connection
        self._left = length
        self._done = done
        self._end_if_read()

    def read(self, count: int) -> bytes:
        """At most `count` bytes; b"" at the end, also at one that comes too early."""
        connection = self._connection
        if connection is None:
            return b""
        piece = connection.file.read(min(count, self._left))
        self._left -= len(piece)
        if not piece:
            self.close()
        self._end_if_read()
        return piece

    def close(self) -> None:
        """Let go of a connection that was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end_if_read(self) -> None:
        if not self._left and self._connection is not None:
            self._connection = None
            self._done()


def _read_head(file: BinaryIO) -> Tuple[int, Dict[str, str]]:
    version, _, rest = file.readline(_LINE_MAX_BYTES).partition(b" ")
    if version != b"HTTP/1.1":
        raise ValueError("not an HTTP/1.1 answer")
    headers: Dict[str, str] = {}
    for _ in range(_HEADERS_MOST):
        line = file.readline(_LINE_MAX_BYTES)
        if line in (b"\r\n", b"\n"):
            return int(rest[:3]), headers
        name, colon, value = line.partition(b":")
        if not colon:
            raise ValueError("the head of the answer ends early")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    raise ValueError("the head of the answer has no end")
