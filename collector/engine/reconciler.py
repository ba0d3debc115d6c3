"""The Reconciler: lists the bucket's window, asks the store what is missing, and feeds it in.

What it finds goes through the same stations as a message's objects, what expires first before the rest: into
the room that live work leaves, and at least an eighth of the readers' places, so that neither starves the
other. It never looks before `start_from`, nor at objects younger than the grace: their message may be on its
way. Of all collectors of a store one leads, and only it sweeps; an operator's own range needs no lead.

The first sweep of a process and one a day list everything under the prefix. Those between look for what is
new since the last complete one, and two days before it, and jump over older dates in keys.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple, Union

from collector.engine import admission, gate
from collector.engine.items import Item
from collector.engine.ledger import Ledger
from collector.engine.station import Wait
from collector.engine.sweep import Sweep
from collector.errors import CollectorError, Retry
from collector.model import Notification, ObjectRef, object_identity
from collector.ports import Checkpoint, CheckpointStore, ObjectStore, Page
from collector.retention.listing import ASKED, FULL, RECENT, Window
from collector.retention.partitions import DAY_SECONDS, TRUTH_SECONDS, Partitions
from collector.wording import counted, iso

__all__ = ["Reconciler"]

log = logging.getLogger("collector.engine")

#: What is found waits at most this long for a look at the room, if nobody tells of any.
LOOK_SECONDS = 1.0
#: Until then an item of ours takes a reader's place, or will next.
_UNREAD = frozenset({"new", "claiming", "ready", "reading"})


@dataclass(frozen=True)
class Lead:
    """Ask to be the one collector of this store that lists, until this time (epoch seconds)."""

    until: float


@dataclass(frozen=True)
class ListPage:
    """List the page after this key, or at this token."""

    bucket: str
    after: str
    token: str


@dataclass(frozen=True)
class AskMissing:
    """Ask the store which of these (oid, ref) it has no row of."""

    refs: Sequence[Tuple[str, ObjectRef]]


@dataclass(frozen=True)
class AskUnfinished:
    """Rows that nobody works on: their message is gone, and perhaps the object too."""


Work = Union[Lead, ListPage, AskMissing, AskUnfinished]


class Reconciler:
    """A listing in, deliveries out. `denied` says, by bucket, why it cannot be listed."""

    name = "reconciler"

    def __init__(
        self,
        objects: Optional[ObjectStore],
        store: CheckpointStore,
        *,
        buckets: Sequence[str],
        prefix: str,
        interval_seconds: float,
    ) -> None:
        self._objects = objects
        self._store = store
        self._buckets = tuple(buckets)
        self._prefix = prefix
        self._interval_seconds = interval_seconds
        self._partitions = {bucket: Partitions() for bucket in buckets}
        self._wanted: Deque[Window] = deque()
        self._fed: List[Item] = []
        self._pause_until = 0.0
        self._full_began: Optional[float] = None
        self._watermark: Optional[float] = None
        self._has_told_before = False
        self.failures = 0
        self.denied: Dict[str, str] = {}
        #: The sweep under way, else the last one.
        self.sweep: Optional[Sweep] = None
        self._is_sweeping = False

    @property
    def is_idle(self) -> bool:
        return not self._is_sweeping and not self._wanted

    @property
    def waiting(self) -> int:
        """How many objects were found and are not fed yet."""
        return self.sweep.waiting if self.sweep is not None and self._is_sweeping else 0

    @property
    def next_to_feed(self) -> Optional[ObjectRef]:
        """Of what was found and is not fed yet, what expires first."""
        return self.sweep.first if self.sweep is not None and self._is_sweeping else None

    # -- what is wanted -------------------------------------------------------------------------

    def want(self, ledger: Ledger, window: Window) -> None:
        """Ask for a range of an operator's own."""
        if self._objects is not None:
            self._wanted.append(window)
            ledger.tell(self.name)

    def want_next(self, ledger: Ledger, *, since: float, until: float, start_from: float) -> None:
        """Ask for the next sweep of [since, until), or of what is new in it; asked for twice it runs once."""
        for waiting in [one for one in self._wanted if one.kind != ASKED]:
            self._wanted.remove(waiting)
        watermark = self._watermark
        if watermark is None or watermark > until or self._is_full_due(ledger.clock.monotonic()):
            counted_before = 0.0 if self._has_told_before else start_from
            self.want(ledger, Window(since, until, FULL, counted_before))
        else:
            self.want(ledger, Window(max(since, watermark - TRUTH_SECONDS), until, RECENT))

    def _is_full_due(self, now: float) -> bool:
        """Whether the sweep after this one would come more than a day after the last full one."""
        return self._full_began is None or now - self._full_began + self._interval_seconds > DAY_SECONDS

    # -- take -----------------------------------------------------------------------------------

    def take(self, ledger: Ledger) -> Union[Work, Wait]:
        now = ledger.clock.monotonic()
        sweep = None if ledger.stopping else self._current(now)
        if sweep is None or sweep.busy:
            return Wait()
        self._feed(ledger, sweep, is_listing=sweep.is_listing and not self.failures)
        if now < self._pause_until:
            return Wait(min(self._pause_until, now + LOOK_SECONDS) if sweep.waiting else self._pause_until)
        work = self._next_call(ledger, sweep, now)
        if work is not None:
            sweep.busy = True
            return work
        if sweep.waiting:
            return Wait(now + LOOK_SECONDS)
        self._finish(ledger, sweep)
        return Wait(now)

    def _current(self, now: float) -> Optional[Sweep]:
        if not self._is_sweeping and self._wanted:
            self._is_sweeping = True
            self.sweep = Sweep.of(self._wanted.popleft(), self._buckets, self._partitions, now=now)
        return self.sweep if self._is_sweeping else None

    def _next_call(self, ledger: Ledger, sweep: Sweep, now: float) -> Optional[Work]:
        if now >= sweep.lead_due:
            return Lead(ledger.clock.now() + self._lead_seconds)
        if sweep.page:
            return AskMissing(tuple(sweep.page))
        if sweep.may_list:
            listing = sweep.listing
            return ListPage(listing.bucket, listing.after, listing.token)
        if sweep.listing.is_over and not (sweep.waiting or sweep.asked_unfinished):
            return AskUnfinished()
        return None

    @property
    def _lead_seconds(self) -> float:
        """Until well after the next sweep: the same collector goes on, and its watermark is of use."""
        return max(600.0, 1.5 * self._interval_seconds)

    def _feed(self, ledger: Ledger, sweep: Sweep, *, is_listing: bool) -> None:
        """The oldest of all is known once the listing is over, or as good as known when the heap is full."""
        self._fed = [item for item in self._fed if item.state in _UNREAD]
        while sweep.waiting and not is_listing and self._may_feed(ledger):
            ref = sweep.oldest()
            assert ref is not None
            ledger.counters["reconciled"] += 1
            delivery = admission.admit(ledger, Notification("listing", refs=(ref,)), origin="listing")
            self._fed += delivery.items if delivery is not None else ()
        ledger.found_waits = bool(sweep.waiting)

    def _may_feed(self, ledger: Ledger) -> bool:
        """Into the room that live work leaves, and always a little; in trouble, one object as the probe."""
        if not gate.may_feed(ledger):
            return gate.may_receive_probe(ledger)
        workers, ours = ledger.limits.workers, len(self._fed)
        return ours < max(1, workers // 8) or (ours < workers and ledger.room() > workers // 4)

    def _finish(self, ledger: Ledger, sweep: Sweep) -> None:
        window, listing = sweep.window, sweep.listing
        self._is_sweeping = False
        if listing.is_complete:
            ledger.counters["reconciles"] += 1
        what = "the bucket" if listing.is_complete else "what can be listed"
        if sweep.lists:
            log.info(
                "Reconciled %s with the ledger. kind=%s listed=%d missing=%d lists=%d since=%s", what,
                window.kind, listing.listed, sweep.missing, sweep.lists, iso(window.since),
            )
        if not listing.is_complete:
            return
        if window.kind != ASKED:
            self._watermark = window.until
        if window.kind == FULL:
            self._full_began = sweep.began
        if window.counted_before:
            self._tell_before(ledger, sweep)

    def _tell_before(self, ledger: Ledger, sweep: Sweep) -> None:
        """Once: what an input that begins now leaves behind, and how to fetch it.

        Whoever has just asked for what is missing may believe to have it all.
        """
        before, self._has_told_before = sweep.before, True
        if before.objects:
            level = logging.WARNING if sweep.window.kind == ASKED else logging.INFO
            log.log(
                level,
                "Written before start_from and never read: %s, %s, the oldest of %s. To fetch: audit-s3 "
                "backfill --input %s --since %s", counted(before.objects, "object"),
                counted(before.size_bytes, "byte"),
                iso(before.oldest), ledger.input_name, iso(before.oldest),
            )

    def has_more(self, ledger: Ledger) -> bool:
        return True

    # -- perform --------------------------------------------------------------------------------

    def perform(self, work: Work) -> Any:
        if isinstance(work, Lead):
            return self._store.lead(self.name, work.until)
        if isinstance(work, AskMissing):
            return self._store.missing([oid for oid, _ in work.refs])
        if isinstance(work, AskUnfinished):
            return self._store.unfinished()
        assert self._objects is not None
        return self._objects.list(
            work.bucket, prefix=self._prefix, start_after=work.after, token=work.token
        )

    # -- record ---------------------------------------------------------------------------------

    def record(self, ledger: Ledger, work: Work, result: Any) -> None:
        sweep = self.sweep
        assert sweep is not None
        sweep.busy = False
        ledger.tell(self.name)
        if isinstance(result, CollectorError):
            self._record_failure(ledger, sweep, work, result)
            return
        self.failures = 0
        if isinstance(work, Lead):
            self._record_lead(ledger, sweep, is_ours=result)
        elif isinstance(work, ListPage):
            self._record_page(ledger, sweep, work.bucket, result)
        elif isinstance(work, AskUnfinished):
            self._take_over(ledger, sweep, result)
        else:
            self._record_missing(ledger, sweep, result)

    def _record_lead(self, ledger: Ledger, sweep: Sweep, *, is_ours: bool) -> None:
        if is_ours:
            sweep.lead_due = ledger.clock.monotonic() + self._lead_seconds / 3
            return
        log.debug("Another collector reconciles this input.")
        self._is_sweeping = False

    def _record_page(self, ledger: Ledger, sweep: Sweep, bucket: str, page: Page) -> None:
        ledger.counters["lists"] += 1
        sweep.lists += 1
        ledger.silence.listed()
        if page.refs:
            newest = max(page.refs, key=lambda ref: ref.event_time or 0.0)
            ledger.trail.saw(newest.bucket, newest.key)
        if self.denied.pop(bucket, ""):
            log.info("The bucket can be listed again. bucket=%s", bucket)
        for ref in sweep.listing.took(page):
            if not ledger.route(ref.key).drop:
                sweep.page.append((object_identity(ledger.input_name, ref), ref))

    def _record_missing(self, ledger: Ledger, sweep: Sweep, missing: Sequence[str]) -> None:
        refs: Dict[str, ObjectRef] = dict(sweep.page)
        sweep.page = []
        for ref in (refs[oid] for oid in missing if (oid,) not in ledger.items):
            if sweep.window.covers(ref):
                sweep.find(ref)
            else:
                sweep.before.add(ref)

    def _take_over(self, ledger: Ledger, sweep: Sweep, rows: Sequence[Checkpoint]) -> None:
        """An object that was begun comes to its end, though no listing names it any more."""
        sweep.asked_unfinished = True
        for row in rows:
            if row.bucket in self._buckets and (row.oid,) not in ledger.items:
                sweep.find(
                    ObjectRef(
                        row.bucket, row.key, etag=row.etag or None, version_id=row.version_id or None,
                        size=row.size, event_time=row.object_time,
                    )
                )

    def _record_failure(self, ledger: Ledger, sweep: Sweep, work: Work, error: CollectorError) -> None:
        """A bucket that may not be listed is passed over until the next sweep; the rest is tried again."""
        ledger.last_error = error
        if isinstance(work, ListPage) and not isinstance(error, Retry):
            sweep.listing.skip_bucket()
            if self.denied.get(work.bucket) != error.code:
                self.denied[work.bucket] = error.code
                log.warning(
                    "A bucket cannot be listed, so only those of its objects that the queue tells of are "
                    "sure to arrive. Listing is tried again at every reconcile: %s", error,
                )
            return
        self.failures += 1
        self._pause_until = ledger.clock.monotonic() + ledger.backoff(self.failures, longest=600.0)
