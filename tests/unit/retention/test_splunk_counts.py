"""What Splunk should hold of an object, and how what it holds differs."""

from __future__ import annotations

from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Payload, payload_identity
from collector.ports import Checkpoint
from collector.retention.splunk_counts import (
    BY_OID,
    BY_SOURCE,
    MOST_ASKED,
    MOST_CHARACTERS,
    Expected,
    compare,
    expectation,
    is_settled,
    search_of,
    sent_apart,
    slices,
)
from collector.testing.splunkd_search import Unsearchable, tstats


def row(state: str = "done", *, events: int = 5, oid: str = "o1", key: str = "k") -> Checkpoint:
    return Checkpoint(oid, f"s3://b/{key}", 100.0, "b", key, "e", state=state, events=events, updated=100.0)


def expected(one: Checkpoint, *, by: str = BY_OID, **options: Any) -> Expected:
    found = expectation(one, by=by, refused=options.pop("refused", {}), **options)
    assert found is not None
    return found


def events(oid: str = "o1", ordinals: Any = range(5), *, index: str = "audit", key: str = "k") -> Any:
    return [
        {"index": index, "source": f"s3://b/{key}", "fields": {"s3_oid": oid, "s3_seq": n}} for n in ordinals
    ]


def differences(some: List[Expected], held: Any, *, by: str = BY_OID, indexes: Any = ()) -> Any:
    answer = tstats(search_of(some, by=by, indexes=list(indexes)), held)
    return [(one.kind, one.expected, one.found, one.repeats) for one in compare(some, answer, by=by)]


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (events(), []),
        ([], [("absent", 5, 0, 0)]),
        (events(ordinals=[0, 1, 3, 4]), [("missing_events", 5, 4, 0)]),
        (events() + events(ordinals=[2, 3]), [("surplus", 5, 5, 2)]),
        (events(ordinals=[0, 1, 1, 1, 1]), [("missing_events", 5, 2, 3)]),
        (events(ordinals=range(7)), [("surplus", 5, 7, 0)]),
        (events("another"), [("absent", 5, 0, 0)]),
    ],
)
def test_each_object_that_differs_is_named_and_repeats_make_up_for_nothing(held: Any, found: Any) -> None:
    assert differences([expected(row())], held) == found


def test_without_identity_the_source_stands_in() -> None:
    held = events(key="a") + events("x", range(3), key="b")
    some = [expected(row(key=key), by=BY_SOURCE) for key in "abc"]
    assert differences(some, held, by=BY_SOURCE) == [("missing_events", 5, 3, 0), ("absent", 5, 0, 0)]


def test_objects_of_one_source_are_one() -> None:
    some = [expected(row(oid=oid), by=BY_SOURCE) for oid in ("o1", "o2")]
    assert differences(some, events() + events("o2"), by=BY_SOURCE) == []
    assert differences(some, events(), by=BY_SOURCE) == [("missing_events", 10, 5, 0)]


def test_only_the_indexes_that_are_named_are_searched() -> None:
    some = [expected(row())]
    assert differences(some, events(), indexes=["audit"]) == []
    assert differences(some, events(), indexes=["other", "audit"]) == []
    assert differences(some, events(), indexes=["other"]) == [("absent", 5, 0, 0)]
    assert differences(some, events(index="_internal")) == [("absent", 5, 0, 0)]


@pytest.mark.parametrize("key", ['a"b', "a\\b", "a*b", "a, b)", "[a]?", "a\udcff"])
def test_a_key_is_asked_for_as_it_is(key: str) -> None:
    sent = key.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    some = [expected(row(key=key), by=BY_SOURCE)]
    assert differences(some, events(key=sent) + events(key="axxb"), by=BY_SOURCE) == []


@pytest.mark.parametrize("state", ["open", "filtered"])
def test_nothing_is_said_of_what_is_not_over_or_left_out(state: str) -> None:
    assert expectation(row(state), by=BY_OID, refused={}) is None
    assert expectation(row(events=0), by=BY_OID, refused={}) is None


def test_of_a_broken_object_more_may_have_been_sent_than_was_accepted() -> None:
    some = [expected(row("quarantined"))]
    assert differences(some, events(ordinals=range(9))) == []
    assert differences(some, events(ordinals=range(4))) == [("missing_events", 5, 4, 0)]


def test_events_in_quarantine_are_not_expected() -> None:
    some = [expected(row(), refused={"o1": 2})]
    assert differences(some, events(ordinals=range(3))) == []
    assert differences(some, events(ordinals=range(2))) == [("missing_events", 3, 2, 0)]


def test_where_the_input_leaves_events_out_only_a_surplus_differs() -> None:
    some = [expected(row(), leaves_out=True)]
    assert differences(some, []) == differences(some, events(ordinals=range(2))) == []
    assert differences(some, events(ordinals=range(6))) == [("surplus", 0, 6, 0)]


def test_what_has_just_been_delivered_is_not_settled() -> None:
    assert not is_settled(row(), now=219.0)
    assert is_settled(row(), now=220.0)


def test_single_events_have_the_identities_under_which_they_are_retried() -> None:
    wanted = [payload_identity("thrive", Payload(f"o1:{n}", b"x", whole=True)) for n in range(3)]
    assert sent_apart("thrive", "o1", 3) == wanted
    assert sent_apart("thrive", "o1", 10**6) == []


@given(lengths=st.lists(st.integers(1, 4000), max_size=80))
def test_slices_hold_everything_in_order_and_are_bounded(lengths: List[int]) -> None:
    everything = [Expected("x" * length, str(n), "", 1, 1, 1) for n, length in enumerate(lengths)]
    cut = list(slices(iter(everything)))
    assert [one for some in cut for one in some] == everything
    for some in cut:
        assert len(some) == 1 or sum(len(one.name) + 3 for one in some) <= MOST_CHARACTERS + 3


def test_a_slice_of_long_names_is_short() -> None:
    everything = [Expected("x" * 1000, str(n), "", 1, 1, 1) for n in range(100)]
    assert [len(some) for some in slices(everything)] == [49, 49, 2]


def test_a_slice_names_no_more_objects_than_a_search_takes() -> None:
    everything = [Expected(str(n), str(n), "", 1, 1, 1) for n in range(MOST_ASKED + 1)]
    assert [len(some) for some in slices(everything)] == [MOST_ASKED, 1]


@pytest.mark.parametrize(
    "search",
    [
        "index=audit | stats count by source",
        "| tstats sum(x) where index=* by source",
        "| tstats count where index=* NOT source=x by source",
        '| tstats count where index=* source IN ("x" by source',
        "| tstats count where index=* ) by source",
    ],
)
def test_the_twin_refuses_what_it_does_not_understand(search: str) -> None:
    with pytest.raises(Unsearchable):
        tstats(search, events())


def test_the_twin_searches_main_where_no_index_is_named() -> None:
    search = '| tstats count where s3_oid IN ("o1") by s3_oid'
    assert tstats(search, events()) == []
    assert tstats(search, events(index="main")) == [{"s3_oid": "o1", "count": "5"}]
