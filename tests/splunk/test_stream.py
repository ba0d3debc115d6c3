"""The reader that stands for splunkd forgives nothing, and our sink needs no forgiveness."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from io import BytesIO
from typing import BinaryIO, Iterator, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import Batch, Block, Origin, Receipt, Slice
from collector.sinks.splunkd import SplunkdSink
from collector.sinks.stream import unread_bytes
from collector.testing.splunkd_stream import StreamError, StreamReader
from collector.testing.twins import ManualClock

WELL = b"<stream><event><time>1777890012.412</time><data>a&amp;b</data><source>s</source></event></stream>"


_PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])


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


#: What an XML reader stumbles over, and what is long enough to fill the pipe several times.
_HOSTILE = st.sampled_from(
    [
        *(bytes([code]) for code in range(0x20)), b"]]>", b"]]", b"]", b">", b"]]]]>>", b"<![CDATA[", b"&#0;",
        b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80",
        b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8",
        b"</stream>", b"</data></event>", b"x" * 70_000,
    ]
)


@settings(deadline=None)
@given(st.lists(st.lists(_HOSTILE, min_size=1, max_size=6).map(b"".join), min_size=1, max_size=8))
def test_hostile_bytes_become_one_event_each_with_the_same_text(bodies: list[bytes]) -> None:
    read = [event.data for event in _read(_streamed(tuple(bodies), "s3://bucket/key")).events]
    assert read == [
        "".join("\ufffd" if _is_not_xml(char) else char for char in body.decode("utf-8", "replace"))
        for body in bodies
    ]


def test_one_huge_hostile_event_is_one_event() -> None:
    body = b"\x00]]>\r\xff" * 1_000_000
    (event,) = _read(_streamed((body,), "s3://bucket/key")).events
    assert event.data == "\ufffd]]>\r\ufffd" * 1_000_000


def _is_not_xml(char: str) -> bool:
    """By the production Char of XML 1.0, written down apart from the writer's own table."""
    allowed = char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd"
    return not (allowed or char > "\uffff")


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5), st.text(max_size=20))
def test_splunkd_gets_every_event_whatever_its_bytes(bodies: list[bytes], source: str) -> None:
    assert len(_read(_streamed(tuple(bodies), source)).events) == len(bodies)


@given(st.lists(st.text(_PRINTABLE, min_size=1), min_size=1))
def test_splunkd_gets_printable_text_unchanged(texts: list[str]) -> None:
    reader = _read(_streamed(tuple(text.encode() for text in texts), "s3://bucket/key"))
    expected = [text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for text in texts]
    assert [event.data for event in reader.events] == expected
    assert {event.fields["source"] for event in reader.events} == {"s3://bucket/key"}


class Pipe:
    """splunkd's end and ours of one pipe, under a clock of our own."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.clock = ManualClock()
        self.reader: BinaryIO = os.fdopen(reading, "rb", buffering=0)
        self.writer: BinaryIO = os.fdopen(writing, "wb")
        self.sink = SplunkdSink(self.writer, clock=self.clock)

    def is_taken(self, receipt: Receipt) -> bool:
        return list(self.sink.ask([receipt])) == [True]

    def read_all(self) -> None:
        while unread_bytes(self.writer):
            self.reader.read(65536)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    if unread_bytes(made.writer) is None:
        pytest.skip("this system does not tell what a pipe's reader has read")
    yield made
    made.sink.close()
    made.reader.close()
    with contextlib.suppress(OSError):
        made.writer.close()


def test_a_batch_counts_as_taken_when_splunkd_has_read_past_it_and_lived_on_for_five_seconds(pipe) -> None:
    receipt = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.clock.advance(3600)
    assert not pipe.is_taken(receipt)  # unread, however long ago it was written
    pipe.read_all()
    assert not pipe.is_taken(receipt)
    pipe.clock.advance(4.9)
    assert not pipe.is_taken(receipt)
    pipe.clock.advance(0.2)
    assert pipe.is_taken(receipt)


def test_one_unread_byte_of_a_batch_is_a_batch_that_is_not_taken(pipe) -> None:
    first = pipe.sink.send(_batch((b"event",)), lane=0)
    read = unread_bytes(pipe.writer)
    second = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.reader.read(unread_bytes(pipe.writer) - 1)
    assert read > 1
    pipe.sink.ask([])
    pipe.clock.advance(5)
    assert (pipe.is_taken(first), pipe.is_taken(second)) == (True, False)


def test_what_splunkd_read_before_it_died_is_not_taken(pipe) -> None:
    receipt = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.read_all()
    pipe.sink.ask([receipt])
    pipe.reader.close()
    pipe.clock.advance(60)
    assert not pipe.is_taken(receipt)
    pipe.sink.part()
    assert not pipe.is_taken(receipt)


def test_at_a_stop_what_splunkd_has_read_is_taken_at_once_and_the_rest_is_not(pipe) -> None:
    first = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.read_all()
    second = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.sink.part()
    assert (pipe.is_taken(first), pipe.is_taken(second)) == (True, False)


def test_what_another_run_wrote_is_never_taken(pipe) -> None:
    receipt = pipe.sink.send(_batch((b"event",)), lane=0)
    pipe.read_all()
    pipe.sink.part()
    assert pipe.is_taken(receipt)
    assert not pipe.is_taken(dataclasses.replace(receipt, channel="another run's"))


def test_where_nobody_can_tell_what_was_read_a_batch_is_taken_after_thirty_seconds() -> None:
    clock = ManualClock()
    sink = SplunkdSink(BytesIO(), clock=clock)
    receipt = sink.send(_batch((b"event",)), lane=0)
    sink.part()  # a stop knows no more
    clock.advance(29.9)
    assert list(sink.ask([receipt])) == [False]
    clock.advance(0.2)
    assert list(sink.ask([receipt])) == [True]


def _read(stream: bytes) -> StreamReader:
    reader = StreamReader()
    reader.feed(stream)
    reader.close()
    return reader


def _streamed(bodies: Tuple[bytes, ...], source: str) -> bytes:
    written = BytesIO()
    sink = SplunkdSink(written, clock=ManualClock())
    sink.send(_batch(bodies, source), lane=0)
    sink.close()
    return written.getvalue()


def _batch(bodies: Tuple[bytes, ...], source: str = "s3://bucket/key") -> Batch:
    block = Block(0, bodies, [None] * len(bodies), False)
    origin = Origin(oid="0", source=source, fallback_time="1777890012")
    return Batch((Slice(origin, 0, len(bodies), (block,), sum(map(len, bodies))),))
