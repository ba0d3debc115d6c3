"""Scenarios for what random schedules show too seldom: a long outage, and a disk that forgets."""

from __future__ import annotations

from unittest import mock

from collector.errors import Fatal, Retry
from tests.simulation import ports
from tests.simulation.run import Play, run
from tests.simulation.world import Faults, World

OUTAGE_SECONDS = 6 * 3600.0


def dead_letters_of_an_outage(seed):
    """How many messages are dead (after five receives) when HEC has refused our token for six hours."""
    began = []
    send = ports.SimHec.send

    def refuse(self, batch, *, lane):
        began.append(self.world.clock.monotonic())
        if began[-1] < began[0] + OUTAGE_SECONDS:
            raise Fatal("invalid token", code="hec_token", scope="output")
        return send(self, batch, lane=lane)

    with mock.patch.object(ports.SimHec, "send", refuse):
        report = run(seed, faults=Faults(), max_receives=5, reconcile=True)
    return report.dead


def repeats_after_power_cuts(seed, *, synchronous):
    """What breaks a law when the power fails now and then, and nothing else does."""
    faults = Faults(power_cut=0.002, repeat_notification=0.5)
    return run(seed, faults=faults, fifo=seed % 2 == 0, synchronous=synchronous).problems


def fault_at(seed, number, kind):
    """The report of a small quiet world in which only the port call with this number goes wrong.

    `kind`: "fail" (nothing happened), "ambiguous" (it happened, and nobody knows) or "kill" (the process
    is gone right after it). Returns the report, and how many port calls there were.
    """
    made, struck = [], []
    fail, ambiguous, strike = World.maybe_fail, World.maybe_ambiguous, Play._strike

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
            self._kill(0)
        strike(self)

    with mock.patch.object(World, "maybe_fail", count), mock.patch.object(World, "maybe_ambiguous", after), \
            mock.patch.object(Play, "_strike", kill), mock.patch("tests.simulation.run.FAULTY_STEPS", 300):
        report = run(seed, faults=Faults(), acks=bool(seed % 2))
    return report, len(made)
