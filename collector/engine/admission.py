"""What comes into hand: a message, what it names, and the store's word on each of it.

`admit` takes a Notification apart into Items; work on the same object is joined, never repeated. `claimed`
enters the store's answer: done before, held elsewhere, or ours from an offset on.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Optional, Sequence, Set

from collector.config.routes import Route
from collector.engine import quarantine
from collector.engine.items import Delivery, Item
from collector.engine.ledger import Ledger
from collector.engine.progress import Progress
from collector.engine.release import fenced
from collector.errors import Poison
from collector.model import (
    Message,
    Notification,
    ObjectRef,
    Payload,
    Receipt,
    object_identity,
    payload_identity,
    provisional_identity,
)
from collector.ports import Claim, DropReceipts

__all__ = ["admit", "claimed", "hold", "identify", "join", "stand_in"]

log = logging.getLogger("collector.engine")


def admit(
    ledger: Ledger, notification: Notification, *, origin: str, message: Optional[Message] = None
) -> Optional[Delivery]:
    """Take what a notification names into hand; None if its message was in hand already."""
    if message is not None:
        delivery = hold(ledger, message, origin=origin)
    else:
        delivery = _begin_delivery(ledger, origin, message)
    if delivery is None:
        return None
    if message is not None and not notification.noop:
        _heard(ledger, message)
    foreign = [ref for ref in notification.refs if ledger.mismatch.is_foreign(ref.bucket)]
    for ref in notification.refs:
        if ref not in foreign:
            _admit_object(ledger, delivery, ref)
    for payload in notification.payloads:
        _admit_payload(ledger, delivery, payload)
    _set_aside(ledger, delivery, [*map(_foreign, foreign), *notification.problems])
    if notification.noop:
        ledger.counters["noop"] += 1
    ledger.settle_if_over(delivery)
    return delivery


def _heard(ledger: Ledger, message: Message) -> None:
    """A message with work in it breaks a silence."""
    now = ledger.clock.now() if message.sent_at is None else message.sent_at
    over = ledger.silence.heard(now, now=ledger.clock.monotonic())
    if over is not None:
        log.info("%s. input=%s", over, ledger.input_name)


def hold(ledger: Ledger, message: Message, *, origin: str = "message") -> Optional[Delivery]:
    """A delivery for this message with nothing in it yet; None if it was in hand already."""
    if origin != "message":
        return _begin_delivery(ledger, origin, message)
    if _is_in_hand(ledger, message):
        return None
    delivery = _begin_delivery(ledger, origin, message)
    ledger.by_message[message.message_id] = delivery
    if message.sent_at is not None:
        ledger.waited_seconds = max(0.0, ledger.clock.now() - message.sent_at)
    return delivery


def _begin_delivery(ledger: Ledger, origin: str, message: Optional[Message]) -> Delivery:
    now = ledger.clock.monotonic()
    delivery = Delivery(ledger.next_number(), origin, message, received=now, extended=now)
    delivery.lease_until = now + ledger.lease_seconds
    ledger.deliveries[delivery.number] = delivery
    ledger.tell("keeper")
    return delivery


def _is_in_hand(ledger: Ledger, message: Message) -> bool:
    """A MessageId received again replaces the old handle (rule 1)."""
    known = ledger.by_message.get(message.message_id)
    if known is None:
        return False
    now = ledger.clock.monotonic()
    known.message = message
    known.lost = False
    known.received = known.extended = now
    known.lease_until = now + ledger.lease_seconds
    ledger.counters["received_again"] += 1
    return True


def _foreign(ref: ObjectRef) -> Poison:
    return Poison(f"{ref.url} is not in a bucket of this input and is not fetched", code="foreign_bucket")


def _set_aside(ledger: Ledger, delivery: Delivery, problems: Sequence[Poison]) -> None:
    """One copy of the body for all parts of it that cannot be worked on; the others are."""
    if not problems:
        return
    what = problems[0].what + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
    if delivery.message is not None:
        quarantine.keep_body(ledger, delivery, problems[0].code, f"a part of the body: {what}")
    else:
        log.error("What was asked for is left alone: %s. reason=%s", what, problems[0].code)


def _admit_object(ledger: Ledger, delivery: Delivery, ref: ObjectRef) -> None:
    ledger.saw_ours()
    seen = _seen(ledger, delivery, ref.event_time)
    item = Item(ref, None, ledger.route(ref.key), seen, url=ref.url)
    if delivery.origin == "listing":
        ledger.silence.fed(seen)
    elif not item.route.drop:
        ledger.trail.saw(ref.bucket, ref.key)
    if ref.etag:
        item.oid = object_identity(ledger.input_name, ref)
    elif delivery.origin == "listing" or (delivery.message and delivery.message.receive_count > 1):
        _stand_in(ledger, item)  # an earlier receive may have left a row
    join(ledger, delivery, item)


def _admit_payload(ledger: Ledger, delivery: Delivery, payload: Payload) -> None:
    message = delivery.message
    seen = _seen(ledger, delivery, None)
    url = ledger.payload_url(message) if message else "sqs://"
    why = ledger.ignores(payload.body) if ledger.ignores and payload.whole else ""
    item = Item(None, payload, Route(drop=bool(why), reason=why), seen, url=payload.origin or url)
    item.oid = payload_identity(ledger.input_name, payload)
    join(ledger, delivery, item)


def _seen(ledger: Ledger, delivery: Delivery, event_time: Optional[float]) -> float:
    """The time of an object as AWS tells it, else our own. AWS's is a second opinion on our clock."""
    told = event_time or (delivery.message.sent_at if delivery.message else None)
    ledger.newest_seen = max(ledger.newest_seen, told or 0.0)
    return told or ledger.clock.now()


