"""Scenarios for what random schedules show too seldom: a long outage, and a disk that forgets."""

from __future__ import annotations

from unittest import mock

from collector.errors import Fatal
from tests.simulation import ports
from tests.simulation.run import run
from tests.simulation.world import Faults

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
