"""HecSink against a strict HEC over real sockets: acknowledgement, faults, failover, TLS, proxies."""

from __future__ import annotations

import socket
import threading
from typing import Any, Iterator, List

import pytest

from collector.errors import CollectorError, Fatal, Refused, Retry
from collector.model import Receipt
from collector.sinks.hec import REST_SECONDS, HecSink
from collector.sinks.hec_questions import HecQuestions
from collector.sinks.wire import Wire
from collector.testing.fake_hec import FakeHec
from collector.testing.twins import ManualClock
from tests.unit.sinks.batches import batch_of

EVENT, ACK = "POST /services/collector/event", "POST /services/collector/ack"


@pytest.fixture
def hec() -> Iterator[FakeHec]:
    with FakeHec() as server:
        yield server


@pytest.fixture
def acking() -> Iterator[FakeHec]:
    with FakeHec(acks=True) as server:
        yield server


def _sink(*servers: FakeHec, **settings: Any) -> HecSink:
    """A sink as it is where a network lies between; `settings` are those of HecSink."""
    given = {"clock": ManualClock(), "reply_timeout_seconds": 5.0, "token": servers[0].token, "gzip": "on"}
    settings = {**given, **settings}
    return HecSink([server.url for server in servers], **settings)


def _failure(sink: HecSink, *bodies: bytes, lane: int = 0) -> CollectorError:
    with pytest.raises(CollectorError) as caught:
        sink.send(batch_of(*bodies or (b"one",)), lane=lane)
    return caught.value


def test_requests_are_gzip_with_token_and_channel(hec: FakeHec) -> None:
    receipt = _sink(hec).send(batch_of(b"one"), lane=0)
    headers = hec.requests[0].headers
    assert headers["content-encoding"] == "gzip"
    assert headers["authorization"] == f"Splunk {hec.token}"
    assert headers["x-splunk-request-channel"] == receipt.channel


@pytest.mark.parametrize(("gzip", "host", "packed"), [
    ("auto", "127.0.0.1", False), ("auto", "127.0.0.2", False), ("auto", "LOCALHOST", False),
    ("auto", "hec.example.com", True), ("auto", "127.0.0.1.example.com", True),
    ("on", "127.0.0.1", True), ("off", "hec.example.com", False),
])
def test_unless_told_otherwise_it_compresses_for_a_network_and_not_for_its_own_host(
    hec: FakeHec, gzip: str, host: str, packed: bool
) -> None:
    proxy = _Proxy(hec)
    sink = HecSink(
        [f"http://{host}:{hec.port}"], hec.token, clock=ManualClock(), gzip=gzip,
        proxy_url=f"http://{proxy.address}",
    )
    sink.send(batch_of(b"one"), lane=0)
    proxy.close()
    assert ("content-encoding" in hec.requests[0].headers) is packed
    assert [event["event"] for event in hec.events] == ["one"]


def test_a_lane_keeps_its_connection(hec: FakeHec) -> None:
    sink = _sink(hec)
    for _ in range(5):
        sink.send(batch_of(b"one"), lane=0)
    assert hec.connections == 1


def test_a_connection_that_the_server_closed_while_idle_costs_neither_an_error_nor_a_repeat(
    hec: FakeHec,
) -> None:
    sink = _sink(hec)
    sink.send(batch_of(b"one"), lane=0)
    hec.close()
    hec.start()
    sink.send(batch_of(b"two"), lane=0)
    assert [event["event"] for event in hec.events] == ["one", "two"]


def test_a_token_may_change_between_requests(hec: FakeHec) -> None:
    token = ["old"]
    sink = _sink(hec, token=lambda: token[0])
    assert _failure(sink).code == "hec_token_invalid"
    token[0] = hec.token
    sink.send(batch_of(b"one"), lane=0)
    assert len(hec.events) == 1


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "caf\u00e9"])
def test_an_impossible_token_is_not_sent_and_not_printed(hec: FakeHec, token: str) -> None:
    error = _failure(_sink(hec, token=token))
    assert (type(error), error.code) == (Fatal, "hec_token_invalid")
    assert not token or token not in str(error)
    assert not hec.requests


