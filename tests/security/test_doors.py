"""Every connection that the program makes: under TLS 1.2 at least, and only to where its settings say.

Real servers on loopback: one that speaks nothing newer than TLS 1.1, one that redirects to a door that keeps
a list of who comes, one whose answer has no end.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from collector.aws.client_side_envelope import Envelope
from collector.aws.connections import Connections
from collector.aws.kms import DataKeys
from collector.aws.s3 import S3Store
from collector.aws.session import Access, AwsSession
from collector.aws.signed_get import SignedGet
from collector.aws.sns_certificates import https_fetch
from collector.aws.sqs import SqsQueue
from collector.config.addresses import endpoint, hec_url, queue_address
from collector.config.table import Invalid
from collector.errors import CollectorError
from collector.hosts.coverage.search import SearchHead
from collector.hosts.splunkd.rest import answer_of, connect, tls_context
from collector.model import ObjectRef
from collector.sinks.wire import Endpoint, Wire
from collector.testing.certificate import Authority

# -- TLS


@pytest.fixture(scope="module")
def authority():
    return Authority()


@contextmanager
def tls_server(authority, *, newest):
    """Answers 200 to whoever completes a handshake; gives its port, and how many did."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(authority.certificate("127.0.0.1"))
        file.flush()
        context.load_cert_chain(file.name)
    listening = socket.create_server(("127.0.0.1", 0))
    versions = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as spoken:
                    versions.append(spoken.version())
                    spoken.recv(4096)
                    spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\n{}")
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1], versions
    finally:
        listening.close()


def by_hec(url, port, ca):
    Wire(ca_file=ca).exchange(Endpoint.parse(url), "GET", "/services/collector/health", headers={})


def by_lean(url, port, ca):
    Connections(lambda: ca).send(("https", "127.0.0.1", port), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").answer()


def by_boto3(url, port, ca):
    AwsSession(_access(url, ca_file=ca)).client("sts").get_caller_identity()


def by_certificates(url, port, ca):
    https_fetch(ca_file=ca, timeout_seconds=3)(f"{url}/SimpleNotificationService-0.pem")


def by_splunkd(url, port, ca):
    service = connect(url, token="t", context=tls_context("127.0.0.1", ca_file=ca))
    answer_of(lambda: service.get("/services/server/info"), lambda status: CollectorError("x"), where=url)


def by_search_head(url, port, ca):
    SearchHead(url, "t", ca_file=ca, sleep=lambda seconds: None).rows("| tstats count")


def _access(url, **more):
    keys = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s"}
    return Access(region="eu-west-1", endpoint_urls={"": url}, **keys, **more)


@pytest.fixture
def easygoing(monkeypatch):
    """As with an old Python and an old OpenSSL: nothing but our own word forbids an old version."""
    made = ssl.create_default_context

    def as_of_old(*given, **named):
        context = made(*given, **named)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_of_old)


CLIENTS = [by_hec, by_lean, by_boto3, by_certificates, by_splunkd, by_search_head]


@pytest.mark.parametrize("call", CLIENTS)
def test_t09_nobody_speaks_less_than_tls_1_2(call, authority, tmp_path, easygoing):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    with tls_server(authority, newest=ssl.TLSVersion.TLSv1_1) as (port, versions):
        with pytest.raises((CollectorError, OSError)):
            call(f"https://127.0.0.1:{port}", port, str(ca))
        assert versions == []


