"""What each answer of HEC means to us: one table of its codes, one of bare HTTP statuses.

Page: Splunk docs, "Troubleshoot HTTP Event Collector", possible error codes. HEC's own code, where the
body carries one, decides; proxies and load balancers answer with a status and HTML.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Mapping, Optional

from collector.errors import CollectorError, Fatal, Refused, Retry
from collector.sinks.wire import Reply

__all__ = [
    "ACK_DISABLED", "CODES", "HEALTHY", "NO_DATA", "STATUSES", "Answer", "Meaning", "error_of", "meaning_of",
    "read",
]

RETRY, REFUSED, FATAL = "retry", "refused", "fatal"
#: The codes that are answers to a question of ours.
NO_DATA, ACK_DISABLED, HEALTHY = 5, 14, 17
#: A wish to wait longer than this is a mistake somewhere.
_LONGEST_WAIT_SECONDS = 3600.0
_EXCERPT_CHARS = 160


@dataclass(frozen=True)
class Meaning:
    """`elsewhere` says that nothing was taken and another endpoint may do better."""

    fate: str
    code: str
    what: str
    hint: str
    elsewhere: bool = False


_TOKEN = "Look at Settings > Data inputs > HTTP Event Collector in Splunk, and at hec_token"
_WAIT = "Splunk's queues are full or it restarts; sending goes on by itself"
_EVENT = "The event goes to quarantine: see audit-s3 quarantine list"
_CHANNEL = "hec_ack needs sticky sessions on a load balancer in front of several indexers"
_URL = "hec_url is https://HOST:8088, where HEC listens; not Splunk Web (8000) and not splunkd (8089)"
_ACK = "Enable indexer acknowledgement on the token, or set hec_ack = auto"

CODES: Mapping[int, Meaning] = {
    1: Meaning(FATAL, "hec_token_disabled", "the HEC token is disabled", _TOKEN),
    2: Meaning(FATAL, "hec_token_missing", "HEC saw no token", "A proxy may strip Authorization. " + _TOKEN),
    3: Meaning(FATAL, "hec_token_invalid", "HEC does not understand the authorization", _TOKEN),
    4: Meaning(FATAL, "hec_token_invalid", "HEC does not know the token", _TOKEN),
    5: Meaning(FATAL, "hec_no_data", "HEC saw an empty request", "Look whether a proxy drops bodies or gzip"),
    6: Meaning(REFUSED, "hec_invalid_format", "HEC cannot read an event", _EVENT),
    7: Meaning(
        FATAL, "hec_index", "the token may not write to the index of an event",
        "Add the index to the token's allowed indexes in Splunk, or correct index and routes",
    ),
    8: Meaning(RETRY, "hec_internal_error", "HEC had an internal error", "See splunkd.log on the indexer"),
    9: Meaning(RETRY, "hec_busy", "HEC is busy", _WAIT, elsewhere=True),
    10: Meaning(FATAL, "hec_channel_missing", "HEC saw no channel", "Look whether a proxy strips headers"),
    11: Meaning(FATAL, "hec_channel_invalid", "HEC does not accept the channel", _CHANNEL),
    12: Meaning(REFUSED, "hec_event_missing", "HEC found an envelope without an event", _EVENT),
    13: Meaning(REFUSED, "hec_event_blank", "HEC takes no blank event", _EVENT),
    14: Meaning(FATAL, "hec_ack_disabled", "the token has no indexer acknowledgement", _ACK),
    15: Meaning(REFUSED, "hec_fields", "HEC cannot handle the indexed fields", _EVENT),
    16: Meaning(FATAL, "hec_query_token", "HEC takes no token in the URL", "Take the query out of hec_url"),
    17: Meaning(FATAL, "hec_wrong_url", "a health page answers where HEC should", _URL),
    18: Meaning(RETRY, "hec_queues_full", "HEC's queues are full", _WAIT, elsewhere=True),
    19: Meaning(RETRY, "hec_ack_unavailable", "HEC's ack service is unavailable", _WAIT, elsewhere=True),
    20: Meaning(RETRY, "hec_unhealthy", "HEC's queues are full and acks unavailable", _WAIT, elsewhere=True),
    21: Meaning(FATAL, "hec_token_invalid", "HEC does not know the token", _TOKEN),
    22: Meaning(FATAL, "hec_token_disabled", "the HEC token is disabled", _TOKEN),
    23: Meaning(RETRY, "hec_shutting_down", "Splunk is shutting down", _WAIT, elsewhere=True),
    24: Meaning(RETRY, "hec_near_capacity", "HEC's queue is almost full", _WAIT, elsewhere=True),
    25: Meaning(RETRY, "hec_near_capacity", "HEC's ack channel is almost full", _WAIT, elsewhere=True),
    26: Meaning(RETRY, "hec_at_capacity", "HEC's queue is full", _WAIT, elsewhere=True),
    27: Meaning(RETRY, "hec_at_capacity", "HEC's ack channel is full", _WAIT, elsewhere=True),
    28: Meaning(FATAL, "hec_channel_missing", "HEC wants a channel and sticky sessions", _CHANNEL),
}

_GATEWAY = Meaning(RETRY, "hec_gateway", "what stands before HEC cannot reach it", _WAIT, elsewhere=True)
_UNAVAILABLE = Meaning(RETRY, "hec_unavailable", "HEC is unavailable", _WAIT, elsewhere=True)
_WRONG_URL = Meaning(FATAL, "hec_wrong_url", "something else than HEC answers", _URL)
_DENIED = Meaning(FATAL, "hec_denied", "something before HEC denies us", "Ask who runs the proxy. " + _TOKEN)

STATUSES: Mapping[int, Meaning] = {
    401: _DENIED,
    403: _DENIED,
    404: _WRONG_URL,
    405: _WRONG_URL,
    407: Meaning(FATAL, "hec_proxy", "the proxy wants to know us", "Put user:password@ into proxy_url"),
    408: Meaning(RETRY, "hec_timeout", "HEC waited too long for the request", _WAIT),
    411: _WRONG_URL,
    413: Meaning(REFUSED, "hec_too_large", "HEC finds the request too large", "Lower batch_max_bytes"),
    415: Meaning(FATAL, "hec_encoding", "HEC does not take the request's encoding", "Set hec_gzip = off"),
    429: Meaning(RETRY, "hec_busy", "HEC wants us to slow down", _WAIT, elsewhere=True),
    500: Meaning(RETRY, "hec_internal_error", "HEC had an internal error", "See splunkd.log on the indexer"),
    502: _GATEWAY,
    503: _UNAVAILABLE,
    504: Meaning(RETRY, "hec_gateway", "what stands before HEC gave up waiting for it", _WAIT),
}

_OTHER_SERVER_ERROR = Meaning(RETRY, "hec_server_error", "HEC failed", _WAIT)
_OTHER_CLIENT_ERROR = Meaning(
    FATAL, "hec_unexpected", "HEC gave an answer we do not know", "Nothing was deleted. " + _URL
)


@dataclass(frozen=True)
class Answer:
    """A Reply as HEC means it; code None where the body is not HEC's."""

    status: int
    code: Optional[int] = None
    text: str = ""
    ack_id: Optional[int] = None
    event_number: Optional[int] = None
    acks: Optional[Mapping[str, bool]] = None
    retry_after: str = ""

    @property
    def taken(self) -> bool:
        """Only HEC's own word counts: a login page of something else answers 200 too."""
        return self.status == 200 and self.code == 0


