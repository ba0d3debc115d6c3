"""What an indexer does with a HEC request, as strictly as Splunk where a client can tell the difference.

No sockets here: bytes in, an Outcome out. fake_hec.py puts it behind HTTP. The habits that matter:

* envelopes before a bad one are indexed, and `invalid-event-number` names the bad one (code 7: the one
  after it);
* an unknown envelope key is answered with 200, and from that object on nothing is indexed;
* with acknowledgement every accepted request gets an ackId, counted from 0 per channel; an id that was
  once reported true is forgotten, and a restart forgets them all.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Tuple

__all__ = ["TEXTS", "Indexer", "Outcome", "Policy", "Received"]

TEXTS: Mapping[int, str] = {
    0: "Success", 1: "Token disabled", 2: "Token is required", 3: "Invalid authorization",
    4: "Invalid token", 5: "No data", 6: "Invalid data format", 7: "Incorrect index",
    8: "Internal server error", 9: "Server is busy", 10: "Data channel is missing",
    11: "Invalid data channel", 12: "Event field is required", 13: "Event field cannot be blank",
    14: "ACK is disabled", 15: "Error in handling indexed fields",
    16: "Query string authorization is not enabled", 17: "HEC is healthy",
    18: "HEC is unhealthy, queues are full", 19: "HEC is unhealthy, ack service unavailable",
    20: "HEC is unhealthy, queues are full, ack service unavailable", 21: "Invalid token",
    22: "Token disabled", 23: "Server is shutting down", 24: "Queue approaching capacity",
    25: "ACK channel approaching capacity", 26: "Queue at capacity", 27: "ACK channel at capacity",
    28: "Data channel is missing. If you have multiple indexers, sticky session load balancers must be "
        "provisioned",
}

_KEYS = frozenset({"time", "host", "source", "sourcetype", "index", "event", "fields"})
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")
_SCALARS = (str, int, float, bool)


class Received(NamedTuple):
    """One indexed event: its envelope as parsed, and its `event` as it was spelled in the request."""

    envelope: Dict[str, Any]
    event: bytes
    channel: str


@dataclass(frozen=True)
class Outcome:
    """HEC's answer."""

    status: int
    code: int
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        text = TEXTS.get(self.code, "")
        return json.dumps({"text": text, "code": self.code, **self.more}).encode()


@dataclass
class Policy:
    """`indexes` empty allows all. `ack_delay_seconds` passes before an accepted request reads true."""

    indexes: Sequence[str] = ()
    max_event_bytes: int = 5 * 1024 * 1024
    ack_delay_seconds: float = 0.0
    hold_acks: bool = False


