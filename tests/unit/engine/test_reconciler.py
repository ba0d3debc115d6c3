"""The reconcile: what the queue forgot arrives, once; live work goes on; a bucket of any size fits."""

from __future__ import annotations

import json
import logging
import random
from dataclasses import replace

import pytest

from collector.engine import sweep as sweep_module
from collector.errors import Fatal, Retry
from collector.model import object_identity
from collector.retention.listing import FULL, RECENT
from collector.testing.twins import ManualClock, MemoryBucket

DAY = 86400.0
HOUR = 3600.0
BUCKET = "audit-logs"
DENIED = Fatal("s3:ListBucket denied", code="list_denied", scope="object")


class CountingBucket:
    """A MemoryBucket that keeps what was listed, and refuses while `error` is set."""

    def __init__(self, clock, *, page_size=1000):
        self.inner = MemoryBucket(clock, BUCKET, page_size=page_size)
        self.error = None
        self.lists = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def list(self, bucket, *, prefix="", start_after="", token=""):
        self.lists.append(start_after)
        if self.error is not None:
            raise self.error
        return self.inner.list(bucket, prefix=prefix, start_after=start_after, token=token)


@pytest.fixture
def made(make_bench):
    """A bench over a CountingBucket, an hour after its start."""

    def make(*, page_size=1000, hours=1.0, **how):
        bench = make_bench(**how)
        bench = make_bench(clock=bench.clock, bucket=CountingBucket(bench.clock, page_size=page_size), **how)
        bench.clock.advance(hours * HOUR)
        return bench

    return make


def swept(bench, seconds=30.0):
    """One reconcile, to its end."""
    bench.engine.reconcile()
    bench.run(seconds)
    assert bench.engine.reconciler.is_idle
    return bench.engine.reconciler.sweep


def put_day(bench, day_key, count=1):
    """Objects under today's partition."""
    return [bench.put(f"{day_key}/{number}", f"{day_key}/{number}") for number in range(count)]


# -- what must arrive ---------------------------------------------------------------------------------


def test_down_for_ten_days_with_the_queue_purged_everything_in_the_bucket_arrives_once(made):
    bench = made()
    bench.publish("before/it/stopped", "first")
    bench.run(60)
    bench.store.leave()
    expected = ["first"]
    for day in range(10):
        for number in range(20):
            bench.put(f"2026/05/{day + 4:02}/{number:02}", f"{day}-{number}")
            expected.append(f"{day}-{number}")
        bench.clock.advance(DAY)
    again = bench.restarted()  # the queue is as empty as SQS's would be: nobody was told
    again.run(60)
    sweep = swept(again, 120)
    assert sorted(again.delivered()) == sorted(expected)
    assert sweep.window.kind == FULL
    assert {row.state for row in again.table.rows.values()} == {"done"}


def test_with_a_twentieth_of_all_notifications_lost_nothing_is_missing_after_one_reconcile(made):
    bench, rng, lost = made(), random.Random(5), 0
    for number in range(600):
        ref = bench.put(f"audits/{number:04}", f"event {number}")
        if rng.random() < 0.05:
            lost += 1
        else:
            bench.notify(ref)
    bench.run(120)
    assert len(bench.delivered()) == 600 - lost
    assert lost > 15
    bench.clock.advance(HOUR)
    assert swept(bench, 60).missing == lost
    assert sorted(bench.delivered()) == sorted(f"event {number}" for number in range(600))
    assert swept(bench, 60).missing == 0


@pytest.mark.parametrize("etags", [True, False])
@pytest.mark.parametrize("turns", range(14))
def test_a_notification_that_comes_at_any_moment_of_the_sweep_makes_no_second_delivery(made, turns, etags):
    bench = made(workers=4)
    refs = [bench.put(f"k{number}", f"event {number}") for number in range(6)]
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    for turn in range(turns):
        bench.turn("reconciler")
        for name in ("receiver", "reader", "sender:memory", "settler")[: turn % 5]:
            bench.drive(without=[one for one in bench.stations if one != name])
    for ref in refs:
        bench.notify(ref, etags=etags)
    bench.run(120)
    assert sorted(bench.delivered()) == [f"event {number}" for number in range(6)]
    assert bench.queue.depth == 0


