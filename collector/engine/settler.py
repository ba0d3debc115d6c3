"""The Settler: accepted, then checkpoint, then delete. The order never changes.

It commits each object's accepted prefix and final row, one store call at a time and up to 100 changes
a call; it deletes or returns messages ten at a time, and only when everything that was to be durable
before is durable.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from collector.engine import restored
from collector.engine.items import Delivery, Item
from collector.engine.ledger import Ledger, Pending
from collector.engine.release import fenced, mark_unfinished, release
from collector.engine.station import Task, Wait, earliest
from collector.errors import CollectorError, Fatal
from collector.model import Message
from collector.ports import MOST_MESSAGES, Advance, Change, CheckpointStore, Finish, Queue, Release, Unspool

__all__ = ["Settler"]

log = logging.getLogger("collector.engine")

#: One store call makes at most about this many changes.
COMMIT_ROWS = 100


@dataclass(frozen=True)
class Commit:
    """Make these changes durable; then the progress and the ends of `items`."""

    pending: Sequence[Pending]
    items: Sequence[Tuple[Item, Change]]


@dataclass(frozen=True)
class Settle:
    """Return these messages, to be seen again after `return_after` seconds; None: delete them."""

    deliveries: Sequence[Delivery]
    messages: Sequence[Message]
    return_after: Optional[int]


@dataclass(frozen=True)
class Chore:
    """`work` is what it took, if it is one in three parts."""

    name: str
    work: Any = None


class Settler:
    """Accepted work in, settled messages out."""

    name = "settler"

    def __init__(
        self, queue: Optional[Queue], store: CheckpointStore, chores: Mapping[str, Callable[[], Any]],
        *tasks: Task[Any],
    ) -> None:
        """`chores` are calls that enter nothing; what has to is a task, and a chore by its name."""
        self._queue = queue
        self._store = store
        self._chores = chores
        self._tasks = {task.name: task for task in tasks}

    # -- take -----------------------------------------------------------------------------------

    def take(self, ledger: Ledger) -> Union[Commit, Settle, Chore, Wait]:
        now = ledger.clock.monotonic()
        if ledger.handing_back:
            self._hand_back(ledger)
        until: Optional[float] = None
        if not ledger.committing:
            commit, until = self._take_commit(ledger, now)
            if commit is not None:
                return commit
        settle, later = self._take_settle(ledger, now)
        if settle is not None:
            return settle
        if not ledger.committing and ledger.changes:
            # A delivery that ended without a call has left a change behind: it must not wait for news.
            commit, until = self._take_commit(ledger, now)
            if commit is not None:
                return commit
        if ledger.chores and not ledger.stopping:
            name = ledger.chores.popleft()
            return Chore(name, self._tasks[name].take(ledger) if name in self._tasks else None)
        return Wait(earliest(until, later))

    def _take_commit(self, ledger: Ledger, now: float) -> Tuple[Optional[Commit], Optional[float]]:
        if not (ledger.changes or ledger.dirty):
            return None, None
        if ledger.store.is_open and now < ledger.store.probe_at():
            return None, ledger.store.probe_at()
        pending: List[Pending] = []
        while ledger.changes and len(pending) < COMMIT_ROWS:
            pending.append(ledger.changes.popleft())
        items: List[Tuple[Item, Change]] = []
        if not ledger.changes:
            items = self._take_items(ledger, COMMIT_ROWS - len(pending))
        if not (pending or items):
            return None, None
        ledger.store.passes(now=now)
        ledger.committing, ledger.committing_items = True, bool(items)
        return Commit(pending, items), None

    def _take_items(self, ledger: Ledger, room: int) -> List[Tuple[Item, Change]]:
        taken: List[Tuple[Item, Change]] = []
        for item in list(ledger.dirty):
            if len(taken) >= room:
                break
            change = _change(item)
            del ledger.dirty[item]
            if change is None:
                ledger.tell("acknowledger", *ledger.senders())  # they may have waited for it
                continue
            item.committing = True
            taken.append((item, change))
        return taken

    def _take_settle(self, ledger: Ledger, now: float) -> Tuple[Optional[Settle], Optional[float]]:
        """Up to ten deliveries that are to be deleted, or to be returned alike."""
        chosen: List[Delivery] = []
        later: Optional[float] = None
        wanted: Optional[Tuple[str, int]] = None
        for _ in range(len(ledger.to_settle)):
            delivery = ledger.to_settle.popleft()
            if self._ends_here(ledger, delivery):
                continue
            kind = (delivery.disposition, delivery.return_after)
            ready = delivery.settle_after <= ledger.changes_durable and delivery.due <= now
            if ready and wanted in (None, kind) and len(chosen) < MOST_MESSAGES:
                wanted = kind
                chosen.append(delivery)
                continue
            if delivery.due > now:
                later = earliest(later, delivery.due)
            ledger.to_settle.append(delivery)
            if len(chosen) >= MOST_MESSAGES:
                break
        if not chosen:
            return None, later
        after = None
        if chosen[0].disposition == "return":
            after = max(chosen[0].return_after, ledger.return_seconds())
        return Settle(chosen, [one.message for one in chosen if one.message], after), None

    def _ends_here(self, ledger: Ledger, delivery: Delivery) -> bool:
        """Deliveries that have no message to delete or return are over without a call."""
        if delivery.origin == "spool" and delivery.message:
            if delivery.disposition == "delete":
                ledger.change(Unspool(delivery.message.message_id))
            else:
                ledger.counters["left_spooled"] += 1
                ledger.has_left_spooled = True
        elif delivery.disposition == "return" and not ledger.heartbeats:
            pass  # without sqs:ChangeMessageVisibility it comes back by itself, and only so
        elif delivery.has_lease and delivery.disposition != "keep":
            if ledger.clock.monotonic() < delivery.lease_until:
                return False
            ledger.counters["leases_lapsed"] += 1
        ledger.close_delivery(delivery)
        return True

    def _hand_back(self, ledger: Ledger) -> None:
        """Let go of the items of messages on their way back, as soon as nothing of them is in flight."""
        left = False
        for delivery in list(ledger.deliveries.values()):
            if delivery.disposition != "return" or delivery.settling:
                continue
            left = True
            for item in list(delivery.items):
                self._let_go(ledger, delivery, item)
            ledger.settle_if_over(delivery)
        ledger.handing_back = left
        if not left:
            ledger.tell("receiver")

    def _let_go(self, ledger: Ledger, delivery: Delivery, item: Item) -> None:
        others = [one for one in item.deliveries if one.disposition != "return" and one is not delivery]
        if others:
            delivery.incomplete = True
            item.deliveries.remove(delivery)
            delivery.items.discard(item)
            return
        if item.busy_since is not None or item.sending or item.state in ("claiming", "over"):
            return
        if item.receipts and (not ledger.stopping or ledger.is_asked_about(item)):
            return  # an answer that is under way is given once only
        if any(lane.unsaved is not None for output in ledger.outputs.values() for lane in output.lanes):
            return  # the row is let go of only after the receipt that another run will ask about
        if item.committing or item.commit_point() > item.committed:
            return  # and after what was accepted of it is durable
        release(ledger, item)

    def has_more(self, ledger: Ledger) -> bool:
        """Of what is to be committed only if nobody commits: who does looks again."""
        if ledger.to_settle or ledger.handing_back or ledger.chores:
            return True
        return not ledger.committing and bool(ledger.changes or ledger.dirty)

    # -- perform --------------------------------------------------------------------------------

    def perform(self, work: Union[Commit, Settle, Chore]) -> Any:
        if isinstance(work, Commit):
            changes = [one.change for one in work.pending] + [change for _, change in work.items]
            answers = self._store.apply(changes)
            restored.clear(self._store, _done(work, answers))
            return answers
        if isinstance(work, Chore) and work.name in self._tasks:
            return self._tasks[work.name].perform(work.work)
        if isinstance(work, Chore):
            return self._chores[work.name]()
        assert self._queue is not None
        if work.return_after is None:
            return self._queue.delete(work.messages)
        return self._queue.change_visibility(work.messages, timeout_seconds=work.return_after)

    # -- record ---------------------------------------------------------------------------------

    def record(self, ledger: Ledger, work: Union[Commit, Settle, Chore], result: Any) -> None:
        if isinstance(work, Commit):
            ledger.committing = ledger.committing_items = False
            ledger.tell("acknowledger")
            self._record_commit(ledger, work, result)
            ledger.tell("settler")
        elif isinstance(work, Settle):
            self._record_settle(ledger, work, result)
        elif work.name in self._tasks:
            self._tasks[work.name].record(ledger, work.work, result)
        elif isinstance(result, CollectorError):
            ledger.last_error = result
            log.warning("A periodic job failed and runs again at its time: %s. job=%s", result, work.name)

    def _record_commit(self, ledger: Ledger, work: Commit, result: Any) -> None:
        for item, _ in work.items:
            item.committing = False
        if isinstance(result, CollectorError):
            ledger.store_failed(result)
            ledger.changes.extendleft(reversed(work.pending))
            for item, _ in work.items:
                ledger.mark_dirty(item)
            return
        ledger.store_works()
        answers = list(result)
        for pending, accepted in zip(work.pending, answers):
            ledger.changes_durable += 1
            if pending.then is not None:
                pending.then(accepted)
        for (item, change), accepted in zip(work.items, answers[len(work.pending) :]):
            self._record_item(ledger, item, change, accepted)
        ledger.tell(*ledger.senders())

    def _record_item(self, ledger: Ledger, item: Item, change: Change, accepted: bool) -> None:
        if not accepted:
            log.warning("Another collector has taken over an object; it is left to it. url=%s", item.url)
            fenced(ledger, item)
        elif isinstance(change, Advance):
            item.committed = change.offset
            while item.boundaries and item.boundaries[0] <= change.offset:
                item.boundaries.popleft()
            ledger.committed(item, change.offset, final=False)
            ledger.look_again(item)
        else:
            if isinstance(change, Finish):
                _count_lag(ledger, item, change)
                ledger.counters[change.state] += change.state not in ("gone", "expired")
                ledger.committed(item, change.events, final=True)
            else:
                mark_unfinished(item)
            ledger.detach(item)

    def _record_settle(self, ledger: Ledger, work: Settle, result: Any) -> None:
        if isinstance(result, CollectorError):
            failures: Mapping[str, CollectorError] = {one.message_id: result for one in work.messages}
        else:
            failures = result
        for delivery in work.deliveries:
            assert delivery.message is not None
            error = failures.get(delivery.message.message_id)
            if error is None:
                if work.return_after is None and ledger.deletes.close():
                    log.info("Messages can be deleted again.")
                    ledger.tell("receiver")
                ledger.counters["deleted" if work.return_after is None else "returned"] += 1
                ledger.close_delivery(delivery)
            else:
                self._record_unsettled(ledger, delivery, error)

    def _record_unsettled(self, ledger: Ledger, delivery: Delivery, error: CollectorError) -> None:
        """A delete that failed is tried again while the lease lasts; a message comes back by itself."""
        ledger.counters["settle_errors"] += 1
        ledger.last_error = error
        now = ledger.clock.monotonic()
        delivery.failures += 1
        if isinstance(error, Fatal) and delivery.disposition == "delete" and not ledger.stopping:
            self._record_denied_delete(ledger, delivery, error)
            return
        again = not isinstance(error, Fatal) and error.code != "lease_lost" and not ledger.stopping
        if again and now < delivery.lease_until and delivery.failures < 10:
            delivery.due = now + ledger.backoff(delivery.failures)
            ledger.to_settle.append(delivery)
            ledger.tell("settler")
            return
        log.warning("A message could not be settled; it will come back: %s", error)
        ledger.counters["unsettled"] += error.code != "lease_lost"  # a lost one is somebody else's by now
        ledger.close_delivery(delivery)

    def _record_denied_delete(self, ledger: Ledger, delivery: Delivery, error: Fatal) -> None:
        """What is delivered cannot be deleted: receive no more, and try this delete again in a minute."""
        now = ledger.clock.monotonic()
        if ledger.deletes.open(error, now=now):
            log.error("Messages cannot be deleted; receiving stops until they can: %s", error)
        delivery.due = ledger.deletes.probe_at()
        ledger.to_settle.append(delivery)


def _done(work: Commit, answers: Sequence[bool]) -> Iterator[Item]:
    for (item, change), accepted in zip(work.items, answers[len(work.pending) :]):
        if accepted and isinstance(change, Finish) and change.state == "done":
            yield item


def _count_lag(ledger: Ledger, item: Item, change: Finish) -> None:
    """How late the events of an object that is done were, and who had them meanwhile."""
    if change.state != "done":
        return
    told = (one.message.sent_at for one in item.deliveries if one.message is not None)
    sent = min((moment for moment in told if moment is not None), default=None)
    written = None if item.ref is None else item.written
    event = float(item.first_event) if item.first_event is not None else None
    ledger.lags.took(event=event, written=written, sent=sent, done=ledger.clock.now())


def _change(item: Item) -> Optional[Change]:
    """What the store is to learn of an item now; None if it knows."""
    if item.state == "over" and item.verdict == "release":
        return Release(item.oid, item.epoch, item.attempts, item.first_failed, reason=item.reason)
    if item.state == "over":
        events = item.total or item.prefix
        return Finish(item.oid, item.epoch, item.verdict, events, item.reason, item.sha256)
    point = item.commit_point()
    return Advance(item.oid, item.epoch, point) if point > item.committed else None
