"""The status page, the metrics and the probes of a real process on a real socket."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.errors import Fatal
from collector.hosts.service.board import Board
from collector.hosts.web.server import Conversation, Server, serving
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, environment, ndjson, wait_for
from tests.e2e.test_service import STANDSTILL


def ask(address: str, path: str) -> Tuple[int, bytes]:
    """Status and body; status 0 while nobody listens."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except urllib.error.URLError:
        return 0, b""


def is_ready(address: str) -> bool:
    return ask(address, "/readyz")[0] == 200


def sample(address: str, name: str, **labels: str) -> float:
    """The value of the one series with these labels."""
    (found,) = [
        one.value
        for family in text_string_to_metric_families(ask(address, "/metrics")[1].decode())
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    ]
    return found


def labels(address: str, name: str) -> List[Dict[str, str]]:
    """The labels of every series of this name."""
    families = text_string_to_metric_families(ask(address, "/metrics")[1].decode())
    return [one.labels for family in families for one in family.samples if one.name == name]


def delivered_by_process(address: str) -> float:
    """Events delivered, over all processes."""
    return sum(
        sample(address, "audit_s3_events_delivered_total", process=one["process"])
        for one in labels(address, "audit_s3_events_delivered_total")
    )


def test_a_running_collector_shows_how_it_goes(
    ministack: LocalAws, collector: Callable[..., Collector], address: str
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 40))
    ours = collector({**provider.handover(), "reconcile_grace_seconds": 0})
    process = ours.start("--http-listen", address)
    wait_for(lambda: is_ready(address) and sample(address, "audit_s3_objects_finished_total", state="done"))

    status = json.loads(ask(address, "/status.json")[1])
    (shown,) = status["inputs"]
    assert (status["ready"], shown["name"], shown["state"]) == (True, "thrive", "collecting")
    assert (shown["counters"]["events"], shown["counters"]["done"], shown["last_error"]) == (40, 1, None)
    assert ask(address, "/healthz") == (200, b"ok\n")
    code, page = ask(address, "/")
    assert code == 200 and b"thrive" in page and b"collecting" in page
    assert sample(address, "audit_s3_events_delivered_total", input="thrive") == 40
    assert sample(address, "audit_s3_objects_finished_total", state="done") == 1
    assert sample(address, "process_resident_memory_bytes") > 0
    assert ask(address, "/etc/passwd")[0] == 404
    # The only process is the one that leads, and says so.
    wait_for(lambda: sample(address, "audit_s3_reconciles_total") >= 1)

    assert ours.stop(process) < 10
    assert process.returncode == 0, ours.log
    assert ask(address, "/healthz")[0] == 0


def test_a_queue_that_is_gone_makes_it_not_ready_but_alive(
    ministack: LocalAws, collector: Callable[..., Collector], address: str
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    ours = collector(provider.handover())
    ours.start("--http-listen", address)
    wait_for(lambda: is_ready(address))
    provider.client("sqs").delete_queue(QueueUrl=provider.queue_url)
    wait_for(lambda: ask(address, "/readyz")[0] == 503)
    (reason,) = json.loads(ask(address, "/readyz")[1])["reasons"]
    assert (reason["input"], reason["breaker"]) == ("thrive", "source")
    assert reason["hint"]
    assert ask(address, "/healthz")[0] == 200
    assert reason["hint"] in json.loads(ask(address, "/status.json")[1])["inputs"][0]["last_error"]["hint"]


def test_an_engine_that_stands_still_is_not_healthy_and_the_page_is_not_waited_for(
    ministack: LocalAws, collector: Callable[..., Collector], address: str
) -> None:
    ministack.reset()
    ours = collector(Provider(ministack, "thrive").handover())
    command = [sys.executable, "-c", STANDSTILL, "run", "--config", str(ours.config)]
    process = subprocess.Popen(
        [*command, "--http-listen", address], env=environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: is_ready(address))
        assert ask(address, "/healthz") == (200, b"ok\n")
        process.send_signal(signal.SIGUSR1)
        wait_for(lambda: ask(address, "/healthz")[0] == 503)
        assert b"thrive: its lock has not been given back" in ask(address, "/healthz")[1]
    finally:
        process.kill()
        process.wait()


def test_an_address_that_is_taken_is_said_before_anything_is_collected(
    ministack: LocalAws, collector: Callable[..., Collector]
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 1))
    waiting = provider.queue_depth()
    ours = collector(provider.handover())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        flag = ("--http-listen", f"127.0.0.1:{taken.getsockname()[1]}")
        done = ours.run(*flag)
        assert done.returncode == 78
        assert b"http_listen" in done.stderr and b"Traceback" not in done.stderr
        assert provider.queue_depth() == waiting
        # Beside the service, which has the address, one drain by hand still works.
        assert len(ours.once(*flag)) == 1


