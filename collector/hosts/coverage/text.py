"""A coverage report in words: a table by day and prefix, and sentences on what its numbers mean.

Where a table would have more than MOST_ROWS rows the text sums up the prefixes of each day; the page and the
export have them all.
"""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import groupby
from typing import Iterable, Iterator, List, Sequence

from collector.hosts.coverage.count import Counted
from collector.retention.coverage import KINDS
from collector.retention.coverage_sums import Covered
from collector.retention.splunk_counts import Difference
from collector.wording import counted, iso, plain

__all__ = ["HEADINGS", "MOST_ROWS", "MOST_SHOWN", "as_text", "cells", "notes", "title"]

#: Rows that a person reads: two prefixes of 30 days.
MOST_ROWS = 60
#: Objects not read, and differences, that the text names; the JSON names more.
MOST_SHOWN = 20
HEADINGS = (
    "day", "prefix", "objects", *(kind.replace("_", " ") for kind in KINDS), "events", "bytes", "hash",
)


def as_text(answers: Iterable[Counted]) -> str:
    return "\n".join(_text(answer) for answer in answers)


def title(answer: Counted) -> str:
    question = answer.coverage.question
    places = ", ".join(f"s3://{bucket}/{question.prefix}" for bucket in question.buckets) or "messages only"
    span = f"{iso(question.since)} to {iso(question.until)}"
    return f"{question.input_name}: {places}, objects of {span}"


def cells(answer: Counted) -> List[List[str]]:
    """The table: a row for each day and prefix, and one for all."""
    several = len(answer.coverage.question.buckets) > 1
    rows = [[one.day, _place(one, several), *_numbers(one)] for one in answer.coverage.covered]
    return [*rows, _row_of_all(answer)]


def _cells_by_day(answer: Counted) -> List[List[str]]:
    """The same with a row for each day; its hashes are those of prefixes, and are left out."""
    days = groupby(answer.coverage.covered, key=lambda one: one.day)
    return [*(_row_of_day(day, list(several)) for day, several in days), _row_of_all(answer)]


def _row_of_day(day: str, several: Sequence[Covered]) -> List[str]:
    counts: Counter[str] = Counter()
    for one in several:
        counts.update(one.counts)
    numbers = [sum(counts.values()), *(counts[kind] for kind in KINDS)]
    numbers += [sum(one.events for one in several), sum(one.size_bytes for one in several)]
    places = "1 prefix" if len(several) == 1 else f"{len(several):,} prefixes"
    return [day, places, *(f"{each:,}" for each in numbers), ""]


def _row_of_all(answer: Counted) -> List[str]:
    return ["all", "", *_numbers(answer.coverage.total)]


def notes(answer: Counted) -> List[str]:
    """What the numbers mean for whoever reads them, each in sentences; a newline is where they may break."""
    return [
        *_about_listing(answer), *_about_missing(answer), *_about_the_past(answer),
        *_about_quarantine(answer), *_about_splunk(answer),
    ]


