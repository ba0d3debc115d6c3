"""stdout carries events, whole lines of them, and says when nobody reads."""

from __future__ import annotations

import errno
import io
import json
import os
import threading

import pytest

from collector.errors import Fatal, Retry
from collector.sinks.stdout import StdoutSink
from collector.testing.twins import ManualClock
from tests.unit.sinks.batches import batch_of


class _Counting(io.BytesIO):
    writes = 0
    flushes = 0

    def write(self, piece: object) -> int:
        self.writes += 1
        return super().write(piece)  # type: ignore[arg-type]

    def flush(self) -> None:
        self.flushes += 1
        super().flush()


class _Sipping(io.BytesIO):
    """An unbuffered stream that takes three bytes at a time."""

    def write(self, piece: object) -> int:
        return super().write(memoryview(piece)[:3])  # type: ignore[arg-type]


class _Full(io.BytesIO):
    """A disk that fills after ten bytes, until `full` is lifted."""

    full = True

    def write(self, piece: object) -> int:
        if not self.full:
            return super().write(piece)  # type: ignore[arg-type]
        if self.tell() >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(memoryview(piece)[: 10 - self.tell()])  # type: ignore[arg-type]


def test_a_batch_is_one_write_and_one_flush() -> None:
    stream = _Counting()
    StdoutSink(stream, clock=ManualClock()).send(batch_of(b"one", b"two"), lane=0)
    assert (stream.getvalue(), stream.writes, stream.flushes) == (b"one\ntwo\n", 1, 1)


def test_an_empty_batch_writes_nothing() -> None:
    stream = _Counting()
    StdoutSink(stream, clock=ManualClock()).send(batch_of(), lane=0)
    assert stream.writes == 0


def test_a_stream_that_takes_parts_gets_everything() -> None:
    stream = _Sipping()
    StdoutSink(stream, clock=ManualClock()).send(batch_of(b"abcdefgh", b"ij"), lane=0)
    assert stream.getvalue() == b"abcdefgh\nij\n"


@pytest.mark.parametrize("format", ["json", "hec"])
def test_each_format_is_one_json_object_a_line(format: str) -> None:
    stream = io.BytesIO()
    sink = StdoutSink(stream, clock=ManualClock(), format=format)
    sink.send(batch_of(b'{\n "a": 1\n}', b"[\n]", is_json=True), lane=0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all("event" in json.loads(line) for line in lines)


def test_an_unknown_format_is_a_configuration_error() -> None:
    with pytest.raises(Fatal, match="stdout_format"):
        StdoutSink(io.BytesIO(), clock=ManualClock(), format="xml")


def test_a_reader_that_went_away_closes_the_output() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as stream, pytest.raises(Fatal) as caught:
        StdoutSink(stream, clock=ManualClock()).send(batch_of(b"one"), lane=0)
    assert (caught.value.code, caught.value.scope) == ("stdout_closed", "output")


def test_a_full_disk_is_tried_again_and_the_torn_line_is_ended() -> None:
    stream = _Full()
    sink = StdoutSink(stream, clock=ManualClock())
    with pytest.raises(Retry, match="stdout_write_failed"):
        sink.send(batch_of(b"0123456789abcdef"), lane=0)
    stream.full = False
    sink.send(batch_of(b"0123456789abcdef"), lane=0)
    assert stream.getvalue() == b"0123456789\n0123456789abcdef\n"


def test_a_non_blocking_pipe_is_waited_for() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    body = b"x" * 1_000_000
    got = []

    def drain() -> None:
        with os.fdopen(read_end, "rb") as source:
            got.append(source.read())

    reader = threading.Thread(target=drain)
    reader.start()
    with os.fdopen(write_end, "wb") as stream:
        StdoutSink(stream, clock=ManualClock()).send(batch_of(body), lane=0)
    reader.join()
    assert got == [body + b"\n"]
