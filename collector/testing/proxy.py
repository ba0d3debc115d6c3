"""An HTTP proxy that records what passes, and reaches nothing but loopback.

    with Proxy({"aws.example.com:80": aws.endpoint_url}) as proxy:
        ...                                  proxy_url = proxy.url
        assert proxy.services == {"sts", "sqs", "s3"}

It forwards requests with an absolute URI and tunnels CONNECT. Names of the outside world lead to where
`routes` says, so that what arrives can have come through the proxy only: the names resolve nowhere else.

    with Proxy(origin=aws.endpoint_url, certificate=authority.certificate("127.0.0.1")) as endpoint:
        ...                                  s3_endpoint_url = endpoint.url

With `origin` it stands in front of one server instead, as a private endpoint does; with `certificate`
it speaks TLS there.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, List, Mapping, Optional, Set
from urllib.parse import urlsplit

from collector.testing.loopback import Server

__all__ = ["Passed", "Proxy"]

#: Headers that belong to one connection (RFC 9110, 7.6.1), and those that we write anew.
_OF_ONE_HOP = frozenset(
    "connection keep-alive proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([a-z0-9-]+)/aws4_request")


@dataclass(frozen=True)
class Passed:
    """One request. `host` is host:port; `path` is empty for CONNECT, whose content is nobody's business.

    `service` is the AWS service that the request was signed for ("sts", "sqs", "s3"), else "".
    `status` is what it was answered with.
    """

    method: str
    host: str
    path: str
    service: str
    status: int


class Proxy:
    """Runs from `start` to `close`, or as a context manager. Thread safe.

    `routes` leads from "host:port" to the URL of a server; hosts that it does not name must be on
    loopback, all others are refused with 403. With `login` ("user:password") everyone else gets 407.
    """

    def __init__(
        self, routes: Optional[Mapping[str, str]] = None, *, login: str = "", origin: str = "",
        certificate: bytes = b"", address: str = "127.0.0.1",
    ) -> None:
        self._routes = dict(routes or {})
        self._expected = "Basic " + base64.b64encode(login.encode()).decode() if login else ""
        self._origin = urlsplit(origin).netloc
        self._certificate = certificate
        self._address = address
        self._server: Optional[_Server] = None
        self._lock = threading.Lock()
        self._passed: List[Passed] = []

    @property
    def url(self) -> str:
        assert self._server is not None, "it is not running"
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://{self._address}:{self._server.server_address[1]}"

    @property
    def passed(self) -> List[Passed]:
        with self._lock:
            return list(self._passed)

    @property
    def hosts(self) -> Set[str]:
        return {each.host for each in self.passed}

    @property
    def services(self) -> Set[str]:
        return {each.service for each in self.passed if each.service}

    def forget(self) -> None:
        """Record from here on."""
        with self._lock:
            self._passed.clear()

    def start(self) -> Proxy:
        self._server = _Server((self._address, 0), self)
        if self._certificate:
            self._server.socket = _context(self._certificate).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def close(self) -> None:
        """Stop listening. Conversations under way end with their clients."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # for one conversation

    def record(self, passed: Passed) -> None:
        with self._lock:
            self._passed.append(passed)

    def admits(self, authorization: Optional[str]) -> bool:
        return not self._expected or authorization == self._expected

    def way_to(self, host: str) -> str:
        """host:port of the server behind a host:port, "" if there is no way."""
        if self._origin:
            return self._origin
        if host in self._routes:
            return urlsplit(self._routes[host]).netloc
        return host if host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]") else ""


class _Server(Server):
    def __init__(self, address: Any, proxy: Proxy) -> None:
        super().__init__(address, _Conversation)
        self.proxy = proxy


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _forward(self) -> None:
        parts = urlsplit(self.path)
        host = parts.netloc or self.headers.get("Host", "")
        host = host if re.search(r":\d+$", host) else f"{host}:80"
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way = self._way(host)
        if not way:
            return
        try:
            answer, content = _ask(way, self.command, target, headers=self.headers, body=body)
        except (OSError, http.client.HTTPException):
            self._refuse(host, 502)
            return
        self._record(host, answer.status, path=target)
        self._pass_back(answer, content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _forward

    def do_CONNECT(self) -> None:
        self.close_connection = True
        way = self._way(self.path)
        if not way:
            return
        name, _, port = way.rpartition(":")
        try:
            far = socket.create_connection((name, int(port)), timeout=10)
        except OSError:
            self._refuse(self.path, 502)
            return
        with far:
            far.settimeout(None)
            self._record(self.path, 200)
            self.send_response(200, "Connection established")
            self.end_headers()
            back = threading.Thread(target=_pump, args=(far, self.connection), daemon=True)
            back.start()
            _pump(self.connection, far)
            back.join()

    def _way(self, host: str) -> str:
        """Where to; if nowhere, the client has its answer already."""
        if not self.server.proxy.admits(self.headers.get("Proxy-Authorization")):
            self._refuse(host, 407)
            return ""
        way = self.server.proxy.way_to(host)
        if not way:
            self._refuse(host, 403)
        return way

    def _refuse(self, host: str, status: int) -> None:
        self._record(host, status)
        page = b"<html><title>The proxy refuses</title></html>"
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def _record(self, host: str, status: int, *, path: str = "") -> None:
        signed = _SCOPE.search(self.headers.get("Authorization", ""))
        service = signed.group(1) if signed else ""
        self.server.proxy.record(Passed(self.command, host, path, service, status))

    def _pass_back(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _OF_ONE_HOP and name.lower() != "content-length":
                self.send_header(name, value)
        of_head = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else ""
        self.send_header("Content-Length", of_head or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in `passed`."""


def _ask(way: str, method: str, target: str, *, headers: Any, body: bytes) -> Any:
    """(the answer, its content). The headers pass as they are: a signature may cover them."""
    connection = http.client.HTTPConnection(way, timeout=60)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in _OF_ONE_HOP:
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until `source` has no more to say; then `target` hears that, too."""
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
    except OSError:
        return  # either side has gone away
    finally:
        _end(target)


def _end(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it has ended by itself


def _context(certificate: bytes) -> ssl.SSLContext:
    """A server's context from one PEM of key and certificate, which ssl reads from a file only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
        file.write(certificate)
    try:
        context.load_cert_chain(file.name)
    finally:
        os.unlink(file.name)
    return context
