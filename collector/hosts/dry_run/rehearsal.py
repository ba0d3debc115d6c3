"""`audit-s3 run --dry-run`: what would be forwarded, shown without forwarding it.

As text, stdout gets the first events of each object exactly as the output would get them: HEC's envelopes,
one a line, where the output is HEC, else `stdout_format`; what is said about them goes to stderr. As JSON or
HTML stdout gets one report with both. The ledger, if there is one, says when it began and is not written to;
nothing is deleted; the queue is touched only with `peek`, and then every message goes back at once.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, TextIO

from collector.config.inputs import Input
from collector.config.routes import Route
from collector.config.settings import Settings
from collector.decode import decode
from collector.decode.pgaudit import ignoring
from collector.errors import CollectorError
from collector.hosts.dry_run import report
from collector.hosts.dry_run.masking import Clean, cleaner, mask_line, walk
from collector.hosts.dry_run.report import Tried
from collector.hosts.stores import begun_at, opened
from collector.model import Block, Message, Slice
from collector.notifications import parse
from collector.notifications.pointers import follow
from collector.onboarding.dry_run import Report, look
from collector.onboarding.sampling import View
from collector.runtime.adapters import Adapters
from collector.sinks.envelope import render_envelopes, render_json_lines, render_raw_lines
from collector.wording import plain

__all__ = ["dry_run"]

USAGE = 2


def dry_run(
    inputs: Sequence[Input],
    *,
    peek: bool,
    sample: int,
    stdout: TextIO,
    form: str = "text",
    mask: bool = False,
    secrets: Iterable[str] = (),
) -> int:
    """Look at each input; returns the exit code.

    0: something could be shown, or there is nothing; 1: something went wrong, and the report says what to
    do; 2: there are only inputs that have a queue alone, which is not looked into without `peek`.
    `secrets` are never shown; with `mask` nothing is that looks like one.
    """
    clean = cleaner(secrets, mask=mask)
    tried: List[Tried] = []
    for configured in inputs:
        tried.append(_try(configured, peek=peek, sample=sample))
        if form == "text":
            told = walk(report.input_of(tried[-1]), clean, names=False)
            _say(report.text(told))
            _show(tried[-1], stdout, clean if mask else None)
    if form != "text":
        document = report.document(tried, at=time.time(), clean=clean, mask=mask)
        _write(stdout, report.render(document, form).encode("utf-8", "replace"))
    if all(one.skipped for one in tried):
        return USAGE
    return 1 if any(one.failed for one in tried) else 0


def _try(configured: Input, *, peek: bool, sample: int) -> Tried:
    if not configured.settings.bucket and not peek:
        return Tried(configured, skipped="it has a queue and no bucket to list")
    try:
        adapters = Adapters(configured, stdout=sys.stdout.buffer, read_only=True)
        with opened(configured) as store:
            start, is_begun = begun_at(configured, store), store is not None
    except CollectorError as error:
        return Tried(configured, error=error)
    report = look(
        _view(configured, adapters, start),
        objects=adapters.objects,
        queue=adapters.queue if peek else None,
        now=adapters.clock.now(),
        sample=sample,
    )
    peeked = peek and adapters.queue is not None
    return Tried(configured, report=report, is_narrowed=adapters.is_narrowed, start=start, peeked=peeked,
                 is_begun=is_begun)


def _view(configured: Input, adapters: Adapters, start: float) -> View:
    """The input's settings as the engine would follow them; who sent a message is checked as it would."""
    settings, form = configured.settings, configured.format
    queue_name = configured.queue.name if configured.queue else ""
    senders = _Senders(adapters, settings.sns_signature)

    def decode_now(chunks: Iterable[bytes], route: Route) -> Iterator[Block]:
        return decode(chunks, format=configured.format_of(route), now=time.time())

    def payload_url(message: Message) -> str:
        return f"sqs://{queue_name}/{message.message_id}"

    return View(
        name=configured.name,
        parse=partial(
            parse, bodies_are_audits=configured.bodies, verify=senders.verify, fetch=follow(adapters.objects)
        ),
        decode=decode_now,
        route=configured.route,
        payload_url=payload_url,
        format=form,
        buckets=settings.bucket,
        prefix=settings.prefix,
        retention_seconds=settings.retention_seconds,
        source=settings.source,
        sourcetype=settings.sourcetype,
        index=settings.index,
        host=settings.host or configured.provider.host_of(queue_name),
        ignores=ignoring(databases=settings.ignore_databases, users=settings.ignore_users),
        start=start,
        senders=senders.take,
    )


class _Senders:
    """Checks SNS envelopes as `sns_signature` says, and keeps what was found out."""

    def __init__(self, adapters: Adapters, mode: str) -> None:
        self._adapters, self._mode = adapters, mode
        self._said: List[str] = []

    def verify(self, envelope: Mapping[str, Any]) -> None:
        topic = str(envelope.get("TopicArn"))
        if self._mode == "off":
            self._said.append(f"{topic}: nobody checks it (sns_signature = off)")
            return
        doubt = self._adapters.sns.doubt(envelope)
        if doubt is None:
            self._said.append(f"{topic}: verified, SNS signed it")
            return
        then = "would be refused" if self._mode == "enforce" else "would be forwarded with a warning"
        self._said.append(f"{topic}: not verified, {then} (sns_signature = {self._mode}): {doubt}")
        if self._mode == "enforce":
            raise doubt

    def take(self) -> Sequence[str]:
        said, self._said = self._said, []
        return said


# -- what goes to stdout


def _show(tried: Tried, stdout: TextIO, clean: Optional[Clean]) -> None:
    report: Optional[Report] = tried.report
    slices = [found.shown for found in report.samples if found.shown] if report else []
    rendered = _renderer(tried.configured.settings)(slices)
    if clean is not None:
        rendered = b"".join(mask_line(line, clean) + b"\n" for line in rendered.splitlines())
    _write(stdout, rendered)


def _write(stdout: TextIO, rendered: bytes) -> None:
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


def _say(lines: Iterable[str]) -> None:
    """Lines on stderr, each one line whatever a key or a body holds."""
    for line in lines:
        print(plain(line), file=sys.stderr)
