"""Whatever an event's bytes are, splunkd's XML parser survives them."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from typing import List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.errors import Fatal
from collector.model import Batch
from collector.sinks.splunkd import SplunkdSink
from collector.testing.splunkd_stream import StreamEvent, StreamReader
from collector.testing.twins import ManualClock
from tests.unit.sinks.batches import ORIGIN, batch_of, piece_of

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _read(*batches: Batch) -> List[StreamEvent]:
    stream = io.BytesIO()
    sink = SplunkdSink(stream, clock=ManualClock())
    for batch in batches:
        sink.send(batch, lane=0)
    sink.close()
    reader = StreamReader()
    reader.feed(stream.getvalue())
    reader.close()
    return reader.events


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5))
@example([b"\xc3", b"\xa9"])
@example([b"]]", b">"])
@example([b"a]]>b\r\n\r]]\r>"])
@example([b"\xef\xbf\xbe\xef\xbf\xbf\x00\x1b\x0b"])
@example([b"\xef\xbf\xbe"])
@example([b"\xef\xbf\xbf"])
@example([b"<event>&amp;</data>"])
def test_any_bytes_are_read_back_as_their_text(bodies: List[bytes]) -> None:
    wanted = [_NOT_XML.sub("\ufffd", body.decode("utf-8", "replace")) for body in bodies]
    assert [event.data for event in _read(batch_of(*bodies))] == wanted


@given(st.text(min_size=1))
@example("a\r\nb<>&\"'\x00\ud800")
def test_any_name_is_read_back(source: str) -> None:
    [event] = _read(batch_of(b"x", origin=replace(ORIGIN, source=source)))
    text = source.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert event.fields["source"] == _NOT_XML.sub("\ufffd", text)


def test_an_event_has_its_own_time_and_names_and_is_not_broken_again() -> None:
    first, second = _read(Batch((piece_of(b"a", b"b", times=["1777890012.412", None]),)))
    names = {"source": ORIGIN.source, "sourcetype": "aws:cloudtrail", "index": "audit", "host": "collector-1"}
    assert first.fields == {"time": "1777890012.412", **names}
    assert second.fields == {"time": "1777890000", **names}
    assert first.attributes == {}


def test_empty_names_are_left_out() -> None:
    [event] = _read(batch_of(b"x", origin=replace(ORIGIN, sourcetype="", index="", host="", source="")))
    assert set(event.fields) == {"time"}


def test_batches_share_one_stream() -> None:
    assert [event.data for event in _read(batch_of(b"one"), batch_of(b"two"))] == ["one", "two"]


def test_a_run_without_events_is_a_whole_stream_too() -> None:
    assert _read() == []


def test_after_splunkd_went_away_nothing_is_taken() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as stream:
        sink = SplunkdSink(stream, clock=ManualClock())
        for _ in range(2):
            with pytest.raises(Fatal) as caught:
                sink.send(batch_of(b"one"), lane=0)
            assert (caught.value.code, caught.value.scope) == ("splunkd_closed", "output")
        sink.close()


def test_closing_twice_ends_the_stream_once() -> None:
    stream = io.BytesIO()
    sink = SplunkdSink(stream, clock=ManualClock())
    sink.send(batch_of(b"one"), lane=0)
    sink.close()
    sink.close()
    assert stream.getvalue().count(b"</stream>") == 1
