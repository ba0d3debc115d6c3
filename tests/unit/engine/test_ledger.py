"""The rules of the ledger about messages, their parts, and who owns them (DESIGN section 5)."""

from __future__ import annotations

from dataclasses import replace

from collector.config.routes import Route
from collector.engine import admission
from collector.errors import Retry
from collector.model import Notification, object_identity
from collector.ports import Finish, Quarantined, Spool, Unspool
from collector.testing.twins import MemorySink

# -- rule 1: one message, all its parts, one handle ---------------------------------------------------


def test_a_message_is_deleted_when_its_events_are_accepted_and_committed(bench):
    ref = bench.publish("a", "one", "two")
    bench.drive()
    assert bench.delivered() == ["one", "two"]
    assert bench.row(ref).state == "done"
    assert bench.row(ref).events == 2
    assert bench.queue.depth == 0


def test_a_message_stays_while_its_final_row_cannot_be_written(bench):
    ref = bench.publish("a", "one")
    bench.drive(without=("settler",))
    assert bench.delivered() == ["one"]
    bench.store.error = Retry("disk full", code="store_busy")
    bench.run(30)
    assert bench.queue.deletes == []
    bench.store.error = None
    bench.run(30)
    assert bench.state(ref) == "done"
    assert bench.queue.depth == 0


def test_a_message_received_again_replaces_the_handle(make_bench):
    bench = make_bench(sinks=None)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    bench.publish("a", "one")
    bench.drive()
    first = next(iter(bench.ledger.deliveries.values())).message.receipt_handle
    bench.clock.advance(301)
    bench.drive(without=("keeper", "acknowledger"))
    known = list(bench.ledger.deliveries.values())
    assert len(known) == 1
    assert known[0].message.receipt_handle != first
    bench.sink.confirm()
    bench.run(20)
    assert bench.queue.depth == 0, "the twin deletes with the newest handle only"
    assert bench.delivered() == ["one"]


def test_a_second_message_for_an_object_in_work_joins_that_work(bench):
    ref = bench.put("a", "one")
    bench.notify(ref)
    bench.notify(ref)
    bench.drive()
    assert bench.bucket.opened == [ref.url]
    assert bench.delivered() == ["one"]
    assert bench.queue.depth == 0


def test_a_second_message_without_etag_joins_as_soon_as_the_etag_is_learnt(bench):
    ref = bench.put("a", "one")
    bench.notify(ref)
    bench.notify(ref, etags=False)
    bench.drive()
    assert bench.delivered() == ["one"]
    assert bench.queue.depth == 0


def test_an_object_without_etag_is_claimed_under_the_one_it_has_before_anything_is_sent(bench):
    ref = bench.put("a", "one")
    bench.notify(ref, etags=False)
    bench.drive(without=("sender:memory",))
    assert bench.row(ref).owner == bench.store.owner
    assert bench.delivered() == []
    bench.drive()
    assert bench.state(ref) == "done"


def test_an_object_held_by_another_collector_is_waited_for_and_not_returned(make_bench):
    first = make_bench(sinks=None)
    first.sink.ack, first.sink.ack_after_seconds = True, None
    ref = first.publish("a", "one")
    first.drive()
    second = first.beside()
    second.notify(ref)
    second.drive()
    assert [item.state for item in second.ledger.items.values()] == ["held"]
    for _ in range(12):
        first.run(10)
        second.run(0)
        assert second.queue.depth == 2
    assert all(seconds == 300 for seconds, _ in second.queue.changes), "leases are extended, not returned"
    first.sink.confirm()
    first.run(10)
    second.run(10)
    assert second.queue.depth == 0
    assert first.delivered() == ["one"]


def test_deletes_go_ten_at_a_time(bench):
    for number in range(25):
        bench.publish(f"k{number}", f"event {number}")
    bench.drive()
    bench.run(3)
    assert bench.queue.depth == 0
    assert sum(len(call) for call in bench.queue.deletes) == 25
    assert all(len(call) <= 10 for call in bench.queue.deletes)


