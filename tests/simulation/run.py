"""One seed: build the world, let a generator schedule every take, perform and record, then judge.

A seed and a commit reproduce any failure. Faults stop after a while; then everything must come to its end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from unittest import mock

from collector.engine import reader, slicer
from collector.engine.engine import Engine, Plan
from collector.engine.outputs import Limits
from collector.engine.receiver import Receive
from collector.engine.station import Wait, perform_safely
from collector.testing.memory_store import MemoryCheckpointStore
from tests.simulation.ports import SimBucket, SimHec, SimQueue, SimStore, decode, parse
from tests.simulation.world import BUCKET, INPUT, Faults, World

#: Threads a station has in the simulation.
THREADS = {"receiver": 2, "reader": 3, "settler": 2}
FAULTY_STEPS = 6_000
LAST_STEP = 60_000
#: A collector that was told to stop has this many steps; systemd gives seconds.
STEPS_TO_STOP = 300
LIMITS = Limits(
    workers=4, visibility_timeout_seconds=60, held_bytes=20_000, batch_max_bytes=4_000,
    ack_timeout_seconds=60.0, ack_resume_seconds=20.0, wait_time_seconds=1, acks_per_channel=5,
)  # fmt: skip
#: Slices are cut small, so that small objects have many and acknowledgements come out of order.
SLICE_EVENTS, SLICE_BYTES = 8, 3_000


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
    dead: int


class Collector:
    """One incarnation of the engine; killing it forgets everything but the store."""

    def __init__(self, world, lifetime):
        self.world = world
        clock = world.clock
        inner = MemoryCheckpointStore(world.table, owner=f"owner{lifetime}", clock=clock)
        self.owner = inner.owner
        self.inner = inner
        plan = Plan(
            INPUT, parse, decode, buckets=frozenset([BUCKET]), limits=LIMITS, listing_grace_seconds=100.0
        )
        self.engine = Engine(
            plan, queue=SimQueue(world), objects=SimBucket(world), sinks=[SimHec(world, inner.owner)],
            store=SimStore(world, inner), clock=clock, rng=random.Random(world.rng.random()),
        )  # fmt: skip
        world.living.add(inner.owner)
        inner.alive(clock.now() + 60.0)
        self.engine.resume(inner.start_from(clock.now() - 7200.0), inner.spooled())
        self.stations = list(self.engine.stations())
        self.taken = []
        self.performed = []
        self.waits = []
        self.reconciled = 0.0
        self.paused_until = 0.0
        self.steps_left = None

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
        if getattr(result, "code", "") == "bug":
            self.world.violate(f"bug in the {station.name}: {result}")
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

    def stop(self):
        """SIGTERM: it has a while to put things in order."""
        self.engine.stop()
        self.steps_left = STEPS_TO_STOP

    def has_stopped(self):
        """True when it has ended by itself, or was killed because its time was over."""
        if self.steps_left is None:
            return False
        self.steps_left -= 1
        polling = any(isinstance(work, Receive) for _, work, _, _ in self.performed)
        if not (self.engine.ledger.in_hand() or self.taken or self.performed or polling):
            self.world.living.discard(self.owner)
            self.inner.leave()
            return True
        if self.steps_left <= 0:
            self.world.died(self.owner)
            return True
        return False


class Play:
    """One seed under way."""

    def __init__(self, world, rng, collectors):
        self.world = world
        self.rng = rng
        self.lifetimes = 0
        self.kills = 0
        self.steps = 0
        self.running = [self._born() for _ in range(collectors)]
        self.to_write = rng.choice((3, 8, 20))
        self.written = 0

    def _born(self):
        self.lifetimes += 1
        return Collector(self.world, self.lifetimes)

    @property
    def has_written(self):
        return self.written >= self.to_write

    def go(self, *, reconcile):
        """Until everything has come to its end, or it takes too long."""
        while self.steps < LAST_STEP:
            self.steps += 1
            self._provide()
            self._strike()
            one = self._next_collector()
            if one is None:
                continue
            if one.has_stopped():
                self.running[self.running.index(one)] = self._born()
                continue
            if reconcile:
                one.reconcile_if_due()
            if one.step():
                self.world.clock.seconds += self.rng.choice((0.0, 0.0, 0.01))
            elif self.has_written and self.steps > FAULTY_STEPS and self._is_over(reconcile):
                return
            elif not self.has_written and self.steps < FAULTY_STEPS:
                self.world.clock.seconds += self.rng.choice((0.1, 1.0))
            else:
                self.world.clock.seconds = self._next_moment()

    def _provide(self):
        if self.has_written or self.rng.random() >= 0.02:
            return
        self.written += 1
        if self.rng.random() < 0.1:
            self.world.write_noise()
        self.world.write(self.written, self.rng.choice((0, 1, 7, 40)), payload=self.rng.random() < 0.3)
        if self.has_written:
            self.world.notify()

    def _strike(self):
        world, rng = self.world, self.rng
        faults = world.faults
        if self.steps == FAULTY_STEPS:
            world.faults, world.broken_until = faults.quiet(), 0.0
        if rng.random() < faults.kill:
            self._kill(rng.randrange(len(self.running)))
        if rng.random() < faults.power_cut:
            for one in self.running:
                world.died(one.owner)
            world.cut_power()
            self.kills += 1
            self.running = [self._born() for _ in self.running]
        if rng.random() < faults.restart:
            rng.choice(self.running).stop()
        if rng.random() < faults.pause:
            one = rng.choice(self.running)
            one.paused_until = world.clock.monotonic() + rng.choice((30.0, 90.0, 300.0))
        if rng.random() < faults.clock_jump:
            world.jump()
        if rng.random() < faults.forget_acks:
            world.restart_indexer()

    def _kill(self, index):
        self.kills += 1
        self.world.died(self.running[index].owner)
        self.running[index] = self._born()

    def _next_collector(self):
        """One that is not stopped by a signal; None when the others have to wait for it."""
        now = self.world.clock.monotonic()
        awake = [one for one in self.running if one.paused_until <= now]
        if not awake:
            self.world.clock.seconds = min(one.paused_until for one in self.running)
            return None
        return self.rng.choice(awake)

    def _next_moment(self):
        now = self.world.clock.monotonic()
        moments = [until for one in self.running for until in one.waits if until > now]
        moments += [at for one in self.running for *_, at in one.performed if at > now]
        moments += [one.visible_at for one in self.world.queue.values() if one.visible_at > now]
        return min(moments, default=now + 1.0) + self.rng.choice((0.0, 0.3))

    def _is_over(self, reconcile):
        """Queue empty, nothing in hand, and one quiet reconcile since."""
        world = self.world
        if world.queue or any(one.engine.ledger.in_hand() or one.is_busy() for one in self.running):
            return False
        if any(one.steps_left is not None for one in self.running):
            return False
        if not reconcile:
            return True
        swept = all(one.reconciled > 0 and one.engine.reconciler.is_idle for one in self.running)
        return swept and self._are_all_final()

    def _are_all_final(self):
        rows = self.world.table.rows.values()
        final = {(row.key, row.etag) for row in rows if row.state != "open"}
        begun = any(row.state == "open" and row.key for row in rows)
        if not begun and all((key, found[0]) in final for key, found in self.world.objects.items()):
            return True
        self.world.clock.seconds += 500.0
        return False


def run(
    seed, *, faults=None, collectors=1, fifo=False, acks=True, reconcile=True, synchronous="full",
    max_receives=0,
):  # fmt: skip
    """Play one seed to its end and judge it."""
    rng = random.Random(seed * 7919 + 1)
    faults = faults if faults is not None else faults_of(rng)
    world = World(seed, faults, fifo=fifo, acks=acks, synchronous=synchronous, max_receives=max_receives)
    world.visibility = LIMITS.visibility_timeout_seconds
    with mock.patch.multiple(slicer, SLICE_MAX_EVENTS=SLICE_EVENTS, SLICE_MAX_BYTES=SLICE_BYTES), \
            mock.patch.object(reader, "SLICE_MAX_BYTES", SLICE_BYTES):  # fmt: skip
        play = Play(world, rng, collectors)
        play.go(reconcile=reconcile)
    world.restart_indexer()
    return _judge(play, seed, reconcile)


def _judge(play, seed, reconcile):
    world = play.world
    problems = list(world.violations)
    if play.steps >= LAST_STEP:
        problems.append(f"not finished: queue={len(world.queue)}")
    for oid, texts in world.texts_of.items():
        problems += _lost(world, oid, texts, reconcile)
    problems += [
        f"{text[:30]} repeated {count - 1} times, excused {world.excuses[text]}"
        for text, count in world.indexed.items()
        if count - 1 > world.excuses[text]
    ]
    wrong = [text for text in world.quarantined if text.startswith("event")]
    if wrong:
        problems.append(f"good events in quarantine: {wrong[:2]}")
    problems += [
        f"row left open: {row.url}"
        for row in world.table.rows.values()
        if row.state == "open" and (reconcile or (row.key, row.etag) not in world.taken_away)
    ]
    problems += _left_behind(play)
    repeated = sum(count - 1 for count in world.indexed.values() if count > 1)
    calls = sum(world.calls.values())
    events = sum(world.indexed.values())
    return Report(seed, problems, events, repeated, play.kills, play.steps, calls, len(world.dead))


def _left_behind(play):
    """Nothing stays in memory but what is still asked about, and no receipt outlives a prune."""
    problems = []
    for one in play.running:
        ledger = one.engine.ledger
        tracked = [one for output in ledger.outputs.values() for one in output.receipts.values()]
        kept = [one.id for one in tracked if one.confirmed]
        if kept or ledger.held_bytes or ledger.reading:
            problems.append(f"{one.owner} keeps {kept[:3]} and {ledger.held_bytes} bytes")
        one.inner.prune(object_time_before=0.0)
    if play.world.table.receipts and not play.world.table.open:
        problems.append(f"receipts left: {len(play.world.table.receipts)}")
    return problems


def _lost(world, oid, texts, reconcile):
    """What an object owes: all its events, unless it was taken away before it could be read."""
    row, place = world.table.rows.get(oid), world.place_of[oid]
    ends = ("gone", "expired") if reconcile else ("gone", "expired", "open")
    if place in world.taken_away and (row is None or row.state in ends):
        return []
    is_payload = not place[0]
    if row is None and not (reconcile or is_payload):
        return []
    lost = [text for text in texts if not world.is_safe(text)]
    state = row.state if row else "unknown"
    return [f"{place[0] or 'payload'} ({state}) lost {len(lost)} of {len(texts)}"] if lost else []


def faults_of(rng):
    """A schedule of trouble; a quarter of the seeds are mild, some are savage."""
    scale = rng.choice((0.2, 1.0, 1.0, 3.0))
    return Faults(
        fail=0.02 * scale, ambiguous=0.01 * scale, kill=rng.choice((0.0, 0.0005, 0.002)) * scale,
        power_cut=rng.choice((0.0, 0.0, 0.0005)), restart=rng.choice((0.0, 0.0005)),
        pause=rng.choice((0.0, 0.001)), clock_jump=rng.choice((0.0, 0.0, 0.0005)),
        lose_notification=rng.choice((0.0, 0.1)), repeat_notification=rng.choice((0.0, 0.5)),
        several_refs=rng.choice((0.0, 0.5)), overwrite=rng.choice((0.0, 0.2)),
        remove=rng.choice((0.0, 0.05)), redeliver=rng.choice((0.0, 0.05)),
        forget_acks=rng.choice((0.0, 0.0005)), fatal=rng.choice((0.0, 0.0, 0.002)),
        cut_body=0.01 * scale, poison_event=rng.choice((0.0, 0.02)),
    )  # fmt: skip
