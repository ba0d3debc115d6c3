"""One input's engine: its ledger and its stations, put together in the order a message meets them.

It does not own threads: `collector.runtime.threads` has those that drive it, and `tests/simulation` with one
seeded generator under a virtual clock.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass, field
from typing import Any, Callable, FrozenSet, Iterator, Mapping, Optional, Sequence

from collector.config.routes import Route
from collector.engine import gate
from collector.engine.acknowledger import Acknowledger
from collector.engine.capacity import Capacity
from collector.engine.failures import hand_back
from collector.engine.keeper import Keeper
from collector.engine.ledger import Ledger
from collector.engine.opener import Decode, Labels, Opener
from collector.engine.outputs import Limits, Output
from collector.engine.reader import Reader
from collector.engine.receiver import Parse, Receiver
from collector.engine.reconciler import Reconciler
from collector.engine.sender import Sender
from collector.engine.settler import Settler
from collector.engine.station import Station
from collector.engine.takeover import Takeover
from collector.engine.unproven import SOON_SECONDS
from collector.engine.watch import Watch
from collector.model import Ignores, Message
from collector.ports import CheckpointStore, Clock, Digests, Fleeting, ObjectStore, Queue, Sink
from collector.retention.listing import ASKED, Window
from collector.retention.silence import Silence, Trail

__all__ = ["Engine", "Plan"]

log = logging.getLogger("collector.engine")

#: The grace of a new object: its message may still be on its way.
LISTING_GRACE_SECONDS = 1800.0
RECONCILE_INTERVAL_SECONDS = 21600.0
#: A drain gives up after so many receives, or sends to one output, that failed in a row.
POLLS_TO_GIVE_UP = 4
SENDS_TO_GIVE_UP = 5
#: How long a stop asks about receipts that die with this run.
PARTING_SECONDS = 3.0


def _everywhere(key: str) -> Route:
    return Route()


def _output(sink: Sink) -> Output:
    return Output(
        sink.name, lanes=sink.lanes, rendered_bytes=sink.rendered_bytes,
        lasting=not isinstance(sink, Fleeting),
    )


def _is_out(output: Output) -> bool:
    """It failed again and again, or it refuses us for good."""
    return output.failures >= SENDS_TO_GIVE_UP or (output.breaker.is_open and output.failures == 0)


def _by_id(message: Message) -> str:
    return f"sqs://{message.message_id}"


@dataclass(frozen=True)
class Plan:
    """What one input does with what it finds; everything but `parse` and `parse_received` is pure."""

    input_name: str
    #: What a body means. A body that its sender put into a bucket is fetched: Retry if it cannot be now.
    parse: Parse
    decode: Decode
    #: What a message that has just been received means: as `parse`, and whether its sender is who it
    #: says. Retry: not known yet.
    parse_received: Optional[Parse] = None
    #: What judges the objects that a route gives to it; then the content of every object is hashed.
    digests: Optional[Digests] = None
    labels: Labels = field(default_factory=Labels)
    route: Callable[[str], Route] = _everywhere
    payload_url: Callable[[Message], str] = _by_id
    #: Which events, and which payloads, are filtered for what they say.
    ignores: Optional[Ignores] = None
    buckets: FrozenSet[str] = frozenset()
    prefix: str = ""
    limits: Limits = field(default_factory=Limits)
    listing_grace_seconds: float = LISTING_GRACE_SECONDS
    reconcile_interval_seconds: float = RECONCILE_INTERVAL_SECONDS
    #: After this long without a message the bucket is looked into; 0: never.
    expected_interval_seconds: float = 0.0


class Engine:
    """The ledger and the stations of one input. `queue` or `objects` may be missing, not both."""

    def __init__(
        self,
        plan: Plan,
        *,
        queue: Optional[Queue],
        objects: Optional[ObjectStore],
        sinks: Sequence[Sink],
        store: CheckpointStore,
        clock: Clock,
        rng: random.Random,
        chores: Optional[Mapping[str, Callable[[], Any]]] = None,
    ) -> None:
        self.plan = plan
        self.store = store
        self.ledger = Ledger(
            input_name=plan.input_name, clock=clock, rng=rng, limits=plan.limits,
            outputs=[_output(sink) for sink in sinks],
            buckets=plan.buckets, route=plan.route, payload_url=plan.payload_url,
            ignores=plan.ignores, trail=Trail(sorted(plan.buckets), plan.prefix),
            silence=Silence(
                plan.expected_interval_seconds, now=clock.monotonic(), began=clock.now(),
                fetches=plan.reconcile_interval_seconds > 0,
            ),
        )
        self.receiver = Receiver(
            queue, store, plan.parse_received or plan.parse, parse_spooled=plan.parse
        )
        self.reader = Reader(Opener(objects, plan.decode, plan.labels, plan.digests), plan.ignores)
        self.senders = [Sender(sink, store) for sink in sinks]
        self._fleeting = [sink for sink in sinks if isinstance(sink, Fleeting)]
        self.acknowledger = Acknowledger({sink.name: sink for sink in sinks})
        visibility = plan.limits.visibility_timeout_seconds
        self.keeper = Keeper(queue, store, visibility_timeout_seconds=visibility)
        self.reconciler = Reconciler(
            objects, store, buckets=sorted(plan.buckets), prefix=plan.prefix,
            interval_seconds=plan.reconcile_interval_seconds,
        )
        self.watch = Watch(
            queue, objects, store, input_name=plan.input_name, route=plan.route,
            grace_seconds=plan.listing_grace_seconds, reconciler=self.reconciler, reconcile=self.reconcile,
        )
        self.settler = Settler(
            queue, store, chores or {}, Capacity(store), self.watch, Takeover(store, self.receiver)
        )
        self.start_from = 0.0

    def stations(self) -> Iterator[Station[Any]]:
        """In the order a message meets them."""
        yield self.receiver
        yield self.reader
        yield from self.senders
        yield self.acknowledger
        yield self.settler
        yield self.keeper
        yield self.reconciler

    # The methods below are called under the lock of whoever drives the engine.

    def resume(self, start_from: float, spooled: Sequence[Message]) -> None:
        """Take up what the store remembers: where this input began, and spooled FIFO messages."""
        self.start_from = float(math.floor(start_from))  # LastModified is in whole seconds
        for message in spooled:
            self.receiver.resume(self.ledger, message)

    def reconcile(self) -> None:
        """Look for what the queue forgot: in the retention window, from `start_from` on, up to the grace."""
        now = self.ledger.clock.now()
        since = max(self.start_from, now - self.plan.limits.retention_seconds)
        until = now - self.plan.listing_grace_seconds
        if since < until:
            self.reconciler.want_next(self.ledger, since=since, until=until, start_from=self.start_from)

    def backfill(self, *, since: Optional[float] = None, until: Optional[float] = None) -> None:
        """Look for what is missing of a range; without bounds from `start_from` up to the grace."""
        counted_before = self.start_from if since is None else 0.0
        since = self.start_from if since is None else since
        until = self.ledger.clock.now() - self.plan.listing_grace_seconds if until is None else until
        self.reconciler.want(self.ledger, Window(since, until, ASKED, counted_before))

    def oldest_kept(self, *, after_seconds: float) -> float:
        """Rows of objects older than this may go: retention, and `after_seconds` more, are over.

        Never judged by our own clock alone: one that is weeks ahead would forget what was delivered, and
        the next reconcile would send it all again. Before AWS has told a time, nothing goes.
        """
        now = min(self.ledger.clock.now(), self.ledger.newest_seen)
        return now - self.plan.limits.retention_seconds - after_seconds

    def do(self, chore: str) -> None:
        """Have a settler thread run a chore when it has nothing better to do."""
        if chore not in self.ledger.chores:
            self.ledger.chores.append(chore)
            self.ledger.tell("settler")

    def is_drained(self) -> bool:
        """An empty poll, and nothing in hand: what `--once` waits for."""
        return self.receiver.is_done(self.ledger) and not self.ledger.in_hand() and self.reconciler.is_idle

    def is_stuck(self) -> bool:
        """Nothing will move soon: what is left waits for somebody else, or for a long back-off."""
        ledger, unproven = self.ledger, self.receiver.unproven
        if ledger.polls:
            return False
        if self._cannot_keep() and not ledger.in_hand():
            return True
        if self._source_is_shut() or any(_is_out(output) for output in ledger.outputs.values()):
            return True
        if not (ledger.items or len(unproven)) or not (ledger.empty_polls or unproven.fills(ledger)):
            return False
        soon = ledger.clock.monotonic() + SOON_SECONDS
        return ledger.rests(until=soon) and unproven.is_quiet(until=soon)

    def _cannot_keep(self) -> bool:
        return self.ledger.disk_low is not None or self.ledger.is_quarantine_full()

    def _source_is_shut(self) -> bool:
        ledger = self.ledger
        breakers = (ledger.source, ledger.objects, ledger.deletes, ledger.mismatch.breaker)
        return any(breaker.is_open for breaker in breakers) or self.receiver.failed_polls >= POLLS_TO_GIVE_UP

    def waits_for_others(self) -> bool:
        """All that is left backs off, is in other hands, or meets trouble that is not ours to end."""
        ledger = self.ledger
        if ledger.source.is_open or gate.troubled(ledger) or ledger.store.is_open or self.reconciler.failures:
            return True
        if any(output.failures for output in ledger.outputs.values()):
            return True
        return ledger.rests(until=float("-inf"))

    def left_over(self) -> int:
        """Objects that no message will bring again: those in hand, and those that were found and not fed."""
        fetched = [one for one in self.ledger.deliveries.values() if one.origin in ("listing", "command")]
        return len(fetched) + self.reconciler.waiting

    def stop(self) -> None:
        """Rule 15: take nothing more; save receipts, commit, and hand messages back.

        It waits for answers only where no other run could ask for them, and not for long.
        """
        ledger = self.ledger
        ledger.stopping = True
        for sink in self._fleeting:
            sink.part()
        for output in ledger.outputs.values():
            if not output.lasting:
                output.part(now=ledger.clock.monotonic(), seconds=PARTING_SECONDS)
        for delivery in ledger.deliveries.values():
            if not delivery.disposition:
                delivery.disposition = "return"
        hand_back(ledger)
        ledger.tell(*(station.name for station in self.stations()))
