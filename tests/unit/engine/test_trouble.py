"""The rules of trouble: when receiving stops, who is blamed, and how it ends without a restart."""

from __future__ import annotations

from collector.engine import admission, capacity
from collector.errors import Fatal, Retry
from collector.model import Notification, ObjectRef

TOKEN = Fatal("invalid token", code="hec_token", scope="output")
DENIED = Fatal("access denied", code="access_denied", scope="object")
BUSY = Retry("disk full", code="store_busy")

# -- rule 7: no receive in trouble --------------------------------------------------------------------


def test_store_errors_stop_receiving_and_recover_without_restart(bench):
    bench.publish("a", "one")
    bench.drive()
    bench.store.error = BUSY
    bench.publish("b", "two")
    bench.run(30)
    received = sum(bench.queue.receives)
    bench.publish("c", "three")
    bench.run(120)
    assert sum(bench.queue.receives) == received
    bench.store.error = None
    bench.run(60)
    assert bench.delivered() == ["one", "two", "three"]
    assert bench.queue.depth == 0


def test_an_output_that_is_down_stops_receiving_and_nothing_is_handed_back(bench):
    bench.sink.fail = lambda batch: Retry("connection refused", code="hec_connect")
    bench.publish("a", "one")
    bench.run(60)
    bench.publish("b", "two")
    bench.run(600)
    assert bench.queue.receives == [1]
    assert 0 not in {seconds for seconds, _ in bench.queue.changes}
    bench.sink.fail = None
    bench.run(120)
    assert bench.delivered() == ["one", "two"]
    assert bench.queue.depth == 0


def test_receiving_that_fails_is_tried_again_with_a_growing_pause(bench):
    bench.queue.error = Retry("throttled", code="throttled", after_seconds=7.0)
    bench.publish("a", "one")
    bench.run(60)
    assert 1 <= bench.ledger.counters["receive_errors"] <= 9
    bench.queue.error = None
    bench.run(60)
    assert bench.delivered() == ["one"]


# -- rule 8: what everybody suffers from --------------------------------------------------------------


