"""One input at work: its engine, what is periodic, an errand in place of its queue, and the end."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

from collector.config.inputs import Input
from collector.config.values import start_time
from collector.engine import admission, gate
from collector.engine.engine import Engine
from collector.engine.figures import figures
from collector.errors import CollectorError
from collector.model import Notification, ObjectRef, object_identity
from collector.notifications.pointers import follow
from collector.ports import CheckpointStore, FileStore, Forget
from collector.runtime.adapters import Adapters
from collector.runtime.plan import plan_of
from collector.runtime.threads import Threads
from collector.schedule import Timetable

__all__ = ["Errand", "Runner"]

log = logging.getLogger("collector")

T = TypeVar("T")

#: Rows outlive their objects by this much, so that a late message still finds its own.
PRUNE_AFTER_SECONDS = 7 * 86400.0
PRUNE_EVERY_SECONDS = 86400.0
PROGRESS_EVERY_SECONDS = 60.0
#: How often disk and quarantine are looked at.
LOOK_EVERY_SECONDS = 5.0
#: How often the watch looks: 288 times a day, one request to the queue each.
WATCH_EVERY_SECONDS = 300.0
#: What has to happen to credentials is looked at this often; sessions last 15 minutes at least.
REFRESH_SHARE = 0.6
#: An errand ends when nothing has moved for this long and what is left waits for others.
PATIENCE_SECONDS = 90.0
#: Counters of what needs a look, and of what is left to others or to a later run, in words.
KEPT = {
    "quarantined_bodies": "{} message{s} {are} in quarantine (audit-s3 quarantine list)",
    "quarantined_objects": "{} object{s} {are} in quarantine (audit-s3 quarantine list)",
    "quarantined_events": "{} event{s} {are} in quarantine (audit-s3 quarantine list)",
    "gone": "{} object{s} {were} gone before {they} could be read",
    "expired": "{} object{s} had outlived the retention, unread",
}
LEFT = {
    "returned": (
        "{} message{s} went back to the queue: it shows {them} to the next run, or to another collector"
    ),
    "unsettled": "{} message{s} could be neither deleted nor handed back: {they} will be shown again",
    "leases_lapsed": "{} lease{s} lapsed: what {they} held will be shown again",
    "fenced": "{} result{s} {were} left to another collector, which had taken the object over",
}
BEGUN = (
    "{} object{s} that an earlier run had begun {are} not finished: the queue shows {them} again when the "
    "visibility timeout of that run is over; run this again then, or backfill --missing"
)
MOVES = ("events", "done", "gone", "expired", "filtered", "quarantined", "known", "lists", "reconciled")


@dataclass(frozen=True)
class Errand:
    """What an operator asks of an input in place of its queue: a range, or objects by name.

    `refs` of buckets that an input does not have are not for it. `again`: also where they are done. Without
    them [since, until) is listed, epoch seconds; None is `start_from`, and now without the grace.
    """

    refs: Sequence[ObjectRef] = ()
    again: bool = False
    since: Optional[float] = None
    until: Optional[float] = None


class Runner:
    """One input at work: an engine between its adapters, driven by threads."""

    def __init__(
        self, configured: Input, adapters: Adapters, *, once: bool = False, errand: Optional[Errand] = None
    ) -> None:
        self.name = configured.name
        self._errand = errand
        self._left: List[str] = []
        #: What had come back by itself when it was told to stop; None until then.
        self._lapsed: Optional[int] = None
        self._drained = True
        #: Objects that an earlier run had begun and this one did not meet: their messages are still hidden.
        self._begun: List[str] = []
        #: Objects that were named and are there.
        self.named = 0
        #: Objects that were named and could not be fetched: those that are not there, the others.
        self.not_there = self.not_fetched = 0
        self._moved: Tuple[Any, float] = ((), 0.0)
        self._input = configured
        self._adapters = adapters
        self._once = once
        self._replaced = 0
        chores = {"prune": self._prune, "refresh": adapters.refresh, "look": self._look}
        self.engine = Engine(
            plan_of(
                configured, once=once, verify=adapters.verify, fetch=follow(adapters.objects),
                digests=adapters.digests,
            ),
            queue=adapters.queue, objects=adapters.objects,
            sinks=adapters.sinks, store=adapters.store, clock=adapters.clock,
            rng=random.Random(), chores=chores,
        )
        self._threads = Threads(self.name, self.engine, workers=configured.settings.workers)
        self._lock = self._threads.lock

    # -- the beginning --------------------------------------------------------------------------

    def start(self) -> None:
        """Remember where this input began, take up what was left, and let the stations run."""
        store, clock = self._adapters.store, self._adapters.clock
        self._say_what_was_damaged(store)
        store.alive(clock.now() + 60.0)
        began = store.start_from(self._proposed_start(clock.now()))
        self.engine.resume(began, store.spooled())
        self.engine.do("look")
        self._threads.start()
        log.info(
            "Collecting. input=%s queue=%s buckets=%s output=%s start_from=%s", self.name,
            self._adapters.queue.name if self._adapters.queue else "-",
            ",".join(self._input.settings.bucket) or "-", ",".join(self._input.settings.output),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        )

    def _say_what_was_damaged(self, store: CheckpointStore) -> None:
        if not isinstance(store, FileStore) or not (store.moved_aside or store.salvage):
            return
        saved = store.salvage
        settings = self._input.settings
        last_used = saved.last_used if saved else self._adapters.clock.now()
        # What the listing before that could not have seen yet.
        since = last_used - settings.reconcile_interval_seconds - settings.reconcile_grace_seconds
        log.error(
            "The checkpoint file was damaged and is set aside; what the queue holds is sent again. For what "
            "the queue had forgotten by then run: audit-s3 backfill --input %s --since %s. Taken over from "
            "it%s: %d entries of quarantine, %d spooled messages. file=%s",
            self.name, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)),
            "" if saved and saved.is_whole else ", as far as it could be read",
            saved.quarantined if saved else 0, saved.spooled if saved else 0, store.moved_aside,
        )

    def _proposed_start(self, now: float) -> float:
        """`start_from` of the settings as a time: what an empty ledger begins with (rule 13)."""
        settings = self._input.settings
        return start_time(settings.start_from, now=now, retention_days=settings.retention_days)

    def schedule(self, timetable: Timetable) -> None:
        """What is periodic, under this input's name. Each job only puts work into the ledger."""
        if self._once:
            return
        every, settings = partial(timetable.every, owner=self.name), self._input.settings
        every(PROGRESS_EVERY_SECONDS, self.report, first_after_seconds=PROGRESS_EVERY_SECONDS)
        every(LOOK_EVERY_SECONDS, lambda: self._do("look"), first_after_seconds=LOOK_EVERY_SECONDS)
        watch_every = min(WATCH_EVERY_SECONDS, settings.expected_interval_seconds or WATCH_EVERY_SECONDS)
        every(watch_every, lambda: self._do("watch"), first_after_seconds=min(60.0, watch_every))
        if self._adapters.assumes_role:
            refresh_every = settings.role_duration_seconds * REFRESH_SHARE
            every(refresh_every, lambda: self._do("refresh"), first_after_seconds=refresh_every)
        every(PRUNE_EVERY_SECONDS, lambda: self._do("prune"), first_after_seconds=60.0)
        if settings.reconcile_interval_seconds and settings.bucket:
            grace = float(settings.reconcile_grace_seconds)
            interval = float(settings.reconcile_interval_seconds)
            every(interval, self._reconcile, first_after_seconds=grace + 1.0)

    def set_out(self) -> None:
        """Begin the errand, if there is one."""
        if self._errand is None:
            return
        if self._errand.refs:
            self._fetch([ref for ref in self._errand.refs if ref.bucket in self._input.settings.bucket])
            return
        with self._lock:
            self.engine.backfill(since=self._errand.since, until=self._errand.until)
            self._threads.wake()

    def _fetch(self, refs: Sequence[ObjectRef]) -> None:
        """Feed in objects by name, each as what its key holds now."""
        assert self._errand is not None and self._adapters.objects is not None
        for ref in refs:
            try:
                current = self._adapters.objects.current(ref)
                if self._errand.again:
                    self._adapters.store.apply([Forget(object_identity(self.name, current))])
            except CollectorError as error:
                log.error("What was asked for cannot be fetched: %s. url=%s", error, ref.url)
                self._left.append(ref.url)
                self.not_there += error.code == "gone"
                self.not_fetched += error.code != "gone"
            else:
                self.named += 1
                self.admit([Notification("command", refs=(current,))])

    def admit(self, notifications: Sequence[Notification]) -> None:
        """Take work into hand that no message brought."""
        with self._lock:
            for notification in notifications:
                admission.admit(self.engine.ledger, notification, origin="command")
            self._threads.wake()

    # -- jobs -----------------------------------------------------------------------------------

    def _do(self, chore: str) -> None:
        with self._lock:
            self.engine.do(chore)
            self._threads.wake()

    def _reconcile(self) -> None:
        with self._lock:
            self.engine.reconcile()
            self._threads.wake()

    def _prune(self) -> int:
        """Of all collectors of a store one does it."""
        store, now = self._adapters.store, self._adapters.clock.now()
        if not store.lead("prune", now + 1.5 * PRUNE_EVERY_SECONDS):
            return 0
        before = self.engine.oldest_kept(after_seconds=PRUNE_AFTER_SECONDS)
        pruned = store.prune(object_time_before=before)
        if pruned:
            log.info("Forgot objects that are no longer kept. rows=%d", pruned)
        return pruned

    def _look(self) -> Tuple[Optional[CollectorError], int]:
        """How full the disk is, as an error or None, and the bytes in quarantine."""
        store = self._adapters.store
        replaced = store.replaced if isinstance(store, FileStore) else 0
        if replaced != self._replaced:
            self._replaced = replaced
            log.error(
                "The checkpoint file was removed or replaced while in use; what the queue holds is sent "
                "again. Find out who did it. input=%s", self.name,
            )
        try:
            store.check()
        except CollectorError as error:
            return error, store.quarantine_bytes()
        return None, store.quarantine_bytes()

    def report(self, said: str = "Progress.") -> None:
        """One line of what has come of this input so far."""
        shown = " ".join(f"{name}={value}" for name, value in self.observe(figures).items())
        log.info("%s input=%s %s", said, self.name, shown)

    def counters(self) -> Dict[str, int]:
        with self._lock:
            counters = dict(self.engine.ledger.status())
        return {**counters, "not_there": self.not_there, "not_fetched": self.not_fetched}

    def renew(self) -> None:
        """Read the files of secrets again: what is sent from now on carries what they hold."""
        self._adapters.renew()

    def observe(self, at: Callable[[Engine], T]) -> T:
        """What `at` makes of the engine, under its lock: it is to be quick and to change nothing."""
        with self._lock:
            return at(self.engine)

    def aws_calls(self) -> Mapping[str, int]:
        """Requests sent to AWS so far, by operation."""
        return self._adapters.aws_calls()

    def standstill(self) -> str:
        """What of this input no longer moves, "" if all does. It may take seconds to tell."""
        return self._threads.standstill()

    # -- the end --------------------------------------------------------------------------------

    def is_finished(self) -> bool:
        """For `once`: an empty poll with nothing in hand, or nothing that will move soon."""
        with self._lock:
            if self._errand is not None:
                return self.engine.is_drained() or self._stands_still()
            return self.engine.is_drained() or self.engine.is_stuck()

    def _begun_by_others(self) -> List[str]:
        """What is to be said of open rows that nobody works on; at most a thousand are counted."""
        try:
            count = len(self._adapters.store.unfinished())
        except CollectorError as error:
            return [f"what an earlier run left cannot be counted: {error}"]
        return [_counted(BEGUN, count)] if count else []

    def _stands_still(self) -> bool:
        """Nothing has moved for a while, and what is left waits for others."""
        now, counters = time.monotonic(), self.engine.ledger.counters
        moved = tuple(counters[name] for name in MOVES)
        if moved != self._moved[0]:
            self._moved = (moved, now)
        return now - self._moved[1] > PATIENCE_SECONDS and self.engine.waits_for_others()

    def shortcomings(self, *, asked: bool) -> List[str]:
        """Why this was no clean run, in sentences; what went back counts unless we were `asked` to stop."""
        ledger, counters = self.engine.ledger, self.engine.ledger.counters
        found = [_counted(what, counters[name]) for name, what in KEPT.items() if counters[name]]
        if not asked:
            found += [_counted(what, counters[name]) for name, what in LEFT.items() if counters[name]]
        stopped = [breaker.error for breaker in (ledger.source, *gate.troubled(ledger)) if breaker.is_open]
        errors = (*stopped, *ledger.keys.errors, ledger.disk_low)
        found += [str(error) for error in errors if error is not None]
        if ledger.is_quarantine_full():
            found.append("quarantine is full")
        if self.engine.receiver.failed_polls:
            found.append("the queue could not be asked when this ended")
        if not asked:
            found += self._begun
        if self._errand is not None and (self._left or self.engine.reconciler.denied):
            found.append("not everything that was asked for could be fetched")
        return found

    def was_left_by_stop(self) -> bool:
        """Whether the stop itself left something undone: not saved, or not handed back. After it."""
        return not self._drained or self._lapsed not in (None, self._come_back())

    def _come_back(self) -> int:
        return sum(self.engine.ledger.counters[name] for name in ("unsettled", "leases_lapsed"))

    def begin_stop(self) -> None:
        with self._lock:
            self._lapsed = self._come_back()
            if self._errand is not None:
                self._note_what_is_left()
            self.engine.stop()
            self._threads.wake()

    def _note_what_is_left(self) -> None:
        left, is_listed = self.engine.left_over(), self.engine.reconciler.is_idle
        if left or not is_listed:
            self._left.append("others")
            what = "" if is_listed else " Not everything was listed."
            log.warning("Not everything could be fetched; the same command goes on.%s left=%d", what, left)

    def finish_stop(self, deadline: float) -> None:
        """Wait for what can still be saved and handed back, then let go of everything."""
        self.drain(deadline)
        self.close()

    def drain(self, deadline: float) -> None:
        """Wait until nothing is in hand any more, at most until `deadline` (monotonic)."""
        self._drained = self._threads.drain(deadline)
        if not self._drained:
            log.warning("Stopping left work behind; its messages come back. input=%s", self.name)

    def close(self) -> None:
        """End the threads and close what the adapters hold."""
        self._threads.end()
        if self._once and self._errand is None:
            self._begun = self._begun_by_others()
        self._adapters.close()
        self.report("Stopped.")


def _counted(what: str, number: int) -> str:
    """A sentence of KEPT or LEFT with its number: one is not many."""
    if number == 1:
        return what.format(number, s="", are="is", were="was", they="it", them="it")
    return what.format(number, s="s", are="are", were="were", they="they", them="them")
