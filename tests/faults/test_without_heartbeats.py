"""A role that may not extend leases: the receive's own timeout has to last for the work."""

from __future__ import annotations

import json
import time

import pytest

from tests.faults.scenario import LEASE_SECONDS, Scenario, note, wait_for

#: One read takes longer than a lease that nobody extends.
SLOW = {"objects.open": LEASE_SECONDS + 1.0}
OBJECTS = 8


def _without_visibility(policy: str) -> str:
    rights = json.loads(policy)
    for statement in rights["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [one for one in actions if not one.startswith("sqs:ChangeMessageVisibility")]
    return json.dumps(rights)


def test_f03_without_the_right_to_extend_a_lease_receives_are_sized_for_the_work(ministack, folder):
    with Scenario(ministack, folder) as scenario:
        scenario.provider.set_rights(_without_visibility(scenario.provider.least_privilege()))
        for number in range(OBJECTS):
            scenario.upload(f"one{number}", 20)
        ours = scenario.collector(workers=2)
        ours.spec = {"visibility": LEASE_SECONDS, "slow": SLOW}
        process = ours.start()
        wait_for(lambda: "Leases cannot be extended" in ours.log)
        wait_for(lambda: scenario.depth() <= OBJECTS - 2, seconds=40)
        # What is in hand from here on was received when it was known, and takes longer than the lease of old.
        began, most = time.monotonic(), 0
        while scenario.depth():
            most = max([most, *scenario.receives()])
            assert time.monotonic() < began + 90
        assert time.monotonic() > began + 2 * LEASE_SECONDS, "too quick to prove anything"
        assert most == 1, "a lease lapsed under the work"
        ours.stop(process)
        assert ours.log.count("Leases cannot be extended") == 1
        assert "Traceback" not in ours.log
        scenario.check(repeats=0, proof="without sqs:ChangeMessageVisibility")


@pytest.mark.exhaustive
def test_a_refused_heartbeat_is_not_tried_again_and_again(unsigned_aws, burst, folder):
    burst.forget()
    with Scenario(unsigned_aws, folder) as scenario:
        for number in range(OBJECTS):
            scenario.upload(f"one{number}", 20)
        denied = {"code": "AccessDenied", "status": 403}
        burst.rules({"service": "sqs", "operation": "ChangeMessageVisibilityBatch", "error": denied})
        ours = scenario.collector(endpoint_url=burst.url, workers=2)
        ours.spec = {"visibility": LEASE_SECONDS, "slow": SLOW}
        process = ours.start()
        wait_for(lambda: scenario.depth() == 0, seconds=60)
        tried = len(burst.fired())
        ours.stop(process)
        burst.rules()
        note("heartbeats refused", tried=tried)
        assert tried == 1
        scenario.check(repeats=0, proof="heartbeats refused")
