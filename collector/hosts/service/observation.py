"""What the inputs of this host look like from outside, at one moment.

Status page, JSON, metrics and probes are four renderings of one picture: an Observation of each input, taken
by `observe` under its engine's lock for as long as it takes to copy some numbers. board.py says of which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    Mapping,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

from collector.engine.figures import stops
from collector.engine.watch import Watched
from collector.errors import CollectorError
from collector.retention.clock import Reading
from collector.retention.lag import Lag

if TYPE_CHECKING:
    from collector.engine.engine import Engine
    from collector.engine.ledger import Ledger
    from collector.retention.notice import Notice

__all__ = ["ITEM_STATES", "Observation", "Problem", "STATES", "observe", "together"]

T = TypeVar("T")

#: What an input can be doing, and what that means for whoever has to act. Only "collecting" is ready.
STATES: Mapping[str, str] = {
    "starting": "The first poll of the queue is not over yet.",
    "collecting": "The last poll was answered, and nothing stands in the way.",
    "retrying": "The last poll of the queue failed; it is tried again.",
    "blocked": "A breaker is open: receiving stops until the cause is put right.",
    "stopping": "It was told to stop and hands back what it has.",
    "not_started": "It could not be started, and is tried again.",
}
#: Of several processes the one that is worst off speaks for the input.
_WORST = ("not_started", "blocked", "retrying", "stopping", "starting", "collecting")
#: Where an object in hand can be (engine/items.py), in the order of its life.
ITEM_STATES = ("new", "claiming", "held", "ready", "waiting", "asking", "sent", "over")


@dataclass(frozen=True)
class Problem:
    """An error as it may be shown: secrets masked, over-long texts cut."""

    what: str
    code: str
    where: str = ""
    hint: str = ""
    #: Whose move it is, where that is known.
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + (f" at {self.where}" if self.where else "")


@dataclass(frozen=True)
class Observation:
    """One input. `counters` never go back; the other numbers are of this moment.

    `deliveries` are messages, listings and commands in hand; `objects` the objects and payloads in hand,
    by state; `held_bytes` what is read and not yet sent; `receipts`, by output, the batches sent and not
    yet confirmed for good. `breakers` has whatever can stop receiving: None is a closed one. `watched` is
    what was seen of time at the last look, `warnings` what is warned of, by its name. `aws_calls` are the
    requests sent to AWS, by operation.
    """

    name: str
    state: str = "not_started"
    counters: Mapping[str, int] = field(default_factory=dict)
    deliveries: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)
    held_bytes: int = 0
    receipts: Mapping[str, int] = field(default_factory=dict)
    quarantine_bytes: int = 0
    breakers: Mapping[str, Optional[Problem]] = field(default_factory=dict)
    last_error: Optional[Problem] = None
    watched: Watched = field(default_factory=Watched)
    warnings: Mapping[str, Problem] = field(default_factory=dict)
    silence: Optional[Problem] = None
    aws_calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.state == "collecting"

    @property
    def open_breakers(self) -> Dict[str, Problem]:
        return {name: problem for name, problem in self.breakers.items() if problem is not None}


def observe(
    name: str, engine: Engine, *, problem: Callable[[Union[CollectorError, Notice]], Problem]
) -> Observation:
    """Copy what there is to see. Called under the engine's lock; changes nothing."""
    ledger = engine.ledger
    watched = engine.watch.picture(ledger)
    breakers = {name: problem(error) if error else None for name, error in stops(ledger).items()}
    return Observation(
        name,
        _state(engine, blocked=_is_blocked(ledger, breakers)),
        counters=dict(ledger.counters),
        deliveries=len(ledger.deliveries),
        objects={**dict.fromkeys(ITEM_STATES, 0), **Counter(item.state for item in ledger.items.values())},
        held_bytes=ledger.held_bytes,
        receipts={output.name: len(output.receipts) for output in ledger.outputs.values()},
        quarantine_bytes=ledger.quarantine_bytes,
        breakers=breakers,
        last_error=problem(ledger.last_error) if ledger.last_error else None,
        watched=_shown(watched),
        warnings={name: problem(notice) for name, notice in watched.warnings.items()},
        silence=problem(watched.silence) if watched.silence else None,
    )


def _shown(watched: Watched) -> Watched:
    """Without the texts that are shown as problems, masked."""
    deadlines = {
        name: replace(clock, oldest=replace(clock.oldest, reason="", move="") if clock.oldest else None)
        for name, clock in watched.deadlines.items()
    }
    return replace(watched, deadlines=deadlines, warnings={}, silence=None)


def together(seen: Sequence[Observation]) -> Observation:
    """One input over several processes: what can be added is; of the rest what is worst.

    The quarantine and what was seen of queue and bucket is the same for all. Quantiles of lag cannot be
    added: those of the slowest process stand.
    """
    if len(seen) == 1:
        return seen[0]
    return Observation(
        seen[0].name,
        min((one.state for one in seen), key=_WORST.index),
        counters=_sum(one.counters for one in seen),
        deliveries=sum(one.deliveries for one in seen),
        objects=_sum(one.objects for one in seen),
        held_bytes=sum(one.held_bytes for one in seen),
        receipts=_sum(one.receipts for one in seen),
        quarantine_bytes=max(one.quarantine_bytes for one in seen),
        breakers={name: _first(one.breakers.get(name) for one in seen) for name in _names(seen)},
        last_error=_first(one.last_error for one in seen),
        watched=_watched(seen),
        warnings={name: problem for one in reversed(seen) for name, problem in one.warnings.items()},
        silence=seen[0].silence,
        aws_calls=_sum(one.aws_calls for one in seen),
    )


def _watched(seen: Sequence[Observation]) -> Watched:
    all_of_them = [one.watched for one in seen]
    clocks = [(name, clock) for one in all_of_them for name, clock in one.deadlines.items()]
    lags = [(owner, lag) for one in all_of_them for owner, lag in one.lags.items()]
    deadlines: Dict[str, Reading] = {}
    slowest: Dict[str, Lag] = {}
    for name, clock in clocks:
        deadlines[name] = max(clock, deadlines.get(name, clock), key=lambda one: one.share or 0.0)
    for owner, lag in lags:
        before = slowest.get(owner, Lag())
        worst = max(before, lag, key=lambda one: one.p95_seconds if one.count else -1.0)
        count, total = before.count + lag.count, before.total_seconds + lag.total_seconds
        slowest[owner] = replace(worst, count=count, total_seconds=total)
    depth = _first(one.depth for one in all_of_them)
    return replace(all_of_them[0], deadlines=deadlines, lags=slowest, depth=depth)


def _sum(counts: Iterable[Mapping[str, int]]) -> Dict[str, int]:
    total: Dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return total


def _first(found: Iterable[Optional[T]]) -> Optional[T]:
    return next((one for one in found if one is not None), None)


def _names(seen: Sequence[Observation]) -> Dict[str, None]:
    return {name: None for one in seen for name in one.breakers}


def _is_blocked(ledger: Ledger, breakers: Mapping[str, Optional[Problem]]) -> bool:
    """A KMS key out of reach stops nothing while objects under another one can be read."""
    if ledger.keys.stops(now=ledger.clock.monotonic()):
        return True
    return any(problem for name, problem in breakers.items() if name != "keys")


def _state(engine: Engine, *, blocked: bool) -> str:
    if engine.ledger.stopping:
        return "stopping"
    if blocked:
        return "blocked"
    if engine.receiver.failed_polls:
        return "retrying"
    polled = engine.ledger.counters["receives"] or not engine.receiver.has_queue
    return "collecting" if polled else "starting"
