"""An endpoint before the local AWS that answers some calls in AWS's own words: what no emulator does.

    with Altered(aws.endpoint_url) as altered:
        altered.refuse("s3", "GetObject", "AccessDenied", "User ... because no session policy allows ...")

Everything else passes as it came: Host too, which signatures cover.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Mapping
from urllib.parse import parse_qs, urlsplit

__all__ = ["Altered"]

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([a-z0-9-]+)/aws4_request")
_ERRORS = {
    "s3": "<Error><Code>{code}</Code><Message>{message}</Message></Error>",
    "sts": "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>",
}


@dataclass(frozen=True)
class _Rule:
    service: str
    operation: str
    code: str = ""
    message: str = ""
    status: int = 403
    headers: Mapping[str, str] = field(default_factory=dict)
    only_with_header: str = ""


class Altered:
    """Runs as a context manager. Thread safe enough for one client."""

    def __init__(self, origin: str) -> None:
        self.origin = urlsplit(origin).netloc
        self.rules: List[_Rule] = []
        self.asked = 0
        #: The session policies that were sent to STS, as they were sent.
        self.session_policies: List[str] = []
        self._server = _Server(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def refuse(
        self, service: str, operation: str, code: str, message: str, *, status: int = 403,
        headers: Mapping[str, str] = {}, only_with_header: str = "",
    ) -> None:
        """Answer this operation with an error; `headers` go with it."""
        self.rules.append(_Rule(service, operation, code, message, status, headers, only_with_header))

    def say(self, service: str, operation: str, **headers: str) -> None:
        """Pass this operation, with headers of its answer changed."""
        self.rules.append(_Rule(service, operation, headers=headers))

    def __enter__(self) -> Altered:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Any, altered: Altered) -> None:
        super().__init__(address, _Conversation)
        self.altered = altered

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is part of the game."""


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.altered.asked += 1
        service, operation = self._asked(body)
        rules = self.server.altered.rules
        rule = next((each for each in rules if self._fits(each, service, operation)), None)
        if rule is not None and rule.code:
            self._answer(rule.status, dict(rule.headers), _error(rule))
            return
        connection = http.client.HTTPConnection(self.server.altered.origin, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        headers.update(rule.headers if rule is not None else {})
        self._answer(answer.status, headers, content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _fits(self, rule: _Rule, service: str, operation: str) -> bool:
        asked = (rule.service, rule.operation) == (service, operation)
        return asked and (not rule.only_with_header or rule.only_with_header in self.headers)

    def _asked(self, body: bytes) -> Any:
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        service = scope.group(1) if scope else ""
        if service == "sts":
            said = parse_qs(body.decode())
            self.server.altered.session_policies += said.get("Policy", [])
            return service, said.get("Action", [""])[0]
        if service == "s3":
            return service, _of_s3(self.path)
        return service, self.headers.get("X-Amz-Target", "").rpartition(".")[2]

    def _answer(self, status: int, headers: Dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


def _of_s3(path: str) -> str:
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    if "list-type" in query:
        return "ListObjectsV2"
    if "location" in query:
        return "GetBucketLocation"
    return "GetObjectVersion" if "versionId" in query else "GetObject"


def _error(rule: _Rule) -> bytes:
    if rule.service in _ERRORS:
        return _ERRORS[rule.service].format(code=rule.code, message=rule.message).encode()
    code = f"com.amazonaws.{rule.service}#{rule.code}"
    return json.dumps({"__type": code, "message": rule.message}).encode()
