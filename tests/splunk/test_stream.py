"""The reader that stands for splunkd forgives nothing, and our sink needs no forgiveness."""

from __future__ import annotations

from io import BytesIO
from typing import Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Batch, Block, Origin, Slice
from collector.sinks.splunkd import SplunkdSink
from collector.testing.splunkd_stream import StreamError, StreamReader

WELL = b"<stream><event><time>1777890012.412</time><data>a&amp;b</data><source>s</source></event></stream>"


_PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])


class _Clock:
    def now(self) -> float:
        return 1777890012.0

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_reads_the_same_in_pieces_of_any_size(size: int) -> None:
    reader = StreamReader()
    for start in range(0, len(WELL), size):
        reader.feed(WELL[start : start + size])
    reader.close()
    assert [(event.data, event.fields) for event in reader.events] == [
        ("a&b", {"time": "1777890012.412", "source": "s"})
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"<stream><event><data>\x00</data></event></stream>",
        b"<stream><event><data>\xff</data></event></stream>",
        b"<stream><event><data>\xed\xa0\x80</data></event></stream>",
        b"<stream><event><data>a & b</data></event></stream>",
        b"<stream><event><data></data></event></stream>",
        b"<stream><event><source>s</source></event></stream>",
        b"<stream><event><data>a</data><data>b</data></event></stream>",
        b"<stream><event><data>a</data><colour>b</colour></event></stream>",
        b"<stream><event><data>a<b>c</b></data></event></stream>",
        b"<stream><event><time>yesterday</time><data>a</data></event></stream>",
        b"<stream>stray text<event><data>a</data></event></stream>",
        b"<stream><event><data>a</data></event></stream><stream></stream>",
        b"<!DOCTYPE stream><stream></stream>",
        b"<stream><event><data>a</data></event>",
        b"stray",
    ],
)
def test_what_would_cost_splunkd_events_is_an_error(stream: bytes) -> None:
    with pytest.raises(StreamError):
        _read(stream)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5), st.text(max_size=20))
def test_splunkd_gets_every_event_whatever_its_bytes(bodies: list[bytes], source: str) -> None:
    assert len(_read(_streamed(tuple(bodies), source)).events) == len(bodies)


@given(st.lists(st.text(_PRINTABLE, min_size=1), min_size=1))
def test_splunkd_gets_printable_text_unchanged(texts: list[str]) -> None:
    reader = _read(_streamed(tuple(text.encode() for text in texts), "s3://bucket/key"))
    expected = [text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for text in texts]
    assert [event.data for event in reader.events] == expected
    assert {event.fields["source"] for event in reader.events} == {"s3://bucket/key"}


def _read(stream: bytes) -> StreamReader:
    reader = StreamReader()
    reader.feed(stream)
    reader.close()
    return reader


def _streamed(bodies: Tuple[bytes, ...], source: str) -> bytes:
    written = BytesIO()
    sink = SplunkdSink(written, clock=_Clock())
    block = Block(0, bodies, [None] * len(bodies), False)
    origin = Origin(oid="0", source=source, fallback_time="1777890012")
    piece = Slice(origin, 0, len(bodies), (block,), sum(map(len, bodies)))
    sink.send(Batch((piece,)), lane=0)
    sink.close()
    return written.getvalue()
