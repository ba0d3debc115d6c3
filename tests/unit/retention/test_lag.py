"""Lag, split by owner."""

from __future__ import annotations

import math

from collector.retention.lag import MOST, OWNERS, Lags


def test_each_part_of_the_way_is_its_owners() -> None:
    lags = Lags()
    lags.took(event=100.0, written=400.0, sent=401.5, done=404.0)
    assert {owner: lag.p50_seconds for owner, lag in lags.shown().items()} == {
        "provider": 300.0, "aws": 1.5, "collector": 2.5,
    }


def test_a_part_without_a_beginning_or_an_end_is_not_counted() -> None:
    lags = Lags()
    lags.took(event=None, written=400.0, sent=None, done=404.0)
    assert [lag.count for lag in lags.shown().values()] == [0, 0, 0]
    lags.took(event=390.0, written=400.0, sent=None, done=404.0)
    assert [lag.count for lag in lags.shown().values()] == [1, 0, 0]


def test_of_audits_in_messages_the_provider_has_all_up_to_the_message() -> None:
    lags = Lags()
    lags.took(event=390.0, written=None, sent=400.0, done=404.0)
    assert [lag.count for lag in lags.shown().values()] == [1, 0, 1]
    assert lags.shown()["provider"].p50_seconds == 10.0


def test_clocks_that_disagree_make_no_negative_lag() -> None:
    lags = Lags()
    lags.took(event=410.0, written=400.0, sent=399.4, done=399.0)
    assert all((lag.p95_seconds, lag.count) == (0.0, 1) for lag in lags.shown().values())


def test_quantiles_are_of_the_last_thousand_and_sums_of_all() -> None:
    lags = Lags()
    for number in range(1, MOST + 501):
        lags.took(event=None, written=0.0, sent=float(number), done=0.0)
    aws = lags.shown()["aws"]
    assert (aws.p50_seconds, aws.p95_seconds) == (1000.0, 1450.0)
    assert (aws.count, aws.total_seconds) == (1500, sum(range(1, 1501)))


def test_one_object_is_both_quantiles() -> None:
    lags = Lags()
    lags.took(event=None, written=0.0, sent=7.0, done=7.0)
    assert (lags.shown()["aws"].p50_seconds, lags.shown()["aws"].p95_seconds) == (7.0, 7.0)
    assert str(lags.shown()["aws"]) == "p50 7.0 s, p95 7.0 s"


def test_before_the_first_object_quantiles_are_no_numbers() -> None:
    shown = Lags().shown()
    assert tuple(shown) == OWNERS
    assert all(math.isnan(lag.p50_seconds) and str(lag) == "nothing yet" for lag in shown.values())
