"""The Sender of one output: joins waiting Slices into Batches, sends them, and saves the Receipts.

A lane sends one batch at a time. It sends the next only when the last is safe: its Receipt saved, or,
where the answer was final, its objects' progress committed. So a crash repeats at most one batch a lane.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any, List, Optional, Sequence, Tuple, Union

from collector.engine import quarantine
from collector.engine.failures import hand_back
from collector.engine.items import Outgoing, Tracked
from collector.engine.ledger import Ledger
from collector.engine.outputs import Lane, Output, sender_of
from collector.engine.station import Wait
from collector.errors import CollectorError, Fatal, Refused, Retry
from collector.model import Batch, Receipt
from collector.ports import CheckpointStore, SaveReceipt, Sink

__all__ = ["Sender"]

log = logging.getLogger("collector.engine")

#: After this many failures in a row the output counts as down, and receiving stops.
FAILURES_TO_OPEN = 3


@dataclass(frozen=True)
class Send:
    """Send a batch on this lane; `outgoing` are its slices and whose they are."""

    lane: Lane
    outgoing: Tuple[Outgoing, ...]
    batch: Batch


@dataclass(frozen=True)
class Save:
    """Save the receipt that this lane waits for."""

    lane: Lane
    tracked: Tracked


class Sender:
    """Slices in, receipts out."""

    def __init__(self, sink: Sink, store: CheckpointStore) -> None:
        self.name = sender_of(sink.name)
        self._sink = sink
        self._store = store

    # -- take -----------------------------------------------------------------------------------

    def take(self, ledger: Ledger) -> Union[Send, Save, Wait]:
        output = ledger.outputs[self._sink.name]
        now = ledger.clock.monotonic()
        for lane in output.lanes:
            if lane.unsaved is not None and not lane.busy and ledger.store.passes(now=now):
                lane.busy = True
                return Save(lane, lane.unsaved)
        free = self._free_lane(ledger, output)
        if free is None or ledger.stopping:
            return _or_when_stored(ledger, None)
        if now < output.pause_until:
            return _or_when_stored(ledger, output.pause_until)
        outgoing, wait = self._gather(ledger, output, now)
        if not outgoing:
            return _or_when_stored(ledger, wait.until)
        if not output.breaker.passes(now=now):
            output.again.appendleft(list(outgoing))
            return _or_when_stored(ledger, output.breaker.probe_at())
        free.busy = True
        for one in outgoing:
            one.item.sending += 1
        return Send(free, outgoing, Batch(tuple(one.piece for one in outgoing)))

    def _free_lane(self, ledger: Ledger, output: Output) -> Optional[Lane]:
        for lane in output.lanes:
            if lane.busy or lane.unsaved is not None:
                continue
            lane.unsettled = {item for item in lane.unsettled if ledger.is_unsettled(item)}
            if not lane.unsettled:
                return lane
        return None

    def _gather(self, ledger: Ledger, output: Output, now: float) -> Tuple[Tuple[Outgoing, ...], Wait]:
        """The next batch: what must be sent again first, else what fills one or has waited long enough."""
        if output.again:
            return tuple(output.again.popleft()), Wait()
        if not output.queue or self._is_window_full(ledger, output):
            return (), Wait()
        limits = ledger.limits
        ripe = output.queue[0].queued + limits.batch_linger_seconds
        if output.queue_bytes < limits.batch_max_bytes and now < ripe and not ledger.upstream_is_idle():
            return (), Wait(ripe)
        batch: List[Outgoing] = []
        size = 0
        while output.queue:
            more = output.rendered_bytes(output.queue[0])
            if batch and size + more > limits.batch_max_bytes:
                break
            batch.append(output.queue.popleft())
            output.queue_bytes -= more
            size += more
        return tuple(batch), Wait()

    def _is_window_full(self, ledger: Ledger, output: Output) -> bool:
        """HEC keeps a bounded number of ackIds a channel, and one lane has one channel.

        What is confirmed and waits for an earlier slice takes no room: that slice must still get through.
        """
        return output.unconfirmed >= ledger.limits.acks_per_channel * len(output.lanes)

    def has_more(self, ledger: Ledger) -> bool:
        output = ledger.outputs[self._sink.name]
        free = [lane for lane in output.lanes if not lane.busy]
        if any(lane.unsaved is not None for lane in free):
            return True
        return bool(output.queue or output.again) and any(_is_settled(ledger, lane) for lane in free)

    # -- perform --------------------------------------------------------------------------------

    def perform(self, work: Union[Send, Save]) -> Any:
        if isinstance(work, Save):
            return self._store.apply([SaveReceipt(work.tracked.id, work.tracked.receipt)])
        return self._sink.send(work.batch, lane=work.lane.number)

    # -- record ---------------------------------------------------------------------------------

    def record(self, ledger: Ledger, work: Union[Send, Save], result: Any) -> None:
        output = ledger.outputs[self._sink.name]
        work.lane.busy = False
        ledger.tell(self.name)
        if isinstance(work, Save):
            self._record_saved(ledger, output, work, result)
            return
        for one in work.outgoing:
            one.item.sending -= 1
        if ledger.handing_back:
            ledger.tell("settler")
        if isinstance(result, Receipt):
            self._record_sent(ledger, output, work, result)
        elif isinstance(result, Refused):
            self._record_refused(ledger, output, work, result)
        elif isinstance(result, Fatal):
            self._record_fatal(ledger, output, work, result)
        else:
            self._record_failure(ledger, output, work, result)

    def _record_sent(self, ledger: Ledger, output: Output, work: Send, receipt: Receipt) -> None:
        output.failures = 0
        output.opened_by_ack = False
        if output.breaker.close():
            log.info("The output takes events again. output=%s", output.name)
            ledger.tell("receiver")
        ledger.counters["batches"] += 1
        if receipt.ack_id is None:
            work.lane.unsettled = {one.item for one in work.outgoing}
            for one in work.outgoing:
                _accept(ledger, output, one)
            return
        now = ledger.clock.monotonic()
        tracked = output.track(replace(receipt, id=ledger.next_id("receipt")), now=now + 1.0)
        tracked.size_bytes = sum(one.piece.size_bytes for one in work.outgoing)
        if output.lasting:
            tracked.give_up_at = now + ledger.limits.ack_timeout_seconds
            tracked.asking = True  # only after it is saved
            work.lane.unsaved = tracked
        else:
            tracked.give_up_at = math.inf
            tracked.next_ask = now if ledger.stopping else tracked.next_ask
            ledger.tell("acknowledger")
        for one in work.outgoing:
            one.item.receipts.add(tracked.id)
            ledger.unqueue(output, one)

    def _record_saved(self, ledger: Ledger, output: Output, work: Save, result: Any) -> None:
        if isinstance(result, CollectorError):
            ledger.store_failed(result)
            return
        ledger.store_works()
        work.lane.unsaved = None
        work.tracked.asking = False
        ledger.tell("acknowledger", "settler")

    def _record_failure(self, ledger: Ledger, output: Output, work: Send, error: CollectorError) -> None:
        """Nothing is known to have been taken: the same batch again, after a wait."""
        ledger.last_error = error
        ledger.counters["send_errors"] += 1
        output.failures += 1
        asked = error.after_seconds if isinstance(error, Retry) else None
        wait = ledger.backoff(output.failures, asked=asked)
        now = ledger.clock.monotonic()
        output.pause_until = now + wait
        if output.failures >= FAILURES_TO_OPEN and output.breaker.open(error, now=now, probe_after=wait):
            log.error("The output is down; receiving stops until it is back: %s", error)
        else:
            log.warning("A batch was not taken and is sent again in %.1f s: %s", wait, error)
        self._again(ledger, output, [work.outgoing])

    def _record_fatal(self, ledger: Ledger, output: Output, work: Send, error: Fatal) -> None:
        """The operator must act: stop, hand messages back, keep this batch as the probe (rule 8)."""
        ledger.last_error = error
        ledger.counters["send_errors"] += 1
        self._again(ledger, output, [work.outgoing])
        output.opened_by_ack = False
        if output.breaker.open(error, now=ledger.clock.monotonic()):
            log.error("The output refuses us; receiving stops until this is put right: %s", error)
            hand_back(ledger, spare=work.outgoing[0].item)

    def _record_refused(self, ledger: Ledger, output: Output, work: Send, error: Refused) -> None:
        """Accept the prefix, isolate the offender; an event refused alone goes to quarantine (rule 10)."""
        output.failures = 0
        ledger.counters["refused_batches"] += 1
        taken, rest = _split(work.outgoing, error.accepted)
        for one in taken:
            _accept(ledger, output, one)
        if work.batch.count == 1:
            self._quarantine_event(ledger, output, work.outgoing[0], error)
            return
        self._again(ledger, output, _parts(rest, error.offender, error.accepted))

    def _again(self, ledger: Ledger, output: Output, batches: Sequence[Sequence[Outgoing]]) -> None:
        """These batches are next. What became somebody else's while it was sent is let go of."""
        for batch in reversed(batches):
            ours = [one for one in batch if one.item.state != "final"]
            for one in batch:
                if one.item.state == "final":
                    ledger.unqueue(output, one)
            if ours:
                output.again.appendleft(ours)

    def _quarantine_event(self, ledger: Ledger, output: Output, one: Outgoing, error: Refused) -> None:
        one.item.sending += 1

        def kept(_: bool) -> None:
            one.item.sending -= 1
            _accept(ledger, output, one)

        quarantine.keep_event(ledger, one.item, next(iter(one.piece)), error, kept)


