"""What was delivered of each object beside what a search head holds of it.

    compare_with_splunk(found, question, store=store, search=SearchHead(url, token).rows)

Rows go by a page at a time and are asked about some hundred objects at a time, so memory does not grow with
them. Only what the input's own settings name is searched: its index and those of its routes, or all where one
of them leaves the index to the token.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence

from collector.config import Input
from collector.errors import Fatal
from collector.ports import Checkpoint, CheckpointStore
from collector.retention.coverage import Question
from collector.retention.splunk_counts import (
    BY_OID,
    BY_SOURCE,
    Comparison,
    Difference,
    Expected,
    compare,
    expectation,
    is_settled,
    search_of,
    sent_apart,
    slices,
)

__all__ = ["Search", "compare_with_splunk", "field_of"]

_PAGE = 1000
#: Asks a search head: rows whose values are text.
Search = Callable[[str], Sequence[Mapping[str, Any]]]


def field_of(found: Input) -> str:
    """The field by which Splunk knows the objects of this input; Fatal if there is none."""
    settings = found.settings
    if "hec" in settings.output and settings.event_identity:
        return BY_OID
    where = f"input {found.name}"
    if not {"hec", "splunkd"} & set(settings.output):
        what, hint = "this input does not deliver to Splunk", "leave --splunk out, or name another --input"
        raise Fatal(what, code="splunk_not_an_output", where=where, hint=hint)
    if settings.source:
        what = "all events of this input have one source, so Splunk cannot tell its objects apart"
        hint = "leave source unset, or deliver by HEC with event_identity"
        raise Fatal(what, code="splunk_not_comparable", where=where, hint=hint)
    return BY_SOURCE


def compare_with_splunk(
    found: Input, question: Question, *, store: CheckpointStore, search: Search
) -> Comparison:
    """Ask about every object that the ledger has delivered something of. Raises what `search` raises."""
    settings = found.settings
    leaves_out = bool(settings.ignore_databases or settings.ignore_users)
    comparison = Comparison(field_of(found), leaves_out=leaves_out)
    refused = Counter(entry.oid for entry in store.quarantine() if entry.kind == "event")
    expected = _expected(found, question, comparison, store=store, refused=refused)
    for some in slices(expected):
        indexes = sorted({_index(found, one.url) for one in some})
        comparison.indexes.update(indexes)
        asked = search_of(some, by=comparison.by, indexes=[] if "" in indexes else indexes)
        for difference in compare(some, search(asked), by=comparison.by):
            left = _explained(question.input_name, difference, store)
            if left is not None:
                comparison.add(left)
    return comparison


def _expected(
    found: Input,
    question: Question,
    comparison: Comparison,
    *,
    store: CheckpointStore,
    refused: Mapping[str, int],
) -> Iterator[Expected]:
    for row in store.window(question.since, question.until):
        one = expectation(row, by=comparison.by, refused=refused, leaves_out=comparison.leaves_out)
        if one is None:
            continue
        if not is_settled(row, now=question.now):
            comparison.too_new += 1
            continue
        comparison.objects += 1
        comparison.events += one.events
        yield one


def _index(found: Input, url: str) -> str:
    """Where the events of this object went; "" where the token decided."""
    if not url.startswith("s3://"):
        return found.settings.index
    return found.route(url[len("s3://") :].partition("/")[2]).index


def _explained(input_name: str, one: Difference, store: CheckpointStore) -> Optional[Difference]:
    """None if events are not there because they were refused once, and were sent later for themselves."""
    if one.kind == "surplus":
        return one
    oids = sent_apart(input_name, one.oid, one.events)
    pages: List[Sequence[str]] = [oids[start : start + _PAGE] for start in range(0, len(oids), _PAGE)]
    sent = sum(_is_done(row) for page in pages for row in store.rows(page).values())
    if one.found + sent >= one.expected:
        return None
    return replace(one, expected=one.expected - sent)


def _is_done(row: Checkpoint) -> bool:
    return row.state == "done"
