"""The rules of progress: reading, sending, acknowledging, and the windows (DESIGN section 5)."""

from __future__ import annotations

import json
from dataclasses import replace

from collector.engine.reader import READ_BYTES
from collector.engine.station import Wait
from collector.errors import Fatal, Refused, Retry
from collector.model import SLICE_MAX_BYTES, object_identity
from collector.ports import Advance, Finish, SaveReceipt
from collector.testing.twins import MemorySink


def _acknowledging(make_bench, **options):
    """A bench whose output confirms only when it is told to."""
    bench = make_bench(**options)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    return bench


def _lines(count, *, size=1):
    return [f"{number:06d}" + "x" * size for number in range(count)]


# -- rule 3: only the contiguous prefix ---------------------------------------------------------------


def test_only_the_contiguous_accepted_prefix_is_committed(make_bench):
    bench = _acknowledging(make_bench, sinks=None, batch_max_bytes=1)
    ref = bench.publish("a", *_lines(3000))
    bench.run(5)
    receipts = list(bench.ledger.outputs["memory"].receipts.values())
    assert [one.receipt.spans[0].first for one in receipts] == [0, 1000, 2000]
    sent = list(bench.sink._sent.values())
    sent[1].confirmed = sent[2].confirmed = True
    bench.run(30)
    assert bench.row(ref).offset == 0
    assert bench.state(ref) == "open"
    sent[0].confirmed = True
    bench.run(30)
    assert bench.state(ref) == "done"
    assert bench.row(ref).events == 3000


def test_progress_is_committed_slice_by_slice_while_an_object_is_in_work(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1)
    ref = bench.publish("a", *_lines(3000))
    bench.run(5)
    bench.sink.confirm(2)
    bench.run(30)
    assert bench.row(ref).offset == 2000
    assert bench.queue.depth == 1


def test_of_two_outputs_the_slow_one_holds_back_and_nothing_is_dropped(make_bench):
    bench = make_bench()
    slow = MemorySink(bench.clock, name="slow", ack=True, ack_after_seconds=None)
    bench = bench.beside(sinks=[bench.sink, slow])
    ref = bench.publish("a", "one", "two")
    bench.run(20)
    assert bench.sink.bodies() == [b"one", b"two"]
    assert bench.row(ref).offset == 0
    assert bench.queue.depth == 1
    slow.confirm()
    bench.run(20)
    assert bench.state(ref) == "done"
    assert bench.sink.bodies() == slow.bodies() == [b"one", b"two"]
    assert bench.queue.depth == 0


def test_an_output_that_fails_costs_the_other_no_repeats(make_bench):
    bench = make_bench()
    lame = MemorySink(bench.clock, name="lame", fail=lambda batch: Retry("down", code="down"))
    bench = bench.beside(sinks=[bench.sink, lame])
    bench.publish("a", "one")
    bench.run(200)
    lame.fail = None
    bench.run(200)
    assert bench.sink.bodies() == lame.bodies() == [b"one"]
    assert bench.queue.depth == 0


def test_what_one_of_two_outputs_has_is_not_sent_to_it_again_after_a_stop(make_bench):
    bench = make_bench()
    slow = MemorySink(bench.clock, name="slow", ack=True, ack_after_seconds=None)
    bench = bench.beside(sinks=[bench.sink, slow], owner="first")
    ref = bench.publish("a", "one", "two")
    bench.run(20)
    bench.engine.stop()
    bench.run(5)
    assert bench.row(ref).owner == ""
    slow.forget()
    again = bench.restarted(sinks=[bench.sink, slow])
    slow.ack = False
    again.run(400)
    assert (again.state(ref), again.queue.depth) == ("done", 0)
    assert bench.sink.bodies() == [b"one", b"two"]
    assert slow.bodies() == [b"one", b"two"] * 2, "nobody confirmed it"


