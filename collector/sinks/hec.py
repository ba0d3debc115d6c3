"""Splunk HTTP Event Collector: send a batch, say what its answer means, ask for acknowledgements.

    sink = HecSink(["https://splunk.example.com:8088"], token, clock=clock)
    receipt = sink.send(batch, lane=0)
    sink.ask([receipt])                  # -> [True] once it is indexed

Each lane has, at each endpoint, its own connection, channel and cookies: ackIds count per channel, and
live in one indexer's memory. A lane prefers its own endpoint and moves on to the next when that is down
or full; the failed one rests meanwhile.

Whether the token acknowledges is learnt from the answers (`ack="auto"`): an accepted POST carries an ackId
or does not. Pages: Splunk docs, "HTTP Event Collector REST API endpoints", "About HTTP Event Collector
Indexer Acknowledgment".
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from collector.accel import gzip_compress
from collector.errors import CollectorError, Fatal, Refused, Retry
from collector.model import Batch, Receipt, Slice
from collector.ports import Clock
from collector.sinks.envelope import enveloped_bytes, envelopes, render_envelopes
from collector.sinks.hec_replies import (
    ACK_DISABLED,
    CODES,
    REFUSED,
    STATUSES,
    Answer,
    error_of,
    meaning_of,
    read,
)
from collector.sinks.hec_requests import ACK, EVENT, checked_token, headers_of
from collector.sinks.wire import Endpoint, Reply, Wire

__all__ = ["REST_SECONDS", "HecSink"]

#: How long an endpoint that failed is left alone while another one works.
REST_SECONDS = 30.0

#: The token that was sent is no good, or no longer.
_NO_TOKEN = frozenset({"hec_token_disabled", "hec_token_invalid", "hec_denied"})
_MEANINGS = (*CODES.values(), *STATUSES.values())
#: Nothing was taken, and another endpoint may do better.
_ELSEWHERE = frozenset({each.code for each in _MEANINGS if each.elsewhere} | {"hec_unreachable"})
#: The endpoint is in trouble, but may have taken the batch: the engine decides when to repeat it.
_AMBIGUOUS = frozenset({"hec_timeout", "hec_connection_lost"})


class HecSink:
    """Implements `ports.Sink`. Thread safe; one sender per lane.

    `token` may be a function, asked at every request, for tokens that are rotated; when HEC refuses one,
    `renew_token` is called, and if `token` says another then, the request is made again. `rng` makes the
    channel GUIDs. `ack` is "auto", "on" (an answer without ackId is Fatal) or "off". `gzip` is "auto" (on,
    unless the endpoint is on this host), "on" or "off". `proxy_url` empty means the environment's HTTPS_PROXY
    and NO_PROXY. `ca_file` replaces the system's authorities.
    """

    name = "hec"

    def __init__(
        self, urls: Sequence[str], token: Union[str, Callable[[], str]],
        *, clock: Clock, renew_token: Callable[[], object] = lambda: None,
        rng: Optional[random.Random] = None, lanes: int = 4, ack: str = "auto", gzip: str = "auto",
        event_identity: bool = True, ca_file: str = "", tls_verify: bool = True,
        proxy_url: str = "", connect_timeout_seconds: float = 10.0, reply_timeout_seconds: float = 60.0,
    ) -> None:
        if not urls:
            raise Fatal("there is no HEC URL", code="hec_url", where="hec_url", hint="Set hec_url")
        if ack not in ("auto", "on", "off"):
            raise Fatal(f"hec_ack = {ack!r}", code="hec_ack", where="hec_ack", hint="Use auto, on or off")
        self.lanes = lanes
        self._endpoints = [Endpoint.parse(url) for url in urls]
        self._token = token
        self._renew_token = renew_token
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._ack = ack
        self._identity = event_identity
        known = {"auto": None, "on": True, "off": False}[ack]
        self._habits = {
            each.url: _Habits(acknowledges=known, gzip=gzip == "on" or (gzip == "auto" and not each.is_local))
            for each in self._endpoints
        }
        self._channels: Dict[Tuple[int, str], _Channel] = {}
        self._resting: Dict[str, float] = {}
        self._lock = threading.Lock()
        self._wire = Wire(
            ca_file=ca_file, tls_verify=tls_verify, proxy_url=proxy_url,
            connect_timeout_seconds=connect_timeout_seconds, reply_timeout_seconds=reply_timeout_seconds,
        )

    def rendered_bytes(self, piece: Slice) -> int:
        return enveloped_bytes(piece)

    def send(self, batch: Batch, *, lane: int) -> Receipt:
        """POST the batch to the lane's endpoint, or to the next ones if that has not taken it.

        Retry (hec_busy, hec_unreachable, hec_timeout, ...), Refused (hec_invalid_format, hec_too_large, ...)
        or Fatal scope "output" (hec_token_..., hec_index, hec_tls, hec_wrong_url, ...).
        """
        if not batch.count:
            return Receipt(self.name, batch.spans, self._clock.now())
        body = _Body(batch, self._identity)
        failed: Optional[Retry] = None
        for endpoint in self._awake(lane):
            try:
                return self._deliver(endpoint, body, batch, lane=lane)
            except Retry as error:
                failed = error
                if error.code in _ELSEWHERE or error.code in _AMBIGUOUS:
                    self._rest(endpoint)
                if error.code not in _ELSEWHERE:
                    raise
        assert failed is not None
        raise failed

    def ask(self, receipts: Sequence[Receipt]) -> Sequence[bool]:
        """Ask HEC about receipts of one endpoint and channel.

        An endpoint that is no longer configured is not asked (our token is not for it): False.
        """
        waiting = [receipt for receipt in receipts if receipt.ack_id is not None]
        if not waiting:
            return [True] * len(receipts)
        first = waiting[0]
        endpoint = next((each for each in self._endpoints if each.url == first.endpoint), None)
        if endpoint is None:
            return [receipt.ack_id is None for receipt in receipts]
        cookies = {name: text for receipt in waiting for name, text in receipt.cookies.items()}
        ids = [receipt.ack_id for receipt in waiting]
        answer = self._ask(endpoint, _Channel(first.channel, cookies), ids)
        if answer.acks is not None and answer.status == 200:
            true = {name for name, value in answer.acks.items() if value is True}
            return [receipt.ack_id is None or str(receipt.ack_id) in true for receipt in receipts]
        if answer.code == ACK_DISABLED and self._ack != "on":
            # Somebody turned it off: what is open can never be confirmed and will be sent again.
            self._habits[endpoint.url].acknowledges = False
            return [receipt.ack_id is None for receipt in receipts]
        raise self._side_error(endpoint, answer)

    def abandon(self, receipt: Receipt) -> None:
        """Retire the receipt's channel: an indexer that restarted never confirms what it forgot."""
        with self._lock:
            for seat, channel in list(self._channels.items()):
                if channel.guid == receipt.channel:
                    del self._channels[seat]

    def close(self) -> None:
        """Close the idle connections."""
        self._wire.close()

    # sending

    def _deliver(self, endpoint: Endpoint, body: _Body, batch: Batch, *, lane: int) -> Receipt:
        channel = self._channel(lane, endpoint)
        answer = self._post(endpoint, channel, body, lane=lane)
        if self._adapts(endpoint, answer):
            answer = self._post(endpoint, channel, body, lane=lane)
        if not answer.taken:
            refused = meaning_of(answer).fate == REFUSED
            raise error_of(
                answer, where=endpoint.url, now=self._clock.now(), count=batch.count,
                keeps_prefix=refused and not self._acknowledges(endpoint),
            )
        return self._receipt(endpoint, channel, answer, batch)

    def _post(self, endpoint: Endpoint, channel: _Channel, body: _Body, *, lane: int) -> Answer:
        habits = self._habits[endpoint.url]
        also = {"Content-Encoding": "gzip"} if habits.gzip else {}
        sent = body.packed if habits.gzip else body.plain

        def exchange(headers: Dict[str, str]) -> Reply:
            return self._wire.exchange(
                endpoint, "POST", EVENT, headers={**headers, **also}, body=sent, lane=lane
            )

        return self._answer(exchange, channel, named=habits.channel)

    def _answer(
        self, exchange: Callable[[Dict[str, str]], Reply], channel: _Channel, *, named: bool = True
    ) -> Answer:
        """What comes back; if it is that the token is no good, and there is another by now, with that one."""

        def ask(token: str) -> Answer:
            here = headers_of(token, channel=channel.guid, cookies=channel.cookies)
            reply = exchange(here if named else headers_of(token))
            channel.remember(reply.cookies)
            return read(reply)

        token = self._current_token()
        answer = ask(token)
        if not answer.taken and meaning_of(answer).code in _NO_TOKEN:
            self._renew_token()
            renewed = self._current_token()
            answer = ask(renewed) if renewed != token else answer
        return answer

    def _adapts(self, endpoint: Endpoint, answer: Answer) -> bool:
        """Whether the endpoint wants to be spoken to differently; then the request is repeated once."""
        habits = self._habits[endpoint.url]
        if answer.status == 415 and habits.gzip:
            habits.gzip = False
            return True
        if answer.code == ACK_DISABLED and self._ack != "on" and habits.channel:
            habits.channel = habits.acknowledges = False
            return True
        return False

    def _receipt(self, endpoint: Endpoint, channel: _Channel, answer: Answer, batch: Batch) -> Receipt:
        now = self._clock.now()
        if self._ack == "on" and answer.ack_id is None:
            raise error_of(Answer(answer.status, ACK_DISABLED, "no ackId"), where=endpoint.url, now=now)
        if self._ack != "off":
            self._habits[endpoint.url].acknowledges = answer.ack_id is not None
        ack_id = answer.ack_id if self._ack != "off" else None
        return Receipt(
            self.name, batch.spans, now, endpoint.url, channel.guid, ack_id, dict(channel.cookies)
        )

    def _acknowledges(self, endpoint: Endpoint) -> bool:
        """Whether the token acknowledges. Before the first accepted POST only HEC can tell; True if unsure.

        Believing in acknowledgements that are not there costs repeats; the opposite could cost events.
        """
        habits = self._habits[endpoint.url]
        if habits.acknowledges is None:
            try:
                answer = self._ask(endpoint, _Channel(self._guid()), [0])
            except CollectorError:
                return True
            if answer.code == ACK_DISABLED:
                habits.acknowledges = False
            elif answer.acks is not None:
                habits.acknowledges = True
        return habits.acknowledges is not False

    # asking

    def _ask(self, endpoint: Endpoint, channel: _Channel, ids: Sequence[Optional[int]]) -> Answer:
        body = json.dumps({"acks": list(ids)}).encode()
        return self._answer(
            lambda headers: self._wire.exchange(
                endpoint, "POST", ACK, headers=headers, body=body, errand="ask"
            ),
            channel,
        )

    def _side_error(self, endpoint: Endpoint, answer: Answer) -> CollectorError:
        """An error outside of `send`, where no event can be at fault."""
        error = error_of(answer, where=endpoint.url, now=self._clock.now())
        if isinstance(error, Refused):
            return Retry(error.what, code=error.code, where=error.where)
        return error

    # lanes, channels, endpoints

    def _current_token(self) -> str:
        return checked_token(self._token if isinstance(self._token, str) else self._token())

    def _channel(self, lane: int, endpoint: Endpoint) -> _Channel:
        with self._lock:
            seat = (lane, endpoint.url)
            if seat not in self._channels:
                self._channels[seat] = _Channel(self._guid())
            return self._channels[seat]

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _awake(self, lane: int) -> List[Endpoint]:
        """The endpoints to try, the lane's own first; if all are resting, the one that rests longest."""
        now = self._clock.monotonic()
        start = lane % len(self._endpoints)
        ordered = self._endpoints[start:] + self._endpoints[:start]
        with self._lock:
            until = {each.url: self._resting.get(each.url, now) for each in ordered}
        awake = [each for each in ordered if until[each.url] <= now]
        return awake or [min(ordered, key=lambda each: until[each.url])]

    def _rest(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._resting[endpoint.url] = self._clock.monotonic() + REST_SECONDS


@dataclass
class _Channel:
    """A client's place at one endpoint: its GUID and the cookies that lead back to the same indexer."""

    guid: str
    cookies: Dict[str, str] = field(default_factory=dict)

    def remember(self, set_cookies: Sequence[str]) -> None:
        for header in set_cookies:
            pair, _, attributes = header.partition(";")
            name, equals, text = pair.partition("=")
            if equals and "max-age=0" in attributes.replace(" ", "").lower():
                self.cookies.pop(name.strip(), None)
            elif equals:
                self.cookies[name.strip()] = text.strip()


@dataclass
class _Habits:
    """How one endpoint wants to be spoken to, as far as we know."""

    acknowledges: Optional[bool]
    gzip: bool
    channel: bool = True


@dataclass
class _Body:
    """One request's bytes, rendered when they are asked for; compressed at most once, whoever is tried.

    What is compressed is never there as a whole.
    """

    batch: Batch
    identity: bool

    @cached_property
    def plain(self) -> bytes:
        return render_envelopes(self.batch.slices, identity=self.identity)

    @cached_property
    def packed(self) -> bytes:
        return gzip_compress(envelopes(self.batch.slices, identity=self.identity))
