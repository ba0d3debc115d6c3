"""Why a run was no clean one, in sentences: what needs a look, what was left, what stood in the way."""

from __future__ import annotations

from typing import List

from collector.engine.engine import Engine
from collector.engine.figures import stops
from collector.errors import CollectorError
from collector.ports import CheckpointStore

__all__ = ["KEPT", "LEFT", "begun", "counted", "kept", "left"]

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


def kept(engine: Engine) -> List[str]:
    """What needs a look."""
    counters = engine.ledger.counters
    return [counted(what, counters[name]) for name, what in KEPT.items() if counters[name]]


def left(engine: Engine) -> List[str]:
    """What went back, lapsed, or is another's."""
    counters = engine.ledger.counters
    return [counted(what, counters[name]) for name, what in LEFT.items() if counters[name]]


def stood_in_the_way(engine: Engine) -> List[str]:
    """What was still in the way when this ended."""
    ledger = engine.ledger
    stopped = stops(ledger)
    if not ledger.in_hand():
        del stopped["store"]  # what it refused last was nothing of what was delivered
    errors = [*ledger.keys.errors, *(error for name, error in stopped.items() if name != "keys")]
    found = [str(error) for error in errors if error is not None]
    if engine.receiver.failed_polls:
        found.append("the queue could not be asked when this ended")
    return found


def begun(store: CheckpointStore, *, since: float) -> List[str]:
    """What is to be said of open rows that nobody works on; at most a thousand are counted.

    What was let go of in good order since `since` (epoch seconds), when this run began, is what it gave back
    itself: that is said otherwise.
    """
    try:
        found = store.unfinished()
    except CollectorError as error:
        return [f"what an earlier run left cannot be counted: {error}"]
    count = sum(bool(row.owner) or row.updated < since for row in found)
    return [counted(BEGUN, count)] if count else []


def counted(what: str, number: int) -> str:
    """A sentence of these with its number: one is not many."""
    if number == 1:
        return what.format(number, s="", are="is", were="was", they="it", them="it")
    return what.format(number, s="s", are="are", were="were", they="they", them="them")
