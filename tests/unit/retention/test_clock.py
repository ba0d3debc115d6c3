"""The retention clock: who is told when, and how often."""

from __future__ import annotations

from typing import List, Optional

import pytest

from collector.retention.clock import BUCKET, QUEUE, Cliff, Oldest
from collector.retention.moves import mover
from collector.retention.notice import Notice
from collector.wording import spell

DAY = 86_400.0
NOW = 1_777_890_000.0


def aged(days: float, *, reason: str = "", move: str = "") -> Oldest:
    return Oldest("s3://b/old", NOW - days * DAY, reason, move)


def look(cliff: Cliff, oldest: Optional[Oldest], *, window_days: Optional[float] = 30) -> Optional[Notice]:
    return cliff.look(oldest, window_seconds=window_days and window_days * DAY, now=NOW)


def test_each_mark_is_told_once_as_an_object_ages() -> None:
    cliff = Cliff(BUCKET)
    told: List[float] = []
    for tenths in range(331):
        news = look(cliff, aged(tenths / 10))
        if news is not None:
            told.append(tenths / 10)
            assert news.is_warning and news.where == "s3://b/old"
    assert told == [15.0, 24.0, 30.0]


def test_a_warning_names_what_is_left_the_reason_and_the_move() -> None:
    cliff = Cliff(BUCKET)
    news = look(cliff, aged(24.5, reason="denied [object_denied]", move="Provider: attach s3:GetObject"))
    assert news is not None
    assert "81 % of the 30 d" in news.what and "5 d 12 h" in news.what and "denied" in news.what
    assert news.hint == "Provider: attach s3:GetObject"
    assert look(Cliff(BUCKET), aged(20)).hint.startswith("You: ")  # type: ignore[union-attr]
    over = look(Cliff(BUCKET), aged(31))
    assert over is not None and "any moment" in over.what and "100 %" in over.what


def test_what_is_collected_ends_the_warning_with_one_line_and_a_later_one_warns_again() -> None:
    cliff = Cliff(BUCKET)
    assert look(cliff, aged(16)) is not None
    over = look(cliff, None)
    assert over is not None and over.is_over and not over.is_warning
    assert cliff.notice is None
    assert look(cliff, None) is None
    assert look(cliff, aged(16)) is not None


def test_a_backlog_that_is_eaten_from_its_old_end_is_one_warning() -> None:
    cliff = Cliff(BUCKET)
    ages = [15.1, 14.9, 15.0, 14.8, 15.2, 14.0]
    assert [look(cliff, aged(age)) is not None for age in ages] == [True, *[False] * 5]
    assert look(cliff, aged(13.4)) is not None, "now it is over"


def test_a_step_back_from_a_higher_mark_is_not_news_but_its_return_is() -> None:
    cliff = Cliff(BUCKET)
    assert [bool(look(cliff, aged(age))) for age in (25, 16, 25)] == [True, False, True]


def test_a_window_that_is_not_known_warns_of_nothing() -> None:
    cliff = Cliff(QUEUE)
    assert look(cliff, aged(300), window_days=None) is None
    assert (cliff.reading.left_seconds, cliff.reading.share, cliff.notice) == (None, None, None)
    assert "s3://b/old" in str(cliff.reading)


def test_with_nothing_uncollected_the_whole_window_is_left() -> None:
    cliff = Cliff(BUCKET)
    look(cliff, None)
    assert (cliff.reading.left_seconds, cliff.reading.share) == (30 * DAY, 0.0)


def test_an_object_of_tomorrow_has_used_nothing() -> None:
    cliff = Cliff(BUCKET)
    assert look(cliff, aged(-1)) is None
    assert cliff.reading.share == 0.0


@pytest.mark.parametrize(("can_list", "word"), [(True, "found by listing"), (False, "is lost")])
def test_the_queues_cliff_says_what_comes_after_it(can_list: bool, word: str) -> None:
    news = look(Cliff(QUEUE, can_list=can_list), aged(3.3), window_days=4)
    assert news is not None and news.code == "queue_deadline"
    assert word in news.what and "16 h 48 min" in news.what


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (59.6, "1 min"), (3600, "1 h"), (3661, "1 h 1 min"), (86_460, "1 d"),
     (1_306_800, "15 d 3 h")],
)
def test_times_are_spelt_in_two_units(seconds: float, text: str) -> None:
    assert spell(seconds) == text


@pytest.mark.parametrize(
    ("hint", "owner"),
    [("Provider: attach it", "provider"), ("Network: DNS", "network"), ("Look", "you"), ("", "you")],
)
def test_a_refusals_hint_says_whose_move_it_is(hint: str, owner: str) -> None:
    assert mover("object_denied", hint) == owner


def test_what_is_held_up_by_the_network_is_the_networks_move() -> None:
    held = Oldest("s3://b/old", NOW - 20 * DAY, "no answer [hec_unreachable]", "Look", "hec_unreachable")
    notice = look(Cliff(BUCKET), held)
    assert notice is not None and notice.owner == "network"
