"""A backlog that rises, and a queue that gives nothing."""

from __future__ import annotations

from typing import Optional, Sequence

import pytest

from collector.ports import QueueDepth
from collector.retention.backlog import Backlog, Stall


def deep(visible: int, *, in_flight: int = 0) -> QueueDepth:
    return QueueDepth(visible, in_flight, 0, 345_600.0)


def told(backlog: Backlog, sizes: Sequence[int]) -> Sequence[bool]:
    return [backlog.look(deep(size), waited_seconds=None) is not None for size in sizes]


def test_a_queue_that_is_deeper_at_three_looks_in_a_row_is_told_once() -> None:
    assert told(Backlog(), [100, 200, 300, 400, 500, 600]) == [False, False, False, True, False, False]


@pytest.mark.parametrize(
    "sizes", [[0, 1, 2, 3, 4], [900, 800, 700, 600], [100, 300, 200, 400, 300, 500], [500] * 6]
)
def test_what_is_small_falls_or_goes_up_and_down_is_no_backlog(sizes: Sequence[int]) -> None:
    assert not any(told(Backlog(), sizes))


def test_it_is_over_when_half_of_it_is_gone() -> None:
    backlog = Backlog()
    told(backlog, [100, 200, 300, 400, 800, 600])
    assert backlog.notice is not None and "600 messages" in backlog.notice.what
    over = backlog.look(deep(400), waited_seconds=None)
    assert over is not None and over.is_over and backlog.notice is None
    assert told(backlog, [500, 600]) == [False, False]
    assert told(backlog, [700]) == [True]


def test_without_the_right_to_count_full_receives_of_ever_older_messages_tell() -> None:
    backlog = Backlog()
    waits = [30.0, 60.0, 90.0, 120.0]
    news = [backlog.look(None, waited_seconds=wait) for wait in waits]
    assert [one is not None for one in news] == [False, False, False, True]
    assert backlog.notice is not None and "2 min" in backlog.notice.what
    over = backlog.look(None, waited_seconds=None)
    assert over is not None and over.is_over


def test_a_receive_that_is_not_full_begins_the_count_anew() -> None:
    backlog = Backlog()
    waits: Sequence[Optional[float]] = [100.0, 200.0, None, 300.0, 400.0]
    assert not any(backlog.look(None, waited_seconds=wait) for wait in waits)


def test_three_looks_at_a_queue_that_has_messages_and_gives_none_are_an_alarm_told_once() -> None:
    stall = Stall(fifo=False)
    news = [stall.look(deep(50, in_flight=119_990), empty=True) for _ in range(5)]
    assert [one is not None for one in news] == [False, False, True, False, False]
    assert stall.notice is not None and stall.notice.is_warning
    assert "50 messages" in stall.notice.what and "120,000" in stall.notice.hint


@pytest.mark.parametrize(("fifo", "word"), [(True, "group"), (False, "another consumer")])
def test_far_below_the_quota_something_else_is_the_cause(fifo: bool, word: str) -> None:
    stall = Stall(fifo=fifo)
    for _ in range(3):
        stall.look(deep(50, in_flight=3), empty=True)
    assert stall.notice is not None and word in stall.notice.hint


@pytest.mark.parametrize(
    ("depth", "empty"), [(None, True), (deep(0, in_flight=120_000), True), (deep(50), False)]
)
def test_a_queue_that_gives_or_has_nothing_or_may_not_be_asked_ends_the_count(
    depth: Optional[QueueDepth], empty: bool
) -> None:
    stall = Stall(fifo=False)
    for _ in range(2):
        stall.look(deep(50), empty=True)
    assert stall.look(depth, empty=empty) is None
    assert not any(stall.look(deep(50), empty=True) for _ in range(2))
    assert stall.look(deep(50), empty=True) is not None
    over = stall.look(depth, empty=empty)
    assert over is not None and over.is_over