def test_nor_when_the_other_refused_us_and_messages_went_back(make_bench):
    bench = make_bench()
    token = Fatal("invalid token", code="hec_token", scope="output")
    lame = MemorySink(bench.clock, name="lame", fail=lambda batch: token)
    bench = bench.beside(sinks=[bench.sink, lame], batch_max_bytes=1)
    for number in range(3):
        bench.publish(f"k{number}", f"event {number}")
    bench.run(5, without=("sender:lame",))
    assert len(bench.sink.bodies()) == 3
    bench.run(200)
    assert bench.ledger.counters["returned"] == 2
    lame.fail = None
    bench.run(400)
    assert sorted(bench.sink.bodies()) == sorted(lame.bodies()) == [b"event 0", b"event 1", b"event 2"]
    assert bench.queue.depth == 0


# -- rule 4: a verified end ---------------------------------------------------------------------------


def test_an_object_whose_stream_breaks_is_not_done_but_read_again_without_repeats(bench):
    ref = bench.put("a", *_lines(2500))
    real_open = bench.bucket.open
    breaks = [True]

    def open_and_break(ref):
        opened = real_open(ref)
        if breaks:
            breaks.pop()
            reads = iter([opened.read()[:14000]])

            def read():
                for chunk in reads:
                    return chunk
                raise Retry("connection reset", code="reset")

            opened.read = read
        return opened

    bench.bucket.open = open_and_break
    bench.notify(ref)
    bench.drive()
    assert bench.state(ref) == "open"
    bench.run(60)
    assert bench.state(ref) == "done"
    assert bench.delivered() == _lines(2500)


# -- rule 5: leases -----------------------------------------------------------------------------------


def test_leases_are_extended_while_an_open_receipt_is_waited_for(make_bench):
    bench = _acknowledging(make_bench, ack_timeout_seconds=5000.0)
    bench.publish("a", "one")
    bench.run(3600)
    assert bench.queue.in_flight == 1
    assert all(seconds == 300 for seconds, _ in bench.queue.changes)
    assert 30 <= len(bench.queue.changes) <= 40, "at a third of the visibility timeout"


def test_leases_are_extended_in_batches_of_ten(make_bench):
    bench = _acknowledging(make_bench)
    for number in range(30):
        bench.publish(f"k{number}", "one")
    bench.run(130)
    assert {len(ids) for _, ids in bench.queue.changes} == {10}


def test_a_read_without_bytes_for_a_minute_is_no_progress_and_its_message_comes_back(bench):
    bench.publish("a", "one")
    bench.drive(without=("reader",))
    stalled = bench.stations["reader"].take(bench.ledger)
    bench.run(400, without=("reader",))
    assert bench.queue.in_flight == 0 or bench.queue.receives == [1, 1]
    assert stalled[0].item.busy_since is not None
    assert bench.ledger.counters["leases_lapsed"] + bench.ledger.counters["received_again"] >= 1


def test_an_object_that_takes_long_to_be_ready_keeps_its_lease_as_each_step_is_progress(bench):
    """As the first reading of what its writer encrypted does: 60 steps of 15 s each."""
    opens, steps = bench.bucket.open, list(range(60))

    def open_slowly(ref):
        opened = opens(ref)

        def prepare():
            bench.clock.advance(15.0 if steps else 0.0)
            return bool(steps) and steps.pop() is not None

        opened.prepare = prepare
        return opened

    bench.bucket.open = open_slowly
    bench.publish("a", "one")
    bench.run(1200)
    assert bench.delivered() == ["one"]
    assert (bench.queue.receives, bench.queue.depth) == ([1], 0)
    assert bench.ledger.counters["leases_lapsed"] == 0


def test_a_lapsed_lease_never_deletes(make_bench):
    bench = _acknowledging(make_bench)
    ref = bench.publish("a", "one")
    bench.drive()
    bench.clock.advance(301)
    bench.sink.confirm()
    bench.turn("keeper")
    bench.turn("keeper")
    bench.drive(without=("receiver",))
    assert bench.state(ref) == "done"
    assert bench.queue.deletes == []
    bench.run(1)
    assert bench.queue.depth == 0, "it came back, and was known"
    assert bench.delivered() == ["one"]


def test_nor_does_one_that_lapsed_after_the_keeper_looked(make_bench):
    bench = _acknowledging(make_bench)
    ref = bench.publish("a", "one")
    bench.drive()
    bench.clock.advance(301)
    bench.sink.confirm()
    bench.drive(without=("keeper", "receiver"))
    assert bench.state(ref) == "done"
    assert bench.queue.deletes == []
    bench.drive()
    assert (bench.queue.depth, bench.delivered()) == (0, ["one"])


