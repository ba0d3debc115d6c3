"""A coverage report as text for people, and as JSON that an auditor can keep: a chain of hashed entries.

    {"format": "audit-s3 coverage 1", "entries": [{"kind": "head", ...}, {"kind": "window", ...}, ...]}

Each input is a head, a window for each day and prefix, the names of what was not read, what Splunk holds
otherwise, and a total; one end closes the report. retention/ledger_chain.py says how entries are chained.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from collector import __version__
from collector.hosts.coverage_count import Counted
from collector.retention.coverage import KINDS
from collector.retention.coverage_sums import Covered, Named
from collector.retention.ledger_chain import chained, first_fault, seal
from collector.retention.splunk_counts import Comparison, Difference

__all__ = ["FORMAT", "HEADINGS", "as_json", "as_text", "audit", "cells", "iso", "notes", "title"]

FORMAT = "audit-s3 coverage 1"
#: Objects not read, and differences, that the text names; the JSON names more.
MOST_SHOWN = 20
HEADINGS = (
    "day", "prefix", "objects", *(kind.replace("_", " ") for kind in KINDS), "events", "bytes", "hash",
)


# -- for an auditor


def as_json(answers: Sequence[Counted], *, created: float) -> Tuple[str, str]:
    """The report, and its seal."""
    chain = chained(entry for answer in answers for entry in _entries(answer, created=created))
    lines = ",\n".join(json.dumps(entry) for entry in chain)
    return f'{{"format": "{FORMAT}", "entries": [\n{lines}\n]}}\n', seal(chain)


def audit(text: str) -> Tuple[bool, str]:
    """Whether an exported report is as it was written, and what to say of it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return False, f"this is no coverage report: {error}"
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list) or document.get("format") != FORMAT:
        return False, f"this is no coverage report: its format is not {FORMAT!r}"
    fault = first_fault(entries)
    if fault is not None:
        return False, f"entry {fault.number}{_about(entries, fault.number)} {fault.what}"
    return True, f"unchanged: {len(entries)} entries, seal {seal(entries)}"


def _about(entries: Sequence[Any], number: int) -> str:
    """What an entry says of itself, whoever wrote it."""
    entry = entries[number - 1] if number <= len(entries) else None
    if not isinstance(entry, dict):
        return ""
    words = [str(entry[name]) for name in ("kind", "input", "day", "prefix", "key") if entry.get(name)]
    return f" ({ascii(' '.join(words))[1:-1]})" if words else ""


def _entries(answer: Counted, *, created: float) -> Iterator[Mapping[str, Any]]:
    coverage, question = answer.coverage, answer.coverage.question
    about = {"input": question.input_name}
    yield {
        "kind": "head", **about, "buckets": list(question.buckets), "prefix": question.prefix,
        "since": iso(question.since), "until": iso(question.until), "start_from": iso(question.start_from),
        "grace_seconds": int(question.grace_seconds), "compared_with_listing": bool(question.buckets),
        "unlisted": dict(coverage.unlisted), "started": answer.is_started, "version": __version__,
        "created": iso(created),
    }
    for one in coverage.covered:
        yield {"kind": "window", **about, "day": one.day, "bucket": one.bucket, "prefix": one.prefix,
               **_sums(one)}
    for named in coverage.named:
        yield {"kind": "unread", **about, **_named(named)}
    if answer.splunk is not None:
        yield {"kind": "splunk", **about, **_splunk(answer.splunk)}
        for difference in answer.splunk.differences:
            yield {"kind": "difference", **about, **_difference(difference)}
    yield {"kind": "total", **about, **_sums(coverage.total), "unnamed": coverage.unnamed,
           "quarantined_bodies": answer.bodies, "whole": answer.is_whole,
           "undelivered": sum(answer.undelivered.values()) + answer.bodies}


def _sums(one: Covered) -> Dict[str, Any]:
    return {
        "objects": one.objects, **one.counts, "events": one.events, "bytes": one.size_bytes,
        "delivered_sha256": one.sha256,
    }


def _named(one: Named) -> Dict[str, Any]:
    return {
        "what": one.kind, "bucket": one.bucket, "key": one.key, "etag": one.etag, "bytes": one.size_bytes,
        "written": iso(one.moment),
    }


def _splunk(one: Comparison) -> Dict[str, Any]:
    return {
        "by": one.by, "indexes": sorted(one.indexes), "objects": one.objects, "events": one.events,
        "too_new": one.too_new, "events_left_out": one.leaves_out, "differing": one.differing,
    }


def _difference(one: Difference) -> Dict[str, Any]:
    return {
        "what": one.kind, "source": one.url, "s3_oid": one.oid, "expected": one.expected, "found": one.found,
        "repeats": one.repeats,
    }


# -- for people


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
    return [*rows, ["all", "", *_numbers(answer.coverage.total)]]


