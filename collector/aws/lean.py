"""The two calls that every small object costs, without boto3's own work, which is most of their cost.

boto3 makes the first call of each kind, and what it sent is the pattern for the rest: host, path, signing
region and headers, so that endpoints, addressing styles, FIPS and redirects stay its business. From then on a
call is one signed request on a kept connection. Whatever is not a plain 200 is nobody's answer: `ask`
returns None and forgets the pattern, the caller asks boto3 for the same, which has retries and words for it,
and whose next success is the next pattern.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Hashable, Mapping, Optional, Tuple, Type
from urllib.parse import SplitResult, urlsplit

from collector.aws.calls import Calls
from collector.aws.connections import Answer, Asked, Connections, Endpoint
from collector.aws.sigv4 import Signer, Unsigned

__all__ = ["Lean", "Pattern"]

log = logging.getLogger("collector.aws")

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/(s3|sqs)/aws4_request,")
#: Of boto3's own request these are made anew each time, or are botocore's own affair.
_MADE = frozenset(
    "authorization x-amz-date x-amz-security-token x-amz-content-sha256 user-agent content-length "
    "amz-sdk-invocation-id amz-sdk-request x-amzn-trace-id accept-encoding connection if-match expect".split()
)


@dataclass(frozen=True)
class Pattern:
    """How boto3 makes one kind of call. `headers` are in lower case, Host among them."""

    operation: str
    endpoint: Endpoint
    path: str
    headers: Mapping[str, str]
    signer: Signer


class Lean:
    """Signed requests after boto3's pattern, as whom `credentials` says (botocore's frozen ones).

    They are asked for at each request, so they may rotate. `is_proxied(url)` says that a proxy stands before
    that URL: then boto3 does it. Thread safe.
    """

    def __init__(
        self,
        credentials: Callable[[], Any],
        *,
        ca_file: Callable[[], str],
        is_proxied: Callable[[str], bool],
        user_agent: str,
        calls: Optional[Calls] = None,
    ) -> None:
        self._credentials = credentials
        self._is_proxied = is_proxied
        self._user_agent = user_agent
        self._calls = calls or Calls()
        self._connections = Connections(ca_file)
        self._patterns: Dict[Hashable, Pattern] = {}
        self._seen = threading.local()

    def watch(self, client: Any, operation: str) -> None:
        """Have a boto3 client show what it sends for this operation ("s3.GetObject")."""

        def keep(request: Any, **_: Any) -> None:
            self._seen.request = (operation, request.url, dict(request.headers))

        ours = f"lean-{id(self)}-{operation}"
        client.meta.events.register(f"before-send.{operation}", keep, unique_id=ours)

    def learn(self, kind: Hashable, *, without: str = "") -> None:
        """boto3 has just succeeded in this thread: do the same for calls of this kind.

        `without` is the end of its path that is different each time.
        """
        operation, url, headers = getattr(self._seen, "request", None) or ("", "", {})
        self._seen.request = None
        if not url or kind in self._patterns or self._is_proxied(url):
            return
        pattern = _pattern(operation, urlsplit(url), headers, without=without)
        if pattern is not None:
            self._patterns[kind] = pattern

    def knows(self, kind: Hashable) -> bool:
        """Whether the next call of this kind is made here."""
        return kind in self._patterns

    def ask(
        self, kind: Hashable, method: str, *, path: str = "", query: str = "",
        headers: Mapping[str, str] = {}, body: bytes = b"",
    ) -> Optional[Answer]:
        """One call: an answer of 200, whose body is to be read, or None: ask boto3."""
        asked = self.begin(kind, method, path=path, query=query, headers=headers, body=body)
        return None if asked is None else self.finish(kind, asked)

    def begin(
        self, kind: Hashable, method: str, *, path: str = "", query: str = "",
        headers: Mapping[str, str] = {}, body: bytes = b"",
    ) -> Optional[Asked]:
        """Send a call whose answer `finish` waits for; None: ask boto3."""
        pattern = self._patterns.get(kind)
        if pattern is None:
            return None
        try:
            request = self._request(
                pattern, Unsigned(method, pattern.path + path, query, {**pattern.headers, **headers}, body)
            )
            asked = self._connections.send(pattern.endpoint, request)
            self._calls.add(pattern.operation)
            return asked
        except _left_to_boto3() as error:
            # No connection, or no credentials: boto3 meets it again and has the words for it.
            log.debug("%s is left to boto3: %s", kind, error)
        self.forget(kind)
        return None

    def finish(self, kind: Hashable, asked: Asked) -> Optional[Answer]:
        """The answer to what was begun, as `ask` gives it."""
        answer: Optional[Answer] = None
        try:
            answer = asked.answer()
        except (OSError, ValueError) as error:  # none, or no plain one
            log.debug("%s is left to boto3: %s", kind, error)
        if answer is not None and answer.status == 200:
            return answer
        if answer is not None:
            answer.body.close()
        self.forget(kind)
        return None

    def forget(self, kind: Hashable) -> None:
        """boto3 makes the next call of this kind."""
        self._patterns.pop(kind, None)

    def close(self) -> None:
        """Close the connections that nobody holds."""
        self._connections.close()

    def _request(self, pattern: Pattern, request: Unsigned) -> bytes:
        made = pattern.signer.headers(request, self._credentials(), at=time.gmtime())
        target = f"{request.path}?{request.query}" if request.query else request.path
        also = {"user-agent": self._user_agent, "accept-encoding": "identity"}
        if request.body:
            also["content-length"] = str(len(request.body))
        headers = {**request.headers, **made, **also}
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return f"{request.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + request.body


def _left_to_boto3() -> Tuple[Type[Exception], ...]:
    """Asked for when something is raised: botocore is loaded by then."""
    from botocore.exceptions import BotoCoreError, ClientError

    return OSError, ValueError, BotoCoreError, ClientError


def _pattern(
    operation: str, url: SplitResult, headers: Mapping[Any, Any], *, without: str
) -> Optional[Pattern]:
    said = {_text(name).lower(): _text(value) for name, value in headers.items()}
    credential = _CREDENTIAL.match(said.get("authorization", ""))
    if credential is None or not url.path.endswith(without) or url.scheme not in ("http", "https"):
        return None
    kept = {name: value for name, value in said.items() if name not in _MADE}
    port = url.port or (443 if url.scheme == "https" else 80)
    return Pattern(
        operation,
        (url.scheme, str(url.hostname), port),
        url.path[: len(url.path) - len(without)],
        {**kept, "host": url.netloc},
        Signer(*credential.groups()),
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
