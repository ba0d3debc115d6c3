"""The rules: what is in hand, what may be done next, and when a message may be deleted.

A Delivery comes in (`admission.admit`), its Items are claimed, read, sent and confirmed by the stations, and
go out when the store has their final row (`Ledger.detach`); the last Item of a Delivery settles its message.
Pure state under one lock: no I/O here, no sleep, no randomness but the injected generator.

"Rule 7" and the like, here and in the stations, are numbers of the list in docs/architecture.md.
"""

from __future__ import annotations

import heapq
import logging
import math
import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import Callable, Deque, Dict, FrozenSet, Iterable, List, Mapping, Optional, Set, Tuple

from collector.config.routes import Route
from collector.engine.backoff import backoff_seconds
from collector.engine.breaker import AlikeFailures, Breaker
from collector.engine.items import Delivery, Item, Outgoing, Tracked
from collector.engine.keys import Keys, Lock
from collector.engine.mismatch import Mismatch
from collector.engine.outputs import Limits, Output
from collector.errors import CollectorError
from collector.model import Ignores, Message
from collector.ports import FINAL, MOST_MESSAGES, Change, Clock, DropReceipts, Finish, Release
from collector.retention.lag import Lags
from collector.retention.silence import Silence, Trail

__all__ = ["Ledger", "Pending"]

log = logging.getLogger("collector.engine")


@dataclass(frozen=True)
class Pending:
    """A change on its way to the store, and what follows once it is durable (True) or refused (False)."""

    change: Change
    then: Optional[Callable[[bool], None]] = None