def join(ledger: Ledger, delivery: Delivery, item: Item) -> None:
    """Put an item under a delivery; work on the same object is joined, not repeated (rule 1)."""
    known = ledger.items.get(item.key)
    if known is None:
        ledger.items[item.key] = known = item
        if item.oid:
            ledger.unclaimed.append(item)
            ledger.tell("receiver")
        else:
            ledger.make_readable(item)
    elif not item.oid and known.busy_since is not None:
        known.late.append((delivery, item))
    if delivery not in known.deliveries:
        known.deliveries.append(delivery)
    delivery.items.add(known)


def identify(ledger: Ledger, item: Item, ref: ObjectRef) -> Optional[Item]:
    """An item read without etag has learnt it; returns the item to go on with, None if joined."""
    del ledger.items[item.key]
    for delivery, anew in item.late:
        if delivery in item.deliveries:  # and not on its way back
            item.deliveries.remove(delivery)
            delivery.items.discard(item)
            join(ledger, delivery, anew)
    if item.row is not None:
        item.stand_ins.append(item.row)
    item.row, item.outputs, item.provisional = None, {}, False
    item.attempts, item.first_failed, item.due = 0, 0.0, 0.0
    item.ref = replace(ref, raw_key=None)
    item.oid = object_identity(ledger.input_name, ref)
    return _claim_or_join(ledger, item)


def stand_in(ledger: Ledger, item: Item) -> None:
    """An object of unknown etag was denied: it gets a row, so that this outlives the lease (rule 8)."""
    del ledger.items[item.key]
    _stand_in(ledger, item)
    if _claim_or_join(ledger, item) is None:
        item.state = "final"


def _stand_in(ledger: Ledger, item: Item) -> None:
    assert item.ref is not None
    item.oid = provisional_identity(ledger.input_name, item.ref, item.object_time)
    item.provisional = True


def _claim_or_join(ledger: Ledger, item: Item) -> Optional[Item]:
    known = ledger.items.get(item.key)
    if known is None:
        ledger.items[item.key] = item
        ledger.claim_later(item)
        return item
    known.stand_ins += item.stand_ins
    for delivery in item.deliveries:
        delivery.items.discard(item)
        join(ledger, delivery, known)
    return None