def test_a_batch_without_events_is_delivered_without_a_request(hec: FakeHec) -> None:
    assert _sink(hec).send(batch_of(), lane=0).ack_id is None
    assert not hec.requests


# acknowledgement


def test_ack_ids_count_per_lane_and_are_asked_about_on_their_channel(acking: FakeHec) -> None:
    sink = _sink(acking)
    receipts = [sink.send(batch_of(b"x"), lane=lane) for lane in (0, 1, 0)]
    assert [receipt.ack_id for receipt in receipts] == [0, 0, 1]
    assert receipts[0].channel == receipts[2].channel != receipts[1].channel
    assert sink.ask([receipts[0], receipts[2]]) == [True, True]
    assert sink.ask([receipts[1]]) == [True]


def test_what_was_told_once_is_false_ever_after(acking: FakeHec) -> None:
    sink = _sink(acking)
    receipt = sink.send(batch_of(b"x"), lane=0)
    assert sink.ask([receipt]) == [True]
    assert sink.ask([receipt]) == [False]


def test_a_pending_receipt_is_false(acking: FakeHec) -> None:
    acking.policy.hold_acks = True
    sink = _sink(acking)
    receipt = sink.send(batch_of(b"x"), lane=0)
    assert sink.ask([receipt]) == [False]
    acking.policy.hold_acks = False
    assert sink.ask([receipt]) == [True]


def test_a_restarted_indexer_confirms_nothing_until_the_channel_is_abandoned(acking: FakeHec) -> None:
    sink = _sink(acking)
    lost = sink.send(batch_of(b"x"), lane=0)
    acking.restart()
    assert sink.ask([lost]) == [False]
    sink.abandon(lost)
    again = sink.send(batch_of(b"x"), lane=0)
    assert again.channel != lost.channel
    assert sink.ask([again]) == [True]


def test_abandoning_a_receipt_of_another_process_changes_nothing(acking: FakeHec) -> None:
    sink = _sink(acking)
    mine = sink.send(batch_of(b"x"), lane=0)
    sink.abandon(Receipt("hec", (), 0.0, acking.url, "another-channel", 7))
    assert sink.send(batch_of(b"y"), lane=0).channel == mine.channel


def test_a_receipt_can_be_asked_about_after_a_restart(acking: FakeHec) -> None:
    receipt = _sink(acking).send(batch_of(b"x"), lane=0)
    assert _sink(acking).ask([receipt]) == [True]


def test_an_endpoint_that_is_not_ours_any_more_is_not_asked(acking: FakeHec, hec: FakeHec) -> None:
    receipt = _sink(acking).send(batch_of(b"x"), lane=0)
    asked = dict(acking.calls)
    assert _sink(hec).ask([receipt]) == [False]
    assert acking.calls == asked


@pytest.mark.parametrize(
    ("status", "code", "fate"), [(403, 4, Fatal), (400, 10, Fatal), (503, 9, Retry), (400, 6, Retry)]
)
def test_an_error_to_a_question_is_not_delivery(acking: FakeHec, status: int, code: int, fate: type) -> None:
    sink = _sink(acking)
    receipt = sink.send(batch_of(b"x"), lane=0)
    acking.fail_next(status, code, kind="ack")
    with pytest.raises(fate):
        sink.ask([receipt])
    assert sink.ask([receipt]) == [True]


def test_cookies_lead_back_to_the_indexer_that_knows_the_ack_id() -> None:
    with FakeHec(acks=True, indexers=2, cookie="splunk_hec") as hec:
        sink = _sink(hec)
        receipts = [sink.send(batch_of(b"x"), lane=0) for _ in range(4)]
        assert [receipt.ack_id for receipt in receipts] == [0, 1, 2, 3]
        assert receipts[0].cookies == {"splunk_hec": "indexer-0"}
        assert _sink(hec).ask(receipts) == [True] * 4


