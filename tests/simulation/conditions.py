"""What one seed's world is like: its shape, what goes wrong in it, and how often. Drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Tuple

__all__ = ["DISASTERS", "Conditions", "drawn"]

HOUR = 3600.0
#: What may strike at any step; `Play` has a method of each name.
DISASTERS = (
    "kill", "power_cut", "restart", "pause", "suspend", "clock_jump", "forget_acks", "outage", "lock_out",
    "lock_key", "disk_low", "lose_one",
)


@dataclass(frozen=True)
class Conditions:
    """The defaults are a quiet world: one collector, one output, nothing goes wrong.

    `acks` has one entry per output: whether it acknowledges. `hosts` share nothing but the store; processes
    on one host share its clock, and a dead one is known to be dead. `steps` is how long trouble lasts.
    """

    collectors: int = 1
    hosts: int = 1
    acks: Tuple[bool, ...] = (True,)
    fifo: bool = False
    reconcile: bool = True
    objects: int = 5
    events: Tuple[int, ...] = (0, 1, 7, 12)
    payloads: float = 0.3
    gaps_seconds: Tuple[float, ...] = (0.0, 0.3, 30.0)
    steps: int = 800
    #: Polls and leases are so many times as long: worlds that last for days have fewer steps.
    pace: int = 1
    quarantine_bytes: int = 1 << 30
    slow_output: float = 0.0
    #: SQLite's word: after a power cut, a disk that is not "full" may have forgotten its last commits.
    synchronous: str = "full"
    #: A message received so often is dead; 0: never.
    max_receives: int = 0
    # chances at each port call
    fail: float = 0.0
    ambiguous: float = 0.0
    stall: float = 0.0
    cut_body: float = 0.0
    redeliver: float = 0.0
    # chances for each object
    repeat_notification: float = 0.0
    several_refs: float = 0.0
    lose_notification: float = 0.0
    without_etag: float = 0.5
    overwrite: float = 0.0
    remove: float = 0.0
    denied: float = 0.0
    poison_event: float = 0.0
    noise: float = 0.0
    #: How long a denied object stays so; more than a day is too long.
    denied_seconds: Tuple[float, ...] = (300.0, 7200.0)
    #: How often each disaster strikes in this seed, about.
    disasters: Dict[str, float] = field(default_factory=dict)

    @property
    def is_quiet(self):
        """Nothing goes wrong in it, so nothing may be repeated."""
        chances = (
            self.fail, self.ambiguous, self.stall, self.cut_body, self.lose_notification, self.overwrite,
            self.remove, self.denied, self.poison_event,
        )
        return not any(chances) and not any(self.disasters.values())

    def calm(self):
        """The same world when trouble is over; what the provider sends stays as it is."""
        return replace(
            self, fail=0.0, ambiguous=0.0, stall=0.0, cut_body=0.0, redeliver=0.0, overwrite=0.0, remove=0.0,
            lose_notification=0.0, denied=0.0, disasters={},
        )


def drawn(rng):
    """A world drawn from the generator. Most are small, a few are large or slow."""
    world = _shape(rng)
    if rng.random() < 0.05:
        world = replace(world, objects=20, events=(0, 1, 7, 40, 40), steps=3000)
    if rng.random() < 0.9:
        world = _trouble(rng, world)
        if rng.random() < 0.01:
            days = (20 * HOUR, 26 * HOUR)
            world = replace(world, collectors=1, hosts=1, pace=30, denied=0.5, denied_seconds=days)
    return world


def _shape(rng):
    collectors = rng.choice((1, 1, 2))
    return Conditions(
        collectors=collectors, hosts=rng.choice((1, collectors)),
        acks=rng.choice(((True,), (True,), (False,), (True, False), (False, False), (True, True))),
        fifo=rng.random() < 0.2, reconcile=rng.random() < 0.8, objects=rng.choice((2, 3, 3, 5, 5, 8)),
        steps=rng.choice((300, 500, 800)),
        gaps_seconds=rng.choice(((0.0,), (0.0, 0.3, 30.0), (0.3, 30.0, 600.0))),
        slow_output=rng.choice((0.0, 0.0, 5.0, 40.0)), several_refs=rng.choice((0.0, 0.5)),
        repeat_notification=rng.choice((0.0, 0.5)), without_etag=rng.choice((0.0, 0.5, 1.0)),
        noise=rng.choice((0.0, 0.2)), redeliver=rng.choice((0.0, 0.05)),
    )


def _trouble(rng, world):
    """A quarter of the seeds are mild, a quarter are savage."""
    scale = rng.choice((0.2, 1.0, 1.0, 3.0))
    often = {name: rng.choice((0.0, 0.0, 0.0, 1.0)) for name in DISASTERS}
    often.update(kill=rng.choice((0.0, 2.0, 6.0)) * scale, pause=rng.choice((0.0, 0.0, 3.0)))
    return replace(
        world, disasters=often, fail=0.02 * scale, ambiguous=0.01 * scale, stall=rng.choice((0.0, 0.01)),
        cut_body=0.01 * scale, overwrite=rng.choice((0.0, 0.2)), remove=rng.choice((0.0, 0.05)),
        lose_notification=rng.choice((0.0, 0.1)), denied=rng.choice((0.0, 0.0, 0.0, 0.2)),
        poison_event=rng.choice((0.0, 0.02)), quarantine_bytes=rng.choice((1 << 30, 1 << 30, 1500)),
    )
