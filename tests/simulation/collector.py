"""One incarnation of the production engine, driven by one generator instead of threads.

`take`, `perform` and `record` of every station are separate choices. A station is asked for work when the
engine has told it so or its time has come, as threads are in production; what a thread would find only
because it looks again every few seconds is a wake-up that somebody forgot, and breaks a law.
"""

from __future__ import annotations

import random

from collector.engine.engine import Engine, Plan
from collector.engine.outputs import Limits
from collector.engine.receiver import Receive
from collector.engine.sender import Send
from collector.engine.station import Wait, perform_safely
from collector.testing.memory_store import MemoryCheckpointStore
from tests.simulation.ports import SimBucket, SimQueue, SimSink, SimStore, decode, parse
from tests.simulation.world import INPUT

__all__ = ["Collector"]

#: Threads a station has in the simulation.
THREADS = {"receiver": 2, "reader": 3, "settler": 2}
SENDER_THREADS = 2
#: A collector that was told to stop has this many steps; systemd gives seconds.
STEPS_TO_STOP = 300
RECONCILE_EVERY_SECONDS = 1500.0
LOOK_EVERY_SECONDS = 60.0
PRUNE_EVERY_SECONDS = 5000.0
WATCH_EVERY_SECONDS = 300.0
#: A silence is looked into after this long.
EXPECTED_EVERY_SECONDS = 900.0
EVERY_SECONDS = {
    "capacity": LOOK_EVERY_SECONDS, "prune": PRUNE_EVERY_SECONDS, "watch": WATCH_EVERY_SECONDS,
    "takeover": LOOK_EVERY_SECONDS,
}
NEVER = float("inf")


def limits_of(conditions):
    return Limits(
        workers=4, visibility_timeout_seconds=60 * conditions.pace, held_bytes=20_000,
        batch_max_bytes=4_000, ack_timeout_seconds=60.0, ack_resume_seconds=20.0,
        wait_time_seconds=20 * conditions.pace, acks_per_channel=5,
        quarantine_bytes=conditions.quarantine_bytes,
    )


