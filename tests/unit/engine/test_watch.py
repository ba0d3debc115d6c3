"""The watch on a whole engine between twins: what is told, when, and at which cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, List, Optional

import pytest

from collector.config.routes import Route
from collector.engine import capacity
from collector.engine.engine import Plan
from collector.engine.outputs import Limits
from collector.errors import CollectorError, Fatal, Retry
from collector.model import Block
from collector.ports import Page
from collector.testing.twins import MemoryBucket
from tests.unit.engine.conftest import BUCKET, INPUT, Bench, CountingQueue, decode, parse

HOUR, DAY = 3600.0, 86_400.0
LOOK = 300.0
DENIED = Fatal("AccessDenied", code="list_denied", scope="object", hint="Provider: attach s3:ListBucket")


@dataclass
class ListedBucket:
    """A MemoryBucket that counts its listings, and refuses them while `error` is set."""

    inner: MemoryBucket
    error: Optional[CollectorError] = None
    lists: List[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def list(self, bucket: str, **how: Any) -> Page:
        self.lists.append(how.get("start_after") or how.get("prefix") or "")
        if self.error is not None:
            raise self.error
        return self.inner.list(bucket, **how)


def watched(
    *,
    interval: float = 2700.0,
    reconcile: float = 21_600.0,
    decode: Callable[..., Any] = decode,
    route: Callable[[str], Route] = lambda key: Route(drop=key.endswith(".tmp"), reason="excluded"),
    **how: Any,
) -> Bench:
    """A bench whose provider is expected to write every 45 minutes."""
    plan = Plan(
        INPUT, parse, decode, buckets=frozenset({BUCKET}), expected_interval_seconds=interval,
        reconcile_interval_seconds=reconcile, limits=Limits(), route=route,
    )
    found = Bench(plan=plan, **how)
    found.bucket = found.engine.watch._objects = found.reconciled = ListedBucket(found.bucket)  # type: ignore
    found.engine.reconciler._objects = found.bucket
    return found


def look(bench: Bench) -> None:
    bench.engine.do("watch")
    bench.drive()


def live(bench: Bench, seconds: float) -> None:
    """Let time pass with a look every five minutes, as the timetable has it."""
    for _ in range(int(seconds / LOOK)):
        bench.run(LOOK)
        look(bench)


def said(caplog: pytest.LogCaptureFixture) -> List[str]:
    """The lines of the watch: those that say whose move it is."""
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if " move=" in line or "after a silence" in line]


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, logger="collector.engine"):
        yield


# -- the retention clock ----------------------------------------------------------------------------


def test_an_object_that_cannot_be_read_is_warned_of_at_each_mark_with_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    error = Fatal("AccessDenied", code="object_denied", scope="object", hint="Provider: attach s3:GetObject")
    bench.bucket.refuse("k/old", error)
    bench.publish("k/old", "a")
    bench.run(60.0)
    before = bench.clock.now() - 60.0
    for days in (1.0, 14.9, 15.1, 20.0, 23.9, 24.1, 29.9, 30.1):
        bench.clock.advance(before + days * DAY - bench.clock.now())
        look(bench)
        reading = bench.engine.watch.picture(bench.ledger).deadlines["bucket"]
        assert reading.used_seconds == pytest.approx(days * DAY)
    lines = [line for line in said(caplog) if "[bucket_deadline]" in line]
    assert [line.partition(" %")[0] for line in lines] == ["50", "80", "100"]
    assert all("k/old" in line and "s3:GetObject" in line and "move=provider" in line for line in lines)


def test_what_is_in_quarantine_by_reference_is_on_the_clock_until_it_is_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    bench.publish("k/broken", "a", "damage")
    bench.run(60.0)
    (entry,) = bench.quarantined()
    for days in (15.1, 24.1):
        capacity.looked(bench.ledger, disk_low=None, quarantine_bytes=bench.store.quarantine_bytes())
        bench.clock.advance(days * DAY + 1_777_890_000.0 - bench.clock.now())
        look(bench)
    assert entry.row is not None
    used = bench.engine.watch.picture(bench.ledger).deadlines["bucket"].used_seconds
    assert used == pytest.approx(bench.clock.now() - entry.row.object_time)
    lines = [line for line in said(caplog) if "[bucket_deadline]" in line]
    assert [line.partition(" %")[0] for line in lines] == ["50", "80"]
    assert all("k/broken" in line and f"quarantine show {entry.id}" in line for line in lines)
    bench.store.unquarantine([entry.id])
    capacity.looked(bench.ledger, disk_low=None, quarantine_bytes=0)
    look(bench)
    assert bench.engine.watch.picture(bench.ledger).deadlines["bucket"].oldest is None


def test_what_a_sweep_found_and_cannot_feed_is_on_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    bench = watched(interval=0.0)
    bench.put("k/missed", "a")
    bench.clock.advance(16 * DAY)
    for output in bench.ledger.outputs.values():
        output.breaker.open(Retry("Splunk is down", code="hec_down"), now=bench.clock.monotonic())
    bench.engine.start_from = 0.0
    bench.engine.reconcile()
    bench.drive(without=["reader"])
    bench.clock.advance(1.0)
    look(bench)
    (line,) = [line for line in said(caplog) if "[bucket_deadline]" in line]
    assert "k/missed" in line and "Splunk is down [hec_down]" in line


def test_the_queue_forgets_a_message_in_hand_long_before_the_bucket_deletes_its_object(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    bench.bucket.refuse("k/old", Retry("SlowDown", code="throttled"))
    bench.publish("k/old", "a")
    bench.drive()
    before = bench.clock.now()
    for days in (1.9, 2.1, 3.1, 3.3, 3.9, 4.1):
        bench.clock.advance(before + days * DAY - bench.clock.now())
        look(bench)
    lines = [line for line in said(caplog) if "[queue_deadline]" in line]
    assert [line.partition(" %")[0] for line in lines] == ["52", "82", "100"]
    assert "message-000001 of s3://audit-logs/k/old" in lines[0] and "found by listing" in lines[0]
    assert not [line for line in said(caplog) if "[bucket_deadline]" in line]


def test_once_it_is_collected_the_clock_shows_the_whole_window_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    bench.bucket.refuse("k/old", Retry("SlowDown", code="throttled"))
    ref = bench.publish("k/old", "a")
    bench.drive()
    bench.clock.advance(20 * DAY)
    look(bench)
    assert set(bench.engine.watch.picture(bench.ledger).warnings) == {"bucket_deadline", "queue_deadline"}
    bench.bucket.refuse("k/old", None)
    live(bench, HOUR)
    assert bench.state(ref) == "done"
    picture = bench.engine.watch.picture(bench.ledger)
    assert (picture.warnings, picture.deadlines["bucket"].share) == ({}, 0.0)
    assert len([line for line in said(caplog) if "about to be lost" in line]) == 2


# -- silence ----------------------------------------------------------------------------------------


def state(bench: Bench) -> str:
    return bench.engine.watch.picture(bench.ledger).silence_state


def test_a_provider_that_writes_nothing_is_quiet_and_its_next_message_ends_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched()
    bench.publish("k/1", "a")
    live(bench, 2400.0)
    assert (state(bench), bench.bucket.lists) == ("hearing", [])
    live(bench, 3600.0)
    assert state(bench) == "quiet"
    bench.publish("k/2", "b")
    bench.run(30.0)
    assert state(bench) == "hearing"
    quiet, over = said(caplog)
    assert "[provider_quiet]" in quiet and "move=nobody" in quiet
    assert "after a silence of" in over
    assert bench.engine.watch.picture(bench.ledger).warnings == {}


@pytest.mark.parametrize("keys", ["audits/2026/05/04/{}.json", "audits/{}.json"])
def test_objects_that_nobody_tells_of_are_noticed_and_fetched_by_listing(
    keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = watched()
    bench.publish(keys.format("0"), "first")
    bench.run(60.0)
    lost = [bench.put(keys.format(number), str(number)) for number in range(1, 4)]
    live(bench, 5400.0)
    assert state(bench) == "notifications_broken"
    (line,) = said(caplog)
    assert "3 new objects" in line and "move=provider" in line
    live(bench, 5400.0)
    assert [bench.state(ref) for ref in lost] == ["done"] * 3
    assert state(bench) == "notifications_broken", "only a message shows that they work again"
    bench.publish(keys.format("9"), "last")
    bench.run(30.0)
    assert state(bench) == "hearing"
    assert len(said(caplog)) == 2


@pytest.mark.parametrize("keys", ["audits/2026/05/04/{:05}.json", "audits/{:05}.json"])
def test_a_quiet_provider_of_many_keys_is_told_once_and_not_warned_of(
    keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = watched(reconcile=0.0)
    for number in range(2500):
        bench.put(keys.format(number), "old")
    bench.publish(keys.format(2499), "last")
    live(bench, 30_000.0)
    assert state(bench) == "quiet"
    (line,) = said(caplog)
    assert "[provider_quiet]" in line
    assert keys.format(999) in bench.bucket.lists and keys.format(1999) in bench.bucket.lists
    bench.put(keys.format(1500) + ".late", "nobody tells of it")
    live(bench, 30_000.0)
    assert state(bench) == "notifications_broken", "it sorts into the second page"


def test_what_a_reconcile_fetched_before_the_look_shows_it_as_well(caplog: pytest.LogCaptureFixture) -> None:
    bench = watched()
    bench.publish("k/0", "first")
    bench.run(60.0)
    bench.put("k/1", "lost")
    live(bench, 2100.0)
    bench.engine.reconcile()
    live(bench, 1200.0)
    assert bench.delivered() == ["first", "lost"]
    assert state(bench) == "notifications_broken"
    assert len(said(caplog)) == 1


def test_an_object_whose_message_may_be_under_way_is_not_held_against_the_notifications() -> None:
    bench = watched()
    bench.publish("k/0", "first")
    live(bench, 2400.0)
    bench.run(200.0)
    bench.put("k/1", "just now")
    bench.run(100.0)
    look(bench)
    assert (state(bench), len(bench.bucket.lists)) == ("silent", 1)
    live(bench, 2700.0)
    assert state(bench) == "notifications_broken"


def test_what_no_route_wants_is_not_held_against_the_notifications() -> None:
    bench = watched()
    bench.publish("k/0", "first")
    bench.run(60.0)
    bench.put("k/1.tmp", "unwanted")
    live(bench, 5400.0)
    assert state(bench) == "quiet"


def test_every_silence_is_looked_into_first_where_a_key_was_seen_last() -> None:
    bench = watched(reconcile=0.0)
    bench.publish("x/1", "a")
    bench.run(60.0)
    bench.publish("y/1", "b")
    live(bench, 3600.0)
    assert bench.bucket.lists == ["y/"]
    bench.publish("y/2", "c")
    live(bench, 7200.0)
    assert bench.bucket.lists == ["y/", "y/", "x/"]


def test_with_reconciling_off_nothing_is_fetched_and_the_line_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(reconcile=0.0)
    bench.publish("k/0", "first")
    bench.run(60.0)
    bench.put("k/1", "lost")
    live(bench, 5400.0)
    (line,) = said(caplog)
    assert "reconciling is off" in line
    assert bench.delivered() == ["first"]


def test_a_bucket_that_could_be_listed_before_and_refuses_now_is_our_access(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched()
    bench.engine.start_from = 0.0
    bench.engine.reconcile()
    live(bench, 600.0)
    bench.bucket.error = DENIED
    live(bench, 5400.0)
    assert state(bench) == "access_broken"
    (line,) = said(caplog)
    assert DENIED.hint in line and "move=provider" in line
    bench.bucket.error = None
    live(bench, 3600.0)
    assert state(bench) == "quiet"


def test_without_the_right_to_list_it_can_only_say_that_it_is_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched()
    bench.bucket.error = DENIED
    live(bench, 7200.0)
    assert state(bench) == "unknown"
    (line,) = said(caplog)
    assert "cannot be told" in line


def test_a_queue_that_refuses_us_needs_no_look_into_the_bucket(caplog: pytest.LogCaptureFixture) -> None:
    bench = watched()
    bench.run(60.0)
    bench.queue.error = Fatal("AccessDenied", code="queue_denied", scope="queue", hint="Provider: x")
    live(bench, 5400.0)
    assert (state(bench), bench.bucket.lists) == ("access_broken", [])
    assert len(said(caplog)) == 1


def test_while_nothing_may_be_received_nobody_is_called_silent() -> None:
    bench = watched()
    bench.run(60.0)
    bench.ledger.disk_low = Fatal("The disk is full", code="disk_full")
    bench.run(60.0)
    look(bench)
    live(bench, 7200.0)
    assert (state(bench), bench.bucket.lists) == ("listening", [])


def test_what_another_collector_of_the_same_store_receives_is_no_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched()
    bench.bucket.put("k/0", b"before")
    bench.run(60.0)
    other = bench.beside(bucket=bench.bucket)
    for number in range(12):
        other.publish(f"k/{number}", str(number))
        other.run(60.0)
        live(bench, 600.0)
    assert state(bench) == "hearing"
    assert said(caplog) == []
    assert bench.bucket.lists, "it had to look"


# -- the queue --------------------------------------------------------------------------------------


def test_f24_a_queue_with_its_most_messages_in_flight_is_an_alarm_and_its_end_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    bench.queue.inner.most_in_flight = 5
    for number in range(8):
        bench.notify(bench.put(f"k/{number}", str(number)))
    bench.queue.inner.receive(5, wait_seconds=0, hide_seconds=1500)
    live(bench, 1200.0)
    (line,) = said(caplog)
    assert "[queue_stalled]" in line and "3 messages" in line and "5 are in flight" in line
    assert set(bench.engine.watch.picture(bench.ledger).warnings) == {"stall"}
    live(bench, 1200.0)
    assert len(bench.delivered()) == 8
    assert "gives its messages again" in said(caplog)[-1]


@pytest.mark.parametrize("tells", [True, False])
def test_a_backlog_that_rises_is_told_whether_or_not_the_queue_may_be_counted(
    tells: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = watched(interval=0.0)
    bench.queue.inner.tells = tells
    for number in range(6):
        for one in range(50):
            bench.queue.send(f'{{"audits": [["{number}-{one}", "x"]]}}')
        for _ in ("receive", "claim"):
            bench.turn("receiver")
        bench.engine.do("watch")
        bench.drive(without=["receiver"])
        bench.clock.advance(LOOK)
    (line,) = [line for line in said(caplog) if "[backlog_rising]" in line]
    assert ("messages wait" in line) if tells else ("every receive is full" in line)
    assert set(bench.engine.watch.picture(bench.ledger).warnings) == {"backlog"}


def test_what_piles_up_while_receiving_has_stopped_is_no_backlog_of_its_own() -> None:
    bench = watched(interval=0.0)
    bench.run(60.0)
    bench.ledger.disk_low = Fatal("The disk is full", code="disk_full")
    bench.run(60.0)
    for _ in range(6):
        for _ in range(100):
            bench.queue.send("{}")
        live(bench, LOOK)
    assert bench.engine.watch.picture(bench.ledger).warnings == {}


def test_without_the_right_to_count_that_is_said_once_and_collecting_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = watched(interval=0.0)
    bench.queue.inner.tells = False
    bench.publish("k/1", "a")
    live(bench, 3000.0)
    assert caplog.text.count("sqs:GetQueueAttributes") == 1
    assert bench.delivered() == ["a"]
    picture = bench.engine.watch.picture(bench.ledger)
    assert (picture.depth, picture.deadlines["queue"].left_seconds) == (None, None)


def test_a_count_that_fails_for_a_moment_changes_nothing() -> None:
    bench = watched(interval=0.0)
    live(bench, 600.0)
    before = bench.engine.watch.picture(bench.ledger).depth
    assert before is not None
    bench.engine.watch._queue = Broken(bench.queue)  # type: ignore[assignment]
    live(bench, 600.0)
    assert bench.engine.watch.picture(bench.ledger).depth == before


@dataclass
class Broken:
    inner: CountingQueue

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def measure(self) -> Any:
        raise Retry("ServiceUnavailable", code="aws_unavailable")


# -- lag --------------------------------------------------------------------------------------------


def timed(*args: Any, **more: Any) -> Iterator[Block]:
    """The lines are times of their own."""
    for block in decode(*args, **more):
        times = [body.decode() or None for body in block.bodies]
        yield Block(block.first, block.bodies, times, block.is_json)


def test_each_object_counts_once_for_each_who_had_it() -> None:
    bench = watched(interval=0.0, decode=timed)
    now = bench.clock.now()
    ref = bench.put("k/1", f"{now - 600}", f"{now - 5}")
    bench.clock.advance(4.0)
    bench.notify(ref)
    bench.clock.advance(7.0)
    bench.run(5.0)
    assert bench.state(ref) == "done"
    lags = bench.engine.watch.picture(bench.ledger).lags
    assert (lags["provider"].p50_seconds, lags["aws"].p50_seconds) == (600.0, 4.0)
    assert lags["collector"].p50_seconds == pytest.approx(7.0, abs=2.0)
    assert {lag.count for lag in lags.values()} == {1}


def test_it_is_the_first_event_that_counts_however_many_slices_follow() -> None:
    bench = watched(interval=0.0, decode=timed)
    now = bench.clock.now()
    bench.publish("k/1", *(f"{now - 5000 + number}" for number in range(2500)))
    bench.run(5.0)
    assert bench.engine.watch.picture(bench.ledger).lags["provider"].p95_seconds == 5000.0


def test_what_ends_otherwise_than_done_has_no_lag() -> None:
    bench = watched(interval=0.0)
    ref = bench.publish("k/1", "a")
    bench.bucket.remove("k/1")
    bench.run(600.0)
    assert bench.state(ref) == "gone"
    assert {lag.count for lag in bench.engine.watch.picture(bench.ledger).lags.values()} == {0}


# -- what it costs ----------------------------------------------------------------------------------


def test_an_idle_day_costs_few_receives_and_one_list_an_interval() -> None:
    bench = watched(reconcile=0.0)
    bench.publish("k/1", "a")
    live(bench, DAY)
    assert 4000 < bench.ledger.counters["receives"] < 4400
    assert len(bench.bucket.lists) <= DAY / 2700.0
    assert state(bench) == "quiet"