@pytest.mark.parametrize("turns", range(8))
def test_of_two_collectors_one_sweeps_while_the_other_is_told_and_nothing_comes_twice(made, turns):
    bench = made(workers=4)
    other = bench.beside()
    refs = [bench.put(f"k{number}", f"event {number}") for number in range(6)]
    bench.clock.advance(HOUR)
    bench.store.alive(bench.clock.now() + 60)
    other.store.alive(bench.clock.now() + 60)
    bench.engine.reconcile()
    for _ in range(turns):
        bench.turn("reconciler")
        bench.turn("receiver")
    for ref in refs:
        other.notify(ref)
    for _ in range(20):
        other.run(3)
        bench.run(3)
    assert sorted(bench.delivered()) == [f"event {number}" for number in range(6)]


def test_an_object_younger_than_the_grace_is_left_to_its_message(made):
    bench = made()
    bench.put("young", "its message is on its way")
    bench.clock.advance(1799)
    assert swept(bench).missing == 0
    bench.clock.advance(1)
    assert swept(bench).missing == 1
    assert bench.delivered() == ["its message is on its way"]


def test_an_object_of_the_second_in_which_the_input_began_is_not_before_it(make_bench):
    """S3 tells of whole seconds: what was written 0.3 s after the start has a time from before it."""
    bench = make_bench(clock=ManualClock(1_777_890_000.4))
    bench.clock.advance(0.3)
    ref = bench.put("a", "one")
    bench.clock.advance(HOUR)
    swept(bench)
    assert bench.state(ref) == "done"


def test_an_object_that_a_route_drops_is_not_even_asked_about(make_bench):
    from collector.config.routes import Route

    bench = make_bench(route=lambda key: Route(drop=key.endswith("tmp")))
    bench.clock.advance(HOUR)
    bench.put("a.tmp", "scratch")
    bench.clock.advance(HOUR)
    assert swept(bench).missing == 0
    assert bench.table.rows == {}


# -- how often everything is listed ---------------------------------------------------------------------


def test_the_first_sweep_of_a_process_is_full_and_so_is_one_a_day(made):
    bench = made()
    kinds = []
    for _ in range(9):
        kinds.append(swept(bench).window.kind)
        bench.clock.advance(6 * HOUR - 30)
    assert kinds[0] == FULL
    assert RECENT in kinds
    gaps = [number for number, kind in enumerate(kinds) if kind == FULL]
    assert max(later - sooner for sooner, later in zip(gaps, gaps[1:])) <= 4
    again = bench.restarted()
    assert swept(again).window.kind == FULL


def test_a_sweep_between_begins_two_days_before_the_end_of_the_last_complete_one(made):
    bench = made(hours=20 * 24)
    first = swept(bench)
    bench.clock.advance(HOUR)
    second = swept(bench)
    assert second.window == replace(second.window, since=first.window.until - 2 * DAY, kind=RECENT)
    bench.clock.advance(HOUR)
    assert swept(bench).window.since == second.window.until - 2 * DAY


def test_a_sweep_between_jumps_over_old_dates_and_finds_what_is_new(made):
    bench = made(page_size=10)
    for day in range(25):
        stamp = f"2026/05/{day + 4:02}"
        put_day(bench, f"logs/a/{stamp}", 10)
        put_day(bench, f"logs/b/{stamp}", 10)
        bench.clock.advance(DAY)
    full = swept(bench, 120)
    assert full.lists == 50
    put_day(bench, "logs/a/2026/05/29", 3)
    bench.clock.advance(HOUR)
    recent = swept(bench)
    assert recent.missing == 3
    assert recent.lists <= 8
    assert bench.ledger.counters["lists"] == full.lists + recent.lists


def test_a_clock_that_ran_ahead_makes_the_next_sweep_a_full_one(made):
    bench = made()
    bench.clock.set_back(-40 * DAY)
    swept(bench)
    bench.clock.set_back(40 * DAY)
    bench.put("k", "event")
    bench.clock.advance(HOUR)
    assert swept(bench).window.kind == FULL
    assert bench.delivered() == ["event"]


def test_a_sweep_goes_on_where_it_was_after_a_failed_page(made):
    bench = made(page_size=10)
    for number in range(35):
        bench.put(f"{number:02}", str(number))
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    for _ in range(6):
        bench.turn("reconciler")
    bench.bucket.error = Retry("slow down", code="s3_throttled")
    bench.run(100)
    bench.bucket.error = None
    bench.run(700)
    assert bench.engine.reconciler.is_idle
    assert sorted(map(int, bench.delivered())) == list(range(35))
    assert bench.bucket.lists.count("") == 1
    assert bench.ledger.counters["lists"] == 4


# -- memory, order, room ------------------------------------------------------------------------------


