"""Scenarios for what random schedules show too seldom: a long outage, and a disk that forgets."""

from __future__ import annotations

from unittest import mock

from collector.errors import Fatal, Retry
from tests.simulation import ports
from tests.simulation.conditions import HOUR, Conditions
from tests.simulation.run import Play, kms_denial, run
from tests.simulation.world import BUCKET, World

OUTAGE_SECONDS = 6 * HOUR


def dead_letters_of_an_outage(seed):
    """How many messages are dead (after five receives) when HEC has refused our token for six hours."""
    began = []
    send = ports.SimSink.send

    def refuse(self, batch, *, lane):
        began.append(self.world.seconds)
        if began[-1] < began[0] + OUTAGE_SECONDS:
            raise Fatal("invalid token", code="hec_token", scope="output")
        return send(self, batch, lane=lane)

    with mock.patch.object(ports.SimSink, "send", refuse):
        report = run(seed, Conditions(objects=8, max_receives=5, steps=0))
    return report.dead


def finished_under_a_locked_key(seed, *, told):
    """When objects were finished (seconds, by KMS key) if one of two keys is out of reach for six hours."""
    finished = {"kms-key-0": [], "kms-key-1": []}
    worlds = []

    def lock(world):
        worlds.append(world)
        world.trouble("kms-key-1", OUTAGE_SECONDS, kms_denial("kms-key-1" if told else ""))

    report = run(seed, Conditions(objects=30, payloads=0.0, steps=0, gaps_seconds=(0.3,)), prepare=lock)
    for url, seconds in worlds[0].finished.items():
        finished[ports.kms_key_of(url)].append(seconds)
    return finished, report.problems


def after_a_mistaken_bucket(seed):
    """The report if `bucket` was wrong for six hours; whether every message was in the queue until then."""
    kept, advance = [], Play._advance
    conditions = Conditions(
        objects=8, steps=0, payloads=0.0, reconcile=False, fifo=seed % 3 == 0, collectors=1 + seed % 2,
        hosts=1 + seed % 2, repeat_notification=0.5, max_receives=5, gaps_seconds=(0.3, 30.0),
    )

    def mistake(world):
        world.configured = "mistaken"

    def corrected(self):
        world = self.world
        if world.configured == "mistaken" and world.seconds >= OUTAGE_SECONDS:
            kept.append(len(world.queue) == world.calls["notify"] and not world.table.entries)
            world.configured = BUCKET
            for one in self.running:
                one.stop()
        return advance(self)

    with mock.patch.object(Play, "_advance", corrected):
        return run(seed, conditions, prepare=mistake), kept


def problems_after_power_cuts(seed, *, synchronous):
    """What breaks a law when the power fails now and then, and nothing else does."""
    conditions = Conditions(
        objects=8, steps=1500, gaps_seconds=(0.3, 30.0), repeat_notification=0.5, fifo=seed % 2 == 0,
        disasters={"power_cut": 4.0}, synchronous=synchronous,
    )
    return run(seed, conditions).problems


def fault_at(seed, number, kind):
    """The report of a small quiet world in which only the port call with this number goes wrong.

    `kind`: "fail" (nothing happened), "ambiguous" (it happened, and nobody knows) or "kill" (the process
    is gone right after it). Only the first is no reason for a repeat. Returns the report, and how many port
    calls there were.
    """
    made, struck = [], []
    fail, ambiguous, advance = World.maybe_fail, World.maybe_ambiguous, Play._advance

    def count(self, what):
        made.append(what)
        if len(made) == number and kind == "fail":
            raise Retry(f"{what} failed", code="simulated")
        fail(self, what)

    def after(self, what):
        if len(made) == number and made[-1] == what and kind == "ambiguous":
            raise Retry(f"{what} timed out", code="simulated_timeout")
        ambiguous(self, what)

    def kill(self):
        if len(made) >= number and kind == "kill" and not struck:
            struck.append(True)
            self._kill()
        return advance(self)

    conditions = Conditions(
        steps=0, fifo=seed % 3 == 0, acks=((True,), (False,), (True, False), (True, True))[seed % 4],
        repeat_notification=0.5, several_refs=0.5, disasters={} if kind == "fail" else {kind: 1.0},
    )
    with mock.patch.object(World, "maybe_fail", count), mock.patch.object(World, "maybe_ambiguous", after), \
            mock.patch.object(Play, "_advance", kill):
        report = run(seed, conditions)
    return report, len(made)