# -- rule 2: the AND of its parts ---------------------------------------------------------------------


def test_a_message_with_ten_records_of_which_one_is_missing_goes_only_when_all_are_final(bench):
    refs = [bench.put(f"k{number}", f"event {number}") for number in range(10)]
    bench.bucket.remove("k7")
    bench.notify(*refs)
    bench.drive()
    assert [bench.state(ref) for ref in refs].count("done") == 9
    assert bench.queue.depth == 1
    assert bench.queue.deletes == []
    bench.run(300)
    assert bench.state(refs[7]) == "gone"
    assert bench.queue.depth == 0


def test_parts_that_are_final_at_admission_are_not_sent_again(bench):
    old = bench.publish("old", "old event")
    bench.drive()
    new = bench.put("new", "new event")
    bench.notify(old, new, old)
    bench.run(3)
    assert bench.delivered() == ["old event", "new event"]
    assert bench.queue.depth == 0


def test_a_refused_object_of_two_keeps_the_message_though_the_other_is_done(bench):
    good, bad = bench.put("good", "one"), bench.put("bad", "two")
    bench.bucket.refuse("bad", Retry("slow down", code="slow_down"))
    bench.notify(good, bad)
    bench.run(60)
    assert bench.state(good) == "done"
    assert bench.queue.depth == 1
    bench.bucket.refuse("bad", None)
    bench.run(700)
    assert bench.state(bad) == "done"
    assert bench.queue.depth == 0
    assert bench.delivered() == ["one", "two"]


# -- rule 6: owners and epochs ------------------------------------------------------------------------


def test_a_fenced_write_drops_the_work_and_leaves_the_message_alone(make_bench):
    bench = make_bench(sinks=None)
    ref = bench.publish("a", "one")
    bench.drive(without=("settler",))
    oid = object_identity("thrive", ref)
    row = bench.table.rows[oid]
    bench.table.put(replace(row, owner="another", epoch=row.epoch + 1))
    bench.drive()
    assert bench.ledger.counters["fenced"] == 1
    assert not bench.ledger.items
    assert bench.queue.deletes == []
    assert bench.queue.depth == 1
    assert bench.row(ref).owner == "another"
    assert bench.row(ref).state == "open"


