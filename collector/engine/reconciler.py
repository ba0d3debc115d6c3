"""The Reconciler: lists the bucket's window, asks the store what is missing, and feeds it in.

What it finds goes through the same stations as a message's objects, into the room that live work leaves.
It never looks before `start_from`, nor at objects younger than the grace: their message may be on its way.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple, Union

from collector.engine import admission
from collector.engine.ledger import Ledger
from collector.engine.station import Wait
from collector.errors import CollectorError, Fatal
from collector.model import Notification, ObjectRef, object_identity
from collector.ports import Checkpoint, CheckpointStore, ObjectStore, Page

__all__ = ["Reconciler", "Window"]

log = logging.getLogger("collector.engine")


@dataclass(frozen=True)
class Window:
    """What one reconcile covers: LastModified in [since, until), epoch seconds."""

    since: float
    until: float


@dataclass(frozen=True)
class ListPage:
    bucket: str
    token: str


@dataclass(frozen=True)
class AskMissing:
    refs: Sequence[Tuple[str, ObjectRef]]


@dataclass(frozen=True)
class AskUnfinished:
    """Rows that nobody works on: their message is gone, and perhaps the object too."""


@dataclass
class Sweep:
    """One reconcile under way."""

    window: Window
    buckets: Deque[str]
    token: str = ""
    found: Deque[ObjectRef] = field(default_factory=deque)
    page: List[Tuple[str, ObjectRef]] = field(default_factory=list)
    busy: bool = False
    asked_unfinished: bool = False
    listed: int = 0
    missing: int = 0


class Reconciler:
    """A listing in, deliveries out."""

    name = "reconciler"

    def __init__(
        self, objects: Optional[ObjectStore], store: CheckpointStore, *, buckets: Sequence[str], prefix: str
    ) -> None:
        self._objects = objects
        self._store = store
        self._buckets = tuple(buckets)
        self._prefix = prefix
        self._sweep: Optional[Sweep] = None
        self._pause_until = 0.0
        self._failures = 0
        self.wanted: Deque[Window] = deque()
        self.off = ""

    @property
    def is_idle(self) -> bool:
        return self._sweep is None and not self.wanted

    def want(self, ledger: Ledger, window: Window) -> None:
        """Ask for a reconcile; one that is asked for twice runs once."""
        if self._objects is not None and window not in self.wanted and not self.off:
            self.wanted.append(window)
            ledger.tell(self.name)

    def take(self, ledger: Ledger) -> Union[ListPage, AskMissing, AskUnfinished, Wait]:
        now = ledger.clock.monotonic()
        if ledger.stopping or now < self._pause_until:
            return Wait(self._pause_until)
        if self._sweep is None:
            if not self.wanted:
                return Wait()
            self._sweep = Sweep(self.wanted.popleft(), deque(self._buckets))
        sweep = self._sweep
        if sweep.busy:
            return Wait()
        self._feed(ledger, sweep)
        if sweep.found:
            return Wait(now + 1.0)
        if sweep.page:
            sweep.busy = True
            return AskMissing(tuple(sweep.page))
        if not sweep.buckets and not sweep.asked_unfinished:
            sweep.busy = True
            return AskUnfinished()
        if not sweep.buckets:
            self._finish(ledger, sweep)
            return Wait(now)
        sweep.busy = True
        return ListPage(sweep.buckets[0], sweep.token)

    def _take_over(self, ledger: Ledger, sweep: Sweep, rows: Sequence[Checkpoint]) -> None:
        """An object that was begun comes to its end, though no listing names it any more."""
        sweep.asked_unfinished = True
        for row in rows:
            if row.bucket in self._buckets and (row.oid,) not in ledger.items:
                sweep.found.append(
                    ObjectRef(
                        row.bucket, row.key, etag=row.etag or None, version_id=row.version_id or None,
                        size=row.size, event_time=row.object_time,
                    )
                )  # fmt: skip

    def _feed(self, ledger: Ledger, sweep: Sweep) -> None:
        """Into the room that live work leaves, never more; in trouble, one object as the probe."""
        while sweep.found:
            has_room = ledger.may_receive() and ledger.room() > ledger.limits.workers // 4
            if not (has_room or ledger.may_receive_probe()):
                return
            ref = sweep.found.popleft()
            ledger.counters["reconciled"] += 1
            admission.admit(ledger, Notification("listing", refs=(ref,)), origin="listing")

    def _finish(self, ledger: Ledger, sweep: Sweep) -> None:
        log.info("Reconciled the bucket with the ledger. listed=%d missing=%d", sweep.listed, sweep.missing)
        ledger.counters["reconciles"] += 1
        self._sweep = None

    def has_more(self, ledger: Ledger) -> bool:
        return False

    def perform(self, work: Union[ListPage, AskMissing, AskUnfinished]) -> Any:
        if isinstance(work, AskMissing):
            return self._store.missing([oid for oid, _ in work.refs])
        if isinstance(work, AskUnfinished):
            return self._store.unfinished()
        assert self._objects is not None
        return self._objects.list(work.bucket, prefix=self._prefix, token=work.token)

    def record(self, ledger: Ledger, work: Union[ListPage, AskMissing, AskUnfinished], result: Any) -> None:
        sweep = self._sweep
        assert sweep is not None
        sweep.busy = False
        ledger.tell(self.name)
        if isinstance(result, CollectorError):
            self._record_failure(ledger, result)
            return
        self._failures = 0
        if isinstance(work, ListPage):
            self._record_page(ledger, sweep, result)
        elif isinstance(work, AskUnfinished):
            self._take_over(ledger, sweep, result)
        else:
            refs: Dict[str, ObjectRef] = dict(work.refs)
            sweep.page = []
            missing = [refs[oid] for oid in result if (oid,) not in ledger.items]
            sweep.missing += len(missing)
            sweep.found.extend(missing)

    def _record_page(self, ledger: Ledger, sweep: Sweep, page: Page) -> None:
        ledger.counters["lists"] += 1
        sweep.listed += len(page.refs)
        sweep.token = page.next_token
        if not page.next_token:
            sweep.buckets.popleft()
        for ref in page.refs:
            inside = sweep.window.since <= (ref.event_time or 0.0) < sweep.window.until
            if inside and not ledger.route(ref.key).drop:
                sweep.page.append((object_identity(ledger.input_name, ref), ref))

    def _record_failure(self, ledger: Ledger, error: CollectorError) -> None:
        """A denied listing turns the feature off and says so; anything else is tried again."""
        ledger.last_error = error
        if isinstance(error, Fatal):
            self.off = error.code
            self._sweep = None
            self.wanted.clear()
            log.warning("The bucket cannot be listed, so what the queue forgets stays unknown: %s", error)
            return
        self._failures += 1
        self._pause_until = ledger.clock.monotonic() + ledger.backoff(self._failures, longest=600.0)