def _text(answer: Counted) -> str:
    is_long = len(answer.coverage.covered) > MOST_ROWS
    rows = [list(HEADINGS), *(_cells_by_day(answer) if is_long else cells(answer))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, 1, len(HEADINGS) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
    said = [line for note in notes(answer) for line in note.split("\n")]
    if is_long:
        said.append("Days are summed up here; --format json and html have a line for each day and prefix.")
    return "\n".join([title(answer), *(f"  {line}" for line in [*lines, *said]), ""])


def _place(one: Covered, several: bool) -> str:
    if not one.bucket:
        return "(messages)"
    return plain(f"{one.bucket}/{one.prefix}" if several else one.prefix or "(no folder)")


def _numbers(one: Covered) -> List[str]:
    numbers = [one.objects, *one.counts.values(), one.events, one.size_bytes]
    return [*(f"{number:,}" for number in numbers), one.sha256[:12]]


def _about_listing(answer: Counted) -> Iterator[str]:
    coverage = answer.coverage
    if not answer.is_started:
        yield "This input was never started here: there is no ledger, and only what is listed is known."
    if not coverage.question.buckets:
        yield (
            "Its audits come in messages: there is no listing to compare the ledger with, so only what was\n"
            "received is counted."
        )
    for bucket, why in coverage.unlisted.items():
        yield f"What is missing in s3://{bucket} is unknown, as it was not listed to its end: {plain(why)}"


def _about_quarantine(answer: Counted) -> Iterator[str]:
    bodies, said = answer.bodies, ""
    if bodies:
        what = "message body, of any age; what it holds or announces"
        if bodies > 1:
            what = "message bodies, of any age; what they hold or announce"
        said = f"In quarantine {_are(bodies)} also {bodies:,} {what} is not counted above.\n"
    if bodies or answer.undelivered.get("quarantined"):
        name = shlex.quote(answer.coverage.question.input_name)
        yield f"{said}Why they are in quarantine: audit-s3 quarantine list --input {name}"


def _about_missing(answer: Counted) -> Iterator[str]:
    coverage, name = answer.coverage, answer.coverage.question.input_name
    if coverage.missing:
        fetch = f"audit-s3 backfill --input {shlex.quote(name)} --missing"
        yield f"{counted(coverage.missing, 'object')} {_are(coverage.missing)} missing. To fetch: {fetch}"
    yield from _about_undelivered(answer)
    for one in coverage.named[:MOST_SHOWN]:
        yield f"  {one.kind}: {plain(one.url)}, written {iso(one.moment)}, {one.size_bytes:,} bytes"
    more = len(coverage.named) - MOST_SHOWN + coverage.unnamed
    if more > 0:
        yield f"  and {more:,} more that were not read (--format json names the first 1,000 of each kind)"


def _about_the_past(answer: Counted) -> Iterator[str]:
    """What nobody asked for, and what was not asked about; and how to ask."""
    question, before = answer.coverage.question, answer.coverage.total.counts["before_start"]
    name = shlex.quote(question.input_name)
    if before:
        yield (
            f"{counted(before, 'object')} {_was(before)} written before start_from, "
            f"{iso(question.start_from)}, and no message told of {'it' if before == 1 else 'them'}.\n"
            f"To fetch: audit-s3 backfill --input {name} --since {iso(question.since)}"
        )
    earlier = answer.coverage.earlier
    if earlier:
        yield (
            f"Not counted: {counted(earlier, 'object')} that {_are(earlier)} listed and {_was(earlier)} "
            f"written earlier, the first {iso(answer.coverage.earliest)}.\n"
            f"To count: audit-s3 coverage --input {name} --since {iso(answer.coverage.earliest)}"
        )


def _about_undelivered(answer: Counted) -> Iterator[str]:
    coverage, late = answer.coverage, answer.coverage.total.counts["late"]
    is_nothing_missing = not coverage.missing and not coverage.unlisted
    received = "" if coverage.question.buckets else " of what was received"
    objects, bodies = sum(answer.undelivered.values()), answer.bodies
    if objects or bodies:
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in answer.undelivered.items())
        of_each = ((objects, "object", kinds), (bodies, "message", "in quarantine"))
        left = " and ".join(f"{counted(number, noun)} ({why})" for number, noun, why in of_each if number)
        begin = f"Accounted for: nothing{received} is missing; " if is_nothing_missing else ""
        yield f"{begin}{left} {_was(objects + bodies)} not delivered."
    elif is_nothing_missing:
        yield f"Nothing{received} is missing."
    if late:
        yield f"{counted(late, 'object')} {_are(late)} late: not delivered yet."


def _about_splunk(answer: Counted) -> Iterator[str]:
    found = answer.splunk
    if found is None:
        return
    indexes = "all indexes" if "" in found.indexes or not found.indexes else ", ".join(sorted(found.indexes))
    held = f"{counted(found.objects, 'object')} with {counted(found.events, 'event')}"
    scope = f"{held}, by {found.by} in {indexes}"
    if found.differing:
        yield f"Splunk holds something else of {counted(found.differing, 'object')}. Compared: {scope}"
    else:
        yield f"Splunk holds what was delivered. Compared: {scope}"
    for one in found.differences[:MOST_SHOWN]:
        yield f"  {_differs(one)}: {plain(one.url)}"
    if found.differing > MOST_SHOWN:
        yield f"  and {found.differing - MOST_SHOWN:,} more"
    if any(one.kind != "surplus" and one.url.startswith("s3://") for one in found.differences):
        name = shlex.quote(answer.coverage.question.input_name)
        yield f"To send an object once more: audit-s3 backfill --input {name} s3://BUCKET/KEY --again"
    if found.too_new:
        yield f"Not compared, as delivered within the last two minutes: {counted(found.too_new, 'object')}"
    if found.leaves_out:
        yield "This input leaves events out (ignore_databases, ignore_users): fewer events are no difference."


def _differs(one: Difference) -> str:
    expected = counted(one.expected, "event")
    if one.kind == "absent":
        return f"absent, {expected} {_was(one.expected)} delivered"
    if one.kind == "missing_events":
        return f"{one.expected - one.found:,} of {expected} missing" + _repeats(one)
    if one.found > one.expected:
        return f"{counted(one.found - one.expected, 'event')} more than {one.expected:,}" + _repeats(one)
    return f"{expected}" + _repeats(one)


def _repeats(one: Difference) -> str:
    return f", {one.repeats:,} repeated" if one.repeats else ""


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
