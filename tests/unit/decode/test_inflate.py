"""Layers come off whole, or the error says why not."""

from __future__ import annotations

import gzip
import lzma
import time
import zlib
from typing import Iterable, Iterator, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.budget import Budget
from collector.decode.layers import texts
from collector.errors import Poison

BOTH = pytest.mark.parametrize("accelerated", [True, False])


def plain(chunks: Iterable[bytes], *, accelerated: bool = True) -> Iterator[bytes]:
    """All texts inside, one after the other."""
    for text in texts(chunks, budget=Budget(), accelerated=accelerated):
        yield from text.chunks


def unwrapped(stored: bytes, *, step: int = 65536, accelerated: bool = True) -> Tuple[bytes, str, int]:
    """What came out, the code of the Poison or "", and its sightings."""
    found: List[bytes] = []
    chunks = (stored[start : start + step] for start in range(0, len(stored), step))
    try:
        for piece in plain(chunks, accelerated=accelerated):
            found.append(piece)
    except Poison as error:
        return b"".join(found), error.code, error.sightings
    return b"".join(found), "", 0


@BOTH
@given(texts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), step=st.integers(1, 100))
def test_all_members_are_read_in_pieces_of_any_size(accelerated: bool, texts: List[bytes], step: int) -> None:
    stored = b"".join(gzip.compress(b"text " + text) for text in texts)
    wanted = b"".join(b"text " + text for text in texts)
    assert unwrapped(stored, step=step, accelerated=accelerated) == (wanted, "", 0)


@BOTH
@pytest.mark.parametrize("step", [1, 9, 65536])
def test_every_cut_of_a_member_is_seen(accelerated: bool, step: int) -> None:
    stored = gzip.compress(b"one\ntwo\n" * 20)
    for end in range(11, len(stored)):
        text, code, sightings = unwrapped(stored[:end], step=step, accelerated=accelerated)
        assert (code, sightings) == ("truncated_gzip", 3)
        assert (b"one\ntwo\n" * 20).startswith(text)


@BOTH
def test_a_wrong_checksum_costs_no_byte(accelerated: bool) -> None:
    stored = bytearray(gzip.compress(b"one\n" * 50))
    stored[-7] ^= 1
    assert unwrapped(bytes(stored), accelerated=accelerated) == (b"one\n" * 50, "corrupt_gzip", 2)


@BOTH
def test_a_changed_byte_is_always_noticed(accelerated: bool) -> None:
    plain = b"".join(b"line %d\n" % number for number in range(200))
    stored = gzip.compress(plain)
    for place in range(10, len(stored), 7):
        damaged = bytearray(stored)
        damaged[place] ^= 0x10
        code = unwrapped(bytes(damaged), accelerated=accelerated)[1]
        assert code in ("corrupt_gzip", "truncated_gzip", "trailing_junk")


def endless() -> Iterator[bytes]:
    yield gzip.compress(b"\0" * (300 << 20))


@pytest.mark.once
@BOTH
def test_a_bomb_is_stopped_early(accelerated: bool) -> None:
    size = 0
    with pytest.raises(Poison) as caught:
        for piece in plain(endless(), accelerated=accelerated):
            size += len(piece)
    assert caught.value.code == "bomb"
    assert size <= 65 << 20


def test_layers_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "max_bytes", 3_000_000)
    once = gzip.compress(b"x" * 2_900_000, 0)
    assert unwrapped(once)[1] == ""
    assert unwrapped(gzip.compress(once, 0))[1] == "bomb"


def test_the_first_piece_does_not_wait_for_the_last() -> None:
    def source() -> Iterator[bytes]:
        yield gzip.compress(b"first\n") + b"\x1f\x8b"
        raise AssertionError("read too far ahead")

    pieces = plain(source())
    with pytest.raises(AssertionError):
        list(pieces)


def test_a_dictionary_of_gigabytes_is_refused_not_tried() -> None:
    stored = bytearray(lzma.compress(b"a line\n", preset=0))
    assert stored[12:16] == b"\x02\x00\x21\x01"  # the block's header: LZMA2, one byte of properties
    stored[16] = 39  # 3 GiB
    stored[20:24] = zlib.crc32(stored[12:20]).to_bytes(4, "little")
    assert unwrapped(bytes(stored))[:2] == (b"", "unsupported_container")


@BOTH
def test_a_long_name_is_passed_over_in_one_go(accelerated: bool) -> None:
    """A byte at a time, each with a copy of what follows, this would take minutes."""
    head = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 20_000_000 + b"\0"
    stored = head + gzip.compress(b"a line\n", mtime=0)[10:]
    started = time.process_time()
    assert unwrapped(stored, accelerated=accelerated) == (b"a line\n", "", 0)
    assert time.process_time() - started < 20
