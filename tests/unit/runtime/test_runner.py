"""A Runner between twins, on real threads: an errand ends, and says truly how."""

from __future__ import annotations

import re
import threading
import time
from types import SimpleNamespace

import pytest

from collector.config import load
from collector.errors import Fatal, Poison, Retry
from collector.hosts.progress import Backfilled, line, look
from collector.model import ObjectRef
from collector.ports import Checkpoint, Release
from collector.runtime import errand as errand_module
from collector.runtime.adapters import SystemClock
from collector.runtime.errand import Errand
from collector.runtime.runner import Runner
from collector.runtime.shortcomings import KEPT, LEFT, counted
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable
from collector.testing.twins import MemoryBucket, MemorySink

BUCKET = "audit-logs"


@pytest.fixture
def world(monkeypatch):
    """One bucket, one output and one table for all runners of a test."""
    monkeypatch.setattr(errand_module, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    clock = SystemClock()
    return SimpleNamespace(
        clock=clock, bucket=MemoryBucket(clock, BUCKET), sink=MemorySink(clock), table=MemoryTable()
    )


def runner_of(world, *, owner="a", errand=None, once=True, **settings):
    own = {"bucket": BUCKET, "output": "stdout", "reconcile_grace_seconds": "0"}
    (found,) = load(flags={**own, **settings})
    store = MemoryCheckpointStore(world.table, owner=owner, clock=world.clock)
    adapters = SimpleNamespace(
        queue=None, objects=world.bucket, sinks=[world.sink], store=store, clock=world.clock, digests=None,
        refresh=None, verify=None, assumes_role=False, close=store.leave,
    )
    return Runner(found, adapters, once=once, errand=errand)


def wait_for_end(runner, *, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not runner.is_finished():
        assert time.monotonic() < deadline, "it never ends"
        time.sleep(0.01)


def ran(runner, *, seconds=30.0):
    """To its end; whether all went well."""
    runner.start()
    runner.set_out()
    wait_for_end(runner, seconds=seconds)
    runner.begin_stop()
    runner.finish_stop(time.monotonic() + 8.0)
    return not runner.shortcomings(asked=False)


def a_range(world):
    return Errand(since=world.clock.now() - 60, until=world.clock.now() + 60)


def test_a_range_is_fetched_to_its_end(world):
    for number in range(500):
        world.bucket.put(f"{number:03}", b"event %d\n" % number)
    runner = runner_of(world, errand=a_range(world))
    assert ran(runner)
    assert sorted(world.sink.bodies()) == sorted(b"event %d" % number for number in range(500))
    seen = runner.observe(lambda engine: look(engine, named=0))
    assert seen == Backfilled(listed=500, missing=500, done=500, events=500, is_listing=False)


def test_an_errand_that_has_not_set_out_yet_is_not_over(world):
    """Whoever drives it may ask between its start and that: nothing is in hand then."""
    world.bucket.put("k", b"event\n")
    runner = runner_of(world, errand=a_range(world))
    runner.start()
    assert not runner.is_finished()
    runner.set_out()
    wait_for_end(runner)
    runner.begin_stop()
    runner.finish_stop(time.monotonic() + 8.0)
    assert world.sink.bodies() == [b"event"]


def test_what_cannot_be_read_now_ends_the_errand_after_its_patience_and_is_left(world, caplog):
    world.bucket.put("bad", b"x\n")
    world.bucket.put("good", b"good\n")
    world.bucket.refuse("bad", Retry("not now", code="s3_500"))
    assert not ran(runner_of(world, errand=a_range(world)))
    assert world.sink.bodies() == [b"good"]
    assert "left=1" in caplog.text
    world.bucket.refuse("bad", None)
    for row in list(world.table.rows.values()):
        world.table.rows[row.oid] = row.__class__(**{**vars(row), "not_before": 0.0})
    assert ran(runner_of(world, owner="b", errand=a_range(world)))
    assert world.sink.bodies() == [b"good", b"x"]


def test_an_object_in_the_hands_of_a_collector_that_lives_is_left_to_it(world):
    world.bucket.put("k", b"event\n")
    held = MemoryCheckpointStore(world.table, owner="other", clock=world.clock)
    held.alive(world.clock.now() + 600)
    (listed,) = world.bucket.list(BUCKET).refs
    from collector.model import object_identity
    from collector.ports import object_row

    held.claim([object_row(object_identity("default", listed), listed, 0.0)])
    runner = runner_of(world, errand=a_range(world))
    assert runner.name == "default"
    assert not ran(runner)
    assert world.sink.bodies() == []


def test_a_bucket_that_may_not_be_listed_is_no_success(world):
    def denied(*_, **__):
        raise Fatal("s3:ListBucket denied", code="list_denied", scope="object")

    world.bucket.list = denied
    assert not ran(runner_of(world, errand=a_range(world)))


def test_a_listing_that_fails_and_fails_ends_the_errand_too(world):
    def throttled(*_, **__):
        raise Retry("slow down", code="s3_throttled")

    world.bucket.list = throttled
    assert not ran(runner_of(world, errand=a_range(world)))


def test_an_object_by_name_is_what_its_key_holds_now_and_comes_again_only_if_asked(world):
    world.bucket.put("k", b"old\n")
    world.bucket.put("k", b"new\n")
    named = (ObjectRef(BUCKET, "k"),)
    assert ran(runner_of(world, errand=Errand(refs=named)))
    assert ran(runner_of(world, errand=Errand(refs=named)))
    assert world.sink.bodies() == [b"new"]
    assert ran(runner_of(world, errand=Errand(refs=named, again=True)))
    assert world.sink.bodies() == [b"new", b"new"]


def timetable_of(runner):
    """What it has done for itself, by the name of the job: (every, first after) in seconds."""
    jobs = {}

    def every(seconds, job, *, first_after_seconds, owner=""):
        jobs[getattr(job, "__name__", "")] = (seconds, first_after_seconds)

    runner.schedule(SimpleNamespace(every=every))
    return jobs


def test_the_first_reconcile_comes_when_the_grace_is_over_and_the_others_at_their_interval(world):
    assert timetable_of(runner_of(world, once=False))["_reconcile"] == (21_600.0, 1.0)
    late = runner_of(world, once=False, reconcile_grace_seconds="1800", reconcile_interval_seconds="7200")
    assert timetable_of(late)["_reconcile"] == (7200.0, 1801.0)
    assert "_reconcile" not in timetable_of(runner_of(world, once=False, reconcile_interval_seconds="0"))
    assert timetable_of(runner_of(world)) == {}


def test_one_of_two_collectors_on_a_store_prunes(world):
    first, second = runner_of(world, owner="a"), runner_of(world, owner="b")
    for runner in (first, second):
        runner._adapters.store.alive(world.clock.now() + 60)
    asked = []
    for runner in (first, second, first):
        runner._adapters.store.prune = lambda **how: asked.append(how) or 0
        runner._prune()
    assert len(asked) == 2
    first._adapters.store.leave()
    second._prune()
    assert len(asked) == 3


def test_the_time_left_is_told_once_the_listing_is_over():
    now = Backfilled(listed=4000, missing=300, done=100, events=9, is_listing=False)
    assert line(now, seconds=10.0) == "listed=4000 missing=300 done=100 events=9 rate=10.0/s left=20s"
    assert line(now._replace(is_listing=True), seconds=10.0).endswith("rate=10.0/s listing=on")
    assert line(now._replace(done=0), seconds=10.0).endswith("rate=0.0/s listing=over")


@pytest.mark.parametrize("seconds, was_left", [(8.0, False), (0.3, True)])
def test_a_stop_is_blamed_for_what_it_left_in_hand_and_not_for_what_was_met_before(world, seconds, was_left):
    """A call to the output comes back after a second, or after the stop has given it up."""
    world.bucket.put("a", b"x\n")
    world.bucket.put("k", b"event\n")
    world.bucket.refuse("a", Poison("broken", code="truncated_gzip"))
    runner = runner_of(world, errand=a_range(world))
    began, over, send = threading.Event(), threading.Event(), world.sink.send

    def slow(batch, *, lane):
        began.set()
        over.wait(10.0 if was_left else 1.0)
        return send(batch, lane=lane)

    world.sink.send = slow
    runner.start()
    runner.set_out()
    assert began.wait(60)
    runner.begin_stop()
    runner.finish_stop(time.monotonic() + seconds)
    assert runner.was_left_by_stop() is was_left
    assert "1 object is in quarantine (audit-s3 quarantine list)" in runner.shortcomings(asked=True)
    over.set()


def test_a_drain_that_is_stopped_says_so_if_the_store_stood_in_its_way(world, monkeypatch):
    def refuse(self, changes):
        raise Retry("the disk is full", code="disk_full")

    world.bucket.put("k", b"one\n")
    monkeypatch.setattr(MemoryCheckpointStore, "apply", refuse)
    runner = runner_of(world, errand=a_range(world))
    runner.start()
    runner.set_out()
    deadline = time.monotonic() + 30.0
    while not runner.observe(lambda engine: engine.ledger.store.is_open):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    runner.begin_stop()
    runner.finish_stop(time.monotonic() + 0.2)
    assert "the disk is full [disk_full]" in runner.shortcomings(asked=True)


def test_a_drain_is_no_success_while_a_dead_run_has_left_what_it_began(world):
    dead = MemoryCheckpointStore(world.table, owner="dead", clock=world.clock)
    dead.claim([Checkpoint("oid", f"s3://{BUCKET}/k", world.clock.now())])
    runner = runner_of(world)
    assert not ran(runner)
    assert "1 object that an earlier run had begun is not finished" in runner.shortcomings(asked=False)[0]
    assert runner.shortcomings(asked=True) == []


def test_what_a_drain_has_given_back_itself_is_not_said_to_be_an_earlier_runs(world):
    def given_back(oid):
        store = MemoryCheckpointStore(world.table, owner="a", clock=world.clock)
        (claim,) = store.claim([Checkpoint(oid, f"s3://{BUCKET}/{oid}", world.clock.now())])
        store.apply([Release(oid, claim.row.epoch)])

    given_back("before")
    time.sleep(0.01)
    runner = runner_of(world)
    given_back("meanwhile")
    assert not ran(runner)
    (told,) = runner.shortcomings(asked=False)
    assert told.startswith("1 object that an earlier run had begun")


def test_nor_where_what_was_left_cannot_be_asked(world, monkeypatch):
    def refuse(self, *, limit=1000):
        raise Retry("no answer", code="store_unreachable")

    monkeypatch.setattr(MemoryCheckpointStore, "unfinished", refuse)
    assert not ran(runner_of(world))


def test_a_drain_that_finds_nothing_is_one(world):
    assert ran(runner_of(world))


@pytest.mark.parametrize("number", [1, 2])
def test_one_that_is_left_is_told_as_one_and_many_as_many(number: int) -> None:
    told = [counted(what, number) for what in (*KEPT.values(), *LEFT.values())]
    nouns = r"message|object|event|lease|result"
    assert all(re.match(rf"{number} ({nouns})(s?) ", line) for line in told)
    assert [bool(re.match(rf"\d ({nouns})s ", line)) for line in told] == [number > 1] * len(told)
    assert not any("{" in line for line in told)
