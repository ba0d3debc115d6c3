"""The Fetch of SNS certificates against a real HTTPS server on loopback, and signatures that are not ours."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from collector.aws.sns import SnsVerifier
from collector.aws.sns_certificates import CERTIFICATE_MAX_BYTES, https_fetch
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.testing.certificate import self_signed
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.twins import ManualClock


class Server(ThreadingHTTPServer):
    """Answers by path, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, pem: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pem))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.asked: List[str] = []
        self.leaving = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what some of these tests are about."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        status, body, headers = _answer(self.path)
        if self.path == "/slow":
            self.server.leaving.wait(60)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


def _answer(path: str) -> Tuple[int, bytes, List[Tuple[str, str]]]:
    if path == "/moved":
        return 302, b"", [("Location", "/good")]
    if path.startswith("/status/"):
        return int(path.rsplit("/", 1)[1]), b"no", []
    if path == "/largest":
        return 200, b"x" * CERTIFICATE_MAX_BYTES, []
    if path == "/larger":
        return 200, b"x" * (CERTIFICATE_MAX_BYTES + 1), []
    return 200, b"a certificate", []


@pytest.fixture(autouse=True)
def no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    path.write_bytes(self_signed("127.0.0.1"))
    return path


@pytest.fixture
def server(pem: Path) -> Iterator[Server]:
    running = Server(pem)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield running
    running.leaving.set()
    running.shutdown()
    running.server_close()
    thread.join()


def url_of(server: Server, path: str) -> str:
    return f"https://localhost:{server.server_address[1]}{path}"


def refused(server: Server, path: str, **how: Any) -> CollectorError:
    with pytest.raises(CollectorError) as caught:
        https_fetch(**how)(url_of(server, path))
    return caught.value


@pytest.mark.parametrize(("path", "size"), [("/good", 13), ("/largest", CERTIFICATE_MAX_BYTES)])
def test_a_certificate_comes_whole(server: Server, pem: Path, path: str, size: int) -> None:
    assert len(https_fetch(ca_file=str(pem))(url_of(server, path))) == size


def test_the_ca_of_the_environment_counts(server: Server, pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    assert https_fetch()(url_of(server, "/good")) == b"a certificate"


def test_redirects_are_not_followed(server: Server, pem: Path) -> None:
    error = refused(server, "/moved", ca_file=str(pem))
    assert isinstance(error, Retry) and "302" in error.what
    assert server.asked == ["/moved"]


def test_too_long_an_answer_is_no_certificate(server: Server, pem: Path) -> None:
    assert isinstance(refused(server, "/larger", ca_file=str(pem)), Retry)


@pytest.mark.parametrize(("status", "kind"), [(404, Poison), (410, Poison), (403, Retry), (503, Retry)])
def test_only_a_missing_certificate_is_a_verdict(server: Server, pem: Path, status: int, kind: type) -> None:
    assert type(refused(server, f"/status/{status}", ca_file=str(pem))) is kind
    assert server.asked == [f"/status/{status}"]


def test_a_server_that_nobody_vouches_for_is_not_asked(server: Server) -> None:
    error = refused(server, "/good")
    assert isinstance(error, Fatal) and error.code == "tls_untrusted"
    assert server.asked == []


def test_a_server_that_does_not_answer_is_given_up(server: Server, pem: Path) -> None:
    started = time.monotonic()
    assert isinstance(refused(server, "/slow", ca_file=str(pem), timeout_seconds=0.2), Retry)
    assert time.monotonic() - started < 30, "of the minute that its answer would take"


def test_the_proxy_is_the_only_way_out(server: Server, pem: Path) -> None:
    error = refused(server, "/good", ca_file=str(pem), proxy_url="http://user:secret@127.0.0.1:9")
    assert isinstance(error, Retry) and "secret" not in str(error)
    assert server.asked == []


def test_what_another_implementation_of_sns_signed_is_opened(moto: LocalAws) -> None:
    moto.reset()
    provider = Provider(moto, "thrive", delivery="sns")
    provider.upload("k/one", b"{}")

    def of_moto(url: str) -> bytes:
        path = url.rsplit("/", 1)[1]
        scope = (
            "AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/sns/aws4_request, SignedHeaders=, Signature="
        )
        asked = urllib.request.Request(f"{moto.endpoint_url}/{path}", headers={"Authorization": scope})
        with urllib.request.urlopen(asked) as answer:
            return bytes(answer.read())

    verifier = SnsVerifier("enforce", fetch=of_moto, clock=ManualClock(time.time()))
    messages = provider.client("sqs").receive_message(
        QueueUrl=provider.handover()["queue_url"], MaxNumberOfMessages=10, WaitTimeSeconds=2
    )["Messages"]
    for message in messages:
        envelope = json.loads(message["Body"])
        verifier.check(envelope)
        with pytest.raises(Poison) as caught:
            verifier.check({**envelope, "Message": envelope["Message"] + " "})
        assert caught.value.code == "sns_forged"
