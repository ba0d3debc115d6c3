"""A strict HTTP Event Collector of one's own, on loopback.

    with FakeHec() as hec:
        HecSink([hec.url], hec.token, clock=clock).send(batch, lane=0)
        assert [event["event"] for event in hec.events] == ["one", "two"]

    hec.fail_next(503, 9, times=3)            three times busy
    hec.fail_next(reset=True, after_taking=True)   takes the data, then cuts the connection
    hec.restart()                             forgets every ackId

or, as a program: `python -m collector.testing.fake_hec --port 8088 --events received.jsonl`.
hec_indexer.py is what becomes of a request's body; here are HTTP, tokens, faults and load balancing.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import gzip
import json
import os
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set
from urllib.parse import parse_qs, urlsplit

from collector.testing.hec_indexer import Indexer, Outcome, Policy, Received
from collector.testing.loopback import Server

__all__ = ["FakeHec", "Request", "Response", "main"]

TOKEN = "11111111-2222-4333-8444-555555555555"
_COLLECTOR = "/services/collector"
_EVENT = (_COLLECTOR, f"{_COLLECTOR}/event", f"{_COLLECTOR}/event/1.0")
_ACK = (f"{_COLLECTOR}/ack", f"{_COLLECTOR}/ack/1.0")
_HEALTH = (f"{_COLLECTOR}/health", f"{_COLLECTOR}/health/1.0")
_NOT_FOUND = b'{"text":"The requested URL was not found on this server.","code":404}'


@dataclass(frozen=True)
class Request:
    """What came in. Header names are lower case; `body` is decompressed where that was possible."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What goes out; `reset` cuts the connection instead."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False

    @classmethod
    def html(cls, status: int, title: str) -> Response:
        page = f"<!doctype html><html><head><title>{status} {title}</title></head><body>{title}</body></html>"
        return cls(status, page.encode(), {"Content-Type": "text/html; charset=UTF-8"})


@dataclass
class _Fault:
    """A scripted answer for the next `times` requests of one kind."""

    response: Response
    kind: str
    times: int
    after_taking: bool