def test_what_expires_first_is_fed_first_whatever_its_key(made):
    bench = made(page_size=10, workers=1)
    for number in range(40):
        bench.put(f"{40 - number:02}", f"{number:02}")
        bench.clock.advance(60)
    bench.clock.advance(HOUR)
    swept(bench, 120)
    assert bench.delivered() == sorted(bench.delivered())


def test_while_the_heap_is_full_nothing_is_listed(made, monkeypatch):
    monkeypatch.setattr(sweep_module, "MOST_FOUND", 60)
    monkeypatch.setattr(sweep_module, "PAGE_KEYS", 10)
    bench = made(page_size=10)
    for number in range(400):
        bench.put(f"{number:03}", str(number))
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    bench.drive(without=("receiver",))
    sweep = bench.engine.reconciler.sweep
    fed = len(bench.ledger.deliveries)
    assert 50 < sweep.waiting + fed <= 60 + fed
    assert len(bench.bucket.lists) < 12
    most = 0
    while not bench.engine.reconciler.is_idle:
        bench.run(0.2)
        most = max(most, sweep.waiting)
    assert most <= 60
    bench.run(5)
    assert sorted(map(int, bench.delivered())) == list(range(400))


def test_a_sweep_leaves_a_quarter_of_the_readers_to_live_work(made):
    bench = made(workers=16)
    for number in range(100):
        bench.put(f"{number:03}", str(number))
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    bench.drive(without=("reader",))
    assert bench.ledger.room() == 4
    assert bench.engine.reconciler.waiting == 88


def test_live_work_that_takes_every_reader_leaves_the_sweep_its_eighth(made):
    bench = made(workers=16)
    for number in range(100):
        bench.publish(f"live/{number:03}", f"live {number}")
    bench.drive(without=("reader",))
    assert bench.ledger.room() == 0
    for number in range(40):
        bench.put(f"old/{number:03}", f"old {number}")
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    bench.drive(without=("reader",))
    assert bench.ledger.counters["reconciled"] == 2
    while not bench.engine.reconciler.is_idle:
        before = bench.ledger.counters["reconciled"]
        for number in range(20):
            bench.publish(f"more/{before:03}/{number}", "live")  # it never ends
        bench.run(2)
        assert bench.ledger.counters["reconciled"] > before
    assert {f"old {number}" for number in range(40)} <= set(bench.delivered())


def test_a_denied_object_takes_no_place_from_the_rest_of_a_sweep(made):
    bench = made(workers=4)
    for number in range(30):
        ref = bench.put(f"{number:02}", str(number))
        if number < 4:
            bench.bucket.refuse(ref.key, Retry("not now", code="s3_500"))
        bench.clock.advance(1)
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    bench.run(20)
    assert {str(number) for number in range(4, 30)} <= set(bench.delivered())


def test_with_the_output_down_a_sweep_waits_and_then_goes_on(made):
    bench = made(workers=8)
    bench.sink.fail = lambda batch: Fatal("token disabled", code="hec_token", scope="output")
    bench.publish("live", "live")
    bench.run(10)
    for number in range(50):
        bench.put(f"{number:02}", str(number))
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    bench.run(300)
    assert bench.ledger.counters["reconciled"] <= 1
    assert bench.engine.reconciler.waiting >= 49
    bench.sink.fail = None
    bench.run(300)
    assert sorted(bench.delivered()) == sorted(["live", *map(str, range(50))])


def test_what_was_found_is_fed_although_the_rest_cannot_be_listed_now(made):
    bench = made(page_size=10)
    for number in range(25):
        bench.put(f"{number:02}", str(number))
    bench.clock.advance(HOUR)
    bench.engine.reconcile()
    for _ in range(3):
        bench.turn("reconciler")
    bench.bucket.error = Retry("slow down", code="s3_throttled")
    bench.run(5)
    assert len(bench.delivered()) == 10


# -- who sweeps -----------------------------------------------------------------------------------------


def test_of_two_collectors_on_one_store_one_lists(made):
    first = made()
    second = first.beside(bucket=CountingBucket(first.clock))
    first.put("k", "event")
    first.clock.advance(HOUR)
    for bench in (first, second):
        bench.store.alive(first.clock.now() + 60)
        swept(bench)
    assert len(first.bucket.lists) == 1
    assert second.bucket.lists == []


