"""Rows 12 to 15, 31, 32, 42, 43, 46 and 48 of docs/formats.md: objects, keys, times, announcements."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from collector.errors import Retry
from tests.hostile.world import BUCKET, World, event_record

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'
TWO = b'{"eventTime":"2024-05-04T10:15:03Z","n":2}'


@pytest.fixture
def world():
    return World()


# -- 12 to 15: what holds no audits


def test_h12_an_empty_object_is_done_without_a_call(world):
    ref = world.announce("k", b"")
    world.run(10)
    assert world.outcome(ref) == ([], "done", [], True)
    assert world.kept.opened == []


def test_h12_an_empty_object_whose_size_nobody_told_is_done_too(world):
    ref = world.upload("k", b"")
    world.tell(replace(ref, size=None))
    world.run(10)
    assert world.outcome(ref) == ([], "done", [], True)


def test_h13_a_directory_key_of_no_bytes_is_done(world):
    ref = world.announce("audits/2024/", b"")
    world.run(10)
    assert world.outcome(ref) == ([], "done", [], True)


def test_h13_a_directory_key_with_bytes_holds_audits(world):
    ref = world.announce("audits/2024/", ONE)
    world.run(10)
    assert world.outcome(ref) == ([ONE], "done", [], True)


@pytest.mark.parametrize(
    "key", ["AWSLogs/1/ELBAccessLogTestFile", "AWSLogs/1/Config/ConfigWritabilityCheckFile",
            "export/aws-logs-write-test", "part/_SUCCESS"],
)
def test_h14_files_that_only_test_or_mark_are_filtered_unread(world, key):
    ref = world.announce(key, b"Enable AccessLog for ELB\n")
    world.run(10)
    assert world.outcome(ref) == ([], "filtered", [], True)
    assert world.row(ref).reason == "marker"
    assert world.kept.opened == []


def test_h14_immutas_marker_is_filtered_for_immuta():
    world = World(provider="immuta")
    ref = world.announce("immuta/.immuta.export.log", b"ok")
    world.run(10)
    assert world.outcome(ref) == ([], "filtered", [], True)


@pytest.mark.parametrize(
    "body",
    [{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2024-05-04T10:15:02Z", "Bucket": BUCKET},
     "CloudTrail validation message."],
)
def test_h14_messages_that_only_test_are_counted_and_deleted(world, body):
    world.send(body)
    world.run(10)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([], [], True)
    assert world.ledger.counters["noop"] == 1


def test_h15_an_instruction_file_is_filtered_unread(world):
    ref = world.announce("audits/a.json.instruction", b'{"x-amz-key-v2":"..."}')
    world.run(10)
    assert world.outcome(ref) == ([], "filtered", [], True)
    assert world.kept.opened == []


# -- 31, 32: keys

KEYS = [
    "a+b", "a b", "a%2Bb", "100%.json", "a%20b", "bad%ZZ", "Zo\u00eb/\u65e5\u672c.json", "line\nbreak",
    "tab\there", "../../etc/passwd", "/leading", "a//b/./c", "x" * 1024, "\u00e9" * 512,
    "esc\x1b[31mred\x1b[0m",
    "null\x00byte", "quote\"'`$(id);|", "<script>x</script>", "\u202egnp.exe", "s3://other/k", "*?[a]",
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_h31_a_key_is_decoded_once_and_is_only_a_name(world, log, tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    ref = world.announce(key, ONE)
    world.run(10)
    assert world.outcome(ref) == ([ONE], "done", [], True)
    assert world.kept.opened == [f"s3://{BUCKET}/{key}"]
    assert world.sink.delivered[0][0].source == f"s3://{BUCKET}/{key}"
    assert list(tmp_path.iterdir()) == []
    assert log.getvalue().replace("\n", "").isprintable()


def test_h31_a_key_that_nobody_encoded_is_found_as_it_stands(world):
    ref = world.upload("a+b%41.json", ONE)
    record = event_record(ref)
    record["s3"]["object"]["key"] = "a+b%41.json"
    world.send({"Records": [record]})
    world.run(10)
    assert (world.bodies(), world.reasons(), world.is_over()) == ([ONE], [], True)


@pytest.mark.parametrize("key", ["a%FFb", "%C3%28", "%ED%A0%80"])
def test_h32_a_key_that_is_no_text_is_kept_and_nothing_fetched(world, key):
    record = event_record(world.upload("k", ONE))
    record["s3"]["object"]["key"] = key
    body = json.dumps({"Records": [record]})
    world.send(body)
    world.run(10)
    (entry,) = world.quarantined()
    assert (entry.kind, entry.reason, entry.body) == ("body", "key_undecodable", body.encode())
    assert (world.bodies(), world.kept.opened, world.is_over()) == ([], [], True)


# -- 48: time


def test_h48_an_old_object_is_read_and_a_missing_one_is_expired_by_its_own_age(world):
    """Age never stops a fetch; it only says what a 404 means."""
    ref = world.upload("old", ONE)
    world.tell(ref, eventTime="2020-01-01T00:00:00.000Z")
    world.run(10)
    assert world.outcome(ref) == ([ONE], "done", [], True)
    lost = replace(ref, key="lost", etag="0f", version_id=None)
    world.tell(lost, eventTime="2020-01-01T00:00:00.000Z")
    world.run(600)
    assert (world.state(lost), world.ledger.counters["expired"], world.is_over()) == ("expired", 1, True)


@pytest.mark.parametrize(
    "time", ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "9999-12-31T00:00:00Z", "2024-02-30T00:00:00Z",
             "0000-00-00T00:00:00Z", 10**30, -5, "soon"],
)
def test_h48_an_event_whose_time_cannot_be_has_the_time_of_its_object(world, time):
    line = json.dumps({"eventTime": time}).encode()
    ref = world.announce("k", line)
    world.run(10)
    assert world.outcome(ref) == ([line], "done", [], True)
    ((origin, event),) = world.sink.delivered
    assert (event.time, origin.fallback_time) == (None, f"{ref.event_time:.3f}")
    assert world.ledger.counters["done"] == 1


def test_h48_an_event_that_is_only_old_keeps_its_time(world):
    world.announce("k", b'{"eventTime":"2001-02-03T04:05:06Z"}')
    world.run(10)
    assert [event.time for event in world.events()] == ["981173106"]


# -- 42, 43, 46: messages about them


def test_h42_the_same_object_is_delivered_once_however_it_is_announced(world):
    ref = world.upload("a b.json", ONE)
    world.tell(ref)
    world.tell(ref, ref)
    world.send({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "MessageId": "m",
                "Message": json.dumps({"Records": [event_record(ref)]})})
    world.send({"source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": {"name": BUCKET}, "object": {"key": "a b.json", "etag": ref.etag}}})
    world.send({"s3Bucket": BUCKET, "s3ObjectKey": ["a b.json"]})
    world.run(60)
    world.tell(ref)
    world.run(60)
    assert world.outcome(ref) == ([ONE], "done", [], True)


def test_h42_an_event_that_its_producer_wrote_twice_is_two_events(world):
    """CloudTrail repeats eventIDs in another file; who wants one only finds them by that id."""
    world.announce("one", ONE)
    world.announce("two", ONE + b"\n")
    world.run(60)
    assert world.bodies() == [ONE, ONE]


def test_h43_an_older_announcement_that_comes_late_repeats_nothing(world):
    old, new = world.upload("k", ONE), world.upload("k", TWO)
    world.tell(new)
    world.run(10)
    world.tell(replace(old, sequencer="0001"))
    world.tell(replace(new, sequencer="0001"))
    world.run(60)
    assert (sorted(world.bodies()), world.reasons(), world.is_over()) == ([ONE, TWO], [], True)


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated",
                                  "LifecycleExpiration:Delete"])
def test_h43_a_deletion_that_is_announced_needs_no_work(world, name):
    ref = world.upload("k", ONE)
    world.tell(ref, eventName=name)
    world.run(10)
    assert (world.bodies(), world.kept.opened, world.reasons(), world.is_over()) == ([], [], [], True)
    assert world.ledger.counters["noop"] == 1


def test_h46_of_ten_records_one_that_cannot_be_read_now_keeps_the_message_and_repeats_nothing(world):
    refs = [world.upload(f"k{number}", b"event %d" % number) for number in range(10)]
    world.kept.refuse("k4", Retry("busy", code="aws_unavailable"))
    world.tell(*refs)
    world.run(300)
    assert sorted(world.bodies()) == [b"event %d" % number for number in range(10) if number != 4]
    assert ([world.state(ref) for ref in refs].count("done"), world.queue.depth) == (9, 1)
    world.kept.refuse("k4", None)
    world.run(700)
    assert (len(world.bodies()), world.reasons(), world.is_over()) == (10, [], True)


def test_h46_a_lease_that_was_lost_while_working_costs_a_warning_and_no_repeat(world, log):
    ref = world.announce("k", ONE)
    world.run(0, without=["settler"])
    world.clock.advance(400)  # longer than the visibility timeout: somebody else may have it
    (again,) = world.queue.inner.receive(1, wait_seconds=0)
    world.run(2)
    assert (world.bodies(), world.state(ref), world.queue.depth) == ([ONE], "done", 1)
    world.queue.inner.change_visibility([again], timeout_seconds=0)
    world.run(60)
    assert world.outcome(ref) == ([ONE], "done", [], True)
    assert "ERROR" not in log.getvalue()
