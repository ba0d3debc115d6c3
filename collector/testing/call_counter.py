"""Stands between a collector and a local AWS, and counts every call that goes by.

    with CallCounter(aws.endpoint_url, ["thrive", "immuta"]) as counter:
        ...run a collector with endpoint_url = counter.url...
        counter.calls("thrive")      # {"AssumeRole": 1, "ReceiveMessage": 5, "GetObject": 3, ...}

What is counted is what AWS would bill or throttle: requests on the wire, retries included. Requests are
passed on byte for byte with their own Host, so that signatures stay valid.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import parse_qs, urlsplit

from collector.testing.loopback import Server

__all__ = ["CallCounter"]

#: What belongs to one connection, and is not passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


class CallCounter:
    """A loopback server in front of `endpoint_url`. Thread safe.

    A call belongs to the name of `names` for which its path or body holds "NAME-audit-", as everything
    that `collector.testing.provider` makes is called.
    """

    def __init__(self, endpoint_url: str, names: Sequence[str]) -> None:
        self.upstream = urlsplit(endpoint_url).netloc
        self._marks = {name: f"{name}-audit-".encode() for name in names}
        self._seen: Dict[str, List[Tuple[float, str]]] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._server: Optional[_Server] = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def calls(self, name: str) -> Mapping[str, int]:
        """How often each action was called for `name`."""
        with self._lock:
            return Counter(action for _, action in self._seen.get(name, ()))

    def seconds(self, name: str, *, last: str = "DeleteMessageBatch") -> float:
        """From the first call for `name` to its last `last`; 0 if that never came."""
        with self._lock:
            seen = self._seen.get(name, [])
        ends = [moment for moment, action in seen if action == last]
        return ends[-1] - seen[0][0] if ends else 0.0

    def wait_until_quiet(self, *, seconds: float = 25.0) -> bool:
        """Wait until no call is unanswered. A long poll whose client is gone goes on taking messages."""
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self._open

    @contextmanager
    def call(self, action: str, text: bytes) -> Iterator[None]:
        """Count one call by what its path and body say, and know until when it is open."""
        owner = next((name for name, mark in self._marks.items() if mark in text), "")
        with self._lock:
            self._seen.setdefault(owner, []).append((time.monotonic(), action))
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1

    def __enter__(self) -> CallCounter:
        self._server = _Server(("127.0.0.1", 0), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(Server):
    def __init__(self, address: Any, counter: CallCounter) -> None:
        super().__init__(address, _Passage)
        self.counter = counter


class _Passage(BaseHTTPRequestHandler):
    """One connection of the collector, and one of ours to AWS."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(self.server.counter.upstream, timeout=60)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        action = _action(self.command, self.path, self.headers, body)
        try:
            with self.server.counter.call(action, self.path.encode() + body):
                answer = self._ask(body)
                content = answer.read()
            self._answer(answer, content)
        except (OSError, http.client.HTTPException):
            # Either side may leave while a long poll is open; the other one learns it from its connection.
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self._upstream.putheader(name, value)
        self._upstream.endheaders(body or None)
        return self._upstream.getresponse()

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Calls are counted, not printed."""


def _action(method: str, path: str, headers: Any, body: bytes) -> str:
    """The API's own name of a call: from its target (JSON), its form (query), or its verb (S3)."""
    target = headers.get("X-Amz-Target", "")
    if target:
        return str(target).rpartition(".")[2]
    form = parse_qs(body.decode("latin-1")).get("Action") if body.startswith(b"Action=") else None
    if form:
        return form[0]
    listing = "list-type=" in urlsplit(path).query
    return "ListObjectsV2" if listing else {"GET": "GetObject", "HEAD": "HeadObject"}.get(method, method)
