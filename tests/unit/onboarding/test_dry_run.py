"""The laws of a dry run, on the twins."""

from __future__ import annotations

import gzip
import json
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytest

from collector.config.routes import Route
from collector.decode import decode
from collector.decode.pgaudit import ignoring
from collector.errors import CollectorError, Fatal, Retry
from collector.model import Format, Message
from collector.notifications import parse
from collector.onboarding.dry_run import look
from collector.onboarding.sampling import View
from collector.testing.twins import ManualClock, MemoryBucket, MemoryQueue

DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def _view(clock: ManualClock, **more: Any) -> View:
    form = Format()
    settings: Dict[str, Any] = {"buckets": ("audit-logs",), "format": form, **more}
    return View(
        name="thrive",
        parse=lambda body: parse(body, bodies_are_audits=True),
        decode=lambda chunks, route: decode(chunks, format=form, now=clock.now()),
        route=settings.pop("route", lambda key: Route()),
        payload_url=lambda message: f"sqs://queue/{message.message_id}",
        **settings,
    )


def _lines(count: int, *, field: str = "eventTime") -> bytes:
    return b"".join(
        json.dumps({field: "2020-05-04T10:15:02Z", "n": number}).encode() + b"\n" for number in range(count)
    )


def _notification(*keys: str) -> str:
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "audit-logs"}, "object": {"key": key}}}
        for key in keys
    ]
    return json.dumps({"Records": records})


def test_the_newest_objects_are_taken_whatever_their_keys(clock: ManualClock) -> None:
    bucket = MemoryBucket(clock, page_size=2)
    for key in ("e", "a", "d", "b", "c"):
        clock.advance(60)
        bucket.put(key, _lines(1))
    report = look(_view(clock), objects=bucket, queue=None, now=clock.now(), sample=2)
    assert [sample.url for sample in report.samples] == ["s3://audit-logs/c", "s3://audit-logs/b"]
    assert (report.listings[0].listed, report.listings[0].wanted) == (5, 5)


def test_what_is_past_retention_or_filtered_is_counted_and_not_opened(clock: ManualClock) -> None:
    bucket = MemoryBucket(clock)
    bucket.put("old", _lines(1))
    clock.advance(31 * DAY)
    bucket.put("new", _lines(1))
    bucket.put("marker", b"x")
    view = _view(clock, route=lambda key: Route(drop=key == "marker", reason="marker"))
    report = look(view, objects=bucket, queue=None, now=clock.now(), sample=10)
    assert bucket.opened == ["s3://audit-logs/new"]
    assert (report.listings[0].too_old, report.listings[0].filtered) == (1, {"marker": 1})


def test_ten_events_of_an_object_are_shown_and_all_are_counted(clock: ManualClock) -> None:
    bucket = MemoryBucket(clock)
    body = gzip.compress(_lines(25) + b"not json\n")
    bucket.put("a", body)
    (sample,) = look(_view(clock), objects=bucket, queue=None, now=clock.now(), sample=1).samples
    assert sample.shown is not None and sample.shown.count == 10
    assert (sample.events, sample.unparsed, sample.is_whole, sample.stored_bytes) == (26, 1, True, len(body))
    assert sample.container == "gzip, JSON lines"


def test_a_line_of_postgresql_is_taken_apart_and_what_is_ignored_is_counted(clock: ManualClock) -> None:
    line = b"2020-05-04 10:15:02 UTC:10.0.0.9(4064):%b@sales:[167]:LOG:  "
    line += b"AUDIT: SESSION,1,1,READ,SELECT,,,%b,\n"
    bucket = MemoryBucket(clock)
    bucket.put("a", line % (b"rdsadmin", b"SELECT 1") * 3 + line % (b"etl", b"SELECT 'rdsadmin@sales'") * 2)
    view = _view(clock, ignores=ignoring(databases=(), users=("rdsadmin",)))
    (sample,) = look(view, objects=bucket, queue=None, now=clock.now(), sample=1).samples
    assert str(sample.line) == "rdsadmin@sales from 10.0.0.9: SESSION READ SELECT"
    assert (sample.events, sample.ignored, sample.unparsed) == (5, 3, 0)
    assert sample.shown is not None
    assert [event.ordinal for event in sample.shown] == [3, 4]


@pytest.mark.parametrize("field", ["eventTime", "createdAt"])
def test_the_field_that_times_come_from_is_named(clock: ManualClock, field: str) -> None:
    bucket = MemoryBucket(clock)
    bucket.put("a", _lines(3, field=field))
    (sample,) = look(_view(clock), objects=bucket, queue=None, now=clock.now(), sample=1).samples
    assert (sample.time_field, sample.earliest) == (field, "1588587302")


@pytest.mark.parametrize(
    ("body", "container"),
    [
        (b'{"Records":[{"a":1}]}', "JSON, events in Records"),
        (b'{"events":[{"a":1}]}', "JSON, events in a wrapper"),
        (b'[{"a":1},{"a":2}]', "a JSON array"),
        (b'[\n{"a":1},\n{"a":2}]', "a JSON document"),
        (b'{"a":1}', "one JSON object"),
        (b"plain\ntext\n", "lines of text"),
        (b"2026-05-04T10:15:02.412Z one\n", "lines of text (cloudwatch)"),
        (b"id,eventTime\n1,2020-05-04T10:15:02Z\n", "lines of text (csv)"),
        (b"", "empty"),
    ],
)
def test_a_container_is_told_by_its_bytes(clock: ManualClock, body: bytes, container: str) -> None:
    bucket = MemoryBucket(clock)
    bucket.put("a", body)
    (sample,) = look(_view(clock), objects=bucket, queue=None, now=clock.now(), sample=1).samples
    assert sample.container == container


