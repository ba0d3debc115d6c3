"""`http_listen`: the status page, the same as JSON, metrics for Prometheus, and two probes.

    /             a page for people           /metrics   for Prometheus (docs/reference/metrics.md)
    /status.json  the same for programs       /healthz   200 while every engine moves, else 503 and which
                                              /readyz    200 while every input can work, else 503 and why

It only reads: GET and HEAD, five fixed paths, no files. There is no login, so it listens on loopback unless
the setting names another address, which is warned of. On loopback it answers only to loopback names: web
pages that point a name of theirs at 127.0.0.1 (DNS rebinding) cannot read it through somebody's browser.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from collector.errors import Fatal
from collector.hosts.service.board import Board
from collector.hosts.web import assets, document, metrics, page
from collector.loopback import is_loopback

__all__ = ["Conversation", "Server", "routes", "serving", "try_to_listen"]

log = logging.getLogger("collector")

#: Somebody who says nothing for so long is hung up on.
_SILENCE_SECONDS = 10.0
#: More conversations at once than this are not begun: they must never cost the collector its memory.
_MOST_CONVERSATIONS = 32
#: How often rates and the chart of the last hour are added to.
_TICK_SECONDS = 2.0
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": assets.POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"

Answer = Tuple[HTTPStatus, str, bytes]


@contextmanager
def serving(address: str, board: Board) -> Iterator[None]:
    """Serve at HOST:PORT what `board` shows while the block runs.

    Raises Fatal "http_listen" if nothing can listen there.
    """
    server = Server(address, board)
    over = threading.Event()
    threads = [
        _started(threading.Thread(target=server.serve_forever, name="web", daemon=True)),
        _started(threading.Thread(target=_remember, args=(board, over), name="history", daemon=True)),
    ]
    log.info("Status page and metrics are served. url=%s", server.url)
    if not server.is_local:
        log.warning(
            "Status page and metrics can be read by whoever reaches this address: no password is asked for. "
            "Set http_listen = %d for this host alone, or put something before it that asks. url=%s",
            server.server_port, server.url,
        )
    try:
        yield
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(_TICK_SECONDS)


def try_to_listen(address: str) -> None:
    """Listen at HOST:PORT and let go at once. Raises Fatal "http_listen" as `serving` does."""
    Server(address, Board([])).server_close()


def _started(thread: threading.Thread) -> threading.Thread:
    """Each by itself: AppInspect doubts an app that starts threads in a loop."""
    thread.start()
    return thread


def _remember(board: Board, over: threading.Event) -> None:
    """Apart from the server: an engine that stands still keeps this waiting, and /healthz has to say so."""
    while not over.wait(_TICK_SECONDS):
        try:
            board.tick()
        except Exception as error:
            _report_bug(error)


class Server(ThreadingHTTPServer):
    """Listens as soon as it is made. `url` is where; port 0 takes a free one."""

    daemon_threads = True
    block_on_close = False
    #: Elsewhere than on POSIX this would let two programs have one port.
    allow_reuse_address = os.name == "posix"

    def __init__(self, address: str, board: Board) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self.is_local = is_loopback(host)
        self._conversations = threading.BoundedSemaphore(_MOST_CONVERSATIONS)
        self.routes = routes(board)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, int(port)), Conversation)
        except OSError as error:
            raise Fatal(
                f"It is not possible to listen there: {error.strerror or error}", code="http_listen",
                where=f"http_listen = {address}",
                hint="Choose an address of this host and a port that nobody else has, or unset http_listen",
            ) from error

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}/"

    def server_bind(self) -> None:
        """Bind without the look-up of our own name that HTTPServer makes: it may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._conversations.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._conversations.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._conversations.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up is no news; anything else is a bug of ours."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("A reader of the status page hung up. error=%s", error)
        else:
            _report_bug(error)


def _report_bug(error: Optional[BaseException]) -> None:
    log.error("You have found a bug in the status page; collecting goes on.", exc_info=error)


def routes(board: Board) -> Dict[str, Callable[[str], Answer]]:
    """Path -> what answers it, given the Accept header."""
    found = metrics.registry(board)

    def scrape(accept: str) -> Answer:
        body, content_type = metrics.exposition(found, accept=accept)
        return HTTPStatus.OK, content_type, body

    def shown(_: str) -> Answer:
        text = page.page(document.document(board))
        return HTTPStatus.OK, "text/html; charset=utf-8", text.encode("utf-8", "replace")

    def status(_: str) -> Answer:
        return HTTPStatus.OK, _JSON, _json(document.document(board))

    def ready(_: str) -> Answer:
        verdict = document.readiness(board.observe())
        code = HTTPStatus.OK if verdict["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
        return code, _JSON, _json(verdict)

    def alive(_: str) -> Answer:
        stuck = board.standstill()
        if stuck:
            return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "".join(f"{one}\n" for one in stuck).encode()
        return HTTPStatus.OK, _TEXT, b"ok\n"

    return {"/": shown, "/status.json": status, "/metrics": scrape, "/healthz": alive, "/readyz": ready}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


class Conversation(BaseHTTPRequestHandler):
    """One request, one answer."""

    server: Server
    timeout = _SILENCE_SECONDS

    def do_GET(self) -> None:
        self._answer(*self._find())

    do_HEAD = do_GET

    def _find(self) -> Answer:
        if self.server.is_local and not _names_loopback(self.headers.get("Host")):
            text = b"This listens on loopback and answers to localhost or 127.0.0.1 only.\n"
            return HTTPStatus.MISDIRECTED_REQUEST, _TEXT, text
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b"There is nothing here.\n"
        return route(self.headers.get("Accept", ""))

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes, **more: str) -> None:
        self.send_response(status)
        fixed = {"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in {**fixed, **_HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: Optional[str] = None, explain: Optional[str] = None) -> None:
        """What the parser of requests refuses; nothing of the request is said back."""
        self.close_connection = True
        if self.request_version == "HTTP/0.9":
            self.request_version = "HTTP/1.0"  # what is no request at all is taken for one of 1991
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET and HEAD only.\n", Allow="GET, HEAD")
            return
        status = HTTPStatus(code)
        self._answer(status, _TEXT, f"{status.phrase}\n".encode())

    def version_string(self) -> str:
        return "audit-s3"

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("The status page was asked. request=%s", format % args)


def _names_loopback(host: Optional[str]) -> bool:
    """Whether a Host header is a loopback name; a request without one comes from no browser."""
    if host is None:
        return True
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name.lower())
