"""One input at work: its engine, what is periodic, an errand in place of its queue, and the end."""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import Callable, Dict, List, Mapping, Optional, Sequence, TypeVar

from collector.config.inputs import Input
from collector.config.values import start_time
from collector.engine import admission
from collector.engine.engine import Engine
from collector.engine.figures import figures
from collector.engine.keeper import ALIVE_FOR_SECONDS
from collector.model import Notification
from collector.notifications.pointers import follow
from collector.ports import CheckpointStore, FileStore
from collector.runtime import shortcomings
from collector.runtime.adapters import Adapters
from collector.runtime.errand import Errand, Underway
from collector.runtime.plan import plan_of
from collector.runtime.threads import Threads
from collector.schedule import Timetable
from collector.wording import iso

__all__ = ["Runner"]

log = logging.getLogger("collector")

T = TypeVar("T")

#: Rows outlive their objects by this much, so that a late message still finds its own.
PRUNE_AFTER_SECONDS = 7 * 86400.0
PRUNE_EVERY_SECONDS = 86400.0
PROGRESS_EVERY_SECONDS = 60.0
#: How often disk and quarantine are looked at.
ROOM_EVERY_SECONDS = 5.0
#: How often the watch looks: 288 times a day, one request to the queue each.
WATCH_EVERY_SECONDS = 300.0
#: How often a FIFO input looks who else is there: a collector's word is good for longer.
TAKEOVER_EVERY_SECONDS = 20.0
#: The role is assumed anew after so much of its session: before botocore does it, which holds up a call.
REFRESH_SHARE = 0.6


class Runner:
    """One input at work: an engine between its adapters, driven by threads."""

    def __init__(
        self, configured: Input, adapters: Adapters, *, once: bool = False, errand: Optional[Errand] = None
    ) -> None:
        self.name = configured.name
        self._errand = Underway(errand) if errand is not None else None
        #: What had come back by itself when it was told to stop; None until then.
        self._lapsed: Optional[int] = None
        self._drained = True
        #: Objects that an earlier run had begun and this one did not meet: their messages are still hidden.
        self._begun: List[str] = []
        self._since = adapters.clock.now()
        self._input = configured
        self._adapters = adapters
        self._once = once
        chores = {"prune": self._prune, "refresh": adapters.refresh}
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
        store.alive(clock.now() + ALIVE_FOR_SECONDS)
        began = store.start_from(self._proposed_start(clock.now()))
        self.engine.resume(began, store.spooled())
        self.engine.do("capacity")
        self._threads.start()
        log.info(
            "Collecting. input=%s queue=%s buckets=%s output=%s start_from=%s", self.name,
            self._adapters.queue.name if self._adapters.queue else "-",
            ",".join(self._input.settings.bucket) or "-", ",".join(self._input.settings.output),
            iso(began),
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
            self.name, iso(since),
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
        every(ROOM_EVERY_SECONDS, lambda: self._do("capacity"), first_after_seconds=ROOM_EVERY_SECONDS)
        watch_every = min(WATCH_EVERY_SECONDS, settings.expected_interval_seconds or WATCH_EVERY_SECONDS)
        every(watch_every, lambda: self._do("watch"), first_after_seconds=min(60.0, watch_every))
        if self._adapters.queue is not None and self._adapters.queue.fifo:
            every(TAKEOVER_EVERY_SECONDS, lambda: self._do("takeover"), first_after_seconds=1.0)
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
        underway, objects = self._errand, self._adapters.objects
        if underway is None:
            return
        errand = underway.errand
        if errand.refs:
            assert objects is not None
            buckets = self._input.settings.bucket
            for ref in underway.objects(self.name, self._adapters.store, objects, buckets=buckets):
                self.admit([Notification("command", refs=(ref,))])
        else:
            with self._lock:
                self.engine.backfill(since=errand.since, until=errand.until)
                self._threads.wake()
        underway.is_set_out = True

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

    def report(self, said: str = "Progress.") -> None:
        """One line of what has come of this input so far."""
        shown = " ".join(f"{name}={value}" for name, value in self.observe(figures).items())
        log.info("%s input=%s %s", said, self.name, shown)

    def counters(self) -> Dict[str, int]:
        with self._lock:
            counters = dict(self.engine.ledger.status())
        if self._errand is not None:
            counters.update(not_there=self._errand.not_there, not_fetched=self._errand.not_fetched)
        return counters

    @property
    def named(self) -> int:
        """Objects that the errand named and that are there."""
        return self._errand.named if self._errand is not None else 0

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
                is_over = self.engine.is_drained() or self._errand.stands_still(self.engine)
                return self._errand.is_set_out and is_over
            return self.engine.is_drained() or self.engine.is_stuck()

    def shortcomings(self, *, asked: bool) -> List[str]:
        """Why this was no clean run, in sentences; what went back counts unless we were `asked` to stop."""
        engine = self.engine
        found = shortcomings.kept(engine)
        if not asked:
            found += shortcomings.left(engine)
        found += shortcomings.stood_in_the_way(engine)
        if not asked:
            found += self._begun
        if self._errand is not None:
            found += self._errand.shortcomings(engine)
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
                self._errand.part(self.engine)
            self.engine.stop()
            self._threads.wake()

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
            self._begun = shortcomings.begun(self._adapters.store, since=self._since)
        self._adapters.close()
        self.report("Stopped.")
