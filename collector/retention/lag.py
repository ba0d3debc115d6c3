"""How late audits are, split by who has them meanwhile.

    provider   from the event to its object in the bucket (to the message, where audits come in messages)
    aws        from the object to the message that tells of it
    collector  from the message to its events acknowledged and written down as done

An object counts once, by its first event: of what one object holds that is the one that waited longest, as
logs are written in order; it is the wait that a promise of "within 15 minutes" speaks of. Waiting in the
queue is the collector's: it could have come earlier. Objects that only a listing found have no message, and
those whose first event has no time have no event; each counts where it can.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Deque, Dict, Mapping, Optional

from collector.wording import spell_short

__all__ = ["OWNERS", "Lag", "Lags"]

OWNERS = ("provider", "aws", "collector")
#: Quantiles are those of so many objects: the last ones.
MOST = 1000


@dataclass(frozen=True)
class Lag:
    """Of the last objects, in seconds; NaN where there was none. `count` and `total_seconds` are of all."""

    p50_seconds: float = math.nan
    p95_seconds: float = math.nan
    count: int = 0
    total_seconds: float = 0.0

    def __str__(self) -> str:
        if not self.count:
            return "nothing yet"
        return f"p50 {spell_short(self.p50_seconds)}, p95 {spell_short(self.p95_seconds)}"


class Lags:
    """The three of them. Takes microseconds per object."""

    def __init__(self) -> None:
        self._last: Dict[str, Deque[float]] = {owner: deque(maxlen=MOST) for owner in OWNERS}
        self._count = dict.fromkeys(OWNERS, 0)
        self._total = dict.fromkeys(OWNERS, 0.0)

    def took(
        self, *, event: Optional[float], written: Optional[float], sent: Optional[float], done: float
    ) -> None:
        """One object is done; epoch seconds, None where there is no such moment."""
        self._add("provider", event, written if written is not None else sent)
        self._add("aws", written, sent)
        self._add("collector", sent, done)

    def _add(self, owner: str, since: Optional[float], until: Optional[float]) -> None:
        if since is None or until is None:
            return
        seconds = max(0.0, until - since)  # clocks differ, and S3's counts whole seconds
        self._last[owner].append(seconds)
        self._count[owner] += 1
        self._total[owner] += seconds

    def shown(self) -> Mapping[str, Lag]:
        return {owner: self._of(owner) for owner in OWNERS}

    def _of(self, owner: str) -> Lag:
        ordered = sorted(self._last[owner])
        if not ordered:
            return Lag()
        p50, p95 = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95))
        return Lag(p50, p95, self._count[owner], self._total[owner])
