"""What an operator asks of an input in place of its queue, and how far that has come."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from collector.engine.engine import Engine
from collector.errors import CollectorError
from collector.model import ObjectRef, object_identity
from collector.ports import CheckpointStore, Forget, ObjectStore

__all__ = ["Errand", "Underway"]

log = logging.getLogger("collector")

#: An errand ends when nothing has moved for this long and what is left waits for others.
PATIENCE_SECONDS = 90.0
#: Counters that say that something has moved.
MOVES = ("events", "done", "gone", "expired", "filtered", "quarantined", "known", "lists", "reconciled")


@dataclass(frozen=True)
class Errand:
    """A range, or objects by name.

    `refs` of buckets that an input does not have are not for it. `again`: also where they are done. Without
    them [since, until) is listed, epoch seconds; None is `start_from`, and now without the grace.
    """

    refs: Sequence[ObjectRef] = ()
    again: bool = False
    since: Optional[float] = None
    until: Optional[float] = None


class Underway:
    """One errand at work in one input: what of it was found, what was not, and whether it still moves."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        #: Whether it was put into the engine: one that was not has nothing in hand, and is not over.
        self.is_set_out = False
        #: Objects that were named: those that are there, those that are not, those not to be fetched.
        self.named = self.not_there = self.not_fetched = 0
        self._is_short = False
        self._moved: Tuple[Any, float] = ((), 0.0)

    def objects(self, input_name: str, store: CheckpointStore, objects: ObjectStore, *, buckets: Sequence[str]
                ) -> Iterator[ObjectRef]:
        """The objects that were named, each as what its key holds now."""
        for ref in self.errand.refs:
            if ref.bucket not in buckets:
                continue
            try:
                current = objects.current(ref)
                if self.errand.again:
                    store.apply([Forget(object_identity(input_name, current))])
            except CollectorError as error:
                self._is_short = True
                if error.code == "gone":  # whoever typed a key may have mistyped it
                    log.error("What was asked for is not there; compare the key. url=%s", ref.url)
                    self.not_there += 1
                else:
                    log.error("What was asked for cannot be fetched: %s. url=%s", error, ref.url)
                    self.not_fetched += 1
            else:
                self.named += 1
                yield current

    def stands_still(self, engine: Engine) -> bool:
        """Nothing has moved for a while, and what is left waits for others. Under the engine's lock."""
        now, counters = time.monotonic(), engine.ledger.counters
        moved = tuple(counters[name] for name in MOVES)
        if moved != self._moved[0]:
            self._moved = (moved, now)
        return now - self._moved[1] > PATIENCE_SECONDS and engine.waits_for_others()

    def part(self, engine: Engine) -> None:
        """A stop has begun: say what is left. Under the engine's lock."""
        left, is_listed = engine.left_over(), engine.reconciler.is_idle
        if left or not is_listed:
            self._is_short = True
            what = "" if is_listed else " Not everything was listed."
            log.warning("Not everything could be fetched; the same command goes on.%s left=%d", what, left)

    def shortcomings(self, engine: Engine) -> List[str]:
        """Why it was not done whole, in a sentence."""
        if not (self._is_short or engine.reconciler.denied):
            return []
        return ["not everything that was asked for could be fetched"]
