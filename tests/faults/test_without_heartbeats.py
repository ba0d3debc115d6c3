"""A role that may not extend leases: the receive's own timeout has to last for the work."""

from __future__ import annotations

import json
import time

import pytest

from tests.faults.scenario import LEASE_SECONDS, Scenario, wait_for

#: One read takes longer than a lease that nobody extends.
SLOW = {"objects.open": LEASE_SECONDS + 1.0}
OBJECTS = 4


def _without_visibility(policy: str) -> str:
    rights = json.loads(policy)
    for statement in rights["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [one for one in actions if not one.startswith("sqs:ChangeMessageVisibility")]
    return json.dumps(rights)


def _work_after_it_is_known(scenario, ours):
    """Objects whose work takes longer than a lease, once it is known that leases cannot be extended."""
    process = ours.start()
    scenario.upload("first", 20)
    wait_for(lambda: "Leases cannot be extended" in ours.log)
    wait_for(lambda: scenario.depth() == 0, seconds=60)
    before = len(ours.log)
    for number in range(OBJECTS):
        scenario.upload(f"one{number}", 20)
    most = 0
    began = time.monotonic()
    while scenario.depth():
        most = max([most, *scenario.receives()])
        assert time.monotonic() < began + 60
        time.sleep(0.1)
    ours.stop(process)
    assert most == 1, "a lease lapsed under the work"
    assert "lapsed" not in ours.log[before:]
    assert ours.log.count("Leases cannot be extended") == 1
    assert "Traceback" not in ours.log


@pytest.mark.exhaustive
def test_f03_without_the_right_to_extend_a_lease_receives_are_sized_for_the_work(ministack, folder):
    with Scenario(ministack, folder) as scenario:
        scenario.provider.set_rights(_without_visibility(scenario.provider.least_privilege()))
        ours = scenario.collector(workers=2)
        ours.spec = {"visibility": LEASE_SECONDS, "slow": SLOW}
        _work_after_it_is_known(scenario, ours)
        scenario.check(repeats=0, proof="without sqs:ChangeMessageVisibility")