class FakeHec:
    """Runs from `start` to `close`, or as a context manager. Thread safe.

    `acks` makes `token` an acknowledging one. `indexers` share the address round robin; with `cookie` (a
    name) each leads a client back to itself. `indexes` empty allows every index. `max_body_bytes` is
    compared with the request as sent. Settable while it runs: `busy`, `latency_seconds`, `policy`.
    """

    def __init__(
        self, *, token: str = TOKEN, disabled: Sequence[str] = (), acks: bool = False,
        indexes: Sequence[str] = (), indexers: int = 1, cookie: str = "", port: int = 0,
        max_body_bytes: int = 838_860_800, tls: bool = False,
    ) -> None:
        self.token, self.acks, self.cookie = token, acks, cookie
        self.policy = Policy(indexes=tuple(indexes))
        self.busy = False
        self.latency_seconds = 0.0
        self.requests: List[Request] = []
        self.calls: Counter[str] = Counter()
        self.connections = 0
        self._disabled = frozenset(disabled)
        self._max_body_bytes = max_body_bytes
        self._indexers = [Indexer(self.policy) for _ in range(indexers)]
        self._turn = 0
        self._faults: List[_Fault] = []
        self._lock = threading.Lock()
        self._port = port
        self._tls = tls
        self._server: Optional[_Server] = None
        #: PEM file of the authority to trust, while a TLS server runs.
        self.ca_file = ""

    # what it has seen

    @property
    def received(self) -> List[Received]:
        """Every indexed event: of each indexer in order."""
        with self._lock:
            return [each for indexer in self._indexers for each in indexer.received]

    @property
    def events(self) -> List[Dict[str, Any]]:
        """The envelopes of the indexed events, parsed."""
        return [each.envelope for each in self.received]

    @property
    def bodies(self) -> List[bytes]:
        """The indexed events as they stood in the request: JSON, spelled as it was sent."""
        return [each.event for each in self.received]

    @property
    def ids(self) -> List[str]:
        """`oid:seq` of every indexed event that carries them."""
        fields = [each.get("fields", {}) for each in self.events]
        return [f"{each['s3_oid']}:{each['s3_seq']}" for each in fields if "s3_oid" in each]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self._server.server_address[1] if self._server else self._port

    # what it is told

    def fail_next(
        self, status: int = 503, code: Optional[int] = None, *, times: int = 1, kind: str = "event",
        after_taking: bool = False, reset: bool = False, body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None, number: Optional[int] = None,
    ) -> None:
        """Answer the next requests of a kind ("event", "ack", "health") so; faults queue up.

        Without `code` and `body` the answer is an HTML page, as proxies send. `number` is the
        invalid-event-number. `after_taking` indexes the events first.
        """
        if code is not None:
            more = {} if number is None else {"invalid-event-number": number}
            response = Response(status, Outcome(status, code, more).body, headers or {}, reset)
        elif body is not None:
            response = Response(status, body, headers or {}, reset)
        else:
            page = Response.html(status, "Fault")
            response = Response(status, page.body, {**page.headers, **(headers or {})}, reset)
        with self._lock:
            self._faults.append(_Fault(response, kind, times, after_taking))

    def restart(self) -> None:
        """Every indexer forgets its channels and ackIds; what is indexed stays."""
        with self._lock:
            for indexer in self._indexers:
                indexer.restart()

    def heal(self) -> None:
        """Forget all scripted faults."""
        with self._lock:
            self._faults.clear()
            self.busy = False

    # one request

    def answer(self, request: Request) -> Response:
        """The whole of HEC without HTTP; `request.body` is as it was sent."""
        path = urlsplit(request.path).path
        with self._lock:
            self.calls[f"{request.method} {path}"] += 1
            kind = "event" if path in _EVENT else "ack" if path in _ACK else "health"
            fault = self._fault(kind)
            plain = _decompressed(request)
            shown = request.body if plain is None else plain
            self.requests.append(Request(request.method, request.path, request.headers, shown))
            if fault is not None and not fault.after_taking:
                return fault.response
            response = self._answer(request, path, plain)
            return fault.response if fault is not None else response

    def _fault(self, kind: str) -> Optional[_Fault]:
        fault = next((each for each in self._faults if each.kind == kind), None)
        if fault is not None:
            fault.times -= 1
            if not fault.times:
                self._faults.remove(fault)
        return fault

    def _answer(self, request: Request, path: str, plain: Optional[bytes]) -> Response:
        known = path in _EVENT + _ACK + _HEALTH
        if request.method == "OPTIONS":
            return Response(200, b"", {"Allow": "POST,OPTIONS"})
        if not known:
            return Response(404, _NOT_FOUND)
        if path in _HEALTH:
            return _json(Outcome(503, 18) if self.busy else Outcome(200, 17))
        if request.method != "POST":
            return Response(405, _NOT_FOUND, {"Allow": "POST,OPTIONS"})
        return self._collect(request, path, plain)

    def _collect(self, request: Request, path: str, plain: Optional[bytes]) -> Response:
        refusal = self._authorise(request)
        if refusal is not None:
            return _json(refusal)
        if plain is None:
            return Response.html(415, "Unsupported Media Type")
        if len(request.body) > self._max_body_bytes:
            return Response.html(413, "Request Entity Too Large")
        if self.busy:
            return _json(Outcome(503, 9))
        return self._index(request, path, plain)

    def _index(self, request: Request, path: str, plain: bytes) -> Response:
        channel = request.headers.get("x-splunk-request-channel", "")
        channel = channel or "".join(parse_qs(urlsplit(request.path).query).get("channel", [""]))
        number = self._pick(request)
        indexer, now = self._indexers[number], time.monotonic()
        if path in _EVENT:
            outcome = indexer.take(plain, channel=channel, acks=self.acks, now=now)
        elif not self.acks:
            outcome = Outcome(400, 14)
        elif not channel:
            outcome = Outcome(400, 10)
        else:
            outcome = indexer.asked(plain, channel=channel, now=now)
        cookie = {"Set-Cookie": f"{self.cookie}=indexer-{number}; Path=/; HttpOnly"} if self.cookie else {}
        return _json(outcome, cookie)

    def _pick(self, request: Request) -> int:
        """The indexer that the client's cookie names, else the next in turn."""
        for pair in request.headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if self.cookie and name == self.cookie and value.startswith("indexer-"):
                return int(value[len("indexer-") :]) % len(self._indexers)
        self._turn += 1
        return (self._turn - 1) % len(self._indexers)

    def _authorise(self, request: Request) -> Optional[Outcome]:
        header = request.headers.get("authorization", "")
        scheme, _, token = header.partition(" ")
        if not header:
            return Outcome(401, 2)
        if scheme == "Basic":
            token = _basic_password(token)
        elif scheme != "Splunk" or not token:
            return Outcome(401, 3)
        if token in self._disabled:
            return Outcome(403, 1)
        return None if token == self.token else Outcome(403, 4)

    # its life

    def start(self) -> FakeHec:
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        if self._tls:
            self._server.socket = self._certified().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def close(self) -> None:
        """Stop listening and cut every connection. `start` listens on the same port again."""
        if self._server is not None:
            self._server.shutdown()
            self._server.cut()
            self._server.server_close()
            self._server = None
        if self.ca_file:
            os.unlink(self.ca_file)
            self.ca_file = ""

    def __enter__(self) -> FakeHec:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _certified(self) -> ssl.SSLContext:
        from collector.testing.certificate import self_signed

        with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
            file.write(self_signed("127.0.0.1"))
        self.ca_file = file.name
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
        return context


