"""A coverage report as JSON that an auditor can keep: a chain of hashed entries. Words: text.py.

    {"format": "audit-s3 coverage 1", "entries": [{"kind": "head", ...}, {"kind": "window", ...}, ...]}

Each input is a head, a window for each day and prefix, the names of what was not read, what Splunk holds
otherwise, and a total; one end closes the report. retention/coverage_chain.py says how entries are chained.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple

from collector import __version__
from collector.hosts.coverage.count import Counted
from collector.retention.coverage_chain import chained, first_fault, seal
from collector.retention.coverage_sums import Covered, Named
from collector.retention.splunk_counts import Comparison, Difference
from collector.wording import iso

__all__ = ["FORMAT", "as_json", "audit"]

FORMAT = "audit-s3 coverage 1"


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