class Ledger:
    """All that one input has in hand. Every method is called under the lock of its driver."""

    def __init__(
        self,
        *,
        input_name: str,
        clock: Clock,
        rng: random.Random,
        limits: Limits,
        outputs: Iterable[Output],
        buckets: FrozenSet[str],
        route: Callable[[str], Route],
        payload_url: Callable[[Message], str],
        ignores: Optional[Ignores],
        silence: Silence,
        trail: Trail,
    ) -> None:
        self.input_name = input_name
        self.clock = clock
        self.rng = rng
        self.limits = limits
        self.outputs: Dict[str, Output] = {output.name: output for output in outputs}
        self.route = route
        self.payload_url = payload_url
        self.ignores = ignores

        self.items: Dict[Tuple[str, ...], Item] = {}
        self.deliveries: Dict[int, Delivery] = {}
        self.by_message: Dict[str, Delivery] = {}

        # Items by what they wait for: the store's word, a reader, a reader again, or their time.
        self.unclaimed: Deque[Item] = deque()
        self.readable: Deque[Item] = deque()
        self.continuing: Deque[Item] = deque()
        self._waiting: List[Tuple[float, int, Item]] = []
        #: Large events are gathered one at a time: who does, and who waits for that.
        self.gatherer: Optional[Item] = None
        self.gathering: Deque[Item] = deque()
        #: How many are being read, and the bytes that were read and not sent.
        self.reading = 0
        self.held_bytes = 0

        #: What the store is to learn, in this order; then the progress and the ends of these items.
        self.changes: Deque[Pending] = deque()
        self.dirty: Dict[Item, None] = {}
        self.committing = self.committing_items = False
        #: A message is settled when as many changes are durable as were made before its end.
        self.changes_made = 0
        self.changes_durable = 0
        self.to_settle: Deque[Delivery] = deque()
        self.chores: Deque[str] = deque()

        # What can stop work, for all or for a part of it.
        self.source = Breaker("source")
        self.objects = Breaker("objects")
        self.store = Breaker("store")
        self.deletes = Breaker("deletes")
        self.alike = AlikeFailures()
        self.keys = Keys()
        self.mismatch = Mismatch(buckets)
        self.heartbeats = True
        self.disk_low: Optional[CollectorError] = None
        self.quarantine_bytes = 0
        self.stopping = False
        self.handing_back = False

        #: Receives under way, when the last of them ends (monotonic), and how many were empty in a row.
        self.polls = 0
        self.polls_end = 0.0
        self.empty_polls = 0
        #: A listing has found what waits for room.
        self.found_waits = False
        #: Something that we had taken up stays in the spool: whoever takes it up next is to look.
        self.has_left_spooled = False

        #: The latest time that AWS has told of (epoch seconds), and how long the last message had waited.
        self.newest_seen = 0.0
        self.waited_seconds = 0.0
        self.silence = silence
        self.trail = trail
        self.lags = Lags()
        self.counters: Counter[str] = Counter()
        self.last_error: Optional[CollectorError] = None
        self._news: Set[str] = set()
        self._serial = 0

    # -- waking ---------------------------------------------------------------------------------

    def tell(self, *stations: str) -> None:
        """These stations may have work now."""
        self._news.update(stations)

    def take_news(self) -> Set[str]:
        news, self._news = self._news, set()
        return news

    def senders(self) -> List[str]:
        return [output.sender for output in self.outputs.values()]

    # -- reading --------------------------------------------------------------------------------

    def make_readable(self, item: Item) -> None:
        item.state = "ready"
        (self.continuing if item.reading else self.readable).append(item)
        self.tell("reader")

    def wait(self, item: Item, due: float, *, state: str = "waiting") -> None:
        """Leave an item alone until `due` (monotonic)."""
        item.state, item.due = state, due
        heapq.heappush(self._waiting, (due, self.next_number(), item))
        self.tell("receiver" if state == "held" else "reader")

    def promote(self) -> Optional[float]:
        """Move items whose wait is over; returns when the next one will be."""
        now = self.clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            due, _, item = heapq.heappop(self._waiting)
            if item.due != due or item.state not in ("held", "waiting"):
                continue
            if item.state == "held":
                self.claim_later(item)
            else:
                self.make_readable(item)
        return self._waiting[0][0] if self._waiting else None

    @property
    def has_waiting(self) -> bool:
        """Something waits for its time, and somebody has to watch for that."""
        return bool(self._waiting)

    def claim_later(self, item: Item) -> None:
        """Have the store asked for an item's row."""
        item.state = "new"
        self.unclaimed.append(item)
        self.tell("receiver")

    def read_on(self, item: Item, *, gathers: bool) -> None:
        """More of an item is to be read; if it gathers a large event, only one does so at a time."""
        if gathers and self.gatherer not in (None, item):
            item.state = "ready"
            self.gathering.append(item)
            return
        self.gatherer = item if gathers else self.gatherer
        self.make_readable(item)

    def let_gather(self, item: Item) -> None:
        """This item gathers nothing now: another may."""
        if self.gatherer is not item:
            return
        self.gatherer = None
        while self.gathering and self.gatherer is None:
            waiting = self.gathering.popleft()
            if waiting.state == "ready":
                self.gatherer = waiting
                self.make_readable(waiting)

    def drop_reading(self, item: Item) -> None:
        """Close an item's stream, if no thread is inside it."""
        if item.busy_since is None:
            self.let_gather(item)
        if item.reading is not None and item.busy_since is None:
            item.reading.close()
            item.reading = None

    def queue_slices(self, item: Item, outgoing: Iterable[Outgoing], output: Output) -> None:
        begins = not output.queue
        for one in outgoing:
            output.queue.append(one)
            output.queue_bytes += output.rendered_bytes(one)
            self.held_bytes += one.piece.size_bytes
            item.queued += 1
            item.outputs[output.name].pend(one.piece.first, one.piece.end)
        # In between a sender knows until when it waits for more.
        if begins or output.queue_bytes >= self.limits.batch_max_bytes:
            self.tell(output.sender)

    def unqueue(self, output: Output, outgoing: Outgoing) -> None:
        """The bytes of one slice are let go: accepted, under a receipt, or given up."""
        was_full = self.held_bytes >= self.limits.held_bytes
        self.held_bytes -= outgoing.piece.size_bytes
        outgoing.item.queued -= 1
        self.tell("reader", *(["receiver"] if was_full else ()))

    def upstream_is_idle(self) -> bool:
        """Nothing more will join a batch soon, so waiting for it is pointless."""
        return not (self.reading or self.readable or self.continuing or self.unclaimed or self.gathering)

    # -- ends -----------------------------------------------------------------------------------

    def look_again(self, item: Item) -> None:
        """Something about this item changed: decide what follows."""
        if item.state == "over" or not item.outputs:
            return
        if item.verdict or item.is_accepted_whole():
            self._look_at_end(item)
        elif item.state in ("sent", "asking") and not (item.receipts or item.queued):
            if item.doubtful:
                self.claim_later(item)
            elif item.wants_reading():
                self.make_readable(item)
        if item.commit_point() > item.committed:
            self.mark_dirty(item)

    def _look_at_end(self, item: Item) -> None:
        quiet = not item.queued and not item.receipts and item.busy_since is None
        if item.is_accepted_whole() and not item.verdict:
            self.decide(item, "done")
        elif item.verdict == "quarantined" and quiet and item.prefix < item.cut_end:
            item.verdict = ""
            self.make_readable(item)
        elif item.verdict and quiet:
            self.decide(item, item.verdict, item.reason)

    def decide(self, item: Item, verdict: str, reason: str = "") -> None:
        """The item's end is known: its final row is to be written, or it is let go ("release")."""
        item.verdict, item.reason, item.state = verdict, reason, "over"
        self.drop_reading(item)
        self.mark_dirty(item)

    def mark_dirty(self, item: Item) -> None:
        self.dirty[item] = None
        self.tell("settler")

    def is_unsettled(self, item: Item) -> bool:
        """Accepted events of this item are not durable yet."""
        return item in self.dirty or item.committing

    @property
    def is_behind(self) -> bool:
        """Something was accepted that the store does not know yet."""
        return self.committing_items or bool(self.dirty) or self.store.is_open

    def detach(self, item: Item) -> None:
        """The item is out of our hands; deliveries that have nothing left are settled."""
        self.items.pop(item.key, None)
        item.state = "final"
        self.drop_reading(item)
        for row in item.stand_ins:
            over = item.verdict in FINAL
            finish = Finish(row.oid, row.epoch, "filtered", reason="identified")
            self.change(finish if over else Release(row.oid, row.epoch))
        if item in self.dirty:
            del self.dirty[item]
            self.tell("acknowledger")
        for delivery in item.deliveries:
            delivery.items.discard(item)
            self.settle_if_over(delivery)
        self.tell("receiver", *self.senders())

    def settle_if_over(self, delivery: Delivery) -> None:
        if delivery.items or delivery.settling or delivery.holds:
            return
        if not delivery.disposition or (delivery.disposition == "return" and not delivery.incomplete):
            delivery.disposition = "delete"
        delivery.settling = True
        delivery.settle_after = self.changes_made
        self.to_settle.append(delivery)
        self.tell("settler")

    def let_go(self, delivery: Delivery) -> None:
        """One of the reasons not to settle this delivery is gone."""
        delivery.holds -= 1
        self.settle_if_over(delivery)

    def close_delivery(self, delivery: Delivery) -> None:
        """Nothing is left to do for this delivery."""
        self.deliveries.pop(delivery.number, None)
        message = delivery.message
        if message and self.by_message.get(message.message_id) is delivery:
            del self.by_message[message.message_id]
        self.tell("receiver")

    def change(self, change: Change, then: Optional[Callable[[bool], None]] = None) -> None:
        """Have the store make this change; changes are made in the order they were asked for."""
        self.changes.append(Pending(change, then))
        self.changes_made += 1
        self.tell("settler")

    # -- the whole ------------------------------------------------------------------------------

    @property
    def lease_seconds(self) -> int:
        """For how long a receive hides its messages: longer where the lease cannot be extended."""
        visibility = self.limits.visibility_timeout_seconds
        return visibility if self.heartbeats else max(visibility, self.limits.unextended_lease_seconds)

    def is_quarantine_full(self) -> bool:
        """Rule 9: at its cap receiving stops; nothing is evicted."""
        return self.quarantine_bytes >= self.limits.quarantine_bytes

    def return_seconds(self) -> int:
        """How long a message on its way back stays hidden: until no poll of ours can take it again."""
        if not self.polls:
            return 0
        return max(0, math.ceil(self.polls_end - self.clock.monotonic()))

    def saw_ours(self) -> None:
        """An object of a bucket of this input was named, or is in its ledger."""
        if self.mismatch.saw_ours():
            log.info("An object of this input's bucket was named; receiving goes on.")
            self.tell("receiver")

    def wake_locked(self, lock: Lock) -> None:
        """A KMS key answers again: what waited for it can be read."""
        for item in list(self.items.values()):
            if item.lock == lock and item.state == "waiting":
                self.make_readable(item)

    def room(self) -> int:
        """How many objects free Readers could start now."""
        waiting = len(self.readable) + len(self.unclaimed) + len(self.continuing) + self.reading
        waiting += len(self.gathering)
        return max(0, self.limits.workers - waiting)

    @property
    def full_receive(self) -> int:
        """How many messages one receive asks for if it may."""
        return min(self.limits.max_number_of_messages, self.limits.workers, MOST_MESSAGES)

    def tell_of_room(self) -> None:
        """A Reader is free: news when it is the first, when a receive may be a full one, or when all are."""
        room = self.room()
        if room == 1 or room >= self.full_receive or not self.reading:
            self.tell("receiver")
        if self.found_waits:
            self.tell("reconciler")

    def store_failed(self, error: CollectorError) -> None:
        """Nothing can be made durable: no receive until it can (rule 7)."""
        self.last_error = error
        self.counters["store_errors"] += 1
        if self.store.open(error, now=self.clock.monotonic(), probe_after=5.0):
            log.error("The checkpoint store cannot be written; receiving stops until it can: %s", error)

    def store_works(self) -> None:
        if self.store.close():
            log.info("The checkpoint store can be written again.")
            self.tell("receiver", "settler", "acknowledger", *self.senders())

    def in_hand(self) -> bool:
        """Whether anything at all is left to be done."""
        return bool(self.deliveries or self.items or self.changes or self.to_settle or self.dirty)

    def rests(self, *, until: float) -> bool:
        """Nothing in hand will move before `until` (monotonic) by our own doing."""
        if self.changes or self.to_settle or self.dirty or self.handing_back:
            return False
        waiting = (item.state in ("waiting", "held") and item.due > until for item in self.items.values())
        return all(waiting)

    def backoff(self, attempts: int, *, longest: float = 60.0, asked: Optional[float] = None) -> float:
        return backoff_seconds(attempts, rng=self.rng, longest=longest, asked=asked)

    def next_number(self) -> int:
        """Numbers of this run, each once."""
        self._serial += 1
        return self._serial

    def next_id(self, prefix: str) -> str:
        return f"{prefix}-{self.next_number()}-{self.rng.getrandbits(48):012x}"

    def committed(self, item: Item, offset: int, *, final: bool) -> None:
        """Events [0, offset) of an item are durable: receipts that only spoke of them may go."""
        for output in self.outputs.values():
            for receipt_id in list(output.receipts_of.get(item.oid, ())):
                tracked = output.receipts[receipt_id]
                tracked.open_spans = {
                    span for span in tracked.open_spans
                    if span[0] != item.oid or not (final or span[2] <= offset)
                }
                if not any(oid == item.oid for oid, _, _ in tracked.open_spans):
                    item.receipts.discard(receipt_id)  # another collector may have committed it
                if not tracked.open_spans:
                    self.forget_receipt(output, tracked)

    def is_asked_about(self, item: Item) -> bool:
        """Whether the answer to a receipt of this item is under way, or is still to be asked for."""
        now = self.clock.monotonic()
        return any(
            output.receipts[receipt_id].asking or now < output.part_until
            for output in self.outputs.values()
            for receipt_id in output.receipts_of.get(item.oid, ())
        )

    def forget_receipt(self, output: Output, tracked: Tracked) -> None:
        """A receipt needs no more asking: its row may go, unless others are to find it."""
        output.untrack(tracked)
        if output.lasting and not tracked.shared:
            self.change(DropReceipts([tracked.id]))

    def status(self) -> Mapping[str, int]:
        """Numbers for the progress line and for status."""
        states = Counter(item.state for item in self.items.values())
        return {**self.counters, "in_hand": len(self.deliveries), "held_bytes": self.held_bytes, **states}

