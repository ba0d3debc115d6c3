"""When a failure is everybody's, and how it ends."""

from __future__ import annotations

from collector.engine.breaker import PROBE_SECONDS, AlikeFailures, Breaker
from collector.errors import Fatal, Retry

DENIED = Fatal("denied", code="denied", scope="output")


def test_a_closed_breaker_lets_everything_pass():
    breaker = Breaker("hec")
    assert not breaker.is_open
    assert all(breaker.passes(now=now) for now in (0.0, 0.0, 1.0))
    assert breaker.probe_at() == 0.0


def test_an_open_breaker_lets_one_attempt_through_a_minute():
    breaker = Breaker("hec")
    breaker.open(DENIED, now=100.0)
    passed = [now for now in range(100, 400) if breaker.passes(now=float(now))]
    assert passed == [160, 220, 280, 340]


def test_a_probe_that_fails_puts_the_next_one_off():
    breaker = Breaker("hec")
    breaker.open(DENIED, now=0.0)
    assert breaker.passes(now=60.0)
    breaker.open(DENIED, now=75.0)
    assert not breaker.passes(now=134.0)
    assert breaker.passes(now=135.0)


def test_the_first_to_open_or_close_it_is_told_so():
    breaker = Breaker("hec")
    assert not breaker.close()
    assert breaker.open(DENIED, now=0.0)
    assert not breaker.open(DENIED, now=1.0)
    assert breaker.error is DENIED
    assert breaker.close()
    assert not breaker.close()
    assert breaker.error is None


def test_whoever_opens_it_may_ask_for_an_earlier_probe():
    breaker = Breaker("store")
    breaker.open(Retry("busy", code="busy"), now=0.0, probe_after=5.0)
    assert breaker.probe_at() == 5.0
    assert breaker.passes(now=5.0)
    assert not breaker.passes(now=9.0)
    assert breaker.passes(now=10.0)
    breaker.open(DENIED, now=10.0)
    assert breaker.probe_at() == 10.0 + PROBE_SECONDS


def test_ten_objects_in_a_row_that_fail_alike_are_everybodys():
    alike = AlikeFailures()
    assert [alike.failed("denied", f"k{index}") for index in range(11)] == [False] * 9 + [True] * 2


def test_one_object_that_fails_again_and_again_is_still_one():
    alike = AlikeFailures()
    assert not any(alike.failed("denied", f"k{index % 9}") for index in range(500))


def test_a_success_in_between_starts_the_row_again():
    alike = AlikeFailures()
    for turn in range(4):
        assert not any(alike.failed("denied", f"k{turn}-{index}") for index in range(9))
        alike.succeeded()


def test_failures_of_different_kinds_are_not_alike():
    alike = AlikeFailures()
    assert not any(alike.failed(f"code_{index % 9}", f"k{index}") for index in range(200))


def test_a_fifth_of_the_last_fifty_alike_is_everybodys_though_never_ten_in_a_row():
    alike = AlikeFailures()
    told = []
    for index in range(60):
        if index % 5 == 4:
            told.append(alike.failed("denied", f"k{index}"))
        else:
            alike.succeeded()
    assert not any(told[:9]), "fewer than fifty say nothing"
    assert all(told[9:])


def test_less_than_a_fifth_of_the_last_fifty_is_nobodys():
    alike = AlikeFailures()
    for index in range(300):
        if index % 6 == 5:
            assert not alike.failed("denied", f"k{index}")
        else:
            alike.succeeded()


def test_what_lies_behind_a_reset_counts_no_more():
    alike = AlikeFailures()
    assert not any(alike.failed("denied", f"k{index}") for index in range(9))
    alike.reset()
    assert not any(alike.failed("denied", f"m{index}") for index in range(9))
