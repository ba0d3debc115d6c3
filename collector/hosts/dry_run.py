"""`audit-s3 run --dry-run`: what would be forwarded, on stdout; everything said about it, on stderr.

stdout gets the first events of each object exactly as the output would get them: HEC's envelopes, one a
line, where the output is HEC, else `stdout_format`. Nothing is written to a ledger and nothing is deleted;
the queue is touched only with `peek`, and then every message goes back at once.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any, Callable, Iterable, Iterator, List, Sequence, TextIO

from collector.adapters import Adapters
from collector.config.inputs import Input
from collector.config.routes import Route
from collector.config.settings import Settings
from collector.decode import decode
from collector.decode.pgaudit import ignoring
from collector.errors import CollectorError
from collector.model import Block, Message, Slice
from collector.notifications import parse
from collector.notifications.pointers import follow
from collector.onboarding.dry_run import Looked, Peeked, Report, look
from collector.onboarding.sampling import Sample, View
from collector.sinks.envelope import render_envelopes, render_json_lines, render_raw_lines

__all__ = ["dry_run"]

USAGE = 2


def dry_run(inputs: Sequence[Input], *, peek: bool, sample: int, stdout: TextIO) -> int:
    """Look at each input; returns the exit code.

    0: something could be shown, or there is nothing; 1: something went wrong, and a line on stderr says
    what to do; 2: an input has only a queue, which is not looked into without `peek`.
    """
    codes = [_look_at(found, peek=peek, sample=sample, stdout=stdout) for found in inputs]
    return 1 if 1 in codes else max(codes, default=0)


def _look_at(configured: Input, *, peek: bool, sample: int, stdout: TextIO) -> int:
    _say(f"Dry run of {configured.name}: nothing is forwarded, written or deleted.")
    if not configured.settings.bucket and not peek:
        _say("  This input has a queue and no bucket to list: add --peek to look into the queue.")
        return USAGE
    try:
        adapters = Adapters(configured, checkpoint_dir=None, stdout=sys.stdout.buffer, read_only=True)
    except CollectorError as error:
        _say(f"  error: {error}")
        return 1
    _say(_promise(adapters))
    report = look(
        _view(configured, adapters),
        objects=adapters.objects,
        queue=adapters.queue if peek else None,
        now=adapters.clock.now(),
        sample=sample,
    )
    _tell(report, configured, peek=peek and adapters.queue is not None)
    _show([found.shown for found in report.samples if found.shown], configured.settings, stdout)
    return 1 if report.failures else 0


def _view(configured: Input, adapters: Adapters) -> View:
    """The input's settings as the engine would follow them; who sent a message is checked as it would."""
    settings, form = configured.settings, configured.format
    queue_name = configured.queue.name if configured.queue else ""

    def decode_now(chunks: Iterable[bytes], route: Route) -> Iterator[Block]:
        return decode(chunks, format=configured.format_of(route), now=time.time())

    def payload_url(message: Message) -> str:
        return f"sqs://{queue_name}/{message.message_id}"

    return View(
        name=configured.name,
        parse=partial(
            parse, bodies_are_audits=configured.bodies, verify=adapters.verify, fetch=follow(adapters.objects)
        ),
        decode=decode_now,
        route=configured.route,
        payload_url=payload_url,
        format=form,
        buckets=settings.bucket,
        prefix=settings.prefix,
        retention_seconds=settings.retention_days * 86400.0,
        source=settings.source,
        sourcetype=settings.sourcetype,
        index=settings.index,
        host=settings.host or configured.provider.host_of(queue_name),
        ignores=ignoring(databases=settings.ignore_databases, users=settings.ignore_users),
    )


# -- what goes to stdout


def _show(slices: Sequence[Slice], settings: Settings, stdout: TextIO) -> None:
    rendered = _renderer(settings)(slices)
    try:
        stdout.buffer.write(rendered)
        stdout.buffer.flush()
    except BrokenPipeError:  # `run --dry-run | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


def _renderer(settings: Settings) -> Callable[[Iterable[Slice]], bytes]:
    form = "hec" if "hec" in settings.output else settings.stdout_format
    if form == "hec":
        return lambda slices: render_envelopes(slices, identity=settings.event_identity, lines=True)
    return render_json_lines if form == "json" else render_raw_lines