class Indexer:
    """One indexer behind the load balancer. Not thread safe: its owner holds a lock."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.received: List[Received] = []
        self._channels: Dict[str, _Channel] = {}

    def take(self, body: bytes, *, channel: str, acks: bool, now: float) -> Outcome:
        """Index what can be indexed of a POST to /services/collector/event."""
        if acks and not channel:
            return Outcome(400, 10)
        taken: List[Received] = []
        try:
            for received in self._accepted(body, channel):
                taken.append(received)
        except _BadEnvelope as bad:
            self.received += taken
            return Outcome(400, bad.code, {"invalid-event-number": bad.number})
        except _SilentStop:
            # As the real one: success, and from here on nothing is indexed.
            pass
        self.received += taken
        if not taken:
            return Outcome(400, 5)
        if not acks:
            return Outcome(200, 0)
        place = self._channels.setdefault(channel, _Channel())
        return Outcome(200, 0, {"ackId": place.issue(now + self.policy.ack_delay_seconds)})

    def asked(self, body: bytes, *, channel: str, now: float) -> Outcome:
        """Answer a POST to /services/collector/ack. What is reported true is forgotten."""
        try:
            ids = json.loads(body)["acks"]
            wanted = [int(each) for each in ids]
        except (ValueError, KeyError, TypeError):
            return Outcome(400, 6)
        place = self._channels.setdefault(channel, _Channel())
        held = self.policy.hold_acks
        return Outcome(200, 0, {"acks": {str(each): not held and place.redeem(each, now) for each in wanted}})

    def restart(self) -> None:
        """Indexed events stay; channels and ackIds were in memory."""
        self._channels.clear()

    def _accepted(self, body: bytes, channel: str) -> Iterator[Received]:
        text = body.decode("utf-8", "surrogateescape")
        number = 0
        for number, (envelope, event) in enumerate(_envelopes(text)):
            if not _KEYS.issuperset(envelope):
                raise _SilentStop
            if "event" not in envelope and "fields" in envelope:
                continue
            self._judge(envelope, event, number)
            yield Received(envelope, event.encode("utf-8", "surrogateescape"), channel)

    def _judge(self, envelope: Dict[str, Any], event: str, number: int) -> None:
        if envelope.get("event") is None:
            raise _BadEnvelope(12, number)
        if envelope["event"] == "":
            raise _BadEnvelope(13, number)
        if len(event.encode("utf-8", "surrogateescape")) > self.policy.max_event_bytes:
            raise _BadEnvelope(6, number)
        if not _is_time(envelope.get("time", 0)) or not _has_names(envelope):
            raise _BadEnvelope(6, number)
        if not _is_flat(envelope.get("fields", {})):
            raise _BadEnvelope(15, number)
        allowed = self.policy.indexes
        if allowed and envelope.get("index", allowed[0]) not in allowed:
            raise _BadEnvelope(7, number + 1)


@dataclass
class _Channel:
    issued: int = 0
    open: Dict[int, float] = field(default_factory=dict)

    def issue(self, true_at: float) -> int:
        number = self.issued
        self.issued += 1
        self.open[number] = true_at
        return number

    def redeem(self, number: int, now: float) -> bool:
        if self.open.get(number, now + 1) > now:
            return False
        del self.open[number]
        return True


class _BadEnvelope(Exception):
    def __init__(self, code: int, number: int) -> None:
        super().__init__(code, number)
        self.code, self.number = code, number


class _SilentStop(Exception):
    """An unknown envelope key."""


def _envelopes(text: str) -> Iterator[Tuple[Dict[str, Any], str]]:
    """Each envelope with the spelling of its event: concatenated objects, or one array of them."""
    position = _skip(text, 0)
    in_array = text[position : position + 1] == "["
    position = _skip(text, position + 1) if in_array else position
    number = 0
    while position < len(text) and not (in_array and text[position] == "]"):
        try:
            envelope, event, position = _envelope(text, position)
        except (ValueError, RecursionError):
            raise _BadEnvelope(6, number) from None
        yield envelope, event
        number += 1
        position = _skip(text, position)
        if in_array and text[position : position + 1] == ",":
            position = _skip(text, position + 1)


def _envelope(text: str, position: int) -> Tuple[Dict[str, Any], str, int]:
    """One object, walked key by key so that the event's own spelling is known. ValueError if malformed."""
    start, event = position, ""
    envelope: Dict[str, Any] = {}
    position = _skip(text, _expect(text, position, "{"))
    while text[position : position + 1] != "}":
        if envelope:
            position = _skip(text, _expect(text, position, ","))
        key, position = _DECODER.raw_decode(text, position)
        if not isinstance(key, str):
            raise ValueError("a key is a string")
        begin = _skip(text, _expect(text, _skip(text, position), ":"))
        envelope[key], end = _DECODER.raw_decode(text, begin)
        event = text[begin:end] if key == "event" else event
        position = _skip(text, end)
    if any("\ud800" <= char <= "\udfff" for char in text[start:position] if char > "\x7f"):
        raise ValueError("not UTF-8")
    return envelope, event, position + 1


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _expect(text: str, position: int, char: str) -> int:
    if text[position : position + 1] != char:
        raise ValueError(f"{char} expected")
    return position + 1


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _is_time(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return value >= 0 if isinstance(value, (int, float)) else bool(_NUMBER.match(str(value)))


def _has_names(envelope: Mapping[str, Any]) -> bool:
    values: List[Optional[Any]] = [envelope.get(key) for key in ("host", "source", "sourcetype", "index")]
    return all(value is None or isinstance(value, str) for value in values)


def _is_flat(fields: Any) -> bool:
    """Scalars, or lists of scalars."""
    if not isinstance(fields, dict):
        return False
    leaves = [leaf for value in fields.values() for leaf in (value if isinstance(value, list) else [value])]
    return all(isinstance(leaf, _SCALARS) for leaf in leaves)
