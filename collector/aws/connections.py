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
from typing import Callable, Dict, List, Mapping, Optional, Tuple

__all__ = ["Answer", "Asked", "Body", "Connections"]

_CONNECT_SECONDS = 10.0
#: Rule 5: what brings no byte for this long is stalled. Long polls are of 20 s.
_READ_SECONDS = 60.0
#: S3 closes idle connections after about five seconds; asking on one that it closed is a wasted call.
_IDLE_SECONDS = 4.0
#: What is asked for at first: a head, and a small body with it.
_FIRST_BYTES = 16 * 1024
_HEAD_MAX_BYTES = 64 * 1024
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

    def head(self) -> Tuple[bytes, bytes]:
        """What comes before the first empty line, and what of the body came with it."""
        came = self.sock.recv(_FIRST_BYTES)
        while b"\r\n\r\n" not in came:
            more = self.sock.recv(_FIRST_BYTES) if came else b""
            if not more or len(came) > _HEAD_MAX_BYTES:
                raise ValueError("the head of the answer has no end")
            came += more
        head, _, rest = came.partition(b"\r\n\r\n")
        return head, rest

    def fill(self, buffer: memoryview) -> int:
        """Receive until the buffer is full or the other side ends; how much there is."""
        count = 0
        while count < len(buffer):
            came = self.sock.recv_into(buffer[count:])
            if not came:
                break
            count += came
        return count

    def close(self) -> None:
        """Never raises: it may be broken already."""
        try:
            self.sock.close()
        except OSError:
            return


class Asked:
    """A request that was sent, whose answer is to be read, or closed. Used by one thread at a time."""

    def __init__(self, connection: _Connection, put_back: Callable[[], None]) -> None:
        self._connection = connection
        self._put_back = put_back

    def answer(self) -> Answer:
        """Wait for it; ValueError for an answer that is not plain, OSError for none."""
        try:
            head, rest = self._connection.head()
            status, headers = _parsed(head)
            length = headers.get("content-length", "")
            if not length.isdigit() or "transfer-encoding" in headers or len(rest) > int(length):
                raise ValueError("an answer of unknown length")
            keep = headers.get("connection", "").lower() != "close"
            done = self._put_back if keep else self._connection.close
            return Answer(status, headers, Body(self._connection, rest, int(length), done))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection: its answer is of no use any more."""
        self._connection.close()


class Body:
    """The bytes of one answer. Used by one thread at a time."""

    def __init__(
        self, connection: _Connection, came: bytes, length: int, done: Callable[[], None]
    ) -> None:
        self.length = length
        self._connection: Optional[_Connection] = connection
        self._came = came
        self._left = length
        self._done = done
        self._end_if_read()

    def read(self, count: int) -> bytes:
        """As many bytes, less at the end; b"" after it, also after one that comes too early."""
        connection = self._connection
        if connection is None:
            return b""
        count = min(count, self._left)
        piece, self._came = self._came[:count], self._came[count:]
        if len(piece) < count:
            buffer = memoryview(bytearray(count))
            buffer[: len(piece)] = piece
            piece = bytes(buffer[: len(piece) + connection.fill(buffer[len(piece) :])])
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


def _parsed(head: bytes) -> Tuple[int, Dict[str, str]]:
    """Status and headers; ValueError for what is not HTTP/1.1."""
    status, *lines = head.decode("latin-1").split("\r\n")
    if not status.startswith("HTTP/1.1 ") or len(lines) > _HEADERS_MOST:
        raise ValueError("not an HTTP/1.1 answer")
    headers: Dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line of the head that is no header")
        headers[name.lower()] = value.strip()
    return int(status[9:12]), headers
