"""What a plan counts: what would be fetched, no more, and what goes first."""

from __future__ import annotations

import pytest

from collector.errors import Fatal
from collector.retention.listing import ASKED, Window
from collector.retention.survey import Survey, survey
from collector.testing.twins import ManualClock, MemoryBucket


@pytest.fixture
def bucket():
    """30 objects of 10 bytes, a minute apart; the first in the order of keys is the last in time."""
    clock = ManualClock()
    made = MemoryBucket(clock, "audit-logs", page_size=7)
    for number in range(30):
        made.put(f"k/{29 - number:02}", b"0123456789")
        clock.advance(60)
    made.start = clock.now() - 30 * 60
    return made


def found(bucket, *, since=0.0, until=1e12, missing=lambda page: page):
    return survey(
        bucket, Window(since, until, ASKED), buckets=bucket.names, prefix="k/", missing=missing
    )


def test_everything_in_the_window_is_counted_and_the_oldest_is_named(bucket):
    seen = found(bucket)
    assert (seen.objects, seen.size_bytes, seen.listed, seen.lists) == (30, 300, 30, 5)
    assert (seen.oldest_url, seen.oldest) == ("s3://audit-logs/k/29", bucket.start)


def test_what_lies_outside_the_window_is_listed_and_not_counted(bucket):
    seen = found(bucket, since=bucket.start + 600, until=bucket.start + 1200)
    assert (seen.objects, seen.listed) == (10, 30)
    assert seen.oldest == bucket.start + 600


def test_what_was_written_before_the_start_is_counted_apart(bucket):
    start = bucket.start + 600
    window = Window(start, 1e12, ASKED, start)
    seen = survey(bucket, window, buckets=bucket.names, prefix="k/", missing=lambda page: page)
    assert (seen.objects, seen.before, seen.first_before) == (20, 10, bucket.start)


def test_only_what_is_missing_would_be_fetched(bucket):
    seen = found(bucket, missing=lambda page: [ref for ref in page if ref.key < "k/05"])
    assert (seen.objects, seen.oldest_url) == (5, "s3://audit-logs/k/04")


def test_an_error_of_the_listing_is_the_plans(bucket):
    def denied(*_, **__):
        raise Fatal("s3:ListBucket denied", code="list_denied", scope="object")

    bucket.list = denied
    with pytest.raises(Fatal):
        found(bucket)


def test_the_estimates_are_what_their_words_say():
    seen = Survey(objects=1_000_000, size_bytes=5_000_000, lists=1000)
    assert seen.seconds == 10_000
    assert seen.dollars(kms=False) == pytest.approx(0.405)
    assert seen.dollars(kms=True) == pytest.approx(3.405)
    assert Survey(objects=1, size_bytes=60_000_000_000).seconds == 6000
