"""Lean requests against a server that answers what it is told to, byte by byte."""

from __future__ import annotations

import base64
import socket
import threading
import time
import zlib
from contextlib import suppress
from typing import Any, Iterator, List, Optional

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import FlexibleChecksumError

from collector.aws.lean import Lean
from collector.aws.signed_get import SignedGet
from collector.aws.signed_sqs import SqsCalls

BODY = b"one\ntwo\n" * 1000
HEAD = 'ETag: "e"\r\nLast-Modified: Mon, 04 May 2026 10:15:02 GMT\r\n'


class Server:
    """Answers each request with the next of `answers`; None closes the connection instead."""

    def __init__(self) -> None:
        self.answers: List[Optional[bytes]] = []
        self.requests: List[str] = []
        self.connections = 0
        self.closes = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, suppress(ConnectionError):
            self._answer(connection, file)

    def _answer(self, connection: socket.socket, file: Any) -> None:
        while True:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                line = file.readline()
                if not line:
                    return
                request += line
            answer = self.answers.pop(0)
            self.requests.append(request.decode("latin-1"))
            if answer is None:
                return
            connection.sendall(answer)
            if self.closes:
                return

    def wait_for(self, requests: int) -> None:
        """Until it has been asked so often."""
        deadline = time.monotonic() + 10.0
        while len(self.requests) < requests:
            assert time.monotonic() < deadline, f"{len(self.requests)} requests"
            time.sleep(0.001)

    def close(self) -> None:
        self._listener.close()


def _ok(body: bytes = BODY, extra: str = "", length: Optional[int] = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 200 OK\r\n{HEAD}{extra}Content-Length: {size}\r\n\r\n".encode() + body


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def getter(server: Server) -> Iterator[SignedGet]:
    """It has been shown how boto3 asks for objects of the bucket "b"."""
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", None)
    lean = Lean(lambda: credentials, ca_file=str, is_proxied=lambda url: False, user_agent="test")
    getter = SignedGet(lean)
    lean._seen.request = (
        "s3.GetObject",
        f"http://127.0.0.1:{server.port}/b/first",
        {
            "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260504/eu-west-1/s3/aws4_request, rest",
            "x-amz-expected-bucket-owner": "111111111111",
            "X-Amz-Date": "20200101T000000Z",
        },
    )
    getter.learn("b", "first")
    yield getter
    lean.close()


def _read(answer: Any) -> bytes:
    return b"".join(iter(lambda: answer["Body"].read(1000), b""))


def test_one_connection_serves_one_object_after_the_other(server: Server, getter: SignedGet) -> None:
    server.answers = [_ok(), _ok(b""), _ok()]
    assert [_read(getter.get("b", "k", etag="e")) for _ in range(3)] == [BODY, b"", BODY]
    assert server.connections == 1


def test_what_is_foreseen_is_under_way_together_and_answered_as_without(
    server: Server, getter: SignedGet
) -> None:
    server.answers = [_ok(b"one"), _ok(b"one"), _ok(b"one")]
    calls = [("b", key, "e", "") for key in ("x", "y", "z")]
    getter.foresee(calls)
    server.wait_for(3)  # before anybody has read an answer
    assert [_read(getter.get("b", key, etag="e")) for _, key, _, _ in calls] == [b"one"] * 3
    assert len(server.requests) == 3 and server.connections == 3


def test_what_was_foreseen_and_not_opened_is_not_taken_for_anything_else(
    server: Server, getter: SignedGet
) -> None:
    server.answers = [_ok(b"old"), _ok(b"new")]
    getter.foresee([("b", "k", "old", "")])
    server.wait_for(1)
    getter.foresee([])
    answer = getter.get("b", "k", etag="old")
    assert answer is not None and _read(answer) == b"new"
    assert len(server.requests) == 2


def test_what_is_foreseen_is_for_the_thread_that_foresaw_it(server: Server, getter: SignedGet) -> None:
    server.answers = [_ok(b"one"), _ok(b"two")]
    getter.foresee([("b", "k", "e", "")])
    server.wait_for(1)
    answers: List[bytes] = []
    other = threading.Thread(target=lambda: answers.append(_read(getter.get("b", "k", etag="e"))))
    other.start()
    other.join(10)
    assert answers == [b"two"] and _read(getter.get("b", "k", etag="e")) == b"one"


def test_what_boto3_sent_is_sent_again_and_its_date_is_not(server: Server, getter: SignedGet) -> None:
    server.answers = [_ok()]
    _read(getter.get("b", "a b+c", etag="e", version_id="v1"))
    (request,) = server.requests
    assert request.startswith("GET /b/a%20b%2Bc?versionId=v1 HTTP/1.1\r\n")
    assert "x-amz-expected-bucket-owner: 111111111111\r\n" in request
    assert 'if-match: "e"\r\n' in request
    assert "20200101" not in request


def test_metadata_version_and_key_are_as_boto3_gives_them(server: Server, getter: SignedGet) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/abc-1"
    more = f"x-amz-version-id: v7\r\nx-amz-server-side-encryption-aws-kms-key-id: {key}\r\n"
    server.answers = [_ok(extra=f"X-Amz-Meta-Signature: ab\r\n{more}")]
    answer = getter.get("b", "k", etag=None)
    assert answer is not None
    assert answer["Metadata"] == {"signature": "ab"}
    assert answer["VersionId"] == "v7"
    assert answer["SSEKMSKeyId"] == key
    assert answer["ETag"] == '"e"'
    assert answer["LastModified"].isoformat() == "2026-05-04T10:15:02+00:00"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"garbage\r\n\r\n",
        None,
    ],
    ids=["404", "503", "chunked", "no etag", "http/1.0", "garbage", "closed"],
)
def test_all_but_a_plain_200_is_left_to_boto3_which_shows_the_way_anew(
    server: Server, getter: SignedGet, answer: Optional[bytes]
) -> None:
    server.answers = [answer]
    assert getter.get("b", "k", etag="e") is None
    assert not getter._lean.knows(("s3", "b"))