def test_damage_comes_after_the_events_before_it(clock: ManualClock) -> None:
    bucket = MemoryBucket(clock)
    bucket.put("a", b'{"Records":[{"a":1},{"a":')
    report = look(_view(clock), objects=bucket, queue=None, now=clock.now(), sample=1)
    assert (report.samples[0].events, report.samples[0].is_whole) == (1, False)
    assert [(failure.code, failure.where) for failure in report.failures] == [
        ("truncated_json", "s3://audit-logs/a")
    ]


def test_a_refused_listing_is_reported_and_the_queue_is_looked_into_all_the_same(clock: ManualClock) -> None:
    class Unlisted(MemoryBucket):
        def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Any:
            raise Fatal("no", code="list_denied", scope="object")

    bucket, queue = Unlisted(clock), MemoryQueue(clock)
    bucket.put("a", _lines(2))
    queue.send(_notification("a"))
    report = look(_view(clock), objects=bucket, queue=queue, now=clock.now(), sample=10)
    assert [failure.code for failure in report.failures] == ["list_denied"]
    assert [sample.events for sample in report.samples] == [2]


def test_messages_are_back_before_any_object_is_opened_and_each_came_once(clock: ManualClock) -> None:
    order: List[str] = []

    class Watched(MemoryQueue):
        def receive(
            self, count: int, *, wait_seconds: int, hide_seconds: Optional[int] = None
        ) -> Sequence[Message]:
            order.append("receive")
            return super().receive(count, wait_seconds=wait_seconds, hide_seconds=hide_seconds)

        def change_visibility(
            self, messages: Sequence[Message], *, timeout_seconds: int
        ) -> Mapping[str, CollectorError]:
            order.append(f"return {len(messages)}")
            return super().change_visibility(messages, timeout_seconds=timeout_seconds)

    class Opened(MemoryBucket):
        def open(self, ref: Any) -> Any:
            order.append("open")
            return super().open(ref)

    queue, bucket = Watched(clock), Opened(clock)
    bucket.put("a", _lines(1))
    for _ in range(12):
        queue.send(_notification("a"))
    report = look(_view(clock, buckets=()), objects=bucket, queue=queue, now=clock.now(), sample=12)
    assert order[:4] == ["receive", "receive", "return 10", "return 2"]
    assert set(order[4:]) == {"open"}
    assert [message.receives for message in report.messages] == [1] * 12


def test_a_log_event_is_shown_with_the_source_and_host_the_engine_gives_it(clock: ManualClock) -> None:
    log = {"logGroup": "/aws/rds/instance/orders/postgresql", "logStream": "orders.0"}
    queue = MemoryQueue(clock)
    queue.send(json.dumps({"id": "1", "timestamp": 1795236935412, "message": "a line", **log}))
    report = look(_view(clock, buckets=()), objects=None, queue=queue, now=clock.now(), sample=1)
    (sample,) = report.samples
    assert sample.shown is not None
    assert sample.shown.origin.source == "/aws/rds/instance/orders/postgresql:orders.0"
    assert sample.shown.origin.host == "orders"


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (Fatal("none", code="bucket_missing", hint="You: compare"), "You: compare"),
        (Fatal("not authorized to perform: s3:GetObject", code="object_denied"), "You: compare bucket first"),
    ],
)
def test_where_nothing_of_a_bucket_may_be_read_that_is_the_failure(
    clock: ManualClock, refused: Fatal, told: str
) -> None:
    class Denied(MemoryBucket):
        def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Any:
            raise Fatal("no", code="list_denied", scope="object")

        def open(self, ref: Any) -> Any:
            raise refused

    (found,) = look(_view(clock), objects=Denied(clock), queue=None, now=clock.now(), sample=1).listings
    assert found.failure is refused
    assert refused.hint.startswith(told)


def test_what_a_message_names_is_to_be_read_though_written_before_the_start(clock: ManualClock) -> None:
    bucket, queue = MemoryBucket(clock), MemoryQueue(clock)
    for key in ("named", "forgotten"):
        bucket.put(key, _lines(1))
    queue.send(_notification("named"))
    clock.advance(60)
    view = _view(clock, start=clock.now())
    report = look(view, objects=bucket, queue=queue, now=clock.now(), sample=10)
    assert (report.listings[0].wanted, report.listings[0].before_start) == (1, 1)
    assert {each.url.rpartition("/")[2]: each.is_named for each in report.samples} == {
        "named": True, "forgotten": False,
    }


def test_a_message_that_cannot_be_given_back_is_named(clock: ManualClock) -> None:
    class Stuck(MemoryQueue):
        def change_visibility(
            self, messages: Sequence[Message], *, timeout_seconds: int
        ) -> Mapping[str, CollectorError]:
            raise Retry("busy", code="throttled")

    queue = Stuck(clock)
    queue.send('{"eventTime":"2020-05-04T10:15:02Z"}')
    report = look(_view(clock, buckets=()), objects=None, queue=queue, now=clock.now(), sample=10)
    assert [failure.code for failure in report.failures] == ["throttled"]
    assert [sample.events for sample in report.samples] == [1]


def test_an_unknown_body_is_an_error_with_its_place(clock: ManualClock) -> None:
    queue = MemoryQueue(clock)
    queue.send("   ")
    report = look(_view(clock, buckets=()), objects=None, queue=queue, now=clock.now(), sample=10)
    (failure,) = report.failures
    assert failure.code == "empty_body" and failure.where.startswith("sqs://queue/")