def test_when_the_one_that_lists_dies_another_takes_over_with_a_full_listing(made):
    first = made()
    second = first.beside()
    for _ in range(2):
        for bench in (first, second):
            bench.store.alive(first.clock.now() + 60)
            swept(bench, 5)
    assert second.engine.reconciler.sweep.lists == 0
    first.put("k", "event")
    first.clock.advance(HOUR)  # and no word of the first
    second.store.alive(first.clock.now() + 60)
    assert swept(second).window.kind == FULL
    assert second.delivered() == ["event"]


def test_a_lead_that_comes_back_goes_on_from_its_own_last_sweep(made):
    first = made()
    second = first.beside()
    swept(first)
    first.store.leave()
    second.store.alive(first.clock.now() + 60)
    assert second.store.lead("reconciler", first.clock.now() + HOUR)
    first.put("k", "event")
    swept(first)
    first.clock.advance(2 * HOUR)
    assert swept(first).window.kind == RECENT
    assert first.delivered() == ["event"]


def test_a_lead_that_is_lost_ends_the_sweep(made):
    first = made(page_size=10)
    for number in range(50):
        first.put(f"{number:02}", str(number))
    first.clock.advance(HOUR)
    first.engine.reconcile()
    first.turn("reconciler")
    first.turn("reconciler")
    second = first.beside()
    first.table.leads.clear()
    assert second.store.lead("reconciler", first.clock.now() + DAY)
    second.store.alive(first.clock.now() + DAY)
    first.clock.advance(4 * HOUR)
    first.run(5)
    assert first.engine.reconciler.is_idle
    assert len(first.bucket.lists) == 1


# -- what cannot be listed ------------------------------------------------------------------------------


def test_without_the_right_to_list_it_says_so_once_and_tries_again_at_each_interval(made, caplog):
    bench = made()
    bench.put("k", "event")
    bench.clock.advance(HOUR)
    bench.bucket.error = DENIED
    with caplog.at_level(logging.INFO, logger="collector.engine"):
        for _ in range(3):
            bench.publish("live", "live goes on")
            swept(bench)
        assert [record.levelname for record in caplog.records if "cannot be listed" in record.message] == [
            "WARNING"
        ]
        assert "list_denied" in caplog.text
        assert "Reconciled" not in caplog.text
        assert bench.ledger.counters["reconciles"] == 0
        assert bench.delivered() == ["live goes on"]
        bench.bucket.error = None
        assert swept(bench).window.kind == FULL
    assert "can be listed again" in caplog.text
    assert sorted(bench.delivered()) == ["event", "live goes on"]
    assert len(bench.bucket.lists) == 4


def test_one_bucket_that_may_not_be_listed_keeps_no_other_from_it(made):
    bench = made()
    reconciler = bench.engine.reconciler
    reconciler._buckets = ("a-foreign-one", BUCKET)
    reconciler._partitions = dict.fromkeys(reconciler._buckets, reconciler._partitions[BUCKET])
    bench.put("k", "event")
    bench.clock.advance(HOUR)
    sweep = swept(bench)  # the twin refuses the foreign one
    assert bench.delivered() == ["event"]
    assert not sweep.listing.is_complete
    assert list(reconciler.denied) == ["a-foreign-one"]
    assert swept(bench).window.kind == FULL


# -- where an input begins --------------------------------------------------------------------------------


def test_the_first_full_listing_tells_what_lies_before_the_start_and_how_to_fetch_it(make_bench, caplog):
    bench = make_bench()
    bench.clock.advance(-9 * DAY)
    old = [bench.put(f"old/{number}", "x" * (10 + number)) for number in range(3)]
    bench.clock.advance(9 * DAY + 2 * HOUR)
    with caplog.at_level(logging.INFO, logger="collector.engine"):
        swept(bench)
        bench.clock.advance(DAY)
        assert swept(bench).window.kind == FULL
    told = [record.getMessage() for record in caplog.records if "Written before start_from" in record.message]
    assert len(told) == 1
    assert f"never read: 3 objects, {sum(ref.size for ref in old)} bytes, the oldest" in told[0]
    assert "audit-s3 backfill --input thrive --since 2026-04-25T" in told[0]
    assert bench.delivered() == []


def test_what_a_backfill_has_fetched_from_before_the_start_is_not_told_of(make_bench, caplog):
    bench = make_bench()
    bench.clock.advance(-9 * DAY)
    bench.put("old", "old event")
    bench.clock.advance(9 * DAY + 2 * HOUR)
    bench.engine.backfill(since=bench.clock.now() - 10 * DAY)
    bench.run(30)
    assert bench.delivered() == ["old event"]
    with caplog.at_level(logging.INFO, logger="collector.engine"):
        swept(bench)
    assert "Written before start_from" not in caplog.text


