"""Times are exact text of epoch seconds, or None."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.times import Times

NOW = 1_800_000_000.0
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2027, 1, 14))


def read(text: str, zone_minutes: int = 0) -> Optional[str]:
    return Times(now=NOW, zone_minutes=zone_minutes).read(text)


@given(MOMENTS, st.sampled_from("T "), st.integers(-840, 840), st.text("0123456789", max_size=9))
def test_an_iso_time_in_any_zone_is_its_epoch(
    moment: datetime, joint: str, minutes: int, digits: str
) -> None:
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    text = moment.strftime(f"%Y-%m-%d{joint}%H:%M:%S") + ("." + digits if digits else "")
    zoned = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    wanted = str(int(zoned.timestamp())) + ("." + digits[:6] if digits else "")
    assert read(f"{text}{sign}{hours:02d}:{rest:02d}") == wanted
    assert read(f"{text}{sign}{hours:02d}{rest:02d}") == wanted
    assert read(text, zone_minutes=minutes) == wanted


@given(st.lists(MOMENTS, max_size=30))
def test_a_remembered_minute_changes_nothing(moments: list[datetime]) -> None:
    times = Times(now=NOW)
    for moment in moments:
        for text in (moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), moment.strftime("%Y-%m-%dT%H:%M:%SZ")):
            assert times.read(text) == times.read(text) == read(text)


@given(st.integers(10**18, int(NOW) * 10**9), st.sampled_from([0, 3, 6, 9]))
def test_an_epoch_is_understood_by_its_size(nanoseconds: int, places: int) -> None:
    number = nanoseconds // 10 ** (9 - places)
    wanted = (Decimal(number) / 10**places).quantize(Decimal(1).scaleb(-min(places, 6)), ROUND_DOWN)
    assert read(str(number)) == f"{wanted:f}"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-05-04T10:15:60Z", "1777889759"),
        ("2026-05-04T24:00:00Z", "1777939200"),
        ("2026-05-04 10:15:02 UTC", "1777889702"),
        ("2026-05-04 10:15:02,5 GMT", "1777889702.5"),
        ("2014-03-07T23:46:28.0000+0000", "1394235988.0000"),
        ("1.777889702412e9", "1777889702.412"),
        ("1777889702.4123456789", "1777889702.412345"),
    ],
)
def test_odd_spellings_are_read(text: str, wanted: str) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-05-04", "2026-05-04T10:15:02 CEST", "2026-02-30T00:00:00Z", "2026-05-04T24:00:01Z",
     "2026-05-04T25:00:00Z", "1999-12-31T23:59:59Z", "2027-02-01T00:00:00Z", "0", "42", "-1777889702", "1e99",
     "9" * 30, "0x10", "\u0662\u0660\u0662\u0666-05-04T10:15:02Z", "2026-05-04T10:15:02.\u00b2Z", "NaN",
     "20260504", "true", "null"],
)
def test_what_is_no_credible_time_is_none(text: str) -> None:
    times = Times(now=NOW)
    times.read("2026-05-04T10:15:02Z")
    assert times.read(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = read(text)
    assert found is None or 946684800 <= Decimal(found) <= Decimal(NOW) + 86400


def test_times_read_at_once_are_those_read_alone():
    times = Times(now=NOW)
    texts = ["2026-05-04T10:15:02.412Z", "2026-05-04 10:15:02Z", "2026-05-04T23:59:60.1234567Z"]
    raws = [f'"{text}"'.encode() for text in texts]

    assert times.read_all(raws) == [times.read(text) for text in texts] == [
        "1777889702.412", "1777889702", "1777939199.123456"
    ]


@given(
    st.lists(st.datetimes(datetime(1999, 1, 1), datetime(2027, 1, 1)), min_size=1, max_size=20), st.booleans()
)
def test_times_of_whole_seconds_read_at_once_are_those_read_alone_or_none_is(
    moments: list[datetime], are_likely: bool
) -> None:
    times = Times(now=NOW)
    if are_likely:
        moments = [moment.replace(year=2020, month=moment.month % 12 + 1, day=1) for moment in moments]
    texts = [f"{moment:%Y-%m-%dT%H:%M:%S}Z" for moment in moments]
    alone = [times.read(text) for text in texts]
    at_once = times.read_all([f'"{text}"'.encode() for text in texts])

    assert at_once == alone or (at_once is None and not are_likely)


@pytest.mark.parametrize("text", ["2026-05-04T23:59:60Z", "2026-05-04 10:15:02Z", "2026-05-04T10:15:02Z"])
def test_a_second_that_many_records_share_is_the_same_for_all(text: str) -> None:
    times = Times(now=NOW)

    assert times.read_all([f'"{text}"'.encode()] * 4) == [times.read(text)] * 4


@pytest.mark.parametrize(
    "raws",
    [[b"1777889702", b"1777889702.412", b"1777889703.1"], [b"1777889702412", b"1777889703000"]],
    ids=["seconds", "milliseconds"],
)
def test_epochs_read_at_once_are_those_read_alone(raws):
    times = Times(now=NOW)

    assert times.read_all(raws) == [times.read(raw.decode()) for raw in raws]
    assert None not in times.read_all(raws)


@pytest.mark.parametrize(
    "raw", [None, b"true", b"17778897", b"0777889702", b"1777889702.1234567", b"1.777889702e9", b"9777889702",
            b"-1777889702", b"1777889702412", b'"2026-05-04T10:15:02Z"', b"[\n1777889702]"]
)
def test_what_is_no_epoch_as_its_neighbours_are_is_not_read_at_once(raw):
    assert Times(now=NOW).read_all([b"1777889702", raw]) is None


def test_the_hour_after_the_last_of_a_day_is_none():
    times = Times(now=NOW)

    assert times.read("2026-05-04T24:00:00Z") == "1777939200"
    assert times.read("2026-05-04T24:00:05Z") is None


@pytest.mark.parametrize(
    "raw", [None, b"1777889702", b'"2026-05-04T10:15:02+02:00"', b'"1999-05-04T10:15:02Z"',
            b'"2026\\u002d05"', '"2026-05-04T10:15:02.\u00b2Z"'.encode("latin-1"), b"null", b'""']
)
def test_what_is_not_utc_as_nearly_all_are_is_not_read_at_once(raw):
    assert Times(now=NOW).read_all([b'"2026-05-04T10:15:02Z"', raw]) is None
