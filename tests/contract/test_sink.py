"""The laws of `ports.Sink`, held by the twin and by every output: HEC with and without acknowledgement,
stdout in each format, and splunkd."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Callable, Iterator, List

import pytest

from collector.model import Batch, Span
from collector.ports import Sink
from collector.sinks.hec import HecSink
from collector.sinks.splunkd import SplunkdSink
from collector.sinks.stdout import StdoutSink
from collector.testing.fake_hec import FakeHec
from collector.testing.splunkd_stream import StreamReader
from collector.testing.twins import ManualClock, MemorySink
from tests.unit.sinks.batches import batch_of, piece_of


@dataclass
class Setup:
    sink: Sink
    delivered: Callable[[], List[str]]
    clock: ManualClock


def _twin(ack: bool) -> Setup:
    clock = ManualClock()
    sink = MemorySink(clock, ack=ack, lanes=2)
    return Setup(sink, lambda: [body.decode() for body in sink.bodies()], clock)


def _hec(hec: FakeHec) -> Setup:
    clock = ManualClock()
    sink = HecSink([hec.url], hec.token, clock=clock, lanes=2, gzip="on")
    return Setup(sink, lambda: [str(event["event"]) for event in hec.events], clock)


def _stdout(format: str) -> Setup:
    clock, stream = ManualClock(), io.BytesIO()

    def delivered() -> List[str]:
        lines = stream.getvalue().decode().splitlines()
        return lines if format == "raw" else [json.loads(line)["event"] for line in lines]

    return Setup(StdoutSink(stream, clock=clock, format=format), delivered, clock)


def _splunkd() -> Setup:
    clock, stream = ManualClock(), io.BytesIO()

    def delivered() -> List[str]:
        reader = StreamReader()
        reader.feed(stream.getvalue())
        return [event.data for event in reader.events]

    return Setup(SplunkdSink(stream, clock=clock), delivered, clock)


KINDS = ["twin", "twin-ack", "hec", "hec-ack", "stdout-raw", "stdout-json", "stdout-hec", "splunkd"]


@pytest.fixture(params=KINDS)
def setup(request: pytest.FixtureRequest) -> Iterator[Setup]:
    kind, _, variant = request.param.partition("-")
    if kind == "hec":
        with FakeHec(acks=variant == "ack") as hec:
            made = _hec(hec)
            yield made
            made.sink.close()
        return
    if kind == "twin":
        made = _twin(variant == "ack")
    else:
        made = _splunkd() if kind == "splunkd" else _stdout(variant)
    yield made
    made.sink.close()


def test_events_arrive_in_order_and_once(setup: Setup) -> None:
    setup.sink.send(Batch((piece_of(b"one", b"two"), piece_of(b"three", first=2))), lane=0)
    setup.sink.send(batch_of(b"four"), lane=0)
    assert setup.delivered() == ["one", "two", "three", "four"]


def test_a_receipt_names_the_output_the_time_and_every_span(setup: Setup) -> None:
    batch = Batch((piece_of(b"one", b"two"), piece_of(b"three", first=2)))
    receipt = setup.sink.send(batch, lane=0)
    assert receipt.output == setup.sink.name
    assert receipt.sent_at == setup.clock.now()
    assert [(span.first, span.end) for span in receipt.spans] == [(0, 2), (2, 3)]
    assert all(isinstance(span, Span) for span in receipt.spans)


def test_what_was_delivered_is_confirmed(setup: Setup) -> None:
    receipts = [setup.sink.send(batch_of(body), lane=0) for body in (b"one", b"two")]
    setup.clock.advance(30)
    assert list(setup.sink.ask(receipts)) == [True, True]


def test_asking_about_nothing_answers_nothing(setup: Setup) -> None:
    assert list(setup.sink.ask([])) == []


def test_after_a_channel_is_abandoned_sending_goes_on(setup: Setup) -> None:
    first = setup.sink.send(batch_of(b"one"), lane=0)
    if first.ack_id is not None:
        setup.sink.abandon(first)
    second = setup.sink.send(batch_of(b"two"), lane=0)
    assert second.ack_id is None or setup.sink.lanes == 1 or second.channel != first.channel
    setup.clock.advance(30)
    assert list(setup.sink.ask([second])) == [True]


def test_a_sink_says_how_many_may_send(setup: Setup) -> None:
    assert setup.sink.lanes >= 1


def test_a_sink_reckons_with_no_fewer_bytes_than_a_slice_has(setup: Setup) -> None:
    (piece,) = batch_of(b"one", b"two").slices
    assert setup.sink.rendered_bytes(piece) >= piece.size_bytes + piece.count


def test_closing_twice_is_closing_once(setup: Setup) -> None:
    setup.sink.send(batch_of(b"one"), lane=0)
    setup.sink.close()
    setup.sink.close()
    assert setup.delivered() == ["one"]
