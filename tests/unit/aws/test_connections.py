"""Answers over real sockets: whole however they are cut, and no longer waited for than that."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import Callable, Iterator, Sequence

import pytest

from collector.aws import connections
from collector.aws.connections import Connections, Endpoint

_BODY = bytes(range(256)) * 400
_HEAD = b"HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: %d\r\nX-Amz-Meta-A:  b \r\n\r\n" % len(_BODY)


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """A server whose every connection is handed to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        answer(connection)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield ("http", *server.getsockname())
        server.shutdown(socket.SHUT_RDWR)


def _in_pieces(pieces: Sequence[bytes]) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(1000):
            for piece in pieces:
                connection.sendall(piece)

    return answer


def _cut(text: bytes, *places: int) -> Sequence[bytes]:
    ends = (*places, len(text))
    return [text[start:end] for start, end in zip((0, *places), ends)]


@pytest.mark.parametrize(
    "places", [(), (1,), (len(_HEAD) - 2,), (len(_HEAD) - 4, len(_HEAD)), (20, 300, 70_000)]
)
def test_an_answer_is_whole_however_it_is_cut_and_its_connection_is_used_again(places: Sequence[int]) -> None:
    with serving(_in_pieces(_cut(_HEAD + _BODY, *places))) as endpoint:
        kept = Connections(lambda: "")
        for _ in range(3):
            answer = kept.send(endpoint, b"GET / HTTP/1.1\r\n\r\n").answer()
            assert answer.status == 200
            assert answer.headers == {"etag": '"e"', "content-length": str(len(_BODY)), "x-amz-meta-a": "b"}
            pieces = list(iter(lambda: answer.body.read(60_000), b""))  # noqa: B023  (used up in this turn)
            assert [len(piece) for piece in pieces] == [60_000, len(_BODY) - 60_000]
            assert b"".join(pieces) == _BODY
            assert len(kept._idle[endpoint]) == 1
        kept.close()


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 201 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000,
    ],
)
def test_an_answer_that_is_not_plain_is_an_error(text: bytes) -> None:
    with serving(_in_pieces([text])) as endpoint, pytest.raises(ValueError):
        Connections(lambda: "").send(endpoint, b"GET / HTTP/1.1\r\n\r\n").answer()


def test_a_body_that_ends_early_is_short_and_its_connection_is_not_used_again() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(_HEAD + _BODY[:70_000])

    with serving(answer) as endpoint:
        kept = Connections(lambda: "")
        body = kept.send(endpoint, b"GET / HTTP/1.1\r\n\r\n").answer().body
        assert [len(body.read(60_000)) for _ in range(3)] == [60_000, 10_000, 0]
        assert not kept._idle


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200", _HEAD + _BODY[:70_000]], ids=["head", "body"])
def test_an_answer_that_does_not_go_on_is_given_up(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_READ_SECONDS", 0.2)
    waits = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(sent)
        waits.wait(20)

    with serving(answer) as endpoint:
        with pytest.raises(socket.timeout):  # which is TimeoutError from Python 3.10 on
            body = Connections(lambda: "").send(endpoint, b"GET / HTTP/1.1\r\n\r\n").answer().body
            body.read(len(_BODY))
        waits.set()