def test_a_message_near_twelve_hours_is_given_back_with_its_failures_kept_in_the_row(bench):
    ref = bench.publish("a", "one")
    bench.bucket.refuse("a", Fatal("access denied", code="access_denied", scope="object"))
    bench.run(11.4 * 3600)
    assert bench.queue.receives == [1]
    began = bench.row(ref).first_failed
    bench.run(0.2 * 3600)
    assert bench.queue.receives == [1, 1]
    assert bench.row(ref).attempts > 10
    assert began == 0.0 < bench.row(ref).first_failed < bench.clock.now() - 11 * 3600
    assert bench.queue.depth == 1


# -- rule 10: refused events --------------------------------------------------------------------------


def _refusing(*bad, offender=True):
    """An output that refuses a batch for the first of these bodies."""

    def fail(batch):
        for index, (_, event) in enumerate(batch):
            if event.body.decode() in bad:
                return Refused("bad event", code="hec_6", offender=index if offender else None)
        return None

    return fail


def test_an_offending_event_alone_goes_to_quarantine_and_the_rest_of_its_object_arrives(bench):
    ref = bench.publish("a", "one", "bad", "three")
    bench.sink.fail = _refusing("bad")
    bench.run(5)
    assert sorted(bench.delivered()) == ["one", "three"]
    assert bench.state(ref) == "done"
    assert [(one.kind, one.body, one.ordinal, one.oid) for one in bench.quarantined()] == [
        ("event", b"bad", 1, object_identity("thrive", ref))
    ]
    assert bench.queue.depth == 0


def test_where_the_output_blames_nobody_a_batch_is_halved_until_the_event_is_alone(bench):
    lines = _lines(64)
    bench.sink.fail = _refusing(lines[17], lines[40], offender=False)
    bench.publish("a", *lines)
    bench.run(30)
    assert sorted(bench.delivered()) == [line for line in lines if line not in (lines[17], lines[40])]
    assert sorted(one.ordinal for one in bench.quarantined()) == [17, 40]
    assert bench.queue.depth == 0


def test_an_accepted_prefix_of_a_refused_batch_is_not_sent_again(bench):
    def fail(batch):
        bodies = [event.body for _, event in batch]
        if b"bad" not in bodies:
            return None
        at = bodies.index(b"bad")
        bench.sink.delivered.extend(list(batch)[:at])
        return Refused("bad event", code="hec_6", accepted=at, offender=at)

    bench.sink.fail = fail
    bench.publish("a", "one", "two", "bad", "four")
    bench.run(5)
    assert bench.delivered() == ["one", "two", "four"]
    assert [one.ordinal for one in bench.quarantined()] == [2]


def test_an_event_counts_as_taken_only_when_its_copy_is_durable(bench):
    bench.sink.fail = _refusing("bad")
    ref = bench.publish("a", "bad")
    bench.drive(without=("settler",))
    bench.store.error = Retry("disk full", code="store_busy")
    bench.run(30)
    assert bench.state(ref) == "open"
    assert bench.queue.deletes == []
    bench.store.error = None
    bench.run(30)
    assert len(bench.quarantined()) == 1
    assert bench.state(ref) == "done"


# -- receipts -----------------------------------------------------------------------------------------


def test_a_receipt_is_saved_before_the_next_batch_of_its_lane(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1)
    bench.publish("a", *_lines(3000))
    story = []
    real_send, real_apply = bench.sink.send, bench.store.apply
    bench.sink.send = lambda batch, *, lane: story.append("send") or real_send(batch, lane=lane)

    def apply(changes):
        story.extend("save" for one in changes if isinstance(one, SaveReceipt))
        return real_apply(changes)

    bench.store.apply = apply
    bench.run(10)
    assert story == ["send", "save"] * 3


def test_no_second_batch_leaves_a_lane_while_its_receipt_cannot_be_saved(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1)
    bench.publish("a", *_lines(3000))
    bench.drive(without=("sender:memory",))
    bench.store.error = Retry("disk full", code="store_busy")
    bench.run(60)
    assert len(bench.sink.batches) == 1
    bench.store.error = None
    bench.run(60)
    assert len(bench.sink.batches) == 3


