"""Slices are cut from ordinal 0 by constants only, so that a replay cuts the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.engine.slicer import cut
from collector.errors import Poison, Retry
from collector.model import SLICE_MAX_BYTES, SLICE_MAX_EVENTS, Block, Lines, Origin

ORIGIN = Origin("oid", "s3://audit-logs/k", "1.000")
#: Sizes around every limit; the bodies are shared, so that many examples cost little.
SIZES = st.sampled_from((0, 1, 90, 400, 262, 9_000, 130_000, 262_143, 262_144, 262_145, 300_000))
EVENTS = st.one_of(
    st.lists(SIZES, max_size=40),
    st.lists(st.sampled_from((0, 1, 300)), min_size=0, max_size=30).map(lambda few: few * 100),
)
BODIES = {}


def _body(size):
    return BODIES.setdefault(size, b"x" * size)


def _blocks(sizes, cuts, *, as_lines=False):
    """The same events, in blocks that end at `cuts`; as lists, or as lines of a text."""
    bounds = sorted({0, len(sizes), *(at % (len(sizes) + 1) for at in cuts)})
    for low, high in zip(bounds, bounds[1:]):
        bodies = [_body(size) for size in sizes[low:high]]
        if as_lines and bodies:
            text = b"\n".join([*bodies, b""])
            bodies = Lines(text, 0, len(text), len(bodies))
        yield Block(low, bodies, [str(low + index) for index in range(high - low)], False)


def _shape(slices):
    return [
        (one.first, one.end, one.size_bytes, [(event.ordinal, len(event.body), event.time) for event in one])
        for one in slices
    ]


@given(EVENTS, st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_slices_depend_on_the_events_alone_whatever_the_blocks_were(sizes, cuts):
    whole = _shape(cut(_blocks(sizes, ()), ORIGIN))
    assert _shape(cut(_blocks(sizes, cuts), ORIGIN)) == whole
    assert _shape(cut(_blocks(sizes, cuts, as_lines=True), ORIGIN)) == whole


@given(EVENTS, st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_event_is_in_one_slice_in_order_with_its_own_time(sizes, cuts):
    slices = list(cut(_blocks(sizes, cuts), ORIGIN))
    events = [event for one in slices for event in one]
    assert [(event.ordinal, len(event.body)) for event in events] == list(enumerate(sizes))
    assert [event.time for event in events] == [str(at) for at in range(len(sizes))]
    assert [one.first for one in slices] == ([0, *(one.end for one in slices[:-1])] if slices else [])


@given(EVENTS)
@settings(max_examples=60, deadline=None)
def test_a_slice_keeps_the_limits_and_is_cut_no_earlier_than_it_must(sizes):
    slices = list(cut(_blocks(sizes, ()), ORIGIN))
    for one, after in zip(slices, [*slices[1:], None]):
        assert one.count <= SLICE_MAX_EVENTS
        assert one.size_bytes == sum(sizes[one.first : one.end])
        assert one.size_bytes <= SLICE_MAX_BYTES or one.count == 1
        if after is not None:
            full = one.count == SLICE_MAX_EVENTS or one.size_bytes + sizes[one.end] > SLICE_MAX_BYTES
            assert full


@given(EVENTS, st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_replay_from_any_boundary_completes_the_prefix_to_the_whole(sizes, cuts):
    first_run = _shape(cut(_blocks(sizes, ()), ORIGIN))
    replay = _shape(cut(_blocks(sizes, cuts), ORIGIN))
    for offset in [0, *(end for _, end, _, _ in first_run)]:
        prefix = [one for one in first_run if one[1] <= offset]
        resumed = [one for one in replay if one[0] >= offset]
        assert prefix + resumed == first_run


def test_one_event_larger_than_a_slice_stands_alone():
    slices = list(cut(_blocks([10, SLICE_MAX_BYTES + 1, 10], ()), ORIGIN))
    assert [(one.first, one.end) for one in slices] == [(0, 1), (1, 2), (2, 3)]


def test_an_event_that_fills_a_slice_to_the_byte_is_not_parted_from_it():
    slices = list(cut(_blocks([SLICE_MAX_BYTES - 10, 10, 1], ()), ORIGIN))
    assert [(one.first, one.end) for one in slices] == [(0, 2), (2, 3)]


def _until(error, events):
    """The slices of a source that raises `error` after so many events."""

    def broken():
        yield from _blocks([5] * events, (7, 400))
        raise error

    slices = []
    with pytest.raises(type(error)):
        for one in cut(broken(), ORIGIN):
            slices.append(one)
    return slices


@pytest.mark.parametrize("events", [0, 1, 999, 1000, 1001, 2500])
def test_damage_in_the_object_comes_after_the_slices_before_it(events):
    slices = _until(Poison("the stream is damaged", code="broken_stream"), events)
    assert sum(one.count for one in slices) == events
    assert _shape(slices) == _shape(cut(_blocks([5] * events, (7, 400)), ORIGIN))


@pytest.mark.parametrize("events", [0, 1, 999, 1000, 1001, 2500])
def test_a_passing_error_cuts_no_slice_short_as_a_replay_would_cut_it_elsewhere(events):
    slices = _until(Retry("connection reset", code="reset"), events)
    whole = _shape(cut(_blocks([5] * 5000, (7, 400)), ORIGIN))
    assert _shape(slices) == whole[: len(slices)]
    assert events - sum(one.count for one in slices) <= SLICE_MAX_EVENTS


def test_nothing_gives_no_slice():
    assert list(cut(iter(()), ORIGIN)) == []