def read(reply: Reply) -> Answer:
    """Never raises: a body that is not HEC's JSON leaves only the status."""
    body = _json_object(reply.body)
    if body is None:
        excerpt = reply.body.decode("utf-8", "replace")[:_EXCERPT_CHARS]
        return Answer(reply.status, text=excerpt, retry_after=reply.retry_after)
    acks = body.get("acks")
    return Answer(
        reply.status, _whole(body.get("code")), str(body.get("text", "")), _whole(body.get("ackId")),
        _whole(body.get("invalid-event-number")), acks if isinstance(acks, dict) else None,
        reply.retry_after,
    )


def meaning_of(answer: Answer) -> Meaning:
    """What an answer that is not success means."""
    if answer.code is not None and answer.code in CODES:
        return CODES[answer.code]
    if answer.status in STATUSES:
        return STATUSES[answer.status]
    if answer.status < 400:
        return _WRONG_URL
    return _OTHER_SERVER_ERROR if answer.status >= 500 else _OTHER_CLIENT_ERROR


def error_of(
    answer: Answer, *, where: str, now: float, count: int = 0, keeps_prefix: bool = False
) -> CollectorError:
    """The error that an answer is. `now` is epoch seconds, for a Retry-After that is a date.

    `count` is how many events were sent. `keeps_prefix` says that the events before a refused one count
    as accepted: true only without indexer acknowledgement.
    """
    meaning = meaning_of(answer)
    what = f"{meaning.what} (HTTP {answer.status}{_named(answer)})"
    if meaning.fate == RETRY:
        after = _seconds(answer.retry_after, now)
        return Retry(what, code=meaning.code, where=where, hint=meaning.hint, after_seconds=after)
    if meaning.fate == FATAL:
        return Fatal(what, code=meaning.code, where=where, hint=meaning.hint, scope="output")
    offender = answer.event_number
    if answer.code is None or offender is None or not 0 <= offender < count:
        offender = None
    accepted = offender if keeps_prefix and offender else 0
    return Refused(
        what, code=meaning.code, where=where, hint=meaning.hint, accepted=accepted, offender=offender
    )


def _named(answer: Answer) -> str:
    """HEC's own words. A foreign page's are cut short and kept on one line."""
    words = " ".join(answer.text.split())[:_EXCERPT_CHARS]
    number = f", code {answer.code}" if answer.code is not None else ""
    printable = "".join(char if char.isprintable() else "?" for char in words)
    return f"{number}: {printable}" if printable else number


def _seconds(retry_after: str, now: float) -> Optional[float]:
    """Retry-After is seconds or an HTTP date (RFC 9110, 10.2.3); anything else is no wish."""
    text = retry_after.strip()
    try:
        wished = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(wished, 0.0), _LONGEST_WAIT_SECONDS)


def _json_object(body: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole(value: object) -> Optional[int]:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) else None