def test_without_acknowledgement_the_next_batch_waits_for_the_commit_of_the_last(make_bench):
    bench = make_bench(batch_max_bytes=1)
    bench.publish("a", *_lines(3000))
    bench.drive(without=("settler",))
    assert len(bench.sink.batches) == 1
    bench.drive()
    assert len(bench.sink.batches) == 3


def test_after_a_restart_open_receipts_are_asked_about_before_anything_is_sent_again(make_bench):
    bench = _acknowledging(make_bench)
    ref = bench.publish("a", "one", "two")
    bench.run(5)
    messages = [one.message for one in bench.ledger.deliveries.values()]
    bench.queue.change_visibility(messages, timeout_seconds=0)
    again = bench.restarted()
    asked = again.sink.asked
    again.run(5)
    assert again.sink.asked > asked
    assert again.bucket.opened == [ref.url], "not even opened a second time while the answer is open"
    again.sink.confirm()
    again.run(20)
    assert again.state(ref) == "done"
    assert again.delivered() == ["one", "two"]


def test_what_the_output_has_forgotten_over_a_restart_is_sent_again(make_bench):
    bench = _acknowledging(make_bench, ack_resume_seconds=60.0)
    ref = bench.publish("a", "one", "two")
    bench.run(5)
    bench.sink.forget()
    again = bench.restarted()
    again.run(400)
    again.sink.confirm()
    again.run(30)
    assert again.state(ref) == "done"
    assert again.delivered() == ["one", "two"] * 2


def test_an_acknowledgement_that_never_comes_is_sent_again_on_a_new_channel(make_bench):
    bench = _acknowledging(make_bench)
    ref = bench.publish("a", "one")
    bench.run(5)
    bench.sink.forget()
    bench.run(290)
    assert len(bench.sink.batches) == 1
    bench.run(20)
    assert len(bench.sink.batches) == 2
    channels = [sent.receipt.channel for sent in bench.sink._sent.values()]
    assert channels == ["lane-0-0", "lane-0-1"]
    bench.sink.confirm()
    bench.run(20)
    assert bench.state(ref) == "done"
    assert bench.table.receipts == {}


def test_one_question_names_all_that_is_due_on_a_channel(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1)
    bench.publish("a", *_lines(9000))
    bench.run(1.5)
    asked = bench.sink.asked
    bench.run(20)
    assert bench.sink.asked - asked < 20, "nine receipts, one question each time"


def test_a_receipt_whose_events_another_collector_has_committed_is_waited_for_no_more(make_bench):
    bench = _acknowledging(make_bench)
    bench.publish("a", "one")
    bench.run(5)
    (item,) = bench.ledger.items.values()
    assert len(item.receipts) == 1
    bench.ledger.committed(item, item.total, final=False)
    assert (item.receipts, bench.ledger.outputs["memory"].receipts) == (set(), {})


def test_receipts_go_when_what_they_speak_of_is_committed(make_bench):
    bench = _acknowledging(make_bench)
    bench.publish("a", "one")
    bench.run(3)
    assert len(bench.table.receipts) == 1
    bench.sink.confirm()
    bench.run(10)
    assert bench.table.receipts == {}
    assert bench.ledger.outputs["memory"].receipts == {}


# -- windows ------------------------------------------------------------------------------------------


def test_what_is_read_and_not_sent_stays_within_its_window(make_bench):
    bench = make_bench(held_bytes=1_000_000, read_bytes=65536)
    bench.sink.fail = lambda batch: Retry("down", code="down")
    for number in range(8):
        bench.publish(f"k{number}", *_lines(2000, size=400))
    most = 0
    for _ in range(200):
        bench.run(0.5)
        most = max(most, bench.ledger.held_bytes)
    assert 1_000_000 <= most <= 1_000_000 + READ_BYTES + SLICE_MAX_BYTES, "one read more"
    bench.sink.fail = None
    bench.run(300)
    assert len(bench.delivered()) == 16_000
    assert bench.ledger.held_bytes == 0


