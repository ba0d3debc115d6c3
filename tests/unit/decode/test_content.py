"""What is hashed is what CloudTrail hashed: the bytes inside one layer of gzip, all of them, once."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
from typing import Iterator, List

import pytest

from collector.decode import decode
from collector.decode.content import content
from collector.errors import CollectorError, Poison, Retry
from collector.model import Format

EVENTS = [{"eventTime": "2026-05-04T10:15:02Z", "eventID": str(n), "pad": "x" * 300} for n in range(3000)]
TEXT = json.dumps({"Records": EVENTS}).encode()


def chunks(stored: bytes, size: int = 1000) -> Iterator[bytes]:
    return (stored[start : start + size] for start in range(0, len(stored), size))


def told(stored: bytes) -> List[bytes]:
    pieces: List[bytes] = []
    blocks = decode(chunks(stored), format=Format(), now=2e9, inflated=pieces.append)
    assert sum(len(block.bodies) for block in blocks)
    return pieces


@pytest.mark.parametrize("accelerated", [True, False])
def test_every_byte_inside_the_gzip_is_told_once_and_in_order(accelerated: bool) -> None:
    pieces: List[bytes] = []
    stored = gzip.compress(TEXT)
    blocks = decode(
        chunks(stored), format=Format(), now=2e9, accelerated=accelerated, inflated=pieces.append
    )
    assert sum(len(block.bodies) for block in blocks) == 3000
    assert b"".join(pieces) == TEXT
    assert b"".join(content(chunks(stored), accelerated=accelerated)) == TEXT


def test_all_members_count_and_so_do_bytes_that_are_no_events() -> None:
    stored = gzip.compress(b'{"a":1}\n') + gzip.compress(b'\n \n{"a":2}')
    assert b"".join(told(stored)) == b"".join(content([stored])) == b'{"a":1}\n\n \n{"a":2}'


def test_the_outermost_layer_is_what_is_told() -> None:
    inner = gzip.compress(b'{"a":1}\n')
    assert b"".join(told(gzip.compress(inner))) == inner


@pytest.mark.parametrize("stored", [TEXT, bz2.compress(TEXT)])
def test_what_is_not_gzip_has_no_content(stored: bytes) -> None:
    assert told(stored) == []
    with pytest.raises(Poison) as raised:
        list(content([stored]))
    assert raised.value.code == "not_gzip"


def test_an_empty_content_is_told_as_such() -> None:
    pieces: List[bytes] = []
    assert list(decode([gzip.compress(b"")], format=Format(), now=2e9, inflated=pieces.append)) == []
    assert pieces == [b""]


@pytest.mark.parametrize("cut", [0, 1, 100, -5])
def test_a_source_that_fails_is_not_taken_for_an_end(cut: int) -> None:
    def failing() -> Iterator[bytes]:
        yield gzip.compress(TEXT)[:cut]
        raise Retry("reset", code="connection_failed")

    hashed = hashlib.sha256()
    with pytest.raises(CollectorError) as raised:
        for piece in content(failing()):
            hashed.update(piece)
    assert raised.value.code == "connection_failed"


def test_a_damaged_trailer_is_no_end() -> None:
    stored = bytearray(gzip.compress(TEXT))
    stored[-6] ^= 1
    with pytest.raises(Poison) as raised:
        list(content([bytes(stored)]))
    assert raised.value.code == "corrupt_gzip"
