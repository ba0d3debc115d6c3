"""What the inputs of this process look like from outside, at one moment.

Status page, JSON, metrics and probes are four renderings of one picture: `Board.observe` takes it, an
input at a time, each under its engine's lock for as long as it takes to copy some numbers.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from collector.engine.watch import Watched
from collector.errors import CollectorError, Fatal

if TYPE_CHECKING:
    from collector.engine.engine import Engine
    from collector.engine.ledger import Ledger
    from collector.retention.notice import Notice
    from collector.runtime import Runner

__all__ = ["Board", "ITEM_STATES", "Observation", "Problem", "STATES", "observe"]

#: What an input can be doing, and what that means for whoever has to act. Only "collecting" is ready.
STATES: Mapping[str, str] = {
    "starting": "The first poll of the queue is not over yet.",
    "collecting": "The last poll was answered, and nothing stands in the way.",
    "retrying": "The last poll of the queue failed; it is tried again.",
    "blocked": "A breaker is open: receiving stops until the cause is put right.",
    "stopping": "It was told to stop and hands back what it has.",
    "not_started": "It could not be started, and is tried again.",
}
#: Where an object in hand can be (engine/items.py), in the order of its life.
ITEM_STATES = ("new", "claiming", "held", "ready", "waiting", "asking", "sent", "over")
QUARANTINE_FULL = Fatal(
    "The quarantine is full", code="quarantine_full", scope="object",
    hint="Look with `audit-s3 quarantine list`, then retry or drop what is there",
)  # fmt: skip
#: An error may quote an answer of any length.
_LONGEST_TEXT = 2000


@dataclass(frozen=True)
class Problem:
    """An error as it may be shown: secrets masked, over-long texts cut."""

    what: str
    code: str
    where: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + (f" at {self.where}" if self.where else "")


@dataclass(frozen=True)
class Observation:
    """One input. `counters` never go back; the other numbers are of this moment.

    `deliveries` are messages, listings and commands in hand; `objects` the objects and payloads in hand,
    by state; `held_bytes` what is read and not yet sent; `receipts`, by output, the batches sent and not
    yet confirmed for good. `breakers` has whatever can stop receiving: None is a closed one. `watched` is
    what was seen of time at the last look, `warnings` what is warned of, by its name.
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

    @property
    def is_ready(self) -> bool:
        return self.state == "collecting"

    @property
    def open_breakers(self) -> Dict[str, Problem]:
        return {name: problem for name, problem in self.breakers.items() if problem is not None}


class Board:
    """All inputs that this process was asked to serve, started or not. May be used from several threads.

    `secrets` are masked wherever they would appear in an error's text.
    """

    def __init__(self, names: Sequence[str], *, secrets: Iterable[str] = ()) -> None:
        self.started = time.time()
        self._names = tuple(names)
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._runners: Mapping[str, Runner] = {}
        self._failures: Mapping[str, CollectorError] = {}

    def expect(self, names: Sequence[str], *, secrets: Iterable[str] = ()) -> None:
        """These are all inputs from now on; what was a secret before stays one."""
        self._names = tuple(names)
        longer = {secret for secret in secrets if len(secret) >= 4}.union(self._secrets)
        self._secrets = sorted(longer, key=len, reverse=True)

    def watch(self, runners: Sequence[Runner], failures: Mapping[str, CollectorError]) -> None:
        """From now on these are observed, and those could not be started; the others are "starting"."""
        self._failures = dict(failures)
        self._runners = {runner.name: runner for runner in runners}

    def observe(self) -> List[Observation]:
        """One picture per input, in the order of the configuration."""
        return [self._observe(name) for name in self._names]

    def _observe(self, name: str) -> Observation:
        runners, failure = self._runners, self._failures.get(name)
        if name not in runners:
            if failure is None:
                return Observation(name, "starting")
            return Observation(name, "not_started", last_error=self._problem(failure))
        return runners[name].observe(lambda engine: observe(name, engine, problem=self._problem))

    def _problem(self, error: Union[CollectorError, Notice]) -> Problem:
        return Problem(*map(self._shown, (error.what, error.code, error.where, error.hint)))

    def _shown(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def observe(
    name: str, engine: Engine, *, problem: Callable[[Union[CollectorError, Notice]], Problem]
) -> Observation:
    """Copy what there is to see. Called under the engine's lock; changes nothing."""
    ledger = engine.ledger
    watched = engine.watch.picture(ledger)
    breakers = {name: problem(error) if error else None for name, error in _stops(ledger).items()}
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
        watched=watched,
        warnings={name: problem(notice) for name, notice in watched.warnings.items()},
        silence=problem(watched.silence) if watched.silence else None,
    )


def _stops(ledger: Ledger) -> Dict[str, Optional[CollectorError]]:
    """Everything that rule 7 lets receiving wait for, and why it does now; and a KMS key out of reach."""
    outputs = [output.breaker for output in ledger.outputs.values()]
    breakers = [ledger.source, ledger.objects, ledger.store, ledger.deletes, *outputs]
    full = ledger.is_quarantine_full()
    return {
        **{breaker.name: breaker.error for breaker in breakers},
        "keys": next(iter(ledger.keys.errors), None),
        "disk": ledger.disk_low,
        "quarantine": QUARANTINE_FULL if full else None,
    }


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