def test_no_more_ack_ids_are_open_than_a_channel_may_have(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1, acks_per_channel=3)
    bench.publish("a", *_lines(9000))
    bench.run(20)
    assert len(bench.sink.batches) == 3
    bench.sink.ack_after_seconds = 0.0
    bench.run(60)
    assert len(bench.sink.batches) == 9
    assert bench.queue.depth == 0


def test_confirmed_receipts_take_no_room_while_an_earlier_slice_must_still_get_through(make_bench):
    bench = _acknowledging(make_bench, batch_max_bytes=1, acks_per_channel=3, ack_timeout_seconds=60.0)
    ref = bench.publish("a", *_lines(6000))
    bench.run(20)
    first, *others = list(bench.sink._sent.values())
    first.forgotten = True
    bench.sink.ack_after_seconds = 0.0
    first.receipt = replace(first.receipt, sent_at=bench.clock.now() + 1e9)
    bench.run(200)
    assert others
    assert bench.state(ref) == "done"
    assert bench.queue.depth == 0


def test_only_what_free_readers_can_start_is_received(make_bench):
    bench = make_bench(workers=4)
    for number in range(20):
        bench.publish(f"k{number}", "one")
    bench.drive(without=("reader",))
    assert bench.queue.in_flight == 4


def test_a_commit_of_receipts_alone_holds_up_no_question_about_others(bench):
    bench.ledger.committing = True
    assert not bench.ledger.is_behind
    bench.ledger.committing_items = True
    assert bench.ledger.is_behind


def test_receives_that_run_side_by_side_share_the_room_that_there_is(make_bench):
    bench = make_bench(workers=25)
    receiver, ledger = bench.engine.receiver, bench.ledger
    receiver._most_polls = 4
    asked = [receiver.take(ledger) for _ in range(4)]
    assert [work.count for work in asked[:3]] == [10, 10, 5]
    assert isinstance(asked[3], Wait)
    receiver.record(ledger, asked[0], [])
    receiver._most_polls = 4
    assert receiver.take(ledger).count == 10


def test_many_small_objects_share_a_batch(bench):
    for number in range(10):
        bench.publish(f"k{number}", f"event {number}")
    bench.drive()
    bench.run(2)
    assert len(bench.delivered()) == 10
    assert len(bench.sink.batches) <= 2


def test_payloads_are_delivered_once_under_the_producers_own_id(bench):
    for _ in range(2):
        bench.queue.send(json.dumps({"audits": [["id-1", "one\ntwo"], ["id-2", "three"]]}))
    bench.run(3)
    assert bench.delivered() == ["one", "two", "three"]
    assert bench.queue.depth == 0
    bench.queue.send(json.dumps({"audits": [["id-2", "three"]]}))
    bench.run(3)
    assert len(bench.delivered()) == 3


def test_a_payload_that_tells_its_log_is_labelled_with_it_and_the_host_of_its_database(bench):
    stream = "/aws/rds/cluster/orders/postgresql:orders-2.0"
    bench.queue.send(json.dumps({"audits": [["id-1", "one", stream]]}))
    sent = bench.queue.send(json.dumps({"audits": [["id-2", "two"]]}))
    bench.run(3)
    labels = {event.body: (origin.source, origin.host) for origin, event in bench.sink.delivered}
    assert labels == {b"one": (stream, "orders"), b"two": (f"sqs://{sent}", "")}


def test_a_row_is_written_in_the_order_accepted_then_final(bench):
    bench.publish("a", *_lines(1500))
    bench.run(3)
    finishes = [one for one in bench.store.applied if isinstance(one, (Advance, Finish))]
    assert isinstance(finishes[-1], Finish)
    assert finishes[-1].events == 1500


def test_an_output_that_will_not_say_what_it_has_indexed_stops_receiving(make_bench):
    bench = _acknowledging(make_bench)
    bench.publish("a", "one")
    bench.run(0.5)
    real_ask = bench.sink.ask

    def refuse(receipts):
        raise Fatal("invalid token", code="hec_token", scope="output")

    bench.sink.ask = refuse
    bench.run(30)
    bench.publish("b", "two")
    bench.run(100)
    assert bench.queue.receives == [1]
    bench.sink.ask = real_ask
    bench.sink.ack_after_seconds = 0.0
    bench.run(100)
    assert bench.delivered() == ["one", "two"]
    assert bench.queue.depth == 0