# -- an operator's own range ------------------------------------------------------------------------------


def test_a_backfill_needs_no_lead_and_covers_its_range_alone(made):
    bench = made()
    other = bench.beside()
    refs = []
    for number in range(4):
        refs.append(bench.put(f"k{number}", f"event {number}"))
        bench.clock.advance(DAY)
    other.store.alive(bench.clock.now() + 60)
    bench.store.alive(bench.clock.now() + 60)
    assert other.store.lead("reconciler", bench.clock.now() + DAY)
    bench.engine.backfill(since=refs[1].event_time, until=refs[3].event_time)
    bench.run(30)
    assert bench.delivered() == ["event 1", "event 2"]
    bench.engine.backfill()
    bench.run(30)
    assert sorted(bench.delivered()) == [f"event {number}" for number in range(4)]
    assert bench.engine.reconciler.is_idle


def test_who_asks_for_what_is_missing_is_warned_of_what_lies_before_the_start(made, caplog):
    bench = made()
    bench.put("old", "never asked for")
    bench.clock.advance(DAY)
    bench.engine.start_from = bench.clock.now()
    new = bench.put("new", "event")
    bench.clock.advance(HOUR)
    with caplog.at_level(logging.INFO, logger="collector.engine"):
        bench.engine.backfill(since=new.event_time, until=bench.clock.now())
        bench.run(30)
        assert "never read" not in caplog.text
        bench.engine.backfill()
        bench.run(30)
    assert bench.delivered() == ["event"]
    (told,) = [record for record in caplog.records if "never read: 1 object, 16 bytes" in record.getMessage()]
    assert told.levelname == "WARNING"


# -- pruning ------------------------------------------------------------------------------------------------


def tell(bench, ref):
    """As S3 does: with the time of the object."""
    said = [ref.key, ref.etag, None, None, None, None, ref.event_time]
    bench.queue.send(json.dumps({"refs": [said]}))


def pruned(bench):
    return bench.store.prune(object_time_before=bench.engine.oldest_kept(after_seconds=7 * DAY))


def test_rows_live_as_long_as_their_objects_and_a_week_by_the_time_of_the_object_alone(made):
    bench = made()
    old = bench.put("old", "old event")
    bench.clock.advance(20 * DAY)
    tell(bench, old)  # delivered late: the age of the object counts, not that of the row
    bench.run(60)
    bench.clock.advance(16 * DAY)
    young = bench.publish("young", "young event")
    bench.run(60)
    assert pruned(bench) == 0
    bench.clock.advance(DAY)
    bench.publish("now", "so that AWS tells the time")
    bench.run(60)
    assert pruned(bench) == 1
    assert bench.state(young) == "done"
    assert object_identity("thrive", old) not in bench.table.rows


def test_a_message_that_comes_after_its_row_was_pruned_finds_its_object_expired_and_repeats_nothing(made):
    bench = made()
    ref = bench.publish("old", "old event")
    bench.run(60)
    bench.clock.advance(31 * DAY)
    bench.bucket.remove("old")  # the provider's own expiry
    bench.clock.advance(8 * DAY)
    bench.publish("now", "so that AWS tells the time")
    bench.run(60)
    assert pruned(bench) == 1
    tell(bench, ref)  # out of a DLQ, say
    bench.run(400)
    assert bench.state(ref) == "expired"
    assert bench.delivered() == ["old event", "so that AWS tells the time"]
    assert bench.queue.depth == 0


def test_what_was_pruned_is_never_found_missing_though_the_bucket_keeps_it_longer(made):
    bench = made()
    bench.publish("old", "old event")
    bench.run(60)
    bench.clock.advance(40 * DAY)
    bench.publish("now", "so that AWS tells the time")
    bench.run(60)
    assert pruned(bench) == 1
    bench.clock.advance(HOUR)
    assert swept(bench).missing == 0
    assert bench.delivered() == ["old event", "so that AWS tells the time"]


def test_a_listed_page_of_a_thousand_is_one_question_to_the_store(made):
    bench = made()
    for number in range(250):
        bench.put(f"{number:03}", str(number))
    bench.clock.advance(HOUR)
    asked = []
    missing = bench.store.inner.missing
    bench.store.missing = lambda oids: asked.append(len(oids)) or missing(oids)
    swept(bench, 60)
    assert asked == [250]