def test_a_body_that_ends_early_is_short_and_its_connection_is_not_used_again(
    server: Server, getter: SignedGet
) -> None:
    server.answers = [_ok(length=len(BODY) + 1)]
    server.closes = True
    answer = getter.get("b", "k", etag="e")
    assert answer is not None
    assert _read(answer) == BODY
    assert answer["ContentLength"] == len(BODY) + 1
    server.closes, server.answers = False, [_ok()]
    assert _read(getter.get("b", "k", etag="e")) == BODY
    assert server.connections == 2


@pytest.mark.parametrize("wrong", [False, True])
def test_the_body_is_held_to_s3s_own_checksum(server: Server, getter: SignedGet, wrong: bool) -> None:
    crc = zlib.crc32(BODY) ^ wrong
    extra = f"x-amz-checksum-crc32: {base64.b64encode(crc.to_bytes(4, 'big')).decode()}\r\n"
    server.answers = [_ok(extra=extra)]
    answer = getter.get("b", "k", etag="e")
    if wrong:
        with pytest.raises(FlexibleChecksumError):
            _read(answer)
    else:
        assert _read(answer) == BODY


def test_an_object_left_half_read_does_not_leave_its_rest_to_the_next(
    server: Server, getter: SignedGet
) -> None:
    server.answers = [_ok(), _ok(b"next")]
    answer = getter.get("b", "k", etag="e")
    assert answer is not None
    answer["Body"].read(10)
    answer["Body"].close()
    assert _read(getter.get("b", "k", etag="e")) == b"next"
    assert server.connections == 2


def test_behind_a_proxy_boto3_does_it() -> None:
    lean = Lean(lambda: None, ca_file=str, is_proxied=lambda url: True, user_agent="test")
    lean._seen.request = (
        "s3.GetObject",
        "https://b.s3.eu-west-1.amazonaws.com/k",
        {"Authorization": "AWS4-HMAC-SHA256 Credential=A/20260504/eu-west-1/s3/aws4_request, rest"},
    )
    SignedGet(lean).learn("b", "k")
    assert not lean.knows(("s3", "b"))


@pytest.mark.parametrize("url", ["https://other.example.com/", "https://b.example.com/not-the-key"])
def test_nothing_is_learnt_from_a_request_for_something_else(url: str) -> None:
    lean = Lean(lambda: None, ca_file=str, is_proxied=lambda url: False, user_agent="test")
    authorization = "AWS4-HMAC-SHA256 Credential=A/20260504/eu-west-1/s3/aws4_request, rest"
    lean._seen.request = ("s3.GetObject", url, {"Authorization": authorization})
    SignedGet(lean).learn("b", "the/key")
    assert not lean.knows(("s3", "b"))


class Boto3:
    """Answers every receive with no messages, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.meta: Any = self
        self.events: Any = self

    def register(self, *_: Any, **__: Any) -> None:
        """Nobody is shown anything."""

    def receive_message(self, **_: Any) -> Any:
        self.calls += 1
        return {}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{]",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
        None,
    ],
    ids=["not JSON", "400", "closed"],
)
def test_a_call_of_sqs_without_a_sound_answer_is_made_by_boto3(
    server: Server, answer: Optional[bytes]
) -> None:
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", None)
    lean = Lean(lambda: credentials, ca_file=str, is_proxied=lambda url: False, user_agent="test")
    lean._seen.request = (
        "sqs.ReceiveMessage",
        f"http://127.0.0.1:{server.port}/",
        {
            "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260504/eu-west-1/sqs/aws4_request, rest",
            "X-Amz-Target": "AmazonSQS.ReceiveMessage",
        },
    )
    lean.learn(("sqs", "ReceiveMessage"))
    boto3 = Boto3()
    calls = SqsCalls(boto3, lean)
    sound = b'{"Messages": []}'
    server.answers = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(sound)}\r\n\r\n".encode() + sound, answer]
    assert calls.ask("ReceiveMessage", QueueUrl="q") == {"Messages": []}
    assert "x-amz-target: AmazonSQS.ReceiveMessage\r\n" in server.requests[0]
    assert boto3.calls == 0
    assert calls.ask("ReceiveMessage", QueueUrl="q") == {}
    assert boto3.calls == 1
    assert not lean.knows(("sqs", "ReceiveMessage"))
