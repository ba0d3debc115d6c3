"""Real collectors of two hosts on one queue and one DynamoDB table, one of which dies for good.

They run on this host, but neither is told by the other's pid whether it lives: as on two hosts, only its
word in the table says so.
"""

from __future__ import annotations

import json
import signal
import time
from typing import Any, List, Tuple

import pytest

from collector.stores.dynamodb import create_table
from collector.testing.local_aws import CUSTOMER
from tests.faults.scenario import LEASE_SECONDS, Launched, Scenario, wait_for

TABLE = "audit-s3"
ALIVE_SECONDS = 2.0
#: HEC has read by then what a killed process had put on the wire.
SETTLED_SECONDS = 0.5

POINTS = [
    ("store.claim", "after", 2), ("sink.send", "after", 2), ("store.apply:SaveReceipt", "before", 1),
    ("store.apply:SaveReceipt", "after", 2), ("sink.ask", "after", 1), ("store.apply:Finish", "before", 1),
    ("queue.delete", "before", 1),
]


def _pair(scenario: Scenario, **settings: Any) -> Tuple[Launched, Launched]:
    """Two collectors, and the right of the customer's own keys to the table."""
    aws = scenario.provider.aws
    create_table(aws.client("dynamodb", account=CUSTOMER), TABLE)
    everything = [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]
    aws.client("iam", account=CUSTOMER).put_user_policy(
        UserName=f"{scenario.provider.name}-collector", PolicyName="checkpoints",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": everything}),
    )
    table = {"checkpoint_store": "dynamodb", "checkpoint_table": TABLE, "checkpoint_region": aws.region}
    pair: List[Launched] = [scenario.collector(**table, **settings) for _ in range(2)]
    for one in pair:
        one.spec = {
            "visibility": LEASE_SECONDS, "ack_resume": 2.0, "alive_for": ALIVE_SECONDS, "dead_after": 0.5,
            "takeover": 0.5, "hosts": 2,
        }
    return pair[0], pair[1]


def _spooled(scenario: Scenario) -> int:
    """Messages that are in no queue any more, and whose audits are not delivered yet."""
    return sum("#spool#" in item["pk"]["S"] for item in _items(scenario))


def _items(scenario: Scenario) -> List[Any]:
    client = scenario.provider.aws.client("dynamodb", account=CUSTOMER)
    return [item for page in client.get_paginator("scan").paginate(TableName=TABLE) for item in page["Items"]]


def _beyond_the_prefix(scenario: Scenario) -> int:
    """Events of the large object that HEC has and no commit may take up: an earlier slice is on its way."""
    rows = [row for row in _items(scenario) if row.get("key", {}).get("S") == "k/large" and "state" in row]
    committed = sum(float(row.get("offset", row.get("events", {"N": "0"}))["N"]) for row in rows)
    taken = sum(count for name, count in scenario.arrived().items() if name.startswith("large-"))
    return max(0, taken - int(committed))


def _cases() -> List[Any]:
    cases = [("hec-acks", *point) for point in POINTS] + [("hec", *POINTS[1]), ("hec", *POINTS[-2])]
    sample = ("hec-acks", *POINTS[1])
    return [pytest.param(*case, marks=[] if case == sample else [pytest.mark.exhaustive]) for case in cases]


@pytest.mark.parametrize(("output", "point", "when", "nth"), _cases())
def test_what_a_host_held_that_died_for_good_another_finishes(ministack, folder, output, point, when, nth):
    with Scenario(ministack, folder, output=output) as scenario:
        scenario.fill()
        first, second = _pair(scenario)
        first.spec = {**first.spec, "kill": point, "when": when, "nth": nth, "slow": {"object.read": 0.1}}
        second.spec["slow"] = {"objects.open": 0.2}
        dying = first.start()
        # What it said in its last 50 ms dies with it.
        wait_for(lambda: "Collecting." in first.log or dying.poll() is not None)
        living = second.start()
        assert dying.wait(60) == -signal.SIGKILL, f"never came to {point}\n{first.log[-2000:]}"
        time.sleep(SETTLED_SECONDS)
        answers = scenario.asked_a_lane() if output == "hec-acks" else _beyond_the_prefix(scenario)
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost())
        second.stop(living)
        assert "Traceback" not in second.log, second.log[-4000:]
        bound = min(scenario.batch_a_lane() + answers, len(scenario.expected) - 1)
        scenario.check(repeats=bound, proof=f"two hosts, one dies {when} {point} {nth}")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("point", "when"),
    [("sink.send", "after"), ("store.apply:Finish", "before"), ("store.apply:Unspool", "before")],
)
@pytest.mark.parametrize("output", ["hec-acks", "hec"])
def test_so_it_does_with_what_is_in_no_queue_any_more(ministack, folder, output, point, when):
    """Audits of a FIFO queue lie in the spool alone; nobody starts the dead one again, nor the living one."""
    with Scenario(ministack, folder, output=output, fifo=True, bucket=False) as scenario:
        first, second = _pair(scenario, provider="privacera-policysync")
        first.spec = {**first.spec, "kill": point, "when": when, "slow": {"sink.send": 6.0}}
        second.spec["slow"] = {"queue.receive": 600.0}  # all that it ever has is what the first one had
        living, dying = second.start(), first.start()
        wait_for(lambda: "Collecting." in first.log and "Collecting." in second.log)
        time.sleep(ALIVE_SECONDS)
        scenario.send_bodies(25)
        wait_for(lambda: scenario.depth() == 0)
        assert dying.wait(60) == -signal.SIGKILL, f"never came to {point}\n{first.log[-2000:]}"
        wait_for(lambda: "Took up what another collector had spooled" in second.log)
        wait_for(lambda: not scenario.lost() and not _spooled(scenario))
        living.kill()
        answers = scenario.asked_a_lane() if output == "hec-acks" else 0
        bound = min(24, scenario.batch_a_lane() + answers)
        scenario.check(repeats=bound, proof=f"two hosts, FIFO, one dies {when} {point}")