def test_the_receipts_of_work_that_was_taken_over_leave_the_window_and_stay_on_disk_as_final(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    ref = bench.publish("a", *(f"{number:06d}" for number in range(2000)))
    bench.run(5)
    list(bench.sink._sent.values())[1].confirmed = True
    bench.run(10)
    row = bench.row(ref)
    bench.table.put(replace(row, owner="another", epoch=row.epoch + 1))
    bench.sink.confirm()
    bench.run(30)
    assert bench.ledger.counters["fenced"] == 1
    assert bench.ledger.outputs["memory"].receipts == {}
    assert {receipt.ack_id for receipt in bench.table.receipts.values()} == {None}


def test_the_work_of_a_dead_collector_is_taken_over_under_a_new_epoch(make_bench):
    first = make_bench(sinks=None)
    ref = first.publish("a", "one")
    first.drive(without=("sender:memory",))
    epoch = first.row(ref).epoch
    second = first.beside()
    second.run(400)
    assert second.row(ref).epoch > epoch
    assert second.delivered() == ["one"]
    first.drive()
    assert first.ledger.counters["fenced"] == 1, "the one that was paused finds out at its first write"


def test_an_owner_row_says_every_twenty_seconds_that_we_live(bench):
    promised = []
    for _ in range(10):
        bench.run(10)
        promised.append(bench.table.owners["owner"] - bench.clock.now())
    assert min(promised) >= 40


# -- rule 11: FIFO goes through the spool -------------------------------------------------------------


def test_a_fifo_body_is_durable_in_the_spool_before_its_message_is_deleted(make_bench):
    bench = make_bench(fifo=True)
    bench.publish("a", "one")
    bench.store.error = Retry("disk full", code="store_busy")
    bench.run(20)
    assert bench.queue.deletes == []
    bench.store.error = None
    bench.drive(without=("reader",))
    bench.run(20, without=("reader",))
    assert bench.queue.depth == 0
    assert len(bench.table.spool) == 1
    assert bench.delivered() == []
    bench.drive()
    assert bench.delivered() == ["one"]
    assert bench.table.spool == {}
    kinds = [type(change) for change in bench.store.applied]
    assert kinds.index(Spool) < kinds.index(Finish) < kinds.index(Unspool)


def test_a_fifo_group_does_not_wait_for_acknowledgements(make_bench):
    bench = make_bench(fifo=True)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    for number in range(5):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(10)
    assert bench.queue.depth == 0
    assert bench.delivered() == [f"event {number}" for number in range(5)]


def test_what_was_spooled_is_taken_up_after_a_restart(make_bench):
    bench = make_bench(fifo=True)
    bench.publish("a", "one")
    bench.drive(without=("reader",))
    assert bench.queue.depth == 0
    again = bench.restarted()
    again.drive()
    assert again.delivered() == ["one"]
    assert again.table.spool == {}


# -- rule 12 and the ends of an object ----------------------------------------------------------------


def test_a_missing_object_is_believed_gone_at_the_third_sighting(bench):
    ref = bench.put("a", "one")
    bench.bucket.remove("a")
    bench.notify(ref)
    bench.drive()
    assert bench.state(ref) == "open"
    while bench.state(ref) == "open":
        assert bench.queue.depth == 1
        bench.run(1)
    assert bench.ledger.counters["object_errors"] == 3
    assert bench.state(ref) == "gone"
    bench.drive()
    assert bench.queue.depth == 0


def test_an_object_that_appears_after_two_sightings_is_read(bench):
    ref = bench.put("a", "one")
    bench.bucket.remove("a")
    bench.notify(ref)
    while bench.ledger.counters["object_errors"] < 2:
        bench.run(0.5)
    bench.put("a", "one")
    bench.run(120)
    assert bench.state(ref) == "done"


def test_a_missing_object_older_than_the_retention_is_expired(make_bench):
    bench = make_bench(retention_seconds=30 * 86400.0)
    ref = bench.put("a", "one")
    bench.bucket.remove("a")
    bench.clock.advance(31 * 86400)
    admission.admit(bench.ledger, Notification("command", refs=(ref,)), origin="command")
    bench.run(300)
    assert bench.state(ref) == "expired"


def test_age_never_stops_a_fetch(bench):
    ref = bench.put("a", "one")
    bench.clock.advance(400 * 86400)
    bench.notify(ref)
    bench.drive()
    assert bench.state(ref) == "done"


def test_an_overwritten_object_is_gone_and_the_current_one_is_read_under_its_own_identity(bench):
    old = bench.put("a", "old event")
    new = bench.put("a", "new event")
    bench.notify(old)
    bench.drive()
    assert bench.state(old) == "gone"
    assert bench.row(old).reason == "superseded"
    assert bench.state(new) == "done"
    assert bench.delivered() == ["new event"]
    assert bench.queue.depth == 0


def test_an_overwritten_key_is_a_new_object(bench):
    bench.publish("a", "old event")
    bench.drive()
    bench.publish("a", "new event")
    bench.run(3)
    assert bench.delivered() == ["old event", "new event"]


def test_an_empty_object_is_done_without_being_opened(bench):
    ref = bench.bucket.put("a", b"")
    admission.admit(bench.ledger, Notification("command", refs=(ref,)), origin="command")
    bench.drive()
    assert bench.state(ref) == "done"
    assert bench.bucket.opened == []


def test_an_object_that_a_route_drops_ends_as_filtered_unread(make_bench):
    bench = make_bench(route=lambda key: Route(drop=True, reason="digest"))
    ref = bench.publish("a", "one")
    bench.drive()
    assert bench.state(ref) == "filtered"
    assert bench.row(ref).reason == "digest"
    assert bench.bucket.opened == []
    assert bench.queue.depth == 0


# -- rule 9: what we do not understand ----------------------------------------------------------------


def test_a_body_nobody_understands_is_deleted_only_after_its_copy_is_durable(bench):
    bench.queue.send("not json")
    bench.store.error = Retry("disk full", code="store_busy")
    bench.run(20)
    assert bench.queue.deletes == []
    bench.store.error = None
    bench.run(20)
    assert [(one.kind, one.reason, one.body) for one in bench.quarantined()] == [
        ("body", "unknown_body", b"not json")
    ]
    assert bench.queue.depth == 0


def test_a_body_that_trips_the_parser_goes_to_quarantine_and_its_neighbours_flow_on(bench):
    bench.publish("a", "one")
    bench.queue.send('{"trip": 1}')
    bench.publish("b", "two")
    bench.drive()
    bench.run(3)
    assert sorted(bench.delivered()) == ["one", "two"]
    assert [(one.reason, one.body) for one in bench.quarantined()] == [("parser_bug", b'{"trip": 1}')]
    assert bench.queue.depth == 0


def test_a_foreign_bucket_is_never_opened_and_its_body_is_kept(bench):
    bench.publish("ours", "event")
    bench.queue.send('{"bucket": "somebody-elses", "refs": [["a", "etag"]]}')
    bench.run(5)
    assert bench.bucket.opened == ["s3://audit-logs/ours"]
    assert [one.reason for one in bench.quarantined()] == ["foreign_bucket"]
    assert bench.queue.depth == 0


def test_a_test_event_is_deleted_without_work(bench):
    bench.queue.send("{}")
    bench.drive()
    assert bench.queue.depth == 0
    assert bench.quarantined() == []
    assert bench.ledger.counters["noop"] == 1


def test_damage_in_the_middle_delivers_what_was_sound_and_keeps_the_reference(bench):
    ref = bench.publish("a", "one", "two", "damage", "three")
    bench.drive()
    assert bench.delivered() == ["one", "two"]
    assert bench.state(ref) == "quarantined"
    assert [(one.kind, one.reason, one.url) for one in bench.quarantined()] == [
        ("object", "broken_stream", ref.url)
    ]
    assert bench.queue.depth == 0
    kinds = [type(change) for change in bench.store.applied]
    assert kinds.index(Quarantined) < kinds.index(Finish)


def test_retries_end_in_quarantine_after_ten_attempts_over_at_least_an_hour(bench):
    ref = bench.publish("a", "one")
    bench.bucket.refuse("a", Retry("reset", code="reset"))
    began = bench.clock.now()
    bench.drive()
    while bench.state(ref) == "open":
        bench.run(60)
        assert bench.clock.now() - began < 4 * 3600
    assert bench.clock.now() - began >= 3600
    assert bench.ledger.counters["object_errors"] >= 10
    assert [one.reason for one in bench.quarantined()] == ["exhausted"]
    bench.drive()
    assert bench.queue.depth == 0


# -- rule 14 ------------------------------------------------------------------------------------------


def test_without_faults_nothing_is_sent_twice_by_two_collectors_and_repeated_notifications(make_bench):
    first = make_bench(sinks=None)
    second = first.beside(sinks=[MemorySink(first.clock)])
    for number in range(12):
        ref = first.publish(f"k{number}", f"event {number}")
        first.notify(ref)
    for _ in range(60):
        first.drive()
        second.drive()
        first.clock.advance(1)
    assert sorted(first.delivered() + second.delivered()) == sorted(f"event {n}" for n in range(12))
    assert first.queue.depth == 0