class Collector:
    """Killing it forgets everything but the store."""

    def __init__(self, world, *, lifetime, host):
        self.world = world
        self.host = host
        self.clock = clock = world.clocks[host]
        self.inner = MemoryCheckpointStore(world.table, owner=f"owner{lifetime}", clock=clock)
        self.owner = self.inner.owner
        plan = Plan(
            INPUT, parse, decode, buckets=frozenset([world.configured]), limits=limits_of(world.conditions),
            listing_grace_seconds=100.0, expected_interval_seconds=EXPECTED_EVERY_SECONDS,
            reconcile_interval_seconds=RECONCILE_EVERY_SECONDS if world.conditions.reconcile else 0.0,
        )
        self.engine = Engine(
            plan, queue=SimQueue(world), objects=SimBucket(world),
            sinks=[SimSink(world, output, self.owner, clock) for output in world.outputs],
            store=SimStore(world, self.inner, clock), clock=clock, rng=random.Random(world.rng.random()),
            chores={"prune": self._prune},
        )
        world.living.add(self.owner)
        self.inner.alive(clock.now() + 60.0)
        self.engine.resume(self.inner.start_from(clock.now() - 7200.0), self.inner.spooled())
        self.engine.do("capacity")
        self.stations = {station.name: station for station in self.engine.stations()}
        self.free = {name: self._threads_of(name) for name in self.stations}
        self.awake = set(self.stations)
        self.until = {}
        self.next_until = NEVER
        self.taken = []
        self.performed = []
        self.due = {"capacity": LOOK_EVERY_SECONDS, "prune": 60.0, "reconcile": 300.0, "watch": 120.0}
        if world.conditions.fifo:
            self.due["takeover"] = 1.0
        self.due = {job: world.seconds + seconds for job, seconds in self.due.items()}
        self.paused_until = 0.0
        self.steps_left = None

    def _threads_of(self, name):
        return SENDER_THREADS if name.startswith("sender") else THREADS.get(name, 1)

    # -- one step -------------------------------------------------------------------------------

    def step(self):
        """One choice; False if there was nothing to choose."""
        choice = self.world.rng.random()
        if choice < 0.4:
            return self._record() or self._perform() or self._take()
        if choice < 0.75:
            return self._perform() or self._take() or self._record()
        return self._take() or self._perform() or self._record()

    def _take(self):
        now = self.clock.monotonic()
        if self.next_until <= now:
            self._wake_who_is_due(now)
        while True:
            ready = [name for name in self.stations if name in self.awake and self.free[name]]
            if not ready:
                return False
            while ready:
                if self._take_from(ready.pop(int(self.world.rng.random() * len(ready)))):
                    return True

    def _wake_who_is_due(self, now):
        for name in [name for name, until in self.until.items() if until <= now]:
            del self.until[name]
            self.awake.add(name)
        self.next_until = min(self.until.values(), default=NEVER)

    def _take_from(self, name):
        station, ledger = self.stations[name], self.engine.ledger
        work = station.take(ledger)
        news = self._hear()
        if work.__class__ is Wait:
            self.awake.discard(name)
            if work.until is not None:
                self.until[name] = work.until
                self.next_until = min(self.next_until, work.until)
            elif name in self.until:
                del self.until[name]
            return False
        self._check_taken(station, work)
        if not (name in news or station.has_more(ledger)):
            self.awake.discard(name)
        self.free[name] -= 1
        self.taken.append((station, work, self.world.seconds + self._stall_seconds()))
        return True

    def _hear(self):
        """Wake the stations that the engine has news for, if they have work for one more thread."""
        ledger = self.engine.ledger
        news = {name for name in ledger.take_news() if self.stations[name].has_more(ledger)}
        self.awake |= news
        return news

    def _check_taken(self, station, work):
        ledger = self.engine.ledger
        if isinstance(work, Receive) and (ledger.disk_low or ledger.is_quarantine_full()):
            self.world.violate("received with the disk or the quarantine full")
        if isinstance(work, Send):
            for output in self.world.outputs:
                if station.name == f"sender:{output.name}":
                    output.check_lane(self.owner, work.lane.number, work.batch)

    def _perform(self):
        ready = self._ready(self.taken)
        if ready is None:
            return False
        station, work, _ = self.taken.pop(ready)
        world = self.world
        world.took_seconds = 0.0
        result = perform_safely(station, work)
        if getattr(result, "code", "") == "bug":
            world.violate(f"bug in the {station.name}: {result}")
        at = world.seconds + world.took_seconds + self._stall_seconds()
        self.performed.append((station, (work, result), at))
        return True

    def _record(self):
        ready = self._ready(self.performed)
        if ready is None:
            return False
        station, (work, result), _ = self.performed.pop(ready)
        station.record(self.engine.ledger, work, result)
        self.free[station.name] += 1
        self.awake.add(station.name)
        self._hear()
        return True

    def _ready(self, waiting):
        """The index of one that can go on now."""
        if not waiting:
            return None
        now, rng = self.world.seconds, self.world.rng
        index = int(rng.random() * len(waiting))
        if waiting[index][2] <= now:
            return index
        ready = [index for index, one in enumerate(waiting) if one[2] <= now]
        return ready[int(rng.random() * len(ready))] if ready else None

    def _stall_seconds(self):
        world = self.world
        chance = world.conditions.stall
        return world.rng.choice((5.0, 70.0, 400.0)) if chance and world.rng.random() < chance else 0.0

    def wake(self):
        """Nobody has anything to do. Who waits for no time must not have work that nobody told it of."""
        if self.world.rng.random() < 0.8:
            return False  # once in a while is often enough to catch it
        found = [name for name in self.stations if name not in self.until and self.free[name]]
        found = [name for name in found if self._take_from(name)]
        for name in found:
            self.world.violate(f"the {name} had {type(self.taken[-1][1]).__name__}, and nobody woke it")
        return bool(found)

    def moments(self):
        """When something may happen here by itself."""
        now, slept = self.world.seconds, self.clock.slept
        moments = [until + slept for until in self.until.values()]
        moments += [one[2] for one in self.taken] + [one[2] for one in self.performed]
        moments += self.due.values()
        return [at for at in moments if at > now]

    def is_busy(self):
        """Something is under way that is not an empty long poll."""
        return bool(self.taken) or any(
            not isinstance(work, Receive) or result for _, (work, result), _ in self.performed
        )

    # -- what is periodic -----------------------------------------------------------------------

    def do_what_is_due(self):
        now = self.world.seconds
        if min(self.due.values()) > now:
            return
        for job, at in self.due.items():
            if at <= now:
                self._begin(job)
        self._hear()

    def _begin(self, job):
        if job == "reconcile":
            self.due[job] = self.world.seconds + RECONCILE_EVERY_SECONDS
            if self.world.conditions.reconcile:
                self.engine.reconcile()
            return
        self.due[job] = self.world.seconds + EVERY_SECONDS[job]
        self.engine.do(job)

    def _prune(self):
        return self.inner.prune(object_time_before=self.engine.oldest_kept(after_seconds=7 * 86400.0))

    # -- the end --------------------------------------------------------------------------------

    def stop(self):
        """SIGTERM: it has a while to put things in order."""
        self.engine.stop()
        self.steps_left = STEPS_TO_STOP
        self.awake.update(self.stations)

    def has_stopped(self):
        """True when it has ended by itself, or was killed because its time was over."""
        if self.steps_left is None:
            return False
        self.steps_left -= 1
        polling = any(isinstance(work, Receive) for _, (work, _), _ in self.performed)
        if not (self.engine.ledger.in_hand() or self.taken or self.performed or polling):
            self.world.living.discard(self.owner)
            self.inner.leave()
            return True
        if self.steps_left <= 0:
            self.world.died(self.owner)
            return True
        return False