def test_of_several_processes_the_first_listens(
    ministack: LocalAws, collector: Callable[..., Collector], address: str
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    for number in range(10):
        provider.upload(f"k/{number}", ndjson(f"o{number}", 2))
    with FakeHec() as hec:
        ours = collector({**provider.handover(), "processes": 2, "hec_url": hec.url, "hec_token": hec.token})
        process = ours.start("--http-listen", address)
        wait_for(lambda: is_ready(address))
        wait_for(lambda: ours.log.count("Collecting. input=thrive") == 2)
        wait_for(lambda: provider.queue_depth() == 0)
        assert ours.log.count("Status page and metrics are served.") == 1
        # It speaks for all: each process has series of its own, the page has their sum.
        wait_for(lambda: len(labels(address, "audit_s3_receives_total")) == 2)
        wait_for(lambda: delivered_by_process(address) == 20)
        assert {one["process"] for one in labels(address, "audit_s3_receives_total")} == {"0", "1"}

        def shown() -> Dict[str, Any]:
            (found,) = json.loads(ask(address, "/status.json")[1])["inputs"]
            return dict(found)

        # The worse state of the two is shown: one process may still be starting.
        wait_for(lambda: shown()["state"] == "collecting")
        assert (shown()["counters"]["events"], shown()["processes"]) == (20, 2)
        assert shown()["lag"]["collector"]["objects"] == 10
        assert ours.stop(process) < 12
        assert len(hec.events) == 20, "they share the work, and repeat none of it"


# -- the server alone -------------------------------------------------------------------------------


@contextmanager
def served(address: str = "127.0.0.1:0") -> Iterator[Server]:
    """A server of this process that has nothing to show, on a free port."""
    server = Server(address, Board(["thrive"]))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.exhaustive
def test_a_silent_crowd_is_bounded_and_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversation, "timeout", 1.0)
    with served() as server, ExitStack() as stack:
        where = server.server_address[:2]
        crowd = [stack.enter_context(socket.create_connection(where, timeout=10)) for _ in range(40)]
        began = threading.active_count()
        assert began < 40 + 5
        assert [one.recv(1) for one in crowd] == [b""] * 40
        wait_for(lambda: ask("{}:{}".format(*where), "/healthz")[0] == 200)


def test_a_reader_that_leaves_early_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    with served() as server:
        for _ in range(5):
            with socket.create_connection(server.server_address[:2]) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.sendall(b"GET / HTTP/1.1\r\n")
        assert ask("{}:{}".format(*server.server_address[:2]), "/healthz")[0] == 200
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.skipif(not socket.has_ipv6, reason="this host has no IPv6")
def test_loopback_of_ipv6_is_served_too() -> None:
    try:
        with served("[::1]:0") as server:
            assert server.url.startswith("http://[::1]:")
            assert ask(server.url[len("http://") :].rstrip("/"), "/healthz") == (200, b"ok\n")
    except Fatal as error:
        pytest.skip(f"this host has no IPv6 loopback: {error.what}")


def test_an_address_that_others_can_reach_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for address, warnings in (("127.0.0.1:0", 0), ("0.0.0.0:0", 1)):
        caplog.clear()
        with serving(address, Board([])):
            pass
        found = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert len(found) == warnings
    assert "can be read by whoever reaches this address" in found[0]


def test_an_address_of_somebody_else_is_refused_with_a_hint() -> None:
    with pytest.raises(Fatal) as raised, serving("192.0.2.1:9090", Board([])):
        pass
    assert (raised.value.code, raised.value.scope) == ("http_listen", "config")
    assert raised.value.where == "http_listen = 192.0.2.1:9090"
    assert raised.value.hint
