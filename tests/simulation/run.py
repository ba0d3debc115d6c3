"""One seed: build the world, let a generator schedule every take, perform and record, then judge.

A seed and a commit reproduce any failure. Trouble ends after a while; then everything must come to its end.
"""

from __future__ import annotations

import random
from unittest import mock

from collector.engine import reader, slicer
from collector.errors import Fatal, Retry
from tests.simulation.collector import Collector
from tests.simulation.conditions import DISASTERS, HOUR, drawn
from tests.simulation.judge import judge
from tests.simulation.world import World

__all__ = ["Play", "run"]

LAST_STEP = 200_000
#: At the end the bucket is compared with the ledger so often before we believe what we see.
MOST_SWEEPS = 30
#: Slices are cut small, so that small objects have many and acknowledgements come out of order.
SLICE_EVENTS, SLICE_BYTES = 8, 3_000
JUMPS_SECONDS = (-30.0, 30.0, 90.0, 3600.0, -3600.0, 7300.0, -7300.0, 960 * HOUR, -960 * HOUR)
SUSPENDED_SECONDS = 6 * HOUR


class Play:
    """One seed under way."""

    def __init__(self, world, rng):
        self.world = world
        self.rng = rng
        self.conditions = world.conditions
        self.lifetimes = 0
        self.kills = 0
        self.steps = 0
        self.written = 0
        self.write_at = world.seconds
        self.sweeping = False
        self.sweeps = 0
        self.running = [
            self._born(number % self.conditions.hosts) for number in range(self.conditions.collectors)
        ]
        self._strikes = sum(self.conditions.disasters.values()) / max(1, self.conditions.steps)

    def _born(self, host):
        self.lifetimes += 1
        return Collector(self.world, lifetime=self.lifetimes, host=host)

    @property
    def has_written(self):
        return self.written >= self.conditions.objects

    @property
    def is_calm(self):
        return self.steps >= self.conditions.steps

    def go(self):
        """Until everything has come to its end, a law is broken, or it takes too long."""
        while self.steps < LAST_STEP and not self.world.violations:
            self.steps += 1
            if self.steps == self.conditions.steps:
                self._calm_down()
            elif not self.is_calm and self.rng.random() < self._strikes:
                self._strike()
            if self.write_at <= self.world.seconds and not self.has_written:
                self._write()
            if self._advance():
                continue
            if self.has_written and self._is_over():
                return
            self.world.seconds = self._next_moment()

    def _write(self):
        world, rng, conditions = self.world, self.rng, self.conditions
        self.written += 1
        self.write_at = world.seconds + rng.choice(conditions.gaps_seconds)
        if rng.random() < conditions.noise:
            world.write_noise()
        world.write(self.written, rng.choice(conditions.events), payload=rng.random() < conditions.payloads)
        if self.has_written:
            world.notify()

    def _advance(self):
        """One step of one collector that has something to do."""
        world = self.world
        awake = [one for one in self.running if one.paused_until <= world.seconds]
        if len(awake) > 1 and self.rng.random() < 0.5:
            awake.reverse()
        for one in awake:
            if one.has_stopped():
                self._replace(one)
                return True
            one.do_what_is_due()
            if one.step():
                if self.rng.random() < 0.3:
                    world.seconds += 0.01
                return True
        return any(one.wake() for one in awake)

    def _replace(self, one):
        self.running[self.running.index(one)] = self._born(one.host)

    def _next_moment(self):
        now = self.world.seconds
        moments = [at for one in self.running for at in one.moments() if one.paused_until <= now]
        moments += [one.paused_until for one in self.running if one.paused_until > now]
        moments += [one.visible_at for one in self.world.queue.values() if one.visible_at > now]
        if not self.has_written:
            moments.append(self.write_at)
        return min(moments, default=now + 1.0) + self.rng.choice((0.0, 0.3))

    # -- disasters ------------------------------------------------------------------------------

    def _strike(self):
        often = self.conditions.disasters
        name = self.rng.choices(DISASTERS, [often.get(name, 0.0) for name in DISASTERS])[0]
        getattr(self, f"_{name}")()

    def _calm_down(self):
        """Faults stop, clocks are set right; what is denied stays denied for its time."""
        self.world.conditions = self.conditions.calm()
        self.world.troubles.clear()
        for clock in self.world.clocks:
            clock.skew = 0.0

    def _kill(self):
        self.kills += 1
        one = self.rng.choice(self.running)
        self.world.died(one.owner)
        self._replace(one)

    def _lose_one(self):
        """One of several collectors dies, and nobody starts it again."""
        if len(self.running) < 2:
            return
        self.kills += 1
        one = self.rng.choice(self.running)
        self.world.died(one.owner)
        self.running.remove(one)

    def _power_cut(self):
        self.kills += len(self.running)
        for one in self.running:
            self.world.died(one.owner)
        self.world.cut_power()
        for one in list(self.running):
            self._replace(one)

    def _restart(self):
        self.rng.choice(self.running).stop()

    def _pause(self):
        """SIGSTOP: the clocks go on."""
        one = self.rng.choice(self.running)
        one.paused_until = self.world.seconds + self.rng.choice((30.0, 90.0, 300.0))

    def _suspend(self):
        """A lid is closed: everybody on the host sleeps, and monotonic time with them."""
        host = self.rng.randrange(len(self.world.clocks))
        self.world.clocks[host].slept += SUSPENDED_SECONDS
        for one in self.running:
            if one.host == host:
                one.paused_until = self.world.seconds + SUSPENDED_SECONDS

    def _clock_jump(self):
        """Somebody sets a wall clock, and the daily job runs then. Hosts may be an hour apart, not more."""
        clock = self.rng.choice(self.world.clocks)
        clock.skew += self.rng.choice(JUMPS_SECONDS if len(self.world.clocks) == 1 else JUMPS_SECONDS[:4])
        for one in self.running:
            one.due["prune"] = self.world.seconds

    def _forget_acks(self):
        self.rng.choice(self.world.outputs).restart()

    def _outage(self):
        """One output is down, or refuses us."""
        output = self.rng.choice(self.world.outputs)
        error = self.rng.choice((
            Retry("unavailable", code="simulated_503"),
            Fatal("invalid token", code="simulated_token", scope="output"),
        ))
        self.world.trouble(f"send {output.name}", self._a_while(), error)

    def _lock_out(self):
        """The role or the queue's policy changes under us."""
        what, scope = self.rng.choice((
            ("open", "object"), ("open", "role"), ("receive", "queue"), ("delete", "queue"),
        ))
        error = Fatal(f"{what} denied", code="simulated_denial", scope=scope)
        self.world.trouble(what, self._a_while(), error)

    def _lock_key(self):
        """One of two KMS keys may not be used; AWS says which, or does not."""
        self.world.trouble("kms-key-1", self._a_while(), kms_denial(self.rng.choice(("kms-key-1", ""))))

    def _disk_low(self):
        """Nothing can be written until there is room again."""
        self.world.trouble("apply", self._a_while(), Retry("the disk is full", code="simulated_full"))

    def _a_while(self):
        return self.rng.choice((10.0, 200.0, 4000.0))

    # -- the end --------------------------------------------------------------------------------

    def _is_over(self):
        """Queue empty, nothing in hand, and a quiet reconcile since."""
        world = self.world
        if world.queue or any(one.engine.ledger.in_hand() or one.is_busy() for one in self.running):
            return False
        if world.table.spool:
            return False
        if any(one.steps_left is not None or one.paused_until > world.seconds for one in self.running):
            return False
        if not self.conditions.reconcile:
            return True
        if not self.is_calm:
            return False
        if self.sweeping and all(one.engine.reconciler.is_idle for one in self.running):
            if self._are_all_final() or self.sweeps > MOST_SWEEPS:
                return True
            self.sweeping = False
        if not self.sweeping:
            self._sweep()
        return False

    def _sweep(self):
        """Compare the bucket with the ledger when graces are over, and the words of the dead have run out."""
        self.sweeping = True
        self.sweeps += 1
        self.world.seconds += 500.0
        for one in self.running:
            one.due["reconcile"] = self.world.seconds

    def _are_all_final(self):
        table = self.world.table
        final = {(row.key, row.etag) for row in table.rows.values() if row.state != "open"}
        begun = any(table.rows[oid].key for oid in table.open)
        return not begun and all((key, one[0]) in final for key, one in self.world.objects.items())


def kms_denial(key):
    return Fatal("kms denied", code="simulated_kms", scope="kms", resource=key)


def run(seed, conditions=None, *, prepare=None):
    """Play one seed to its end and judge it: in the world that it draws, or in this one, once prepared."""
    rng = random.Random(seed * 7919 + 1)
    world = World(seed, conditions if conditions is not None else drawn(rng))
    if prepare is not None:
        prepare(world)
    with mock.patch.multiple(slicer, SLICE_MAX_EVENTS=SLICE_EVENTS, SLICE_MAX_BYTES=SLICE_BYTES), \
            mock.patch.multiple(reader, READ_BYTES=SLICE_BYTES, TOGETHER_BYTES=SLICE_BYTES):
        play = Play(world, rng)
        play.go()
    for output in world.outputs:
        output.restart()
    return judge(play, seed, is_unfinished=play.steps >= LAST_STEP)
