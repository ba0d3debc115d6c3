"""The laws of the ledger over a thousand seeds. More of them: `make simulate SEEDS=10000`."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import commit
from tests.simulation.conditions import Conditions
from tests.simulation.run import run
from tests.simulation.scenarios import OUTAGE_SECONDS, after_a_mistaken_bucket, finished_under_a_locked_key

#: In blocks, so that the run is spread over workers.
BLOCKS, SEEDS_A_BLOCK = range(20), 50


@pytest.mark.parametrize("block", BLOCKS)
def test_nothing_is_lost_nothing_is_repeated_without_a_reason_and_every_object_ends(block):
    for seed in range(block * SEEDS_A_BLOCK, (block + 1) * SEEDS_A_BLOCK):
        report = run(seed)
        assert not report.problems, (report.again(commit()), report.problems)


@pytest.mark.parametrize("collectors", [1, 2])
@pytest.mark.parametrize("acks", [(True,), (False,), (True, False), (True, True)])
def test_without_faults_nothing_is_repeated_though_notifications_are(collectors, acks):
    for seed in range(10):
        quiet = Conditions(
            objects=8, collectors=collectors, hosts=collectors, acks=acks, repeat_notification=0.5,
            several_refs=0.3, redeliver=0.05, slow_output=5.0 * (seed % 2),
        )
        report = run(seed, quiet)
        assert not report.problems, (seed, report.problems)
        assert report.repeated == 0, seed


def test_collectors_that_are_restarted_in_good_order_repeat_nothing():
    for seed in range(30):
        acks = ((True,), (False,), (True, False), (False, False), (True, True))[seed % 5]
        restarts = Conditions(
            objects=8, acks=acks, slow_output=5.0 * (seed % 2), disasters={"restart": 4.0},
            repeat_notification=0.5,
        )
        report = run(seed, restarts)
        assert not report.problems, (seed, report.problems)
        assert report.repeated == 0, seed


@pytest.mark.parametrize("what", ["outage", "lock_out", "lock_key", "disk_low"])
def test_what_is_refused_or_out_of_reach_for_a_while_costs_no_repeat(what):
    """Calls that fail without effect, and messages that go back: also where one of two outputs had them."""
    for seed in range(40):
        acks = ((True, False), (False, False), (True, True), (True,), (False,))[seed % 5]
        trouble = Conditions(
            objects=8, collectors=1 + seed % 2, hosts=1 + seed % 2, acks=acks, fifo=seed % 7 == 0,
            repeat_notification=0.5, gaps_seconds=(0.3, 30.0), disasters={what: 3.0},
        )
        report = run(seed, trouble)
        assert not report.problems, (seed, report.problems)
        assert report.repeated == 0, seed


@pytest.mark.parametrize("told", [True, False])
def test_objects_under_one_kms_key_do_not_wait_for_another_key(told):
    for seed in range(3):
        finished, problems = finished_under_a_locked_key(seed, told=told)
        assert not problems, (seed, problems)
        assert max(finished["kms-key-0"]) < 600.0
        assert min(at for at in finished["kms-key-1"] if at > 600.0) >= OUTAGE_SECONDS


def test_a_mistaken_bucket_costs_no_message_and_everything_arrives_once_it_is_right():
    for seed in range(12):
        report, kept = after_a_mistaken_bucket(seed)
        assert not report.problems, (seed, report.problems)
        assert kept == [True], seed
        assert (report.dead, report.repeated) == (0, 0), seed


def test_a_seed_tells_the_same_story_every_time():
    assert run(11) == run(11)
