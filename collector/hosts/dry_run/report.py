"""What a dry run found, as one document: rendered as lines for people, as JSON, and as one HTML file.

    document = document(tried, at=time.time(), clean=clean, mask=False)
    print(render(document, "html"))

Every error says what `run` would do about it: nothing was forwarded here, whatever its hint may assume.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from collector import __version__
from collector.config.inputs import Input
from collector.errors import CollectorError, Poison, Retry
from collector.hosts.dry_run.html import page
from collector.hosts.dry_run.masking import Clean, walk
from collector.model import Slice
from collector.onboarding.checks.troubles import TROUBLES
from collector.onboarding.dry_run import Looked, Peeked, Report
from collector.onboarding.sampling import SHOWN_EVENTS, Sample
from collector.sinks.envelope import render_envelopes
from collector.wording import counted, iso

__all__ = ["Tried", "document", "input_of", "render", "text"]

Document = Dict[str, Any]

_ENFORCED = "AWS enforces it: the role is assumed under a session policy that allows no deletion."
_PROMISED = (
    "IAM does not enforce this: the credentials are not narrowed by a session policy (no role, or "
    "session_policy = false), so only this program keeps the promise."
)
_PEEK = "add --peek to look into the queue, which costs each message one receive"
_EARLY = (
    "not fetched by listing as it was written before start_from, "
    "read all the same if the queue still has its message"
)
_EARLY_ONES = "read if the queue still has their message, else by `audit-s3 backfill --since`"
#: Hints that are written for a run, which has forwarded something.
_OF_A_RUN = re.compile(r"deliver|quarantine", re.IGNORECASE)


@dataclass(frozen=True)
class Tried:
    """One input: its report, or why there is none. `start`: epoch seconds; `is_begun`: it has a ledger."""

    configured: Input
    report: Optional[Report] = None
    skipped: str = ""
    error: Optional[CollectorError] = None
    is_narrowed: bool = False
    start: float = 0.0
    peeked: bool = False
    is_begun: bool = False

    @property
    def failed(self) -> bool:
        failures = self.report.failures if self.report else ()
        return self.error is not None or not all(map(self.goes_on_after, failures))

    def goes_on_after(self, failure: CollectorError) -> bool:
        """Whether `run` does without what failed: of what a queue names nothing need be listed."""
        return failure.code == "list_denied" and self.configured.queue is not None


def document(tried: Sequence[Tried], *, at: float, clean: Clean, mask: bool) -> Document:
    """The whole report, without anything that `clean` masks; with `mask` by names too."""
    inputs = []
    for one in tried:
        found = walk(input_of(one), clean, names=False)
        for told, sample in zip(found.get("samples", ()), one.report.samples if one.report else ()):
            told["shown"] = walk(_events(sample.shown, one), clean, names=mask)
        inputs.append(found)
    return {"program": "audit-s3", "version": __version__, "at": iso(at), "masked": mask, "inputs": inputs}


def render(found: Document, form: str) -> str:
    """The document as "json" or "html"."""
    return page(found) if form == "html" else json.dumps(found, indent=2, ensure_ascii=False) + "\n"


# -- the document


def input_of(one: Tried) -> Document:
    """What was found of one input, without its events."""
    settings = one.configured.settings
    found: Document = {
        "name": one.configured.name,
        "provider": settings.provider,
        "output": list(settings.output),
        "skipped": {"reason": one.skipped, "hint": _PEEK} if one.skipped else None,
        "error": _error(one.error),
    }
    if one.report is None:
        return found
    samples = [_sample(each, one) for each in one.report.samples]
    events, unparsed = (sum(each[name] for each in samples) for name in ("events", "unparsed"))
    caution = one.configured.provider.caution
    return {
        **found,
        "promise": _ENFORCED if one.is_narrowed else _PROMISED,
        "start_from": iso(one.start),
        "retention_days": settings.retention_days,
        "has_ledger": one.is_begun,
        "listings": [_listing(each, one) for each in one.report.listings],
        "peeked": one.peeked,
        "peek_error": _error(one.report.peek_failure),
        "messages": [_message(each) for each in one.report.messages],
        "samples": samples,
        "events": events,
        "unparsed_percent": _percent(unparsed, events),
        "caution": caution if any(each["url"].startswith("sqs://") for each in samples) else "",
    }


def _listing(found: Looked, one: Tried) -> Document:
    error = _error(found.failure)
    goes_on = found.failure is not None and one.goes_on_after(found.failure)
    if error is not None and goes_on:
        error["hint"] += "" if one.peeked else f". To see samples {_PEEK}"
        error["run_would"] = f"go on without listing: {TROUBLES['list_denied'].what}"
    return {
        "url": f"s3://{found.bucket}/{one.configured.settings.prefix}",
        "listed": found.listed,
        "to_be_read": found.wanted,
        "before_start_from": found.before_start,
        "past_retention": found.too_old,
        "filtered": dict(found.filtered),
        "is_whole": found.is_whole,
        "error": error,
        "run_goes_on": goes_on or error is None,
    }


def _message(found: Peeked) -> Document:
    errors = {"failure": _error(found.failure), "not_returned": _error(found.not_returned)}
    return {**vars(found), "senders": list(found.senders), **errors}


def _sample(found: Sample, one: Tried) -> Document:
    origin = found.shown.origin if found.shown else None
    is_object = found.url.startswith("s3://") and found.object_time > 0
    is_early = is_object and found.object_time < one.start
    return {
        "url": found.url,
        "container": found.container,
        "stored_bytes": found.stored_bytes,
        "events": found.events,
        "is_whole": found.is_whole,
        "unparsed": found.unparsed,
        "unparsed_percent": _percent(found.unparsed, found.events),
        "time_field": found.time_field,
        "earliest": iso(float(found.earliest)) if found.earliest else None,
        "latest": iso(float(found.latest)) if found.latest else None,
        "object_time": iso(found.object_time) if found.object_time else None,
        "is_before_start_from": is_early,
        "is_named_by_message": found.is_named,
        "note": _EARLY if is_early and not found.is_named else "",
        "sourcetype": origin.sourcetype if origin else "",
        "index": origin.index if origin else "",
        "host": origin.host if origin else "",
        "source": origin.source if origin else "",
        "ignored": found.ignored,
        "postgresql": str(found.line) if found.line is not None else None,
        "senders": list(found.senders),
        "error": _error(found.failure),
    }


def _events(shown: Optional[Slice], one: Tried) -> List[Document]:
    """Each event as HEC would get it, and the time that was found in it."""
    if shown is None:
        return []
    identity = one.configured.settings.event_identity
    lines = render_envelopes([shown], identity=identity, lines=True).split(b"\n")
    times = [event.time for event in shown]
    return [
        {"parsed_time": None if moment is None else iso(float(moment)), "hec": json.loads(line)}
        for moment, line in zip(times, lines)
    ]


def _error(error: Optional[CollectorError]) -> Optional[Document]:
    if error is None:
        return None
    hint = "" if _OF_A_RUN.search(error.hint) else error.hint
    return {
        "what": error.what, "code": error.code, "where": error.where, "hint": hint, "run_would": _then(error),
    }


def _then(error: CollectorError) -> str:
    if isinstance(error, Poison):
        return "forward what is sound before it, and put it into quarantine"
    return "try it again" if isinstance(error, Retry) else "wait until that is put right"


# -- as lines


def text(told: Mapping[str, Any]) -> Iterator[str]:
    """One input for people."""
    yield f"Dry run of {told['name']}: nothing is forwarded, written or deleted."
    if told["skipped"]:
        yield f"  skipped: {told['skipped']['reason']}; {told['skipped']['hint']}"
        return
    if told["error"]:
        yield f"  error: {_spelt(told['error'])}"
        return
    yield f"  {told['promise']}"
    for listing in told["listings"]:
        yield f"  {_of_listing(listing, told)}"
    if told["peeked"]:
        yield from _of_messages(told["messages"])
    if told["peek_error"]:
        yield f"  error: {_spelt(told['peek_error'])}"
    for sample in told["samples"]:
        yield from _of_sample(sample)
    if told["caution"]:
        yield f"  warning: {told['caution']}"
    failed = [one for one in (told["peek_error"], *(each["error"] for each in told["listings"])) if one]
    failed += [each for each in told["messages"] if each["failure"]]
    if not told["samples"] and not failed:
        yield "  There is nothing to show."


def _of_listing(listing: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if listing["error"]:
        return f"{'warning' if listing['run_goes_on'] else 'error'}: {_spelt(listing['error'])}"
    but_done = ", if not done already" if told["has_ledger"] and listing["to_be_read"] else ""
    counts = [counted(listing["listed"], "object"), f"{listing['to_be_read']} to be read{but_done}"]
    early, old = listing["before_start_from"], listing["past_retention"]
    if early:
        began = f"{early} written before start_from ({told['start_from']})"
        counts.append(f"{began}: {_EARLY_ONES}")
    counts += [f"{old} older than {told['retention_days']} days"] if old else []
    counts += [f"{count} filtered ({reason})" for reason, count in sorted(listing["filtered"].items())]
    if not listing["is_whole"]:
        counts.append("the listing was not followed to its end, so newer objects may exist")
    return f"{listing['url']}: {', '.join(counts)}"


def _of_messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not messages:
        yield "  The queue gave no message."
        return
    is_kept = any(message["not_returned"] for message in messages)
    given = "given back but where said" if is_kept else "all given back"
    yield (f"  {counted(len(messages), 'message')} of the queue, {given}; each cost one receive of those "
           "that the queue allows before its dead-letter queue:")
    for message in messages:
        receives = message["receives"]
        times = "received once" if receives == 1 else f"received {receives} times"
        yield f"    {message['message_id']} ({times}): {_understood(message)}"
        for said in message["senders"]:
            yield f"      sender {said}"
        if message["not_returned"]:
            yield f"      not given back, it returns by itself: {_spelt(message['not_returned'])}"


def _understood(message: Mapping[str, Any]) -> str:
    if message["failure"]:
        return f"error: {_spelt(message['failure'])}"
    if message["noop"]:
        return f"{message['shape']}: nothing to do, {message['noop']}"
    parts = [f"objects named: {message['objects']}"] if message["objects"] else []
    parts += ["audits in the body"] if message["payloads"] else []
    return f"{message['shape']}: {', '.join(parts)}"


def _of_sample(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {found['url']}"
    if found["note"]:
        yield f"    {found['note']}"
    if found["container"]:
        events = counted(found["events"], "event") + ("" if found["is_whole"] else " and more")
        events += f", the first {SHOWN_EVENTS} of them shown" if found["events"] > SHOWN_EVENTS else ""
        names = ("sourcetype", "index", "host", "source")
        labels = " ".join(f"{name}={found[name] or '-'}" for name in names)
        yield f"    {found['container']}; {found['stored_bytes']:,} bytes; {events}; {labels}"
        yield f"    {clock(found)}"
    if found["postgresql"]:
        yield f"    PostgreSQL's log, of {found['postgresql']}"
    for said in found["senders"]:
        yield f"    sender {said}"
    if found["ignored"]:
        yield f"    {counted(found['ignored'], 'event')} would be filtered (ignore_databases, ignore_users)"
    if found["error"]:
        yield f"    error: {_spelt(found['error'])}"


def clock(found: Mapping[str, Any]) -> str:
    """Parsed times beside the object's own, and the share of events that have none."""
    written = f"written {found['object_time']}"
    if not found["events"]:
        return written
    if not found["earliest"]:
        return f"no time was found in any event; {written}, which they will have"
    field = f" (field {found['time_field']})" if found["time_field"] else ""
    share = f"{found['unparsed_percent']}% of events without a time of their own"
    return f"event times {found['earliest']} to {found['latest']}{field}; {written}; {share}"


def _spelt(error: Mapping[str, str]) -> str:
    where = f" at {error['where']}" if error["where"] else ""
    hint = f". {error['hint'].rstrip('.')}" if error["hint"] else ""
    return f"{error['what']} [{error['code']}]{where}{hint}. `run` would {error['run_would']}"


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