def _is_settled(ledger: Ledger, lane: Lane) -> bool:
    """Whether all that its last batch brought is durable."""
    return not any(ledger.is_unsettled(item) for item in lane.unsettled)


def _or_when_stored(ledger: Ledger, until: Optional[float]) -> Wait:
    """Until then, or until the store may be tried again: a receipt may wait for it."""
    now = ledger.clock.monotonic()
    times = [at for at in (until, ledger.store.probe_at()) if at is not None and at > now]
    return Wait(min(times, default=None))


def _accept(ledger: Ledger, output: Output, one: Outgoing) -> None:
    """The output has these events for good."""
    ledger.unqueue(output, one)
    item = one.item
    if item.state == "final":
        return
    item.outputs[output.name].accept(one.piece.first, one.piece.end)
    ledger.counters["events"] += one.piece.count
    ledger.counters["bytes"] += one.piece.size_bytes
    ledger.look_again(item)


def _split(outgoing: Tuple[Outgoing, ...], count: int) -> Tuple[List[Outgoing], List[Outgoing]]:
    """The first `count` events, and the rest; a slice in between is cut in two."""
    head: List[Outgoing] = []
    tail: List[Outgoing] = []
    for one in outgoing:
        events = one.piece.count
        if count >= events:
            head.append(one)
            count -= events
        elif count <= 0:
            tail.append(one)
        else:
            cut_at = [event.ordinal for event in one.piece][count]
            head.append(replace(one, piece=one.piece.part(one.piece.first, cut_at)))
            tail.append(replace(one, piece=one.piece.part(cut_at, one.piece.end)))
            one.item.queued += 1
            count = 0
    return head, tail


def _parts(rest: List[Outgoing], offender: Optional[int], accepted: int) -> List[List[Outgoing]]:
    """What is sent next instead of a refused batch: before, the blamed event alone, after; or halves."""
    count = sum(one.piece.count for one in rest)
    at = -1 if offender is None else offender - accepted
    if 0 <= at < count:
        before, others = _split(tuple(rest), at)
        blamed, after = _split(tuple(others), 1)
        return [before, blamed, after]
    first, second = _split(tuple(rest), max(1, count // 2))
    return [first, second]
