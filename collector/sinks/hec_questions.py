"""What only `audit-s3 check` asks of HEC: one question at a time, and nothing is indexed by any.

Pages: Splunk docs, "HTTP Event Collector REST API endpoints", "About HTTP Event Collector Indexer
Acknowledgment" (which wants sticky sessions of a load balancer).
"""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import Callable, Mapping, Sequence, Tuple

from collector.sinks.hec_replies import ACK_DISABLED, HEALTHY, NO_DATA, Answer, error_of, read
from collector.sinks.hec_requests import ACK, EVENT, HEALTH, checked_token, headers_of
from collector.sinks.wire import Endpoint, Reply, Wire

__all__ = ["HecQuestions"]

class HecQuestions:
    """The endpoint of one HEC URL. `token` is asked at every request."""

    def __init__(self, url: str, token: Callable[[], str], *, wire: Wire) -> None:
        self._endpoint = Endpoint.parse(url)
        self.url = self._endpoint.url
        self._token = token
        self._wire = wire
        self._channel = str(uuid.uuid4())

    def health(self) -> str:
        """HEC's own words of how it is; raises what stands before it, and that it is too busy.

        Any other answer proves nothing, as not everything before HEC passes this path on: `token` decides.
        """
        answer = read(self._ask("GET", HEALTH))
        if answer.status in (429, 503):
            raise error_of(answer, where=self.url, now=time.time())
        return answer.text if answer.code == HEALTHY else f"HTTP {answer.status}"

    def token(self) -> None:
        """POST nothing: "no data" proves that the token is good."""
        self._raise_unless(read(self._ask("POST", EVENT)), NO_DATA)

    def acknowledges(self, *, must: bool) -> bool:
        """Whether the token has indexer acknowledgement; raises if it has not, and `must`."""
        answer = self._asked_for_acks({})[0]
        if answer.acks is not None:
            return True
        self._raise_unless(answer, 0 if must else ACK_DISABLED)
        return False

    def cookies(self) -> Tuple[Mapping[str, str], Mapping[str, str]]:
        """The cookies that the first answer sets, and those that come when they are sent back."""
        first = self._asked_for_acks({})[1]
        return first, self._asked_for_acks(first)[1] if first else {}

    def addresses(self) -> Sequence[str]:
        """What the endpoint's name leads to; empty if it is not ours to ask (a proxy does)."""
        try:
            found = socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        families = {family for family, *_ in found}
        wanted = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
        return sorted({str(address[0]) for family, _, _, _, address in found if family == wanted})

    def _asked_for_acks(self, cookies: Mapping[str, str]) -> Tuple[Answer, Mapping[str, str]]:
        reply = self._ask("POST", ACK, body=json.dumps({"acks": [0]}).encode(), cookies=cookies)
        return read(reply), _set(reply)

    def _ask(self, method: str, path: str, *, body: bytes = b"", cookies: Mapping[str, str] = {}) -> Reply:
        headers = headers_of(checked_token(self._token()), channel=self._channel, cookies=cookies)
        return self._wire.exchange(self._endpoint, method, path, headers=headers, body=body, errand="check")

    def _raise_unless(self, answer: Answer, good: int) -> None:
        if not answer.taken and answer.code != good:
            raise error_of(answer, where=self.url, now=time.time())


def _set(reply: Reply) -> Mapping[str, str]:
    pairs = (header.partition(";")[0].partition("=") for header in reply.cookies)
    return {name.strip(): text.strip() for name, equals, text in pairs if equals}