def test_ack_off_takes_acceptance_for_delivery(acking: FakeHec) -> None:
    assert _sink(acking, ack="off").send(batch_of(b"x"), lane=0).ack_id is None


def test_ack_on_refuses_a_token_that_does_not_acknowledge(hec: FakeHec) -> None:
    sink = _sink(hec, ack="on")
    assert (type(_failure(sink)), _failure(sink).code) == (Fatal, "hec_ack_disabled")


def test_auto_speaks_without_a_channel_to_a_token_that_minds_one(hec: FakeHec) -> None:
    hec.fail_next(400, 14)
    assert _sink(hec).send(batch_of(b"x"), lane=0).ack_id is None
    assert "x-splunk-request-channel" not in hec.requests[-1].headers


def test_acknowledgement_turned_off_meanwhile_leaves_receipts_unconfirmed(acking: FakeHec) -> None:
    sink = _sink(acking)
    receipt = sink.send(batch_of(b"x"), lane=0)
    acking.acks = False
    assert sink.ask([receipt]) == [False]
    assert sink.send(batch_of(b"x"), lane=0).ack_id is None


# refusals


def test_a_blank_event_is_refused_and_the_prefix_is_accepted_once(hec: FakeHec) -> None:
    error = _failure(_sink(hec), b"one", b"two", b"", b"four")
    assert isinstance(error, Refused)
    assert (error.code, error.accepted, error.offender) == ("hec_event_blank", 2, 2)
    assert [event["event"] for event in hec.events] == ["one", "two"]
    assert hec.calls[ACK] == 1


def test_with_acknowledgement_the_prefix_of_a_refused_batch_is_not_accepted(acking: FakeHec) -> None:
    error = _failure(_sink(acking), b"one", b"two", b"", b"four")
    assert isinstance(error, Refused)
    assert (error.accepted, error.offender) == (0, 2)


def test_a_token_that_cannot_be_asked_is_believed_to_acknowledge(hec: FakeHec) -> None:
    hec.fail_next(503, 9, kind="ack")
    error = _failure(_sink(hec), b"one", b"")
    assert isinstance(error, Refused)
    assert error.accepted == 0


def test_a_forbidden_index_is_the_operators_and_blames_no_event() -> None:
    with FakeHec(indexes=["main"]) as hec:
        error = _failure(_sink(hec), b"one")
    assert (type(error), error.code) == (Fatal, "hec_index")


def test_a_too_large_request_is_refused_whole() -> None:
    with FakeHec(max_body_bytes=20) as hec:
        error = _failure(_sink(hec), b"x" * 5000)
        assert not hec.events
    assert isinstance(error, Refused)
    assert (error.code, error.accepted, error.offender) == ("hec_too_large", 0, None)


def test_an_endpoint_without_gzip_gets_plain_bodies_from_then_on(hec: FakeHec) -> None:
    hec.fail_next(415)
    sink = _sink(hec)
    sink.send(batch_of(b"one"), lane=0)
    sink.send(batch_of(b"two"), lane=0)
    assert ["content-encoding" in request.headers for request in hec.requests] == [True, False, False]
    assert len(hec.events) == 2


# faults


@pytest.mark.parametrize(("status", "code"), [(503, 9), (503, 23), (429, 26), (500, 8), (502, None)])
def test_a_busy_hec_is_tried_again_and_gets_everything_once(hec: FakeHec, status: int, code: Any) -> None:
    hec.fail_next(status, code, headers={"Retry-After": "3"})
    sink = _sink(hec)
    error = _failure(sink)
    assert isinstance(error, Retry)
    assert error.after_seconds == 3.0
    sink.send(batch_of(b"one"), lane=0)
    assert len(hec.events) == 1


@pytest.mark.parametrize("status", [429, 502, 503])
def test_after_an_overload_the_connection_is_not_reused(hec: FakeHec, status: int) -> None:
    hec.fail_next(status)
    sink = _sink(hec)
    _failure(sink)
    sink.send(batch_of(b"one"), lane=0)
    assert hec.connections == 2


