"""Coverage: everything that is listed or known is one thing, and is counted once."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections import Counter
from itertools import product
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import ObjectRef, Payload, object_identity, payload_identity
from collector.ports import Advance, Finish, Release, object_row, payload_row
from collector.retention.coverage import KINDS, Coverage, Question, Tally
from collector.retention.coverage_sort import SortedLines
from collector.retention.coverage_sums import MOST_NAMED, MOST_PREFIXES, OTHERS, prefix_of
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable

NOW = 1_790_000_000.0
DAY = 86400.0
GRACE = 1800.0
BUCKET = "audit-logs"
QUESTION = Question(
    "thrive", (BUCKET,), "", since=NOW - 30 * DAY, until=NOW, start_from=NOW - 20 * DAY, now=NOW,
    grace_seconds=GRACE,
)
#: A moment on each side of every boundary.
MOMENTS = [
    NOW - 31 * DAY, NOW - 30 * DAY, NOW - 21 * DAY, NOW - 20 * DAY, NOW - 2 * DAY, NOW - GRACE - 1,
    NOW - GRACE + 1, NOW - 1, NOW, NOW + 5,
]
OLD = NOW - 2 * DAY
ENDS = ["done", "gone", "expired", "filtered", "quarantined"]


class HandClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW


class Ledger:
    """A store that a living and a dead collector have written to."""

    def __init__(self) -> None:
        table = MemoryTable()
        self.stores = {name: MemoryCheckpointStore(table, owner=name, clock=HandClock()) for name in "ad"}
        self.stores["a"].alive(NOW + 60)
        self.reader = MemoryCheckpointStore(table, owner="reader", clock=HandClock())

    def row(
        self, ref: ObjectRef, state: str = "done", *, events: int = 3, moment: Optional[float] = None,
        reason: str = "", oid: str = "",
    ) -> str:
        """`state`: a final one, "worked" (held by the living), "free" (left by the dead), or "resting"."""
        store = self.stores["d" if state == "free" else "a"]
        oid = oid or object_identity("thrive", ref)
        moment = (ref.event_time or 0.0) if moment is None else moment
        (claim,) = store.claim([object_row(oid, ref, moment)])
        if state in ENDS:
            change: Any = Finish(oid, claim.row.epoch, state, events=events, reason=reason)
        elif state == "resting":
            change = Release(oid, claim.row.epoch, attempts=2, not_before=NOW + 60)
        else:
            change = Advance(oid, claim.row.epoch, events)
        assert store.apply([change]) == [True]
        return oid


def ref(key: str, *, etag: str = "e1", moment: float = OLD, size: int = 10) -> ObjectRef:
    return ObjectRef(BUCKET, key, etag=etag, size=size, event_time=moment)


def dropped(key: str) -> bool:
    return key.endswith(".tmp")


def cover(
    ledger: Ledger,
    pages: Iterable[Sequence[ObjectRef]] = (),
    *,
    question: Question = QUESTION,
    meanwhile: Any = lambda: None,
    **options: Any,
) -> Coverage:
    store = ledger.reader
    free = frozenset(row.oid for row in store.unfinished())
    with Tally(question, rows=store.rows, free=free, drops=dropped, **options) as tally:
        for page in pages:
            tally.listed(page)
        meanwhile()
        for row in store.window(question.since, question.until):
            tally.row(row)
        return tally.coverage()


def kinds(coverage: Coverage) -> Dict[str, int]:
    return {kind: count for kind, count in coverage.total.counts.items() if count}


# -- the law


class Thing(NamedTuple):
    """One identity: when it was written if it is listed, and the state of its row, if it has one."""

    listed: Optional[float]
    state: Optional[str]
    known: float
    drop: bool


THINGS = st.lists(
    st.builds(
        Thing,
        listed=st.none() | st.sampled_from(MOMENTS),
        state=st.none() | st.sampled_from([*ENDS, "worked", "free", "resting"]),
        known=st.sampled_from(MOMENTS),
        drop=st.booleans(),
    ),
    max_size=25,
)


def kind_of(thing: Thing) -> str:
    """What the page says of it; "" for what is not asked about."""
    known_now = thing.state is not None and QUESTION.since <= thing.known < QUESTION.until
    listed_now = thing.listed is not None and QUESTION.since <= thing.listed < QUESTION.until
    if not (known_now or listed_now):
        return ""
    if thing.state in ENDS:
        return "delivered" if thing.state == "done" else str(thing.state)
    if thing.state is not None:
        is_young = thing.known > NOW - GRACE
        return "missing" if thing.state == "free" and not is_young else "late"
    assert thing.listed is not None
    if thing.drop:
        return "filtered"
    if thing.listed < QUESTION.start_from:
        return "before_start"
    return "late" if thing.listed > NOW - GRACE else "missing"


@settings(deadline=None)
@given(things=THINGS, page=st.integers(1, 5), at_once=st.integers(1, 6))
def test_everything_listed_or_known_is_counted_once_as_what_it_is(
    things: List[Thing], page: int, at_once: int
) -> None:
    ledger, listed = Ledger(), []
    for number, thing in enumerate(things):
        # Two of each key: an overwritten object is another identity.
        one = ref(f"k/{number // 2}{'.tmp' if thing.drop else ''}", etag=f"e{number}")
        if thing.state is not None:
            ledger.row(one, thing.state, moment=thing.known)
        if thing.listed is not None:
            listed.append(ref(one.key, etag=one.etag or "", moment=thing.listed))
    pages = [listed[start : start + page] for start in range(0, len(listed), page)]
    coverage = cover(ledger, pages, lines=SortedLines(at_once=at_once, most_runs=2))
    expected = Counter(kind for kind in map(kind_of, things) if kind)
    assert kinds(coverage) == dict(expected)
    assert set(coverage.total.counts) == set(KINDS)
    assert coverage.total.objects == sum(expected.values())
    for kind in KINDS:
        assert sum(one.counts[kind] for one in coverage.covered) == expected[kind]
    assert sum(one.events for one in coverage.covered) == coverage.total.events
    assert len(coverage.named) == expected["missing"] + expected["gone"] + expected["expired"]


def test_each_way_to_be_listed_and_known_is_one_kind() -> None:
    """Every combination once, so that no rare one is left to chance."""
    states: List[Optional[str]] = [None, *ENDS, "worked", "free", "resting"]
    written: List[Optional[float]] = [None, *MOMENTS]
    ledger, listed, expected = Ledger(), [], Counter()
    for number, thing in enumerate(map(Thing._make, product(written, states, MOMENTS, [False, True]))):
        one = ref(f"k/{number}{'.tmp' if thing.drop else ''}")
        if thing.state is not None:
            ledger.row(one, thing.state, moment=thing.known)
        if thing.listed is not None:
            listed.append(ref(one.key, moment=thing.listed))
        expected[kind_of(thing)] += 1
    del expected[""]
    assert kinds(cover(ledger, [listed])) == dict(expected)
    assert set(expected) == set(KINDS)


# -- rows and listings


@pytest.mark.parametrize("state", ["done", "worked"])
def test_what_is_taken_up_between_listing_and_reading_is_counted_by_its_row(state: str) -> None:
    ledger, one = Ledger(), ref("a/k")
    coverage = cover(ledger, [[one]], meanwhile=lambda: ledger.row(one, state))
    assert kinds(coverage) == {"delivered" if state == "done" else "late": 1}


def test_quotes_around_an_etag_make_no_other_object() -> None:
    ledger, one = Ledger(), ref("a/k", etag="e1")
    coverage = cover(ledger, [[one]], meanwhile=lambda: ledger.row(ref("a/k", etag='"e1"')))
    assert kinds(coverage) == {"delivered": 1}


def test_a_row_whose_time_is_just_outside_is_counted_where_the_listing_has_it() -> None:
    ledger, one = Ledger(), ref("a/k", moment=NOW - 1)
    ledger.row(one, moment=NOW + 1)
    assert kinds(cover(ledger, [[one]])) == {"delivered": 1}
    assert kinds(cover(ledger)) == {}


def test_an_overwritten_object_is_two() -> None:
    ledger = Ledger()
    ledger.row(ref("a/k", etag="first"), "gone", reason="superseded")
    assert kinds(cover(ledger, [[ref("a/k", etag="second")]])) == {"gone": 1, "missing": 1}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("free", {"missing": 1}),
        ("resting", {"late": 1}),
        ("quarantined", {"quarantined": 1}),
        ("gone", {"gone": 1, "missing": 1}),
    ],
)
def test_a_row_of_unknown_etag_stands_for_what_is_listed_under_its_key_until_it_ends(
    state: str, expected: Dict[str, int]
) -> None:
    ledger = Ledger()
    ledger.row(ObjectRef(BUCKET, "a/k", event_time=OLD), state, oid="stand-in")
    assert kinds(cover(ledger, [[ref("a/k")]])) == expected


def test_two_uploads_of_unknown_etag_are_two() -> None:
    ledger = Ledger()
    for oid, moment in (("one", OLD), ("two", OLD + 5)):
        ledger.row(ObjectRef(BUCKET, "a/k", event_time=moment), "gone", oid=oid)
    assert kinds(cover(ledger)) == {"gone": 2}


def test_a_stand_in_whose_object_was_identified_is_no_object_of_its_own() -> None:
    ledger = Ledger()
    ledger.row(ObjectRef(BUCKET, "a/k", event_time=OLD), "filtered", oid="stand-in", reason="identified")
    ledger.row(ref("a/k"))
    assert kinds(cover(ledger, [[ref("a/k")]])) == {"delivered": 1}


def test_an_audit_that_came_in_a_message_has_neither_bucket_nor_prefix() -> None:
    ledger, payload = Ledger(), Payload("event-1", b"{}")
    oid = payload_identity("thrive", payload)
    store = ledger.stores["a"]
    store.claim([payload_row(oid, payload, "sqs://audit-queue/1", OLD)])
    store.apply([Finish(oid, 1, "done", events=1)])
    (one,) = cover(ledger).covered
    assert (one.bucket, one.prefix, one.counts["delivered"], one.events) == ("", "", 1, 1)


def test_with_more_free_rows_than_are_named_the_age_of_their_last_change_decides() -> None:
    ledger = Ledger()
    ledger.row(ref("a/k"), "worked")
    assert kinds(cover(ledger, free_is_all=False)) == {"late": 1}, "it has just changed"
    later = Question(**{**vars(QUESTION), "now": NOW + GRACE + 1})
    assert kinds(cover(ledger, question=later, free_is_all=False)) == {"missing": 1}
    assert kinds(cover(ledger, question=later)) == {"late": 1}


def test_a_bucket_that_was_not_listed_leaves_the_report_unwhole() -> None:
    with Tally(QUESTION, rows=lambda oids: {}) as tally:
        assert tally.coverage().is_whole
    with Tally(QUESTION, rows=lambda oids: {}) as tally:
        tally.unlisted({BUCKET: "denied"})
        assert not tally.coverage().is_whole


# -- windows


def test_a_window_is_a_day_of_utc_and_a_prefix() -> None:
    midnight = NOW - NOW % DAY
    times = [midnight - 1, midnight, midnight + 1]
    coverage = cover(Ledger(), [[ref(f"a/{n}", moment=time) for n, time in enumerate(times)], [ref("b/k")]])
    found = [(one.day, one.prefix, one.objects) for one in coverage.covered]
    assert found == [("2026-09-19", "b/", 1), ("2026-09-20", "a/", 1), ("2026-09-21", "a/", 2)]


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        ("AWSLogs/1/CloudTrail/eu-west-1/2026/05/04/1_x.json.gz", "AWSLogs/1/CloudTrail/eu-west-1/"),
        ("audits/dt=2026-05-04/a.gz", "audits/dt="),
        ("audits/tenant/a.gz", "audits/"),
        ("a.gz", ""),
        ("20260504/a.gz", ""),
        ("/leading/a.gz", "/"),
        ("audits/2026-02-31/a.gz", "audits/"),
    ],
)
def test_a_prefix_is_what_stands_before_the_date_else_the_first_folder(key: str, prefix: str) -> None:
    assert prefix_of(key) == prefix


def test_prefixes_without_end_share_a_line() -> None:
    refs = [ref(f"{number:06}/k") for number in range(MOST_PREFIXES + 50)]
    coverage = cover(Ledger(), [refs])
    assert len(coverage.covered) == MOST_PREFIXES + 1
    assert [one.counts["missing"] for one in coverage.covered if one.prefix == OTHERS] == [50]


# -- what is delivered


def test_the_hash_is_over_sorted_lines_of_what_was_delivered() -> None:
    ledger = Ledger()
    ledger.row(ref("a/2", etag="x"), events=4)
    ledger.row(ref('a/"1', etag="y"), events=0)
    ledger.row(ref("a/10", etag="z"), "quarantined", events=2)
    ledger.row(ref("a/3"), "quarantined", events=0)
    ledger.row(ref("a/4"), "worked", events=9)
    ledger.row(ref("a/5"), "filtered", events=0)
    lines = [[BUCKET, "a/2", "x", "done", 4], [BUCKET, 'a/"1', "y", "done", 0],
             [BUCKET, "a/10", "z", "quarantined", 2]]
    text = b"".join(sorted(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines))
    coverage = cover(ledger)
    assert coverage.total.sha256 == hashlib.sha256(text).hexdigest() == coverage.covered[0].sha256
    assert coverage.total.events == 15, "what was accepted of an open one counts, and may still change"


def test_the_hash_is_the_same_however_the_rows_come_and_another_after_a_change() -> None:
    refs = [ref(f"a/{number}") for number in range(30)]
    hashes = []
    for order in (refs, refs[::-1]):
        ledger = Ledger()
        for one in order:
            ledger.row(one)
        hashes.append(cover(ledger).total.sha256)
    ledger.row(ref("a/30"), events=1)
    hashes.append(cover(ledger).total.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_keys_that_are_no_unicode_are_counted_and_named_as_they_are() -> None:
    (named,) = cover(Ledger(), [[ref("a/\udcff\n\u00fc")]]).named
    assert (named.key, named.url) == ("a/\udcff\n\u00fc", f"s3://{BUCKET}/a/\udcff\n\u00fc")


# -- memory


def test_of_many_that_were_not_read_the_first_are_named() -> None:
    refs = [ref(f"a/{number:06}") for number in range(MOST_NAMED + 7)]
    coverage = cover(Ledger(), [refs])
    assert (len(coverage.named), coverage.unnamed) == (MOST_NAMED, 7)
    assert coverage.named[0].key == "a/000000"


@pytest.mark.once
def test_ten_times_the_objects_take_no_more_memory() -> None:
    def peak(count: int) -> int:
        pages = ([ref(f"a/{page}/{number}") for number in range(500)] for page in range(count // 500))
        tracemalloc.start()
        with Tally(QUESTION, rows=lambda oids: {}, lines=SortedLines(at_once=1000, most_runs=4)) as tally:
            for page in pages:
                tally.listed(page)
            assert tally.coverage().missing == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.5 * peak(2_000) + 300_000