# -- what goes to stderr


def _promise(adapters: Adapters) -> str:
    if adapters.is_narrowed:
        return "  AWS enforces it: the role is assumed under a session policy that allows no deletion."
    return ("  IAM does not enforce this: the credentials are not narrowed by a session policy (no role, or "
            "session_policy = false), so only this program keeps the promise.")  # fmt: skip


def _tell(report: Report, configured: Input, *, peek: bool) -> None:
    for listing in report.listings:
        _say(_of_listing(listing, configured.settings))
    if peek:
        for line in _of_messages(report.messages):
            _say(line)
    if report.peek_failure is not None:
        _say(f"  error: {report.peek_failure}")
    for found in report.samples:
        for line in _of_sample(found):
            _say(line)
    caution = configured.provider.caution
    if caution and any(found.url.startswith("sqs://") for found in report.samples):
        _say(f"  warning: {caution}")
    if not report.samples and not report.failures:
        _say("  There is nothing to show.")


def _of_listing(listing: Looked, settings: Settings) -> str:
    if listing.failure is not None:
        return f"  error: {listing.failure}"
    counts = [f"{listing.listed} objects", f"{listing.wanted} to be read"]
    counts += [f"{listing.too_old} older than {settings.retention_days} days"] if listing.too_old else []
    counts += [f"{count} filtered ({reason})" for reason, count in sorted(listing.filtered.items())]
    if not listing.is_whole:
        counts.append("the listing was not followed to its end, so newer objects may exist")
    return f"  s3://{listing.bucket}/{settings.prefix}: {', '.join(counts)}"


def _of_messages(messages: Sequence[Peeked]) -> List[str]:
    if not messages:
        return ["  The queue gave no message."]
    lines = [f"  {len(messages)} messages of the queue, all given back; each cost one receive of those that "
             "the queue allows before its dead letter queue:"]  # fmt: skip
    for message in messages:
        lines.append(f"    {message.message_id} ({_times(message.receives)}): {_understood(message)}")
        if message.not_returned is not None:
            lines.append(f"      not given back, it returns by itself: {message.not_returned}")
    return lines


def _times(receives: int) -> str:
    return "received once" if receives == 1 else f"received {receives} times"


def _understood(message: Peeked) -> str:
    if message.failure is not None:
        return f"error: {message.failure}"
    if message.noop:
        return f"{message.shape}: nothing to do, {message.noop}"
    parts = [f"objects named: {message.objects}"] if message.objects else []
    parts += ["audits in the body"] if message.payloads else []
    return f"{message.shape}: {', '.join(parts)}"


def _of_sample(found: Sample) -> List[str]:
    lines = [f"  {found.url}"]
    if found.container:
        size = f"{found.stored_bytes:,} bytes"
        events = f"{found.events:,} events" if found.is_whole else f"{found.events:,} events and more"
        lines.append(f"    {found.container}; {size}; {events}; {_labels(found)}")
        lines.append(f"    {_clock(found)}")
    if found.line is not None:
        lines.append(f"    PostgreSQL's log, of {found.line}")
    if found.ignored:
        lines.append(f"    {found.ignored:,} events would be filtered (ignore_databases, ignore_users)")
    if found.failure is not None:
        lines.append(f"    error: {found.failure}")
    return lines


def _labels(found: Sample) -> str:
    origin: Any = found.shown.origin if found.shown else None
    names = ("sourcetype", "index", "host", "source")
    return " ".join(f"{name}={getattr(origin, name, '') or '-'}" for name in names)


def _clock(found: Sample) -> str:
    """Parsed times beside the object's own, and the share of events that have none."""
    written = _iso(found.object_time)
    if not found.events:
        return f"written {written}"
    share = f"{100 * found.unparsed / found.events:.0f}% of events without a time of their own"
    if not found.earliest:
        return f"no time was found in any event; written {written}, which they will have"
    field = f" (field {found.time_field})" if found.time_field else ""
    span = f"{_iso(float(found.earliest))} to {_iso(float(found.latest))}"
    return f"event times {span}{field}; written {written}; {share}"


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _say(line: str) -> None:
    """One line on stderr, whatever a key or a body holds."""
    print(
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line), file=sys.stderr
    )