@pytest.mark.parametrize("after_taking", [False, True])
def test_a_reset_connection_is_tried_again(hec: FakeHec, after_taking: bool) -> None:
    hec.fail_next(reset=True, after_taking=after_taking)
    error = _failure(_sink(hec))
    assert (type(error), error.code) == (Retry, "hec_connection_lost")
    assert len(hec.events) == int(after_taking)


def test_a_silent_hec_is_tried_again(hec: FakeHec) -> None:
    hec.latency_seconds = 1.0
    error = _failure(_sink(hec, reply_timeout_seconds=0.1))
    assert (type(error), error.code) == (Retry, "hec_timeout")


def test_a_redirect_is_not_followed(hec: FakeHec) -> None:
    hec.fail_next(302, headers={"Location": hec.url + "/services/collector/event"})
    error = _failure(_sink(hec))
    assert (type(error), error.code) == (Fatal, "hec_wrong_url")
    assert len(hec.requests) == 1


# several endpoints



def test_lanes_spread_over_the_endpoints() -> None:
    with FakeHec() as first, FakeHec() as second:
        sink = _sink(first, second)
        for lane in range(4):
            sink.send(batch_of(b"x"), lane=lane)
        assert (len(first.events), len(second.events)) == (2, 2)


def test_a_full_endpoint_rests_while_another_works() -> None:
    clock = ManualClock()
    with FakeHec() as first, FakeHec() as second:
        sink = _sink(first, second, clock=clock)
        first.busy = True
        receipts = [sink.send(batch_of(b"x"), lane=0) for _ in range(3)]
        assert [receipt.endpoint for receipt in receipts] == [second.url] * 3
        assert first.calls[EVENT] == 1
        first.busy = False
        clock.advance(REST_SECONDS)
        assert sink.send(batch_of(b"x"), lane=0).endpoint == first.url


def test_an_endpoint_that_is_down_delays_nobody() -> None:
    first, second = FakeHec().start(), FakeHec().start()
    sink = _sink(first, second)
    first.close()
    assert sink.send(batch_of(b"x"), lane=0).endpoint == second.url
    second.close()
    assert _failure(sink).code == "hec_unreachable"


def test_an_ambiguous_failure_is_not_repeated_elsewhere_unasked() -> None:
    with FakeHec() as first, FakeHec() as second:
        sink = _sink(first, second)
        first.fail_next(reset=True, after_taking=True)
        assert _failure(sink).code == "hec_connection_lost"
        assert second.calls[EVENT] == 0
        assert sink.send(batch_of(b"x"), lane=0).endpoint == second.url


# what a check asks


def _ask(hec: FakeHec, token: str = "") -> None:
    questions = HecQuestions(hec.url, lambda: token or hec.token, wire=Wire())
    questions.health()
    questions.token()


def test_what_a_check_asks_indexes_nothing_and_knows_a_good_token(hec: FakeHec) -> None:
    _ask(hec)
    assert not hec.events
    assert list(hec.calls) == ["GET /services/collector/health", EVENT]


def test_what_a_check_asks_finds_a_wrong_and_a_disabled_token_and_a_busy_hec() -> None:
    with FakeHec(disabled=["off"]) as hec:
        for token, code in (("wrong", "hec_token_invalid"), ("off", "hec_token_disabled")):
            with pytest.raises(Fatal, match=code):
                _ask(hec, token)
        hec.busy = True
        with pytest.raises(Retry, match="hec_queues_full"):
            _ask(hec)


# TLS and proxies


def test_a_private_authority_is_trusted_by_its_file_and_by_nothing_else() -> None:
    with FakeHec(tls=True) as hec:
        _sink(hec, ca_file=hec.ca_file).send(batch_of(b"one"), lane=0)
        error = _failure(_sink(hec))
        assert (type(error), error.code) == (Fatal, "hec_tls")
        assert "hec_ca_file" in error.hint
        _sink(hec, tls_verify=False).send(batch_of(b"two"), lane=0)
        assert len(hec.events) == 2