def test_an_output_that_refuses_us_hands_messages_back_but_keeps_one_probe(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.fail = lambda batch: TOKEN
    for number in range(8):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(50)
    assert len(bench.ledger.deliveries) == 1
    assert bench.queue.in_flight == 1
    returned = [name for seconds, names in bench.queue.changes if seconds < 300 for name in names]
    assert len(returned) == len(set(returned)) == 7
    assert bench.queue.deletes == []
    assert bench.quarantined() == []


def test_the_probe_is_tried_once_a_minute(make_bench):
    bench = make_bench(batch_max_bytes=1)
    tried = []

    def refuse(batch):
        tried.append(bench.clock.monotonic())
        return TOKEN

    bench.sink.fail = refuse
    for number in range(8):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(650)
    assert 10 <= len(tried) <= 12
    assert all(59 <= later - earlier <= 90 for earlier, later in zip(tried, tried[1:]))


def test_an_output_that_takes_us_again_is_noticed_within_a_minute_without_restart(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.fail = lambda batch: TOKEN
    for number in range(8):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(300)
    bench.sink.fail = None
    bench.run(90)
    assert sorted(bench.delivered()) == [f"event {number}" for number in range(8)]
    assert bench.queue.depth == 0


def test_a_long_outage_costs_no_message_its_receives(make_bench):
    bench = make_bench(batch_max_bytes=1, max_receive_count=5)
    bench.sink.fail = lambda batch: TOKEN
    for number in range(8):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(6 * 3600)
    bench.sink.fail = None
    bench.run(200)
    assert bench.queue.dead == []
    assert len(bench.delivered()) == 8


ROLE = Fatal("cannot assume role", code="role_denied", scope="role")


def test_a_refused_role_hands_all_back_but_one_and_tries_it_once_a_minute(make_bench):
    bench = make_bench(max_receive_count=5)
    for number in range(12):
        bench.bucket.refuse(f"k{number}", ROLE)
        bench.publish(f"k{number}", f"event {number}")
    bench.run(3 * 3600)
    assert bench.ledger.objects.is_open
    assert len(bench.ledger.deliveries) <= 1
    assert bench.queue.dead == []
    assert bench.ledger.counters["messages"] <= 12 + 3 * 60 / 10 + 1
    for number in range(12):
        bench.bucket.refuse(f"k{number}", None)
    bench.run(3 * 3600)
    assert len(bench.delivered()) == 12
    assert bench.queue.depth == 0


def test_an_object_that_is_gone_leaves_its_row_though_its_etag_was_never_told(bench):
    ref = bench.put("a", "one")
    bench.bucket.remove("a")
    bench.notify(ref, etags=False)
    bench.run(400)
    assert bench.store.counts()["gone"] == 1
    assert bench.ledger.counters["gone"] == 1
    assert bench.queue.depth == 0


def test_a_drain_ends_where_the_disk_is_full(make_bench):
    bench = make_bench(once=True)
    capacity.looked(bench.ledger, disk_low=Retry("full", code="disk_low"), quarantine_bytes=0)
    bench.publish("a", "one")
    bench.run(30)
    assert bench.engine.is_stuck()


def test_a_drain_ends_where_the_role_is_refused_and_the_queue_answers(make_bench):
    bench = make_bench(once=True)
    bench.bucket.refuse("a", ROLE)
    bench.publish("a", "one")
    bench.run(30)
    assert bench.engine.is_stuck()


def test_a_refused_queue_is_tried_once_a_minute_until_it_answers(bench):
    bench.queue.error = Fatal("no such queue", code="queue_missing", scope="queue")
    bench.publish("a", "one")
    bench.run(605)
    assert 10 <= bench.ledger.counters["receive_errors"] <= 12
    bench.queue.error = None
    bench.run(70)
    assert bench.delivered() == ["one"]


def test_ten_alike_denials_stop_receiving_and_hand_back_all_but_one(bench):
    for number in range(12):
        bench.bucket.refuse(f"k{number}", DENIED)
        bench.publish(f"k{number}", "one")
    bench.run(30)
    assert bench.ledger.objects.is_open
    assert len(bench.ledger.deliveries) == 1
    received = sum(bench.queue.receives)
    bench.run(500)
    assert sum(bench.queue.receives) == received
    assert bench.queue.depth == 12
    for number in range(12):
        bench.bucket.refuse(f"k{number}", None)
    bench.run(130)
    assert bench.queue.depth == 0
    assert len(bench.delivered()) == 12


def test_a_probe_that_stays_denied_gives_way_to_another_object(bench):
    """Ten bad objects are not everybody's trouble: behind them the queue is sound."""
    for number in range(10):
        bench.bucket.refuse(f"bad{number}", DENIED)
        bench.publish(f"bad{number}", "unread")
    bench.run(60)
    assert bench.ledger.objects.is_open
    for number in range(30):
        bench.publish(f"good{number}", f"line {number}")
    bench.run(4 * 3600)
    assert {f"line {number}" for number in range(30)} <= set(bench.delivered())


def test_an_object_of_another_bucket_is_not_fetched_by_command(bench):
    elsewhere = Notification("command", refs=(ObjectRef("elsewhere", "k", etag="e"),))
    admission.admit(bench.ledger, elsewhere, origin="command")
    bench.drive()
    assert not bench.ledger.in_hand()
    assert bench.delivered() == []


def test_a_large_object_that_is_the_probe_is_read_on_without_a_minute_between_its_reads(make_bench):
    bench = make_bench(read_bytes=65536)
    refs = [bench.put(f"k{number}", *("x" * 500 for _ in range(8000))) for number in range(10)]
    for ref in refs:
        bench.bucket.refuse(ref.key, DENIED)
        bench.notify(ref)
    bench.run(30)
    assert bench.ledger.objects.is_open
    for ref in refs:
        bench.bucket.refuse(ref.key, None)
    bench.run(130)
    assert not bench.ledger.objects.is_open
    assert {bench.state(ref) for ref in refs} == {"done"}


def test_configuration_errors_quarantine_nothing_and_delete_nothing(bench):
    for number in range(12):
        bench.bucket.refuse(f"k{number}", DENIED)
        bench.publish(f"k{number}", "one")
    bench.run(3 * 86400)
    assert bench.quarantined() == []
    assert bench.queue.deletes == []


def test_nine_denied_objects_do_not_stop_the_rest(bench):
    for number in range(9):
        bench.bucket.refuse(f"k{number}", DENIED)
        bench.publish(f"k{number}", "one")
    bench.run(60)
    bench.publish("good", "two")
    bench.run(60)
    assert bench.delivered() == ["two"]


def test_a_denied_object_backs_off_and_after_a_day_ends_as_forbidden(bench):
    ref = bench.publish("a", "one")
    bench.bucket.refuse("a", DENIED)
    bench.run(23.5 * 3600)
    assert bench.state(ref) == "open"
    assert 24 <= bench.ledger.counters["object_errors"] <= 80
    bench.publish("b", "two")
    bench.run(3 * 3600)
    assert bench.state(ref) == "quarantined"
    assert [(one.kind, one.reason, one.url) for one in bench.quarantined()] == [
        ("object", "forbidden", ref.url)
    ]
    assert bench.delivered() == ["two"]
    assert bench.queue.depth == 0


def test_a_wall_clock_that_jumps_makes_no_denied_object_forbidden(bench):
    ref = bench.publish("a", "one")
    bench.bucket.refuse("a", DENIED)
    bench.run(600)
    bench.clock.set_back(-40 * 86400.0)
    bench.run(3600)
    assert bench.quarantined() == []
    assert bench.state(ref) == "open"


def test_a_denial_that_is_put_right_in_time_is_read(bench):
    ref = bench.publish("a", "one")
    bench.bucket.refuse("a", DENIED)
    bench.run(7200)
    bench.bucket.refuse("a", None)
    bench.run(3700)
    assert bench.state(ref) == "done"


# -- deletes that fail --------------------------------------------------------------------------------


def test_a_delete_that_fails_is_tried_again_while_the_lease_lasts(bench):
    bench.queue.delete_error = Retry("throttled", code="throttled")
    bench.publish("a", "one")
    bench.run(20)
    bench.queue.delete_error = None
    bench.run(30)
    assert bench.queue.depth == 0
    assert bench.queue.receives == [1]
    assert bench.delivered() == ["one"]


def test_a_denied_delete_whose_lease_lapsed_does_not_stop_receiving_for_good(bench):
    bench.queue.delete_error = Fatal("not allowed", code="delete_denied", scope="queue")
    bench.publish("a", "one")
    bench.run(20)
    assert bench.ledger.deletes.is_open
    bench.clock.advance(400)
    bench.queue.delete_error = None
    bench.publish("b", "two")
    bench.run(200)
    assert bench.queue.depth == 0
    assert bench.delivered() == ["one", "two"]


# -- rule 13: where an input begins -------------------------------------------------------------------


def test_an_empty_ledger_begins_now_and_remembers_it(make_bench):
    bench = make_bench()
    began = bench.engine.start_from
    assert began == bench.clock.now()
    bench.clock.advance(86400)
    assert bench.restarted().engine.start_from == began


def test_a_reconcile_finds_what_the_queue_forgot_but_nothing_older_than_the_start(make_bench):
    bench = make_bench()
    bench.clock.advance(-100)
    before = bench.put("before", "old event")
    bench.clock.advance(200)
    after = bench.put("after", "new event")
    bench.clock.advance(3600)
    young = bench.put("young", "its message is on its way")
    bench.engine.reconcile()
    bench.run(10)
    assert bench.delivered() == ["new event"]
    assert bench.state(after) == "done"
    assert set(bench.table.rows) == {bench.row(after).oid}
    assert before and young


def test_a_reconcile_brings_to_its_end_what_was_begun_and_has_no_message_and_no_object_any_more(make_bench):
    first = make_bench()
    ref = first.publish("a", "one")
    first.drive(without=("sender:memory",))
    first.bucket.remove("a")
    message = next(iter(first.ledger.deliveries.values())).message
    first.queue.delete([message])
    second = first.restarted()
    second.clock.advance(3600)
    second.engine.reconcile()
    second.run(300)
    assert second.state(ref) == "gone"


def test_what_was_delivered_is_not_forgotten_when_only_our_own_clock_says_that_it_is_old(bench):
    bench.publish("a", "one")
    bench.run(60)
    told = bench.clock.now()
    bench.clock.set_back(-40 * 86400.0)
    assert bench.engine.oldest_kept(after_seconds=7 * 86400.0) <= told - 37 * 86400
    bench.clock.set_back(40 * 86400.0)
    bench.clock.advance(60 * 86400.0)
    bench.publish("b", "two")
    bench.run(60)
    assert bench.engine.oldest_kept(after_seconds=7 * 86400.0) > told


def test_a_reconcile_sends_nothing_that_is_done_or_in_work(make_bench):
    bench = make_bench()
    bench.publish("a", "one")
    bench.run(3)
    bench.clock.advance(3600)
    bench.engine.reconcile()
    bench.run(10)
    assert bench.delivered() == ["one"]


# -- rule 15: shutdown --------------------------------------------------------------------------------


def test_shutdown_hands_everything_back_and_releases_the_rows(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    refs = [bench.publish(f"k{number}", f"event {number}") for number in range(6)]
    bench.drive(without=("acknowledger",))
    bench.engine.stop()
    bench.drive()
    assert not bench.ledger.in_hand()
    bench.clock.advance(22)
    assert bench.queue.in_flight == 0
    assert bench.queue.depth == 6
    assert {bench.row(ref).owner for ref in refs} == {""}
    assert len(bench.table.receipts) >= 1


def test_what_was_accepted_is_committed_before_a_row_is_let_go_of(make_bench):
    bench = make_bench(batch_max_bytes=1)
    ref = bench.publish("big", *(f"{number:06d}" for number in range(2500)))
    bench.drive(without=("sender:memory",))
    bench.turn("sender:memory")
    bench.engine.stop()
    bench.drive()
    assert (bench.row(ref).owner, bench.row(ref).offset) == ("", 1000)
    second = bench.restarted()
    second.clock.advance(30)
    second.run(30)
    assert len(second.delivered()) == 2500


def test_an_answer_that_is_under_way_at_shutdown_is_waited_for(make_bench):
    bench = make_bench()
    bench.sink.ack, bench.sink.ack_after_seconds = True, 0.0
    ref = bench.publish("a", "one")
    bench.drive(without=("acknowledger",))
    bench.clock.advance(2)
    asking = bench.stations["acknowledger"]
    work = asking.take(bench.ledger)
    answer = asking.perform(work)
    bench.engine.stop()
    bench.drive(without=("acknowledger",))
    assert bench.row(ref).owner != ""
    asking.record(bench.ledger, work, answer)
    bench.drive()
    second = bench.restarted()
    second.clock.advance(30)
    second.run(120)
    assert second.delivered() == ["one"]


def test_a_graceful_restart_repeats_nothing(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.ack, bench.sink.ack_after_seconds = True, 30.0
    lines = [f"{number:06d}" for number in range(3500)]
    for number in range(6):
        bench.publish(f"k{number}", f"event {number}")
    bench.publish("big", *lines)
    for _ in range(4):
        bench.run(3)
        bench.engine.stop()
        bench.drive()
        bench = bench.restarted(batch_max_bytes=1)
        bench.clock.advance(25)
    bench.run(120)
    assert sorted(bench.delivered()) == sorted([*lines, *(f"event {number}" for number in range(6))])
    assert bench.queue.depth == 0


def test_what_is_in_flight_at_shutdown_is_recorded_before_the_rows_are_released(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    ref = bench.publish("a", "one")
    bench.drive(without=("sender:memory",))
    sender = bench.stations["sender:memory"]
    work = sender.take(bench.ledger)
    bench.engine.stop()
    bench.drive()
    assert bench.row(ref).owner == bench.store.owner, "kept until the call has come back"
    sender.record(bench.ledger, work, sender.perform(work))
    bench.drive()
    assert bench.row(ref).owner == ""
    assert len(bench.table.receipts) == 1
    assert not bench.ledger.in_hand()
