"""How an object leaves our hands unfinished: it is handed back, or another collector has taken it over.

Nothing of it stays in a queue. What an output has accepted or confirmed of it is written down first, for
whoever has it next: Splunk says true only once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from collector.engine.items import Item
from collector.engine.ledger import Ledger
from collector.model import Receipt, Span
from collector.ports import SaveReceipt

__all__ = ["fenced", "mark_unfinished", "release"]


def release(ledger: Ledger, item: Item) -> None:
    """Let go of it, by its row if it has one."""
    mark_unfinished(item)
    _purge(ledger, item)
    if item.outputs:
        _leave_receipts(ledger, item)
        _leave_accepted(ledger, item)
        ledger.decide(item, "release", item.error.code if item.error else "")
    else:
        ledger.detach(item)


def fenced(ledger: Ledger, item: Item) -> None:
    """A newer epoch owns the row: drop the work, leave its messages alone (rule 6)."""
    ledger.counters["fenced"] += 1
    _purge(ledger, item)
    _leave_receipts(ledger, item)
    item.verdict = ""
    for delivery in item.deliveries:
        delivery.disposition = "keep"
    ledger.detach(item)


def mark_unfinished(item: Item) -> None:
    """Everybody who waits for this item gets it unfinished; also who joined while it was let go."""
    for delivery in item.deliveries:
        delivery.incomplete = True
        delivery.disposition = delivery.disposition or "return"


def _purge(ledger: Ledger, item: Item) -> None:
    """Take an item's unsent slices out of the queues."""
    for output in ledger.outputs.values():
        for outgoing in [one for one in output.queue if one.item is item]:
            output.queue.remove(outgoing)
            output.queue_bytes -= output.rendered_bytes(outgoing)
            ledger.unqueue(output, outgoing)
        for outgoing in [one for batch in output.again for one in batch if one.item is item]:
            ledger.unqueue(output, outgoing)
        kept = [[one for one in batch if one.item is not item] for batch in output.again]
        output.again = deque(batch for batch in kept if batch)


def _leave_receipts(ledger: Ledger, item: Item) -> None:
    """What an output has confirmed is said of it in the store: others can no longer ask."""
    for output in ledger.outputs.values():
        for receipt_id in list(output.receipts_of.get(item.oid, ())):
            tracked = output.receipts[receipt_id]
            if not tracked.confirmed:
                continue
            ledger.change(SaveReceipt(tracked.id, replace(tracked.receipt, ack_id=None)))
            tracked.shared = True
            tracked.open_spans = {span for span in tracked.open_spans if span[0] != item.oid}
            if not tracked.open_spans:
                ledger.forget_receipt(output, tracked)


def _leave_accepted(ledger: Ledger, item: Item) -> None:
    """One offset is stored for all outputs: what one of them has beyond it must not come to it again."""
    for name, progress in item.outputs.items():
        spans = tuple(Span(item.oid, first, end) for first, end in progress.beyond(item.committed))
        if spans:
            id_ = ledger.next_id("receipt")
            ledger.change(SaveReceipt(id_, Receipt(name, spans, ledger.clock.now(), id=id_)))
