"""The physical limit: each object got, inflated and posted, and nothing else.

    python -m benchmarks.limit HOST:PORT plain|gzip < KEYS

A raw socket for the GETs, igzip in pieces of 256 KiB, a raw socket for the POSTs of the same bytes in bodies
of 1 MiB, compressed at igzip's level 1 if asked. No queue, no signing, no events: no collector that reads
what it sends can be cheaper.
"""

from __future__ import annotations

import json
import socket
import sys
import zlib
from typing import Any, BinaryIO, Iterator, List

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None

__all__ = ["main"]

IN_BYTES, OUT_BYTES, BODY_BYTES = 64 * 1024, 256 * 1024, 1024 * 1024


def read_head(file: BinaryIO) -> int:
    """The length of the body that follows."""
    length = 0
    while True:
        line = file.readline()
        if line == b"\r\n":
            return length
        if line[:15].lower() == b"content-length:":
            length = int(line[15:])


def pieces_of(file: BinaryIO, length: int) -> Iterator[bytes]:
    inflater: Any = (isal_zlib or zlib).decompressobj(31)
    while length:
        piece = file.read(min(IN_BYTES, length))
        length -= len(piece)
        while piece:
            yield inflater.decompress(piece, OUT_BYTES)
            piece = inflater.unconsumed_tail
    while not inflater.eof:
        more = inflater.decompress(b"", OUT_BYTES)
        if not more:
            raise ValueError("an object ends early")
        yield more


class Poster:
    """Collects pieces and posts them a megabyte at a time."""

    def __init__(self, address: Any, host: str, *, packed: bool) -> None:
        self._socket = socket.create_connection(address)
        self._file = self._socket.makefile("rb")
        self._packed = packed
        self._head = f"POST /raw HTTP/1.1\r\nHost: {host}\r\n" + (
            "Content-Encoding: gzip\r\n" if packed else ""
        )
        self._held: List[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._held.append(piece)
        self._size += len(piece)
        if self._size >= BODY_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._held:
            return
        body = b"".join(self._held)
        self._held, self._size = [], 0
        if self._packed:
            body = isal_zlib.compress(body, 1, 31) if isal_zlib else zlib.compress(body, 1)
        self._socket.sendall(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._file.read(read_head(self._file))


def main(host: str, body: str, keys: List[str]) -> None:
    name, _, port = host.partition(":")
    address = (name, int(port))
    getter = socket.create_connection(address)
    file, poster = getter.makefile("rb"), Poster(address, host, packed=body == "gzip")
    for key in keys:
        getter.sendall(f"GET /audits/{key} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for piece in pieces_of(file, read_head(file)):
            poster.add(piece)
    poster.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.load(sys.stdin))
