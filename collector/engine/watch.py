"""The watch: what an operator must be told about time, looked at every few minutes by one chore.

It reads the retention clock (`retention/clock.py`), listens for silence (`silence.py`), compares the queue
with the look before (`backlog.py`) and shows how late audits are (`lag.py`). The chore asks the queue how
deep it is, and in a silence lists one page of the bucket; without the right to either, what needs it is left
out, and said so once. Every notice is one log line when it begins and one when it ends.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Union

from collector.config.routes import Route
from collector.engine import gate
from collector.engine.items import Delivery
from collector.engine.ledger import Ledger
from collector.engine.reconciler import Reconciler
from collector.errors import CollectorError
from collector.model import object_identity
from collector.ports import CheckpointStore, ObjectStore, Page, Quarantined, Queue, QueueDepth
from collector.retention.backlog import Backlog, Stall
from collector.retention.clock import BUCKET, QUEUE, Cliff, Oldest, Reading
from collector.retention.lag import Lag
from collector.retention.moves import NOBODY
from collector.retention.notice import Notice
from collector.retention.silence import ANNOUNCED_SECONDS, Finding, Probe

__all__ = ["WARNINGS", "Watch", "Watched"]

log = logging.getLogger("collector.engine")

#: Everything that can be warned of, by the name that metrics and status have for it.
WARNINGS = ("bucket_deadline", "queue_deadline", "silence", "backlog", "stall")
#: In these states an item is collected, and only its row is still to be written.
_SAFE = frozenset({"over", "final"})


@dataclass(frozen=True)
class Look:
    """`probe`: the page to list, if a look into the bucket is due; `since`: what is new, epoch seconds.

    `quarantine_bytes`: how much is there, if what is there has changed.
    """

    probe: Optional[Probe]
    since: float
    now: float
    quarantine_bytes: Optional[int] = None


@dataclass(frozen=True)
class Seen:
    """What was seen; an error in place of what could not be asked. `set_aside`: what expires first there."""

    depth: Union[QueueDepth, CollectorError, None] = None
    finding: Optional[Finding] = None
    set_aside: Union[Oldest, CollectorError, None] = None


class Receives(NamedTuple):
    """What the receiver counted up to a look."""

    all: int = 0
    full: int = 0
    messages: int = 0


@dataclass(frozen=True)
class Watched:
    """A picture for status and metrics. `warnings` by their names; `deadlines` by "bucket" and "queue".

    `looked_at`: when the deadlines were read (epoch seconds), 0 before the first look.
    """

    deadlines: Mapping[str, Reading] = field(default_factory=dict)
    silence_state: str = "off"
    silence_seconds: float = 0.0
    expected_interval_seconds: float = 0.0
    silence: Optional[Notice] = None
    depth: Optional[QueueDepth] = None
    lags: Mapping[str, Lag] = field(default_factory=dict)
    warnings: Mapping[str, Notice] = field(default_factory=dict)
    looked_at: float = 0.0


class Watch:
    """A chore in three parts: take and record under the lock, perform without it."""

    name = "watch"

    def __init__(
        self,
        queue: Optional[Queue],
        objects: Optional[ObjectStore],
        store: CheckpointStore,
        *,
        input_name: str,
        route: Callable[[str], Route],
        grace_seconds: float,
        reconciler: Reconciler,
        reconcile: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._objects = objects
        self._store = store
        self._input_name = input_name
        self._route = route
        self._grace_seconds = min(grace_seconds, ANNOUNCED_SECONDS)
        self._reconciler = reconciler
        self._reconcile = reconcile
        self.bucket = Cliff(BUCKET)
        self.queue = Cliff(QUEUE, can_list=objects is not None)
        self.backlog = Backlog()
        self.stall = Stall(fifo=queue is not None and queue.fifo)
        self.depth: Optional[QueueDepth] = None
        self._looked_at = 0.0
        self._receives = Receives()
        self._has_told_depth = False
        self._set_aside: Optional[Oldest] = None
        self._set_aside_bytes = 0

    # -- take -----------------------------------------------------------------------------------

    def take(self, ledger: Ledger) -> Look:
        now, silence = ledger.clock.monotonic(), ledger.silence
        came = self._came(ledger)
        listening = self._queue is not None and (came.all > 0 or ledger.polls > 0 or ledger.source.is_open)
        was = silence.state
        due = silence.is_due(listening=listening, now=now)
        if silence.state != was:
            ledger.trail.begin()
        changed = ledger.quarantine_bytes != self._set_aside_bytes
        set_aside = ledger.quarantine_bytes if changed else None
        look = Look(None, silence.newest, ledger.clock.now(), set_aside)
        if not due:
            return look
        silence.looks(now=now)
        if ledger.source.error is not None:
            self._say(silence.refused(ledger.source.error), ledger)
            return look
        if self._objects is None:
            self._say(silence.found(None, now=now), ledger)
            return look
        return replace(look, probe=ledger.trail.probe())

    def _came(self, ledger: Ledger) -> Receives:
        """What was received since the last look was recorded."""
        now, before = _receives(ledger.counters), self._receives
        return Receives(now.all - before.all, now.full - before.full, now.messages - before.messages)

    # -- perform --------------------------------------------------------------------------------

    def perform(self, work: Look) -> Seen:
        finding = self._find(work, work.probe) if work.probe is not None else None
        return Seen(self._measure(), finding, self._look_aside() if work.quarantine_bytes else None)

    def _measure(self) -> Union[QueueDepth, CollectorError, None]:
        try:
            return self._queue.measure() if self._queue is not None else None
        except CollectorError as error:
            return error

    def _look_aside(self) -> Union[Oldest, CollectorError, None]:
        """What the bucket deletes first of the objects in quarantine: only their place is kept there."""
        try:
            kept = (one for one in self._store.quarantine() if one.kind == "object" and not one.body)
            return min(map(_oldest_aside, kept), key=lambda one: one.since, default=None)
        except CollectorError as error:
            return error

    def _find(self, work: Look, probe: Probe) -> Finding:
        assert self._objects is not None
        try:
            page = self._objects.list(probe.bucket, prefix=probe.prefix, start_after=probe.after)
            return self._judge(page, work)
        except CollectorError as error:
            return Finding(error=error)

    def _judge(self, page: Page, work: Look) -> Finding:
        """Of what is new on a page: no message told of what has no row and is old enough to have one."""
        new = [ref for ref in page.refs if (ref.event_time or 0.0) > work.since]
        new = [ref for ref in new if not self._route(ref.key).drop]
        oids = [object_identity(self._input_name, ref) for ref in new]
        rows = self._store.rows(oids) if oids else {}
        nowhere = [ref for ref, oid in zip(new, oids) if oid not in rows]
        old = [ref for ref in nowhere if (ref.event_time or 0.0) <= work.now - self._grace_seconds]
        others = [ref for ref, oid in zip(new, oids) if oid in rows]
        reached = page.refs[-1].key if page.next_token and page.refs else ""
        return Finding(old, others, young=len(nowhere) > len(old), reached=reached)

    # -- record ---------------------------------------------------------------------------------

    def record(self, ledger: Ledger, work: Look, result: Any) -> None:
        if isinstance(result, CollectorError):
            result = Seen(result, Finding(error=result) if work.probe is not None else None)
        self._record_depth(ledger, result.depth)
        if work.quarantine_bytes is not None and not isinstance(result.set_aside, CollectorError):
            self._set_aside, self._set_aside_bytes = result.set_aside, work.quarantine_bytes
        if result.finding is not None:
            self._record_finding(ledger, result.finding)
        self._record_backlog(ledger)
        self._read_clock(ledger)
        self._receives = _receives(ledger.counters)

    def _record_depth(self, ledger: Ledger, depth: Union[QueueDepth, CollectorError, None]) -> None:
        if isinstance(depth, CollectorError):
            return  # the receiver meets what is wrong as well, and says it
        self.depth = depth
        if depth is None and self._queue is not None and not self._has_told_depth:
            log.info(
                "How deep the queue is, and how long it keeps messages, may not be asked: a queue that keeps "
                "its messages back is not noticed. To allow it: sqs:GetQueueAttributes. input=%s queue=%s",
                ledger.input_name, self._queue.name,
            )
        self._has_told_depth = depth is None

    def _record_finding(self, ledger: Ledger, finding: Finding) -> None:
        if finding.error is None:
            ledger.counters["lists"] += 1
            ledger.trail.reached(finding.reached)
        self._say(ledger.silence.found(finding, now=ledger.clock.monotonic()), ledger)
        if finding.unannounced and ledger.silence.fetches:
            self._reconcile()

    def _record_backlog(self, ledger: Ledger) -> None:
        came = self._came(ledger)
        if not came.all:
            return  # nothing was asked for: what waits there waits for us, and why is said elsewhere
        waited = ledger.waited_seconds if came.full == came.all else None
        self._say(self.backlog.look(self.depth, waited_seconds=waited), ledger)
        self._say(self.stall.look(self.depth, empty=not came.messages), ledger)

    def _read_clock(self, ledger: Ledger) -> None:
        now = self._looked_at = ledger.clock.now()
        window = ledger.limits.retention_seconds
        self._say(self.bucket.look(self._oldest_object(ledger), window_seconds=window, now=now), ledger)
        kept = self.depth.retention_seconds if self.depth is not None else 0.0
        self._say(self.queue.look(_oldest_message(ledger), window_seconds=kept or None, now=now), ledger)

    def _oldest_object(self, ledger: Ledger) -> Optional[Oldest]:
        """What the bucket deletes first of all in hand, backing off, found by a listing, or in quarantine."""
        items = [one for one in ledger.items.values() if one.ref is not None and one.state not in _SAFE]
        item = min(items, key=lambda one: one.object_time, default=None)
        found, some = self._reconciler.next_to_feed, []
        if item is not None:
            some.append(_oldest(ledger, item.url, item.object_time, item.error))
        if found is not None:
            some.append(_oldest(ledger, found.url, found.event_time or 0.0))
        if self._set_aside is not None:
            some.append(self._set_aside)
        return min(some, key=lambda one: one.since, default=None)

    def _say(self, notice: Optional[Notice], ledger: Ledger) -> None:
        if notice is not None:
            level = logging.WARNING if notice.is_warning else logging.INFO
            owner = NOBODY if notice.is_over else notice.owner
            log.log(level, "%s. input=%s move=%s", str(notice).rstrip("."), ledger.input_name, owner)

    # -- the picture ----------------------------------------------------------------------------

    def picture(self, ledger: Ledger) -> Watched:
        """What was seen last. Changes nothing."""
        silence = ledger.silence
        notices = [self.bucket.notice, self.queue.notice, silence.notice, self.backlog.notice]
        stand = zip(WARNINGS, [*notices, self.stall.notice])
        warnings = {name: notice for name, notice in stand if notice is not None and notice.is_warning}
        deadlines: Dict[str, Reading] = {}
        if self._objects is not None:
            deadlines[BUCKET] = self.bucket.reading
        if self._queue is not None:
            deadlines[QUEUE] = self.queue.reading
        return Watched(
            deadlines, silence.state, silence.seconds, silence.interval_seconds, silence.notice, self.depth,
            ledger.lags.shown(), warnings, self._looked_at,
        )


def _receives(counters: Mapping[str, int]) -> Receives:
    return Receives(counters["receives"], counters["full_receives"], counters["messages"])


def _oldest_message(ledger: Ledger) -> Optional[Oldest]:
    """What the queue forgets first of all messages in hand. A spooled one is safe in the store."""
    held = [one for one in ledger.deliveries.values() if one.origin == "message" and one.message]
    delivery = min(held, key=_sent, default=None)
    if delivery is None or _sent(delivery) == math.inf:
        return None
    assert delivery.message is not None
    item = next(iter(delivery.items), None)
    name = f"message {delivery.message.message_id}" + (f" of {item.url}" if item is not None else "")
    return _oldest(ledger, name, _sent(delivery), item.error if item is not None else None)


def _oldest_aside(entry: Quarantined) -> Oldest:
    """An entry without a row was never claimed: its object is at least as old as itself."""
    since = entry.row.object_time if entry.row is not None else entry.created
    move = f"You: see `audit-s3 quarantine show {entry.id}`, put right what it names, and retry or drop it"
    return Oldest(entry.url, since, f"in quarantine [{entry.reason}]", move)


def _sent(delivery: Delivery) -> float:
    sent = delivery.message.sent_at if delivery.message is not None else None
    return math.inf if sent is None else sent


def _oldest(ledger: Ledger, what: str, since: float, error: Optional[CollectorError] = None) -> Oldest:
    """With what it waits for: its own trouble, or what stops everything."""
    stops = [ledger.source.error, ledger.store.error, ledger.disk_low]
    stops += [breaker.error for breaker in gate.troubled(ledger)]
    error = error or next((one for one in stops if one is not None), None)
    if error is None:
        return Oldest(what, since)
    return Oldest(what, since, f"{error.what} [{error.code}]", error.hint, error.code)