def test_a_ca_file_that_is_not_there_is_a_configuration_error() -> None:
    with FakeHec(tls=True) as hec:
        error = _failure(_sink(hec, ca_file="/nowhere/ca.pem"))
    assert (type(error), error.code) == (Fatal, "hec_ca_file")


def test_https_to_a_server_without_tls_is_the_operators(hec: FakeHec) -> None:
    sink = HecSink([hec.url.replace("http:", "https:")], hec.token, clock=ManualClock())
    error = _failure(sink)
    assert (type(error), error.code) == (Fatal, "hec_not_tls")
    assert "SSL" in error.hint and "http://" in error.hint and "TLS 1.2" not in error.hint


class _Proxy:
    """One that notes the first lines it gets, opens tunnels and forwards the rest as it is."""

    def __init__(self, target: FakeHec) -> None:
        self.heads: List[bytes] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # closed before anybody came
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.heads.append(head)
        upstream = socket.create_connection(("127.0.0.1", self._target.port))
        if head.startswith(b"CONNECT"):
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            upstream.sendall(head)
        for source, sink in ((client, upstream), (upstream, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            for piece in iter(lambda: source.recv(65536), b""):
                sink.sendall(piece)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


def test_https_goes_through_the_proxy_by_connect_and_the_proxy_sees_no_token() -> None:
    with FakeHec(tls=True) as hec:
        proxy = _Proxy(hec)
        sink = _sink(hec, ca_file=hec.ca_file, proxy_url=f"http://me:s%40fe@{proxy.address}")
        sink.send(batch_of(b"one"), lane=0)
        proxy.close()
        assert len(hec.events) == 1
    [head] = proxy.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{hec.port} HTTP/1.".encode())
    assert b"Proxy-Authorization: Basic bWU6c0BmZQ==" in head
    assert hec.token.encode() not in head


def test_http_goes_through_the_proxy_by_absolute_address(hec: FakeHec) -> None:
    proxy = _Proxy(hec)
    sink = _sink(hec, proxy_url=f"http://{proxy.address}")
    sink.send(batch_of(b"one"), lane=0)
    proxy.close()
    [head] = proxy.heads
    assert head.startswith(f"POST {hec.url}/services/collector/event HTTP/1.1".encode())


def test_the_environments_proxy_is_not_used_for_our_own_host(
    hec: FakeHec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    _sink(hec).send(batch_of(b"one"), lane=0)
    assert len(hec.events) == 1


def test_no_token_goes_in_the_clear_to_the_environments_proxy_for_another_address_of_our_own_host(
    hec: FakeHec, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = _Proxy(hec)
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    sink = HecSink([f"http://127.0.0.2:{hec.port}"], hec.token, clock=ManualClock())
    assert _failure(sink).code == "hec_unreachable", "the test's listens on the first alone"
    proxy.close()
    assert not proxy.heads


def test_another_hosts_hec_is_reached_by_the_environments_proxy(
    hec: FakeHec, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = _Proxy(hec)
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    sink = HecSink(["http://splunk.example.com:8088"], hec.token, clock=ManualClock())
    sink.send(batch_of(b"one"), lane=0)
    proxy.close()
    assert len(hec.events) == 1


@pytest.mark.parametrize("cut", [0, 5])
def test_the_fake_never_heard_of_a_request_whose_sender_died_in_the_middle_of_it(
    hec: FakeHec, cut: int
) -> None:
    body = b'{"event":"one"}'
    head = f"{EVENT} HTTP/1.1\r\nAuthorization: Splunk {hec.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", hec.port), timeout=10) as wire:
        wire.sendall(head.encode() + body[:cut])
        wire.shutdown(socket.SHUT_WR)
        assert wire.recv(1) == b"", "it is answered"
    assert (list(hec.requests), list(hec.events)) == ([], [])
