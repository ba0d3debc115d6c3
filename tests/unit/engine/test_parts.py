"""A message of many parts: the sound ones are delivered, and for the others a copy of the body is kept."""

from __future__ import annotations

import json

from collector.errors import Fatal, Retry
from collector.model import Message
from collector.notifications import parse
from collector.notifications.pointers import follow
from collector.ports import Spool


def record(ref, **changes):
    """One S3 event record."""
    entity = {"key": ref.key, "eTag": ref.etag, "size": ref.size}
    return {"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": ref.bucket}, "object": entity}, **changes}


def ten_records(bench):
    """A body that names nine objects soundly and one in a version that nobody knows."""
    refs = [bench.put(f"k{number}", f"event {number}") for number in range(10)]
    records = [record(ref) for ref in refs]
    records[4]["eventVersion"] = "3.0"
    return json.dumps({"Records": records})


def nine():
    return sorted(f"event {number}" for number in range(10) if number != 4)


def test_of_ten_records_one_bad_one_is_kept_and_nine_are_delivered(make_bench):
    bench = make_bench(read=parse)
    body = ten_records(bench)
    bench.queue.send(body)
    bench.run(30)
    assert sorted(bench.delivered()) == nine()
    (entry,) = bench.quarantined()
    assert (entry.kind, entry.reason, entry.body) == ("body", "unknown_event_version", body.encode())
    assert "3.0" in entry.detail
    assert bench.queue.depth == 0


def test_the_message_stays_until_the_copy_of_its_bad_part_is_durable(make_bench):
    bench = make_bench(read=parse)
    bench.queue.send(ten_records(bench))
    bench.run(5, without=["settler"])
    bench.store.error = Retry("disk full", code="disk_full")
    bench.run(30)
    assert bench.queue.depth == 1
    assert bench.quarantined() == []
    bench.store.error = None
    bench.run(60)
    assert bench.queue.depth == 0
    assert len(bench.quarantined()) == 1


def test_a_fifo_message_with_a_bad_part_is_done_and_leaves_the_spool(make_bench):
    bench = make_bench(read=parse, fifo=True)
    bench.queue.send(ten_records(bench), group_id="g")
    bench.run(30)
    assert sorted(bench.delivered()) == nine()
    assert [entry.reason for entry in bench.quarantined()] == ["unknown_event_version"]
    assert (bench.queue.depth, bench.store.spooled()) == (0, [])


def test_bad_parts_of_two_kinds_make_one_entry_that_tells_of_both(make_bench):
    bench = make_bench(read=parse)
    ref = bench.put("k", "event")
    foreign = record(ref, s3={"bucket": {"name": "not-ours"}, "object": {"key": "k"}})
    bench.queue.send(json.dumps({"Records": [record(ref), foreign, record(ref, eventVersion="9.9")]}))
    bench.run(30)
    assert bench.delivered() == ["event"]
    (entry,) = bench.quarantined()
    assert entry.reason == "foreign_bucket"
    assert "s3://not-ours/k" in entry.detail
    assert "1 more" in entry.detail


def test_a_spooled_body_that_is_no_longer_understood_is_kept_in_quarantine(make_bench):
    bench = make_bench(read=lambda body: parse(body, bodies_are_audits=True), fifo=True)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    bench.queue.send("an audit as text", group_id="g")
    bench.run(5)
    assert bench.queue.depth == 0
    stricter = bench.restarted(read=parse, fifo=True)
    stricter.run(30)
    assert [entry.body for entry in stricter.quarantined()] == [b"an audit as text"]
    assert stricter.store.spooled() == []


# -- bodies that lie in a bucket -----------------------------------------------------------------


def pointing(bench):
    """A body that points to another body, which names an object."""
    ref = bench.put("object", "event")
    large = bench.bucket.put("payloads/1", json.dumps({"Records": [record(ref)]}).encode())
    place = {"s3BucketName": large.bucket, "s3Key": large.key}
    return json.dumps(["software.amazon.payloadoffloading.PayloadS3Pointer", place])


def following(make_bench):
    first = make_bench()
    return first.beside(read=lambda body: parse(body, fetch=follow(first.bucket)))


def test_a_body_in_a_bucket_is_read_as_a_body_and_not_as_events(make_bench):
    bench = following(make_bench)
    bench.queue.send(pointing(bench))
    bench.run(30)
    assert bench.delivered() == ["event"]
    assert bench.queue.depth == 0


def test_a_body_that_may_not_be_read_yet_keeps_its_message_and_costs_no_receive(make_bench):
    bench = following(make_bench)
    bench.bucket.refuse("payloads/1", Fatal("denied", code="object_denied", scope="object"))
    bench.queue.send(pointing(bench))
    bench.run(1000)
    assert bench.delivered() == []
    assert len(bench.queue.receives) == 1
    assert (bench.queue.depth, bench.quarantined()) == (1, [])
    bench.bucket.refuse("payloads/1", None)
    bench.run(100)
    assert bench.delivered() == ["event"]
    assert (len(bench.queue.receives), bench.queue.depth) == (1, 0)


def test_a_spooled_body_that_cannot_be_fetched_at_the_start_is_fetched_later_without_another(make_bench):
    first = make_bench(fifo=True)
    body = pointing(first)
    first.store.apply([Spool(Message("m", body, "handle", 1, first.clock.now(), "g"))])
    reads = {"fifo": True, "read": lambda body: parse(body, fetch=follow(first.bucket))}
    first.bucket.refuse("payloads/1", Fatal("denied", code="object_denied", scope="object"))
    bench = first.restarted(**reads)
    bench.queue.send(json.dumps({"Records": [record(bench.put("other", "another event"))]}), group_id="h")
    bench.run(200)
    assert bench.delivered() == ["another event"], "others are not kept waiting"
    assert (len(bench.store.spooled()), bench.quarantined()) == (1, [])
    first.bucket.refuse("payloads/1", None)
    bench.run(70)
    assert sorted(bench.delivered()) == ["another event", "event"]
    assert (bench.store.spooled(), bench.ledger.in_hand()) == ([], False)


def test_a_spooled_body_that_cannot_be_fetched_survives_a_stop(make_bench):
    first = make_bench(fifo=True)
    body = pointing(first)
    first.store.apply([Spool(Message("m", body, "handle", 1, first.clock.now(), "g"))])
    first.bucket.refuse("payloads/1", Fatal("denied", code="object_denied", scope="object"))
    bench = first.restarted(fifo=True, read=lambda body: parse(body, fetch=follow(first.bucket)))
    bench.run(100)
    bench.engine.stop()
    bench.run(5)
    assert len(bench.store.spooled()) == 1
    assert not bench.ledger.in_hand()


def test_a_body_in_a_foreign_bucket_is_not_fetched_and_the_pointer_is_kept(make_bench):
    bench = following(make_bench)
    place = {"s3BucketName": "not-ours", "s3Key": "k"}
    bench.queue.send(json.dumps({"Records": [record(bench.put("ours", "event"))]}))
    bench.queue.send(json.dumps(["com.amazon.sqs.javamessaging.MessageS3Pointer", place]))
    bench.run(30)
    assert [entry.reason for entry in bench.quarantined()] == ["foreign_bucket"]
    assert bench.bucket.opened == ["s3://audit-logs/ours"]
    assert bench.queue.depth == 0
