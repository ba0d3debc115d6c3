"""The laws of the ledger over many seeds. More of them: `make simulate SEEDS=10000`."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.run import run
from tests.simulation.world import Faults

#: In blocks, so that a failing seed is named and the run can be spread over workers.
BLOCKS = range(10)
SEEDS_A_BLOCK = 5


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _seeds(block):
    return range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK)


@pytest.mark.parametrize("block", BLOCKS)
def test_nothing_is_lost_and_every_object_ends_whatever_fails(block):
    for seed in _seeds(block):
        report = run(seed, collectors=1 + seed % 2, acks=bool(seed % 3), fifo=seed % 5 == 0)
        assert not report.problems, (seed, report.problems)


@pytest.mark.parametrize("block", BLOCKS)
def test_without_faults_nothing_is_repeated_though_notifications_are(block):
    for seed in _seeds(block):
        quiet = Faults(repeat_notification=0.5, several_refs=0.3)
        report = run(seed, faults=quiet, collectors=1 + seed % 2, acks=bool(seed % 3))
        assert not report.problems, (seed, report.problems)
        assert report.repeated == 0, seed


@pytest.mark.parametrize("block", BLOCKS)
def test_without_reconcile_no_message_is_deleted_before_its_events_are_safe(block):
    for seed in _seeds(block):
        report = run(seed, collectors=1 + seed % 2, acks=bool(seed % 3), reconcile=False)
        assert not report.problems, (seed, report.problems)


def test_collectors_that_are_restarted_in_good_order_repeat_nothing():
    for seed in range(15):
        restarts = Faults(restart=0.001, repeat_notification=0.5)
        report = run(seed, faults=restarts, collectors=1, acks=bool(seed % 3))
        assert not report.problems, (seed, report.problems)
        assert report.repeated == 0, seed


def test_a_seed_tells_the_same_story_every_time():
    assert run(11) == run(11)
