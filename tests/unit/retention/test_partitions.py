"""Dates in keys: a listing that jumps over old ones passes over nothing new."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta, timezone
from typing import List, NamedTuple, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import ObjectRef
from collector.ports import Page
from collector.retention.listing import FULL, RECENT, Listing, Window
from collector.retention.partitions import DAY_SECONDS, TRUTH_SECONDS, Partitions, dated

HOUR = 3600.0
#: The last complete sweep ended here: 2026-03-05, so that windows reach over the end of a month.
SWEPT = datetime(2026, 3, 5, 7, 30, tzinfo=timezone.utc)


class Put(NamedTuple):
    key: str
    modified: float


def walk(puts: List[Put], window: Window, partitions: Partitions, *, page_keys: int) -> Tuple[set, int]:
    """The keys that a listing of this window finds, and the number of its calls."""
    listing = Listing(window, ["b"], {"b": partitions})
    found, calls = set(), 0
    ordered = sorted(puts, key=lambda put: put.key.encode())  # S3's own order
    keys = [put.key.encode() for put in ordered]
    while not listing.is_over:
        calls += 1
        start = bisect_right(keys, listing.after.encode())
        page = ordered[start : start + page_keys]
        refs = [ObjectRef("b", put.key, "e", event_time=put.modified) for put in page]
        more = "more" if start + page_keys < len(keys) else ""
        found |= {ref.key for ref in listing.took(Page(refs, more))}
    return found, calls


def moment(day: datetime) -> float:
    return day.timestamp()


def after_a_full_sweep(puts: List[Put], **how: int) -> Partitions:
    partitions = Partitions(**how)
    old = [put for put in puts if put.modified < moment(SWEPT)]
    walk(old, Window(0, moment(SWEPT), FULL), partitions, page_keys=7)
    return partitions


def recent(puts: List[Put], partitions: Partitions, *, page_keys: int = 3) -> Tuple[set, int]:
    window = Window(moment(SWEPT) - TRUTH_SECONDS, moment(SWEPT) + 900 * DAY_SECONDS, RECENT)
    return walk(puts, window, partitions, page_keys=page_keys)


# -- what a date is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "head"),
    [
        ("AWSLogs/1/CloudTrail/eu-west-1/2026/03/05/f.json.gz", "AWSLogs/1/CloudTrail/eu-west-1/"),
        ("audits/2026-03-05/f", "audits/"),
        ("audits/app-2026-03-05T10.log", "audits/app-"),
        ("dt=20260305/f", "dt="),
        ("a/eventDay=20260305/f", "a/eventDay="),
        ("a/year=2026/month=03/day=05/f", "a/year="),
        ("2026_03_05", ""),
    ],
)
def test_a_padded_date_is_found_wherever_it_stands(key, head):
    found = dated(key)
    assert found is not None
    assert found[0].head == head
    assert found[1] == moment(datetime(2026, 3, 5, tzinfo=timezone.utc)) // DAY_SECONDS
    assert key.startswith(found[0].first_of(found[1]))


@pytest.mark.parametrize(
    "key", ["a/2026/3/5/f", "a/2026/13/05/f", "a/2026/02/30/f", "a/120260305/f", "a/2026030510/f", "a/f", ""]
)
def test_what_is_no_padded_date_is_left_alone(key):
    assert dated(key) is None


# -- jumps --------------------------------------------------------------------------------------------

FORMATS = ("%Y/%m/%d", "%Y-%m-%d", "%Y%m%d", "%Y/month=%m/day=%d", "%Y_%m_%d")
HEADS = ("", "logs/", "logs/b/", "AWSLogs/111/CloudTrail/eu-west-1/", "é/dt=", "zz-")


UNPADDED = "unpadded"


@st.composite
def puts_of_one_head(draw, head: str) -> Tuple[List[Put], set]:
    """Objects of one head, in several spellings of their dates; and the keys that a recent listing owes us:
    those that are new, if they tell the truth, or if one that did not went by in the full sweep."""
    lies = draw(st.booleans())
    puts, new, has_lied = [], {}, False
    for number in range(draw(st.integers(0, 10))):
        day = datetime(2026, 3, 5, tzinfo=timezone.utc) + timedelta(days=draw(st.integers(-400, 8)))
        form = draw(st.sampled_from((*FORMATS, UNPADDED)))
        text = f"{day.year}/{day.month}/{day.day}" if form == UNPADDED else day.strftime(form)
        is_lie = lies and draw(st.booleans())
        late = draw(st.integers(0, int(TRUTH_SECONDS) - 1))
        late += is_lie * draw(st.sampled_from((2, 40, 200))) * int(DAY_SECONDS)
        put = Put(f"{head}{text}/{number}", moment(day) + late)
        puts.append(put)
        if put.modified >= moment(SWEPT):
            new[put.key] = is_lie
        elif is_lie and form != UNPADDED:
            has_lied = True
    return puts, {key for key, is_lie in new.items() if has_lied or not is_lie}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_recent_listing_finds_what_is_new_wherever_keys_told_the_truth_or_had_lied_before(data):
    puts: List[Put] = []
    owed = set()
    for head in data.draw(st.lists(st.sampled_from(HEADS), unique=True, max_size=3)):
        more, more_owed = data.draw(puts_of_one_head(head))
        puts += more
        owed |= more_owed
    partitions = after_a_full_sweep(puts)
    found, calls = recent(puts, partitions)
    assert owed <= found
    assert calls <= len(puts) // 3 + 1


def daily(head: str, days: int, *, keys: int, late: float = HOUR) -> List[Put]:
    """`keys` objects a day, up to the day of the last sweep."""
    last = SWEPT.replace(hour=0, minute=0)
    return [
        Put(f"{head}{day:%Y/%m/%d}/{number:04}", moment(day) + late)
        for day in (last - timedelta(days=back) for back in range(days))
        for number in range(keys)
    ]


def test_a_recent_listing_costs_calls_for_the_window_and_one_for_each_head_not_for_the_month():
    puts = [put for account in range(10) for put in daily(f"AWSLogs/{account}/", 30, keys=100)]
    partitions = after_a_full_sweep(puts)
    found, calls = recent(puts, partitions, page_keys=100)
    assert calls <= 10 * 5  # a page of the past, and the days of the window
    everything, plain = recent(puts, Partitions(most_lying=-1), page_keys=100)
    assert plain == 300
    assert found == everything


def test_a_head_whose_key_lied_is_never_jumped_over_again_and_others_still_are():
    puts = daily("a/", 30, keys=10) + daily("b/", 30, keys=10)
    puts.append(Put("a/2026/02/10/restored", moment(SWEPT) - HOUR))
    partitions = after_a_full_sweep(puts)
    new = [Put("a/2026/02/11/late", moment(SWEPT) + HOUR), Put("b/2026/03/05/late", moment(SWEPT) + HOUR)]
    found, calls = recent(puts + new, partitions, page_keys=10)
    assert {put.key for put in new} <= found
    assert 30 < calls < 45


@pytest.mark.parametrize("spelling", ["2026/3/5", "2026-03-05", "2026/03/05", "2026.03.05"])
def test_a_jump_over_the_end_of_a_year_passes_over_no_other_spelling_of_its_days(spelling):
    december = moment(datetime(2025, 12, 1, tzinfo=timezone.utc))
    old = [Put(f"a/202512{day + 1:02}/x", december + day * DAY_SECONDS) for day in range(3)]
    new = Put(f"a/{spelling}/x", moment(SWEPT) + HOUR)
    last = Put("a/20260304/x", moment(SWEPT) - DAY_SECONDS)
    assert new.key in recent([*old, last, new], after_a_full_sweep([*old, last]))[0]


@pytest.mark.parametrize(("late", "is_jumped_over"), [(TRUTH_SECONDS - 1, True), (TRUTH_SECONDS, False)])
def test_a_date_tells_the_truth_for_two_days_and_not_a_second_longer(late, is_jumped_over):
    day = moment(datetime(2026, 2, 10, tzinfo=timezone.utc))
    puts = [*daily("a/", 30, keys=10), Put("a/2026/02/10/zz", day + late)]
    _, calls = recent(puts, after_a_full_sweep(puts), page_keys=10)
    assert (calls < 10) == is_jumped_over


@pytest.mark.parametrize("stranger", ["a/2026/02/zz/x", "a/2026/02/1", "a/2025/x/2026-03-04"])
def test_a_key_that_a_jump_would_pass_over_though_it_is_new_counts_as_a_lie(stranger):
    """Its own date may be true, or none: it stands between the dates of another head."""
    puts = [*daily("a/", 90, keys=3), Put(stranger + "-1", moment(SWEPT) - HOUR)]
    new = Put(stranger + "-2", moment(SWEPT) + HOUR)
    assert new.key not in recent([*puts, new], after_a_full_sweep(daily("a/", 90, keys=3)))[0]
    assert new.key in recent([*puts, new], after_a_full_sweep(puts))[0]


def test_when_too_many_heads_have_lied_none_is_jumped_over():
    puts = [Put(f"{number:03}-2026-01-01", moment(SWEPT) - HOUR) for number in range(4)]
    puts += daily("z/", 30, keys=10)
    partitions = after_a_full_sweep(puts, most_lying=3)
    _, calls = recent(puts, partitions, page_keys=10)
    assert calls == len(puts) // 10 + 1
    _, fewer = recent(puts, after_a_full_sweep(puts, most_lying=4), page_keys=10)
    assert fewer < 10


def test_what_is_remembered_is_bounded():
    partitions = Partitions(most_lying=100)
    for number in range(1000):
        partitions.saw(f"{number:04}-2026-01-01", moment(SWEPT))
    assert len(partitions._lying) == 101


# -- the walk -----------------------------------------------------------------------------------------


def test_a_full_listing_never_jumps():
    puts = daily("a/", 30, keys=10)
    window = Window(moment(SWEPT) - DAY_SECONDS, moment(SWEPT), FULL)
    _, calls = walk(puts, window, Partitions(), page_keys=10)
    assert calls == 30


def test_a_page_without_a_key_is_followed_by_its_token():
    listing = Listing(Window(0, 10), ["b"], {"b": Partitions()})
    assert listing.took(Page((), "go on")) == []
    assert (listing.after, listing.token) == ("", "go on")
    ref = ObjectRef("b", "k", "e", event_time=5.0)
    assert listing.took(Page((ref,), "more")) == [ref]
    assert (listing.after, listing.token) == ("k", "")
    listing.took(Page((), ""))
    assert listing.is_over


def test_buckets_follow_each_other_and_one_that_is_passed_over_makes_the_walk_incomplete():
    listing = Listing(Window(0, 10), ["a", "b", "c"], {name: Partitions() for name in "abc"})
    listing.took(Page((ObjectRef("a", "k", "e", event_time=1.0),), "more"))
    listing.took(Page((), ""))
    assert (listing.bucket, listing.after) == ("b", "")
    listing.skip_bucket()
    assert listing.bucket == "c"
    listing.took(Page((), ""))
    assert listing.is_over
    assert not listing.is_complete


def test_a_window_holds_its_beginning_and_not_its_end_and_counts_what_is_older_than_the_start():
    window = Window(10, 20, FULL, counted_before=5)
    at = [ObjectRef("b", "k", "e", event_time=time) for time in (4.9, 5, 9.9, 10, 19.9, 20)]
    assert [window.covers(ref) for ref in at] == [False, False, False, True, True, False]
    assert [window.counts(ref) for ref in at] == [True, False, False, False, False, False]