def notes(answer: Counted) -> List[str]:
    """What the numbers mean for whoever reads them, each in sentences; a newline is where they may break."""
    return [
        *_about_listing(answer), *_about_missing(answer), *_about_the_past(answer), *_about_bodies(answer),
        *_about_splunk(answer),
    ]


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _text(answer: Counted) -> str:
    rows = [list(HEADINGS), *cells(answer)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, 1, len(HEADINGS) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
    said = [line for note in notes(answer) for line in note.split("\n")]
    return "\n".join([title(answer), *(f"  {line}" for line in [*lines, *said]), ""])


def _place(one: Covered, several: bool) -> str:
    if not one.bucket:
        return "(messages)"
    return _plain(f"{one.bucket}/{one.prefix}" if several else one.prefix or "(no folder)")


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
        yield f"What is missing in s3://{bucket} is unknown, as it was not listed to its end: {_plain(why)}"


def _about_bodies(answer: Counted) -> Iterator[str]:
    if answer.bodies:
        name = answer.coverage.question.input_name
        bodies = f"{answer.bodies:,} message {'body' if answer.bodies == 1 else 'bodies'}"
        yield (
            f"In quarantine {_are(answer.bodies)} also {bodies}, of any age; what they hold or\n"
            f"announce is not counted above. Look: audit-s3 quarantine list --input {shlex.quote(name)}"
        )


def _about_missing(answer: Counted) -> Iterator[str]:
    coverage, name = answer.coverage, answer.coverage.question.input_name
    if coverage.missing:
        fetch = f"audit-s3 backfill --input {shlex.quote(name)} --missing"
        yield f"{_count(coverage.missing, 'object')} {_are(coverage.missing)} missing. To fetch: {fetch}"
    yield from _about_undelivered(answer)
    for one in coverage.named[:MOST_SHOWN]:
        yield f"  {one.kind}: {_plain(one.url)}, written {iso(one.moment)}, {one.size_bytes:,} bytes"
    more = len(coverage.named) - MOST_SHOWN + coverage.unnamed
    if more > 0:
        yield f"  and {more:,} more that were not read (--format json names the first 1,000 of each kind)"


def _about_the_past(answer: Counted) -> Iterator[str]:
    """What nobody asked for, and what was not asked about; and how to ask."""
    question, before = answer.coverage.question, answer.coverage.total.counts["before_start"]
    name = shlex.quote(question.input_name)
    if before:
        yield (
            f"{_count(before, 'object')} {_was(before)} written before start_from, "
            f"{iso(question.start_from)}, and no message told of {'it' if before == 1 else 'them'}.\n"
            f"To fetch: audit-s3 backfill --input {name} --since {iso(question.since)}"
        )
    earlier = answer.coverage.earlier
    if earlier:
        yield (
            f"Not counted: {_count(earlier, 'object')} that {_are(earlier)} listed and {_was(earlier)} "
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
        left = " and ".join(f"{_count(number, noun)} ({why})" for number, noun, why in of_each if number)
        begin = f"Accounted for: nothing{received} is missing; " if is_nothing_missing else ""
        yield f"{begin}{left} {_was(objects + bodies)} not delivered."
    elif is_nothing_missing:
        yield f"Nothing{received} is missing."
    if late:
        yield f"{_count(late, 'object')} {_are(late)} late: not delivered yet."


def _about_splunk(answer: Counted) -> Iterator[str]:
    found = answer.splunk
    if found is None:
        return
    indexes = "all indexes" if "" in found.indexes or not found.indexes else ", ".join(sorted(found.indexes))
    held = f"{_count(found.objects, 'object')} with {_count(found.events, 'event')}"
    scope = f"{held}, by {found.by} in {indexes}"
    if found.differing:
        yield f"Splunk holds something else of {_count(found.differing, 'object')}. Compared: {scope}"
    else:
        yield f"Splunk holds what was delivered. Compared: {scope}"
    for one in found.differences[:MOST_SHOWN]:
        yield f"  {_differs(one)}: {_plain(one.url)}"
    if found.differing > MOST_SHOWN:
        yield f"  and {found.differing - MOST_SHOWN:,} more"
    if found.too_new:
        yield f"Not compared, as delivered within the last two minutes: {_count(found.too_new, 'object')}"
    if found.leaves_out:
        yield "This input leaves events out (ignore_databases, ignore_users): fewer events are no difference."


def _differs(one: Difference) -> str:
    expected = _count(one.expected, "event")
    if one.kind == "absent":
        return f"absent, {expected} {_was(one.expected)} delivered"
    if one.kind == "missing_events":
        return f"{one.expected - one.found:,} of {expected} missing" + _repeats(one)
    if one.found > one.expected:
        return f"{_count(one.found - one.expected, 'event')} more than {one.expected:,}" + _repeats(one)
    return f"{expected}" + _repeats(one)


def _repeats(one: Difference) -> str:
    return f", {one.repeats:,} repeated" if one.repeats else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _plain(text: str) -> str:
    """One line that a terminal shows as it is, whatever a key holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