def claimed(ledger: Ledger, item: Item, claim: Claim) -> None:
    """The store's answer: done before, held elsewhere, or ours from an offset on."""
    if item.outputs:
        _told(ledger, item, claim)
        return
    item.row = claim.row
    if claim.verdict == "final":
        item.verdict = claim.row.state
        ledger.counters["known"] += 1
        ledger.detach(item)
    elif claim.verdict == "held":
        ledger.drop_reading(item)
        ledger.wait(item, ledger.clock.monotonic() + 10.0, state="held")
    else:
        _begin(ledger, item, claim)


def _begin(ledger: Ledger, item: Item, claim: Claim) -> None:
    row = claim.row
    item.committed = row.offset
    item.attempts += row.attempts
    item.first_failed = row.first_failed or item.first_failed
    item.outputs = {name: Progress(row.offset) for name in ledger.outputs}
    if item.route.drop:
        ledger.decide(item, "filtered", item.route.reason)
        return
    # Without an etag its size is what a notification said, perhaps of an object that the key held before.
    if item.ref is not None and item.ref.size == 0 and item.ref.etag is not None:
        item.total = 0
        ledger.decide(item, "done", "empty")
        return
    for receipt in claim.receipts:
        _resume_receipt(ledger, item, receipt)
    now = ledger.clock.monotonic()
    due = max(item.due, now + row.not_before - ledger.clock.now())
    if due > now:
        ledger.wait(item, due)
    elif item.receipts:
        item.state = "asking"
    else:
        ledger.make_readable(item)


def _resume_receipt(ledger: Ledger, item: Item, receipt: Receipt) -> None:
    """An earlier run sent these spans: ask about them before sending anything again."""
    output = ledger.outputs.get(receipt.output)
    if output is None:
        return
    tracked = output.receipts.get(receipt.id)
    if tracked is None and receipt.ack_id is not None:
        tracked = output.track(receipt, now=ledger.clock.monotonic())
        tracked.give_up_at = ledger.clock.monotonic() + ledger.limits.ack_resume_seconds
    for span in receipt.spans:
        if span.oid != item.oid:
            continue
        if tracked is None or tracked.confirmed or receipt.ack_id is None:
            item.outputs[output.name].accept(span.first, span.end)
        else:
            item.outputs[output.name].pend(span.first, span.end)
            item.receipts.add(tracked.id)
    ledger.tell("acknowledger")


def _told(ledger: Ledger, item: Item, claim: Claim) -> None:
    """The store's answer on receipts that were never confirmed to us: another collector may have heard it."""
    if claim.verdict != "yours":
        fenced(ledger, item)
        return
    was_elsewhere = item.epoch != claim.row.epoch
    item.row = claim.row
    confirmed = {receipt.id for receipt in claim.receipts if receipt.ack_id is None}
    doubtful, item.doubtful = item.doubtful, []
    for name, receipt_id, first, end in doubtful:
        if receipt_id in confirmed:
            item.outputs[name].accept(first, end)
            ledger.counters["events"] += end - first
        else:
            item.outputs[name].give_up(first, end)
    if was_elsewhere:
        _follow(ledger, item, claim, known={receipt_id for _, receipt_id, _, _ in doubtful})
    for receipt in claim.receipts:
        if receipt.ack_id is not None and _is_nobodys(ledger, receipt):
            ledger.change(DropReceipts([receipt.id]))
    item.state = "asking"
    ledger.look_again(item)


def _follow(ledger: Ledger, item: Item, claim: Claim, *, known: Set[str]) -> None:
    """Another collector had it meanwhile: what it committed and sent is not sent again."""
    item.committed = max(item.committed, claim.row.offset)
    for progress in item.outputs.values():
        progress.accept(0, claim.row.offset)
    for receipt in claim.receipts:
        if receipt.id not in known:
            _resume_receipt(ledger, item, receipt)


def _is_nobodys(ledger: Ledger, receipt: Receipt) -> bool:
    """Everything it speaks of is in our hands, and nothing of that waits for it."""
    items = [ledger.items.get((span.oid,)) for span in receipt.spans]
    return all(
        item is not None
        and receipt.id not in item.receipts
        and all(receipt.id != doubt[1] for doubt in item.doubtful)
        for item in items
    )
