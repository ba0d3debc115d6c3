"""The Acknowledger: asks which Receipts are true, and gives up on those that never will be.

One question names up to 1,000 ackIds of one channel, and is asked when the answer to the one before is in
the store: Splunk says true only once, so what was heard and not written down is sent again. What is
confirmed counts as accepted; what is not confirmed in time goes again on a new channel, after one last
question.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from collector.engine.failures import hand_back
from collector.engine.items import Item, Tracked
from collector.engine.ledger import Ledger
from collector.engine.outputs import Output
from collector.engine.station import Wait
from collector.errors import CollectorError, Fatal
from collector.ports import SaveReceipt, Sink

__all__ = ["Acknowledger"]

log = logging.getLogger("collector.engine")

#: Questions about one receipt slow down from `Tracked.wait`, its first distance, to this one.
LONGEST_WAIT_SECONDS = 10.0
#: And at this distance during a stop.
PARTING_WAIT_SECONDS = 0.1


@dataclass(frozen=True)
class Ask:
    """Ask an output which of these receipts, all of one channel, are true."""

    output: Output
    asked: Sequence[Tracked]


class Acknowledger:
    """Receipts in, accepted spans out."""

    name = "acknowledger"

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = sinks

    def take(self, ledger: Ledger) -> Union[Ask, Wait]:
        now = ledger.clock.monotonic()
        earliest: Optional[float] = None
        if ledger.is_behind:
            return Wait()
        for output in ledger.outputs.values():
            if ledger.stopping and now >= output.part_until:
                continue
            for tracked in output.receipts.values():
                if tracked.asking or tracked.confirmed:
                    continue
                if tracked.next_ask <= now:
                    return self._take_channel(ledger, output, tracked, now)
                earliest = tracked.next_ask if earliest is None else min(earliest, tracked.next_ask)
        return Wait(earliest)

    def _take_channel(self, ledger: Ledger, output: Output, one: Tracked, now: float) -> Ask:
        """Everything due, or nearly, on the channel of one receipt."""
        asked: List[Tracked] = []
        for tracked in output.receipts.values():
            same = _channel(tracked) == _channel(one)
            if same and not tracked.asking and not tracked.confirmed and tracked.next_ask <= now + 0.5:
                tracked.asking = True
                asked.append(tracked)
            if len(asked) >= ledger.limits.acks_per_channel:
                break
        return Ask(output, asked)

    def has_more(self, ledger: Ledger) -> bool:
        return any(output.receipts for output in ledger.outputs.values())

    def perform(self, work: Ask) -> Any:
        sink = self._sinks[work.output.name]
        open_ones = [tracked for tracked in work.asked if tracked.receipt.ack_id is not None]
        answers = iter(sink.ask([tracked.receipt for tracked in open_ones])) if open_ones else iter(())
        return [tracked.receipt.ack_id is None or next(answers) for tracked in work.asked]

    def record(self, ledger: Ledger, work: Ask, result: Any) -> None:
        for tracked in work.asked:
            tracked.asking = False
        if ledger.handing_back:
            ledger.tell("settler")  # what waited for its receipt may go back now
        if isinstance(result, CollectorError):
            self._record_failure(ledger, work, result)
            return
        now = ledger.clock.monotonic()
        if work.output.opened_by_ack and work.output.breaker.close():
            work.output.opened_by_ack = False
            log.info("The output answers again. output=%s", work.output.name)
        for tracked, confirmed in zip(work.asked, result):
            if confirmed:
                self._confirm(ledger, work.output, tracked)
            elif now >= tracked.give_up_at:
                self._give_up(ledger, work.output, tracked)
            elif ledger.stopping:
                tracked.next_ask = now + PARTING_WAIT_SECONDS
            else:
                tracked.next_ask = min(now + tracked.wait, tracked.give_up_at)
                tracked.wait = min(tracked.wait * 1.5, LONGEST_WAIT_SECONDS)

    def _confirm(self, ledger: Ledger, output: Output, tracked: Tracked) -> None:
        output.confirm(tracked)
        ledger.counters["acknowledged"] += 1
        ledger.counters["bytes"] += tracked.size_bytes
        found = _items(ledger, tracked)
        for item, first, end in found:
            item.outputs[output.name].accept(first, end)
            item.receipts.discard(tracked.id)
            ledger.counters["events"] += end - first
            ledger.look_again(item)
        if len({span.oid for span in tracked.receipt.spans}) > len({item for item, _, _ in found}):
            # Splunk says true only once: objects that have not come back to us yet must find it here.
            final = replace(tracked.receipt, ack_id=None)
            ledger.change(SaveReceipt(tracked.id, final))
            tracked.shared = True
            tracked.open_spans = {(item.oid, first, end) for item, first, end in found}
            if not found:
                ledger.forget_receipt(output, tracked)
        ledger.tell(output.sender)

    def _give_up(self, ledger: Ledger, output: Output, tracked: Tracked) -> None:
        """Never confirmed: the same slices go out again, on a channel that is not this one."""
        ledger.counters["acks_timed_out"] += 1
        log.warning(
            "An acknowledgement did not come; its events are sent again. channel=%s ack_id=%s",
            tracked.receipt.channel, tracked.receipt.ack_id,
        )
        self._sinks[output.name].abandon(tracked.receipt)
        for item, first, end in _items(ledger, tracked):
            item.receipts.discard(tracked.id)
            # Splunk says true only once, perhaps to another collector, which has written it down then.
            item.doubtful.append((output.name, tracked.id, first, end))
            ledger.look_again(item)
        output.untrack(tracked)
        ledger.tell(output.sender)

    def _record_failure(self, ledger: Ledger, work: Ask, error: CollectorError) -> None:
        """No answer is no delivery. An answer that refuses us opens the output's breaker."""
        now = ledger.clock.monotonic()
        ledger.last_error = error
        ledger.counters["ack_errors"] += 1
        if isinstance(error, Fatal) and work.output.breaker.open(error, now=now):
            work.output.opened_by_ack = True
            log.error("The output refuses to say what it has indexed: %s", error)
            hand_back(ledger)
        for tracked in work.asked:
            tracked.wait = min(tracked.wait * 2, LONGEST_WAIT_SECONDS)
            tracked.next_ask = now + tracked.wait
            if now >= tracked.give_up_at + LONGEST_WAIT_SECONDS and not isinstance(error, Fatal):
                self._give_up(ledger, work.output, tracked)


def _channel(tracked: Tracked) -> Tuple[str, str]:
    return (tracked.receipt.endpoint, tracked.receipt.channel)


def _items(ledger: Ledger, tracked: Tracked) -> List[Tuple[Item, int, int]]:
    """The items in hand that a receipt speaks of."""
    found = []
    for oid, first, end in sorted(tracked.open_spans):
        item = ledger.items.get((oid,))
        if item is not None and item.outputs:
            found.append((item, first, end))
    return found
