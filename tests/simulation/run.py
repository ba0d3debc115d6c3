"""One seed: build the world, let a generator schedule every take, perform and record, then judge.

A seed and a commit reproduce any failure. Faults stop after a while; then everything must come to its end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from collector.engine.engine import Engine, Plan
from collector.engine.ledger import Limits
from collector.engine.receiver import Receive
from collector.engine.station import Wait, perform_safely
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable
from tests.simulation.world import Faults, SimBucket, SimHec, SimQueue, SimStore, World, decode, parse

#: Threads a station has in the simulation.
THREADS = {"receiver": 2, "reader": 3, "settler": 2}
FAULTY_STEPS = 6_000
LAST_STEP = 120_000
LIMITS = Limits(
    workers=4, visibility_timeout_seconds=60, held_bytes=20_000, batch_max_bytes=4_000,
    ack_timeout_seconds=60.0, ack_resume_seconds=20.0, wait_time_seconds=1, acks_per_channel=5,
)  # fmt: skip


@dataclass
class Report:
    """What a seed led to: `problems` is empty, or the engine is wrong. `calls` counts port calls."""

    seed: int
    problems: list
    events: int
    repeated: int
    kills: int
    steps: int
    calls: int


class Collector:
    """One incarnation of the engine; killing it forgets everything but the store."""

    def __init__(self, world, lifetime):
        self.world = world
        clock = world.clock
        inner = MemoryCheckpointStore(world.table, owner=f"owner{lifetime}", clock=clock)
        self.store = SimStore(inner, world)
        plan = Plan(
            "sim", parse, decode, buckets=frozenset("b"), limits=LIMITS,
            listing_grace_seconds=100.0,
        )  # fmt: skip
        self.engine = Engine(
            plan, queue=SimQueue(world), objects=SimBucket(world), sinks=[SimHec(world, lifetime)],
            store=self.store, clock=clock, rng=random.Random(world.rng.random()),
        )  # fmt: skip
        inner.alive(clock.now() + 60.0)
        self.engine.resume(inner.start_from(clock.now()), inner.spooled())
        self.stations = list(self.engine.stations())
        self.taken = []
        self.performed = []
        self.born = clock.monotonic()
        self.reconciled = 0.0

    def step(self):
        """One choice; False if there was nothing to choose."""
        choice = self.world.rng.random()
        if choice < 0.4 and self._record():
            return True
        if choice < 0.75 and self._perform():
            return True
        return self._take() or self._perform() or self._record()

    def _record(self):
        now = self.world.clock.monotonic()
        ready = [index for index, one in enumerate(self.performed) if one[3] <= now]
        if not ready:
            return False
        station, work, result, _ = self.performed.pop(self.world.rng.choice(ready))
        station.record(self.engine.ledger, work, result)
        return True

    def _perform(self):
        if not self.taken:
            return False
        station, work = self.taken.pop(self.world.rng.randrange(len(self.taken)))
        result = perform_safely(station, work)
        at = self.world.clock.monotonic()
        if isinstance(work, Receive) and result == []:
            at += work.wait_seconds
        self.performed.append((station, work, result, at))
        return True

    def is_busy(self):
        """Something is under way that is not an empty long poll."""
        now = self.world.clock.monotonic()
        return bool(self.taken) or any(at <= now for *_, at in self.performed)

    def _take(self):
        order = list(self.stations)
        self.world.rng.shuffle(order)
        self.waits = []
        for station in order:
            busy = sum(1 for one in (*self.taken, *self.performed) if one[0] is station)
            if busy >= THREADS.get(station.name, 2 if station.name.startswith("sender") else 1):
                continue
            work = station.take(self.engine.ledger)
            if isinstance(work, Wait):
                if work.until is not None:
                    self.waits.append(work.until)
                continue
            self.taken.append((station, work))
            return True
        return False

    def reconcile_if_due(self):
        if self.world.clock.monotonic() - self.reconciled > 3000.0:
            self.reconciled = self.world.clock.monotonic()
            self.engine.reconcile()


def run(seed, *, faults=None, collectors=1, fifo=False, acks=True, reconcile=True):
    """Play one seed to its end and judge it."""
    rng = random.Random(seed * 7919 + 1)
    world = World(seed, faults if faults is not None else faults_of(rng), fifo=fifo, acks=acks)
    world.table = MemoryTable()
    world.visibility = LIMITS.visibility_timeout_seconds
    lifetimes = 0
    running = []
    kills = 0
    for _ in range(collectors):
        lifetimes += 1
        running.append(Collector(world, lifetimes))
    written = 0
    objects = rng.choice((3, 8, 20))
    step = 0
    while step < LAST_STEP:
        step += 1
        if written < objects and rng.random() < 0.02:
            written += 1
            if rng.random() < 0.1:
                world.write_noise()
            world.write(written, rng.choice((0, 1, 7, 40)), payload=rng.random() < 0.3)
        if step == FAULTY_STEPS:
            world.faults = world.faults.quiet()
            world.broken_until = 0.0
        if rng.random() < world.faults.kill:
            lifetimes += 1
            kills += 1
            running[rng.randrange(len(running))] = Collector(world, lifetimes)
        if rng.random() < world.faults.forget_acks:
            world.restart_hec()
        one = running[rng.randrange(len(running))]
        if reconcile:
            one.reconcile_if_due()
        if one.step():
            world.clock.seconds += rng.choice((0.0, 0.0, 0.01))
            continue
        if written >= objects and step > FAULTY_STEPS and _is_over(world, running, reconcile):
            break
        if written < objects and step < FAULTY_STEPS:
            world.clock.seconds += rng.choice((0.1, 1.0))
            continue
        world.clock.seconds = _next_moment(world, running, rng)
    world.restart_hec()
    return _judge(world, seed, kills, step, reconcile)


def _next_moment(world, running, rng):
    now = world.clock.monotonic()
    moments = [until for one in running for until in getattr(one, "waits", []) if until > now]
    moments += [at for one in running for *_, at in one.performed if at > now]
    moments += [one.visible_at for one in world.queue.values() if one.visible_at > now]
    return min(moments, default=now + 1.0) + rng.choice((0.0, 0.3))


def _is_over(world, running, reconcile):
    """Queue empty, nothing in hand, and one quiet reconcile since."""
    if world.queue or any(one.engine.ledger.in_hand() or one.is_busy() for one in running):
        return False
    if reconcile:
        swept = all(one.reconciled > 0 and one.engine.reconciler.is_idle for one in running)
        return swept and _all_final(world)
    return True


def _all_final(world):
    final = {row.key for row in world.table.rows.values() if row.state != "open" and row.key}
    if final >= set(world.objects):
        return True
    world.clock.seconds += 500.0
    return False


def _judge(world, seed, kills, step, reconcile):
    problems = list(world.violations)
    if step >= LAST_STEP:
        problems.append(f"not finished: queue={len(world.queue)}")
    reached = {row.key for row in world.table.rows.values() if row.key} | {
        key for key in world.expected if key.startswith("payload")
    }
    for key, texts in world.expected.items():
        if not reconcile and key not in reached:
            continue
        lost = [text for text in texts if not world.is_safe(text)]
        if lost:
            problems.append(f"{key} lost {len(lost)} of {len(texts)}: {lost[0][:40]}")
    wrong = [text for text in world.quarantined if text.startswith("event")]
    if wrong:
        problems.append(f"good events in quarantine: {wrong[:2]}")
    problems += [f"row left open: {row.url}" for row in world.table.rows.values() if row.state == "open"]
    if world.table.receipts and kills == 0:
        problems.append(f"receipts left: {len(world.table.receipts)}")
    repeated = sum(count - 1 for count in world.indexed.values() if count > 1)
    calls = sum(world.calls.values())
    return Report(seed, problems, sum(world.indexed.values()), repeated, kills, step, calls)


def faults_of(rng):
    """A schedule of trouble; a quarter of the seeds are mild, some are savage."""
    scale = rng.choice((0.2, 1.0, 1.0, 3.0))
    return Faults(
        fail=0.02 * scale, ambiguous=0.01 * scale, kill=rng.choice((0.0, 0.0005, 0.002)) * scale,
        lose_notification=rng.choice((0.0, 0.1)), repeat_notification=rng.choice((0.0, 0.5)),
        redeliver=rng.choice((0.0, 0.05)), forget_acks=rng.choice((0.0, 0.0005)),
        fatal=rng.choice((0.0, 0.0, 0.002)), cut_body=0.01 * scale, poison_event=rng.choice((0.0, 0.02)),
    )  # fmt: skip