class _Server(Server):
    def __init__(self, address: Any, hec: FakeHec) -> None:
        super().__init__(address, _Conversation)
        self.hec = hec
        self.open: Set[socket.socket] = set()

    def cut(self) -> None:
        for each in list(self.open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)
        self.server.hec.connections += 1

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        hec = self.server.hec
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # who asked is gone, in the middle of it: this was no request
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        if hec.latency_seconds:
            time.sleep(hec.latency_seconds)
        response = hec.answer(Request(self.command, self.path, headers, body))
        if response.reset:
            self._reset()
            return
        self._send(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _serve

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in {"Content-Type": "application/json", **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def _reset(self) -> None:
        """RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.server.open.discard(self.connection)
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in `requests`."""


def _json(outcome: Outcome, headers: Optional[Mapping[str, str]] = None) -> Response:
    return Response(outcome.status, outcome.body, headers or {})


def _decompressed(request: Request) -> Optional[bytes]:
    """The body in plain; None for an encoding that HEC does not take: gzip is the only one."""
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding == "gzip":
        try:
            return gzip.decompress(request.body)
        except (OSError, EOFError, zlib.error):
            return b"\x00"
    return request.body if encoding in ("", "identity") else None


def _basic_password(token: str) -> str:
    try:
        return base64.b64decode(token).decode("utf-8", "replace").partition(":")[2]
    except binascii.Error:
        return ""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until SIGINT or SIGTERM; the first line of stdout is JSON with url, token and ca_file."""
    parser = argparse.ArgumentParser(prog="python -m collector.testing.fake_hec", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--acks", action="store_true", help="the token acknowledges")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own")
    parser.add_argument("--events", default="", help="write what is indexed to this file at the end")
    chosen = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with FakeHec(token=chosen.token, acks=chosen.acks, tls=chosen.tls, port=chosen.port) as hec:
        print(json.dumps({"url": hec.url, "token": hec.token, "ca_file": hec.ca_file}), flush=True)
        try:
            while True:
                time.sleep(1.0)  # a signal that another thread was given does not end a wait without end
        except KeyboardInterrupt:
            print(f"{len(hec.events)} events", file=sys.stderr)
        if chosen.events:
            with open(chosen.events, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in hec.events)
    return 0


if __name__ == "__main__":
    sys.exit(main())
