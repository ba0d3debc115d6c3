"""When to receive (rule 7): what stands in the way of taking more, and who may try whether it still does.

Called under the ledger's lock, as all of the ledger is.
"""

from __future__ import annotations

from typing import List

from collector.engine.breaker import Breaker
from collector.engine.ledger import Ledger
from collector.errors import Fatal

__all__ = ["is_refused", "looks", "may_feed", "may_look", "may_receive", "may_receive_probe", "troubled"]


def may_receive(ledger: Ledger) -> bool:
    """Not while an output, the store or the source is in trouble, or a window is full."""
    return may_feed(ledger) and not ledger.mismatch.breaker.is_open


def may_feed(ledger: Ledger) -> bool:
    """As `may_receive`, for what a listing of our own buckets has found."""
    if _is_shut(ledger) or _refusing(ledger) or ledger.keys.stops(now=ledger.clock.monotonic()):
        return False
    return len(ledger.deliveries) < ledger.limits.deliveries and ledger.held_bytes < ledger.limits.held_bytes


def may_receive_probe(ledger: Ledger) -> bool:
    """Trouble, and nothing in hand to try it with: one message may be received for that."""
    if _is_shut(ledger) or ledger.items or ledger.deliveries:
        return False
    now, breakers = ledger.clock.monotonic(), troubled(ledger)
    return bool(breakers) and all(now >= breaker.probe_at() for breaker in breakers)


def may_look(ledger: Ledger) -> bool:
    """What is in hand cannot be read: one receive may be made, for what it brings may be other."""
    if _is_shut(ledger):
        return False
    now, mismatch, breakers = ledger.clock.monotonic(), ledger.mismatch.breaker, troubled(ledger)
    if breakers:
        return breakers == [mismatch] and now >= mismatch.probe_at()
    return ledger.keys.stops(now=now) and now >= ledger.keys.look_at(in_hand=bool(ledger.items))


def looks(ledger: Ledger) -> None:
    """Such a receive is being made."""
    now = ledger.clock.monotonic()
    if ledger.mismatch.breaker.is_open:
        ledger.mismatch.looks(now=now)
    else:
        ledger.keys.looked(now=now)


def troubled(ledger: Ledger) -> List[Breaker]:
    """The breakers that only an attempt with real work can close."""
    outputs = [output.breaker for output in ledger.outputs.values()]
    breakers = [ledger.objects, ledger.deletes, ledger.mismatch.breaker, *outputs]
    return [breaker for breaker in breakers if breaker.is_open]


def is_refused(ledger: Ledger) -> bool:
    """Somebody must act before work goes on; a probe in hand is enough to notice that they have."""
    return ledger.source.is_open or any(isinstance(one.error, Fatal) for one in _refusing(ledger))


def _is_shut(ledger: Ledger) -> bool:
    """Nothing at all may be received: we are going, or what we take could not be kept."""
    going = ledger.stopping or ledger.handing_back
    return going or ledger.store.is_open or ledger.disk_low is not None or ledger.is_quarantine_full()


def _refusing(ledger: Ledger) -> List[Breaker]:
    """Who is in trouble with objects of our own buckets."""
    return [breaker for breaker in troubled(ledger) if breaker is not ledger.mismatch.breaker]
