"""Somebody else's mistake, made while the service runs and put right after a while (rule 8).

Nothing is deleted and nothing goes to quarantine; a message is received at most twice more than it would
have been; when it is put right, work goes on by itself and nothing has been repeated.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.faults.scenario import Scenario, note, wait_for

#: Six probes of two seconds: the same as six minutes of an operator's time.
BROKEN_SECONDS = 12.0
PROBE_SECONDS = 2.0
#: What was under way when the mistake was made has come to rest by then.
SETTLE_SECONDS = 5.0
MESSAGES = 24
IN_HAND = 16
#: Up to ten are opened one after the other by one thread.
OPEN_SECONDS = 0.3
NOTHING = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
})


def _revoke_token(scenario):
    good, scenario.hec.token = scenario.hec.token, "00000000-0000-4000-8000-000000000000"
    return lambda: setattr(scenario.hec, "token", good)


def _forbid_index(scenario):
    scenario.hec.policy.indexes = ("main",)
    return lambda: setattr(scenario.hec.policy, "indexes", ("main", "audit"))


def _deny_everything(scenario):
    scenario.provider.set_rights(NOTHING)
    return lambda: scenario.provider.set_rights(scenario.provider.least_privilege())


def _deny(action):
    def deny(scenario):
        scenario.provider.set_rights(scenario.provider.least_privilege(without=action))
        return lambda: scenario.provider.set_rights(scenario.provider.least_privilege())

    return deny


MISTAKES = {
    "token revoked": _revoke_token,
    "wrong index": _forbid_index,
    "role without rights": _deny_everything,
    "role without s3 GetObject": _deny("s3:GetObject"),
    "role without sqs ReceiveMessage": _deny("sqs:ReceiveMessage"),
}
#: Without any right nothing can be given back, and without ReceiveMessage what is in hand is delivered.
HANDS_BACK = ("token revoked", "wrong index", "role without s3 GetObject")


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_others_deletes_nothing_and_ends_by_itself(ministack, folder, mistake, output):
    """Some messages are in hand when the mistake is made, and more arrive while it lasts."""
    with Scenario(ministack, folder, output=output, max_receive_count=4) as scenario:
        ours = scenario.collector(index="audit", workers=IN_HAND)
        ours.spec = {"visibility": 30, "probe": PROBE_SECONDS, "slow": {"objects.open": OPEN_SECONDS}}
        process = ours.start()
        scenario.upload("before", 20)
        wait_for(lambda: scenario.depth() == 0)
        for number in range(MESSAGES):
            scenario.upload(f"held{number}", 20)
        wait_for(lambda: scenario.in_flight() >= IN_HAND)
        repair = MISTAKES[mistake](scenario)
        in_hand = scenario.in_flight()  # read ones that wait for HEC's answer too: these may still be deleted
        left = scenario.depth()
        for number in range(MESSAGES):
            scenario.upload(f"during{number}", 20)
        time.sleep(SETTLE_SECONDS)
        kept = scenario.depth()
        assert kept >= left + MESSAGES - in_hand
        in_flight = []
        broken_until = time.monotonic() + BROKEN_SECONDS
        while time.monotonic() < broken_until:
            assert scenario.depth() == kept, "a message was deleted or given up"
            in_flight.append(scenario.in_flight())
            time.sleep(0.5)
        receives = scenario.receives()
        repair()
        repaired = time.monotonic()
        wait_for(lambda: scenario.depth() == 0, seconds=60)
        seconds = time.monotonic() - repaired
        ours.stop(process)
        returned = ours.counters().get("returned", 0)
        note(f"mistake {mistake}", output=output, receives=max(receives), returned=returned,
             in_flight=min(in_flight), recovered_after=round(seconds, 1))
        assert process.returncode == 0, ours.log[-4000:]
        assert "Traceback" not in ours.log, ours.log[-4000:]
        assert "receiving stops" in ours.log or "Receiving stops" in ours.log
        assert max(receives) <= 3, "one receive, and two more at most"
        if mistake in HANDS_BACK:
            assert returned >= IN_HAND // 2, "what was in hand was not given back"
            assert min(in_flight) <= 1, "more than the probe was kept"
        assert not ours.verb("quarantine", "list", "--format", "json").stdout.strip()
        scenario.check(repeats=0, proof=f"mistake {mistake}")
