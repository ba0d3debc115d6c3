"""Waits grow, are capped, differ from one another, and respect what was asked for."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from collector.engine.backoff import backoff_seconds


@given(st.integers(1, 10_000), st.integers(0, 2**32), st.floats(1.0, 3600.0))
def test_a_wait_lies_between_half_its_ceiling_and_its_ceiling(attempts, seed, longest):
    wait = backoff_seconds(attempts, rng=random.Random(seed), longest=longest)
    ceiling = min(longest, 2.0 ** min(attempts - 1, 20))
    assert ceiling / 2 <= wait <= ceiling


@given(st.integers(1, 60), st.integers(0, 2**32), st.floats(0.0, 7200.0))
def test_never_less_than_was_asked_for(attempts, seed, asked):
    assert backoff_seconds(attempts, rng=random.Random(seed), asked=asked) >= asked


def test_the_same_generator_gives_the_same_waits_and_another_one_others():
    def waits(seed):
        rng = random.Random(seed)
        return [backoff_seconds(attempts, rng=rng) for attempts in range(1, 12)]

    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


def test_two_who_fail_together_do_not_come_back_together():
    waits = {backoff_seconds(5, rng=random.Random(seed)) for seed in range(50)}
    assert len(waits) == 50
