"""The proof proves itself: each way to be wrong is caught within a hundred seeds, most at the first."""

from __future__ import annotations

from unittest import mock

import pytest

from collector.engine.mismatch import Mismatch
from tests.simulation import planted
from tests.simulation.conditions import Conditions
from tests.simulation.run import run
from tests.simulation.scenarios import (
    after_a_mistaken_bucket,
    dead_letters_of_an_outage,
    problems_after_power_cuts,
)

SEEDS = range(100)
#: The one that is missing has a scenario of its own below.
BY_SEEDS = [name for name in planted.PLANTED if name != "no_breaker"]
#: What few seeds draw together is there in each seed for these.
WORLDS = {
    "first_etag_wins": Conditions(without_etag=1.0, overwrite=0.5, payloads=0.0, gaps_seconds=(30.0,)),
    "no_fence": Conditions(collectors=2, objects=8, gaps_seconds=(0.3, 30.0), disasters={"pause": 8.0}),
    "prune_by_own_clock": Conditions(disasters={"clock_jump": 4.0}, gaps_seconds=(30.0,)),
}


@pytest.mark.parametrize("name", BY_SEEDS)
def test_a_planted_bug_is_caught_within_a_hundred_seeds(name):
    with planted.PLANTED[name]():
        caught = (seed for seed in SEEDS if run(seed, WORLDS.get(name)).problems)
        assert next(caught, None) is not None


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_caught_in_these_worlds_without_a_planted_bug(name):
    for seed in range(20):
        assert not run(seed, WORLDS[name]).problems, seed


def test_a_long_outage_of_the_output_buries_no_message():
    assert [dead_letters_of_an_outage(seed) for seed in range(3)] == [0, 0, 0]


def test_without_breakers_an_outage_buries_messages():
    with planted.PLANTED["no_breaker"]():
        assert any(dead_letters_of_an_outage(seed) for seed in SEEDS)


def test_a_mistaken_bucket_that_is_believed_is_caught():
    with mock.patch.object(Mismatch, "suspects", lambda self, meaning: False):
        report, kept = after_a_mistaken_bucket(0)
    assert kept != [True] or report.problems


def test_a_power_cut_breaks_no_law_when_each_commit_is_synced():
    for seed in range(15):
        assert problems_after_power_cuts(seed, synchronous="full") == []


def test_a_disk_that_forgets_its_last_commits_is_caught():
    caught = (seed for seed in SEEDS if problems_after_power_cuts(seed, synchronous="normal"))
    assert next(caught, None) is not None