def test_a_client_that_lets_itself_be_talked_down_reaches_the_old_server(authority):
    """Else the case above would prove nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tls_server(authority, newest=ssl.TLSVersion.TLSv1_1) as (port, versions):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as spoken:
            assert spoken.version() == "TLSv1.1"
            spoken.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert spoken.recv(4096), "who answers has written down what was spoken"
        assert versions == ["TLSv1.1"]


@pytest.mark.parametrize("call", CLIENTS)
def test_t09_a_certificate_that_nobody_vouches_for_is_refused(call, authority, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    new = tls_server(authority, newest=ssl.TLSVersion.TLSv1_3)
    with new as (port, _), pytest.raises((CollectorError, OSError)):
        call(f"https://127.0.0.1:{port}", port, str(other))


# -- redirects


@contextmanager
def door(status=200, headers=(), body=b"{}"):
    """Records every path that is asked for, and answers all alike."""
    asked = []

    class Conversation(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_HEAD = do_PUT = answer

        def log_message(self, format, *args):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Conversation)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


REF = ObjectRef("audit-logs", "k", etag="0f", size=2)


def get_object(session):
    S3Store(lambda region: session.client("s3", region=region), ["audit-logs"], region="eu-west-1").open(REF)


def lean_get_object(session):
    lean = SignedGet(session.lean)
    client = session.client("s3")
    lean.watch(client)
    S3Store(lambda region: client, ["audit-logs"], region="eu-west-1", signed_get=lean).open(REF)


def list_objects(session):
    store = S3Store(lambda region: session.client("s3", region=region), ["audit-logs"], region="eu-west-1")
    store.list("audit-logs")


def receive(session):
    url = f"{session.access.endpoint_url('sqs')}/111111111111/q"
    SqsQueue(session.client("sqs"), url, lean=session.lean).receive(1, wait_seconds=0)


def decrypt(session):
    keys = DataKeys(lambda region: session.client("kms", region=region), region="eu-west-1")
    keys.open(Envelope("AES/GCM/NoPadding", b"k"), where="s3://b/k")


def assume(session):
    AwsSession(Access(**{**vars(session.access), "role_arn": "arn:aws:iam::1:role/r"})).refresh()


def send_to_hec(session):
    endpoint_ = Endpoint.parse(session.access.endpoint_url("hec"))
    reply = Wire().exchange(endpoint_, "POST", "/services/collector/event", headers={}, body=b"{}")
    if reply.status != 200:
        raise OSError("redirected")


CALLS = [get_object, lean_get_object, list_objects, receive, decrypt, assume, send_to_hec]


@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("call", CALLS)
def test_t08_no_answer_leads_anywhere_else(call, status):
    """Nor does what it says of a region: only a region's name becomes part of a host's."""
    with door() as (elsewhere, came):
        said = [("Location", f"{elsewhere}/stolen"), ("x-amz-bucket-region", f"{elsewhere[7:]}/#")]
        error = f"<Error><Code>PermanentRedirect</Code><Endpoint>{elsewhere[7:]}</Endpoint></Error>".encode()
        with door(status, said, error) as (url, asked), pytest.raises((CollectorError, OSError)):
            call(AwsSession(_access(url)))
        assert asked and came == []


# -- answers without an end


def test_t04_the_head_of_an_answer_without_an_end_is_not_read_for_ever():
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            try:
                while True:
                    connection.sendall(b"X-A: b\r\n" * 1000)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(ValueError, match="no end"):
        place = ("http", *listening.getsockname())
        Connections(lambda: "").send(place, b"GET / HTTP/1.1\r\n\r\n").answer()
    listening.close()


# -- addresses

METADATA = [
    "http://169.254.169.254", "http://169.254.169.254./latest", "http://169.254.170.2", "http://2852039166",
    "http://0xA9FEA9FE", "http://0xa9.0xfe.0xa9.0xfe", "http://0251.0376.0251.0376", "http://169.254.43518",
    "http://[fd00:ec2::254]", "http://[fd00:ec2:0:0::23]", "http://[::ffff:169.254.169.254]",
    "http://[::ffff:a9fe:a9fe]", "http://[fe80::1]", "http://[fe80::1%25eth0]",
]


@pytest.mark.parametrize("url", METADATA)
def test_t08_no_endpoint_is_where_instances_keep_their_credentials(url):
    for read in (endpoint, lambda text: queue_address(f"{text.rstrip('/')}/111111111111/q")):
        with pytest.raises(Invalid, match="link-local"):
            read(url)


@pytest.mark.parametrize(
    "url", ["http://splunk.example.com:8088", "http://10.0.0.1:8088", "http://127.0.0.1.example.com:8088",
            "http://localhost.example.com:8088", "ftp://127.0.0.1", "file:///etc/passwd", "//127.0.0.1",
            "http://user:password@127.0.0.1:8088"],
)
def test_t09_the_token_goes_nowhere_without_tls(url):
    with pytest.raises(Invalid):
        hec_url(url)
