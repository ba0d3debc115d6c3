"""The coverage report: what it says in text, on its page, and in an export that is checked later."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, List, Sequence

import pytest

from collector.errors import CollectorError, Retry
from collector.hosts.coverage.count import Counted, pages_of
from collector.hosts.coverage.html import as_html
from collector.hosts.coverage.report import as_json, audit
from collector.hosts.coverage.text import HEADINGS, MOST_ROWS, MOST_SHOWN, as_text, cells
from collector.model import ObjectRef
from collector.ports import Checkpoint, Page
from collector.retention.coverage import Question, Tally
from collector.retention.splunk_counts import Comparison, Difference
from collector.testing.twins import ManualClock, MemoryBucket

NOW = 1_790_000_000.0


def counted(*keys: str, buckets: Sequence[str] = ("b",), splunk: Any = None, **unlisted: str) -> Counted:
    """All these keys are missing."""
    question = Question("thrive", tuple(buckets), "", NOW - 9e5, NOW, NOW - 9e5, NOW, 1800.0)
    with Tally(question, rows=lambda oids: {}) as tally:
        tally.listed([ObjectRef("b", key, etag="e", size=5, event_time=NOW - 5000) for key in keys])
        tally.unlisted(unlisted)
        return Counted(tally.coverage(), True, splunk)


def test_every_row_has_a_cell_for_every_heading_and_the_last_is_their_sum() -> None:
    table = cells(counted("a/1", "a/2", "c/1"))
    assert {len(row) for row in table} == {len(HEADINGS)}
    assert [row[:3] for row in table] == [
        ["2026-09-21", "a/", "2"], ["2026-09-21", "c/", "1"], ["all", "", "3"],
    ]


def test_more_rows_than_a_person_reads_are_summed_up_by_day_in_the_text_alone() -> None:
    few = counted(*(f"p{number}/1" for number in range(MOST_ROWS)))
    assert "p0/" in as_text([few]) and "summed up" not in as_text([few])
    many = counted(*(f"p{number}/1" for number in range(MOST_ROWS + 1)))
    day, everything = (line.split() for line in as_text([many]).splitlines()[2:4])
    assert day[:6] == ["2026-09-21", "61", "prefixes", "61", "0", "0"]
    assert day[-2:] == everything[-3:-1], "events and bytes, and no hash for a day"
    assert everything[:2] == ["all", "61"]
    assert "--format json and html have a line for each" in as_text([many])
    assert as_html([many], created=NOW).count("<td>2026-09-21</td>") == 61
    assert as_json([many], created=NOW)[0].count('"window"') == 61


def test_what_is_in_quarantine_comes_with_the_command_that_says_why() -> None:
    look = "Why they are in quarantine: audit-s3 quarantine list --input thrive"
    assert look in as_text([ended("quarantined")])
    one = as_text([dataclasses.replace(counted(), bodies=1)])
    assert "1 message body, of any age; what it holds or announces is not counted above." in one
    assert look in one
    assert look not in as_text([ended("done")])


def test_on_the_page_zeros_step_back_and_what_is_missing_stands_out() -> None:
    page = as_html([counted("a/1")], created=NOW)
    assert '<td class="missing">1</td>' in page and '<td class="zero">0</td>' in page
    assert '<td class="missing">' not in as_html([ended("done")], created=NOW)


def test_bodies_in_quarantine_are_spoken_of_for_no_row_stands_for_what_they_announced() -> None:
    found = dataclasses.replace(counted(), bodies=2)
    assert "In quarantine are also 2 message bodies" in as_text([found])
    text, _ = as_json([found], created=NOW)
    assert json.loads(text)["entries"][-2]["quarantined_bodies"] == 2
    assert "quarantine" not in as_text([counted()]).replace("quarantined", "")


def ended(*states: str, bodies: int = 0, buckets: Sequence[str] = ("b",)) -> Counted:
    """An object for each of the states of rows, and bodies of messages in quarantine."""
    question = Question("thrive", tuple(buckets), "", NOW - 9e5, NOW, NOW - 9e5, NOW, 1800.0)
    with Tally(question, rows=lambda oids: {}) as tally:
        tally.unlisted({})
        for number, state in enumerate(states):
            key = f"a/{number}"
            tally.row(Checkpoint(f"o{number}", f"s3://b/{key}", NOW - 5000, "b", key, "e", state=state))
        return Counted(tally.coverage(), True, bodies=bodies)


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (ended("done"), "Whole", "Nothing is missing."),
        (ended("done", "gone"), "Accounted for, not all delivered",
         "Accounted for: nothing is missing; 1 object (gone 1) was not delivered."),
        (ended("quarantined", "gone", "quarantined", bodies=3), "Accounted for, not all delivered",
         "Accounted for: nothing is missing; 3 objects (quarantined 2, gone 1) and 3 messages "
         "(in quarantine) were not delivered."),
        (ended(bodies=1), "Accounted for, not all delivered",
         "Accounted for: nothing is missing; 1 message (in quarantine) was not delivered."),
        (ended("done", buckets=()), "Accounted for", "Nothing of what was received is missing."),
    ],
)
def test_whole_is_said_only_of_what_was_all_delivered_though_nothing_is_missing(
    answer: Counted, verdict: str, said: str
) -> None:
    assert answer.is_whole
    page = as_html([answer], created=NOW)
    assert f">{verdict}</p>" in page and f"<li>{said}</li>" in page
    assert ('<p class="whole">' in page) is (verdict == "Whole")
    assert f"  {said}\n" in as_text([answer])


def test_the_export_says_how_many_were_not_delivered() -> None:
    text, _ = as_json([ended("done", "gone", "quarantined", bodies=3)], created=NOW)
    total = json.loads(text)["entries"][-2]
    assert (total["whole"], total["undelivered"]) == (True, 5)


def test_a_note_of_several_lines_is_one_bullet_of_the_page() -> None:
    found = ended("done", bodies=2, buckets=())
    page = as_html([found], created=NOW)
    assert page.count("<li>") == 3  # no listing; what was not delivered; bodies
    assert "so only what was received is counted.</li>" in page
    assert "  received is counted.\n" in as_text([found])


def test_with_several_buckets_the_prefix_says_which() -> None:
    assert cells(counted("a/1", buckets=("b", "c")))[0][1] == "b/a/"


def test_a_key_cannot_write_to_the_terminal() -> None:
    text = as_text([counted("a/\x1b[2J\nnext\udcff", splunk=_differing("s3://b/\x1b[2J\r"))])
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "a/\\x1b[2J\\nnext\\udcff" in text


def test_a_key_cannot_write_into_the_page() -> None:
    page = as_html([counted("<b>&'\"</b>/1")], created=NOW)
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_of_many_that_are_missing_the_text_names_some_and_says_how_many_more() -> None:
    text = as_text([counted(*(f"a/{number:03}" for number in range(MOST_SHOWN + 3)))])
    assert text.count("missing: s3://b/a/") == MOST_SHOWN
    assert "and 3 more that were not read" in text
    assert "23 objects are missing." in text


def _differing(url: str = "s3://b/k", count: int = 1) -> Comparison:
    found = Comparison("s3_oid", objects=9, events=90, indexes={"audit"})
    for _ in range(count):
        found.add(Difference("missing_events", url, "o", events=9, expected=9, found=7, repeats=1))
    return found


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (counted(), True),
        (counted("a/1"), False),
        (counted(b="denied"), False),
        (counted(splunk=Comparison("s3_oid")), True),
        (counted(splunk=_differing()), False),
    ],
)
def test_it_is_whole_only_if_nothing_is_missing_unknown_or_different(answer: Counted, whole: bool) -> None:
    assert answer.is_whole is whole
    entries = json.loads(as_json([answer], created=NOW)[0])["entries"]
    assert entries[-2]["whole"] is whole
    assert ("Not whole" in as_html([answer], created=NOW)) is not whole


def test_what_splunk_holds_otherwise_is_said_with_numbers() -> None:
    text = as_text([counted(splunk=_differing(count=MOST_SHOWN + 1))])
    assert "Splunk holds something else of 21 objects. Compared: 9 objects with 90 events" in text
    assert "2 of 9 events missing, 1 repeated: s3://b/k" in text
    assert "and 1 more" in text


@pytest.mark.parametrize("kind, url, is_said", [
    ("absent", "s3://b/k", True), ("missing_events", "s3://b/k", True),
    ("surplus", "s3://b/k", False), ("absent", "sqs://q/1", False),
])
def test_what_splunk_lacks_comes_with_the_command_that_sends_it_again(
    kind: str, url: str, is_said: bool
) -> None:
    found = Comparison("s3_oid")
    found.add(Difference(kind, url, "o", 3, 3, 0))
    command = "audit-s3 backfill --input thrive s3://BUCKET/KEY --again"
    assert (command in as_text([counted(splunk=found)])) is is_said


def test_an_export_of_several_inputs_is_one_chain() -> None:
    text, seal = as_json([counted("a/1"), counted("a/2", splunk=_differing())], created=NOW)
    entries = json.loads(text)["entries"]
    assert [entry["kind"] for entry in entries] == [
        "head", "window", "unread", "total",
        "head", "window", "unread", "splunk", "difference", "total", "end",
    ]
    assert audit(text) == (True, f"unchanged: 11 entries, seal {seal}")
    shorter = {"format": "audit-s3 coverage 1", "entries": [*entries[:4], entries[-1]]}
    assert audit(json.dumps(shorter)) == (
        False, "entry 5 (end) does not follow the one before it: something was put in, left out or moved",
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nonsense", '{"format": "audit-s3 coverage 1"}', '{"format": "other", "entries": []}',
        "[" * 200_000,
    ],
)
def test_what_is_no_export_is_said_to_be_none(text: str) -> None:
    unchanged, said = audit(text)
    assert not unchanged
    assert "no coverage report" in said


def test_an_audit_repeats_nothing_that_could_write_to_the_terminal() -> None:
    entries: List[Dict[str, Any]] = [{"kind": "\x1b[2J\n", "sha256": "x", "previous": ""}]
    unchanged, said = audit(json.dumps({"format": "audit-s3 coverage 1", "entries": entries}))
    assert (unchanged, said.isprintable()) == (False, True)


# -- listing


class Stumbling:
    """Fails before each page, a number of times."""

    def __init__(self, bucket: MemoryBucket, times: int) -> None:
        self._bucket, self._times, self._left = bucket, times, times

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        if self._left:
            self._left -= 1
            raise Retry("slow down", code="throttled")
        self._left = self._times
        return self._bucket.list(bucket, prefix=prefix, start_after=start_after, token=token)


def listed(times: int) -> List[str]:
    bucket = MemoryBucket(ManualClock(), "b", page_size=3)
    for number in range(8):
        bucket.put(f"a/{number}", b"x")
    bucket.put("c/1", b"x")
    waits: List[float] = []
    pages = list(pages_of(Stumbling(bucket, times), "b", "a/", sleep=waits.append))  # type: ignore[arg-type]
    assert len(waits) == 3 * times
    return [ref.key for page in pages for ref in page.refs]


def test_every_page_is_listed_and_a_failure_is_tried_again() -> None:
    assert listed(0) == listed(3) == [f"a/{number}" for number in range(8)]


def test_a_listing_that_goes_on_failing_says_so() -> None:
    with pytest.raises(CollectorError, match="slow down"):
        listed(4)
