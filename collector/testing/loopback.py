"""The life of a fake server: on 127.0.0.1, on a free port, until it is closed.

    class FakeThing(Loopback):
        def __init__(self) -> None:
            super().__init__(_Conversation)     # whose `self.server.fake` is the FakeThing

    with FakeThing() as thing:
        requests.get(f"http://127.0.0.1:{thing.port}/")
"""

from __future__ import annotations

import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional, Type, TypeVar

__all__ = ["Loopback", "Server"]

Fake = TypeVar("Fake", bound="Loopback")


class Server(ThreadingHTTPServer):
    """Takes many connections at a time, and none of them to its grave."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not trust our certificate, is part of the game."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Loopback:
    """Answers from `start` to `close`, or as a context manager, each connection on a thread of its own.

    It has its port from the beginning: who connects before `start` is answered then.
    """

    def __init__(
        self, conversation: Type[BaseHTTPRequestHandler], *, tls: Optional[ssl.SSLContext] = None
    ) -> None:
        self._server = Server(("127.0.0.1", 0), conversation)
        self._server.fake = self  # type: ignore[attr-defined]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self: Fake) -> Fake:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening. Conversations under way end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self: Fake) -> Fake:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
