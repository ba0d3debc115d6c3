"""AWS at its worst, by microburst in front of ministack: 0 lost, 0 left, and nothing repeated.

None of these faults touches the output, so none of them may repeat an event: what S3, SQS and STS refuse,
cut, mangle or answer into the void is asked again, and the ledger knows what has been delivered.
"""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from tests.faults.scenario import Scenario, note, wait_for

pytestmark = pytest.mark.exhaustive


def _on(service: str, operation: str, **fault: Any) -> Dict[str, Any]:
    return {"service": service, "operation": operation, **fault}


def _error(code: str, status: int) -> Dict[str, Any]:
    return {"error": {"code": code, "status": status}}


GET, RECEIVE, DELETE = ("s3", "GetObject"), ("sqs", "ReceiveMessage"), ("sqs", "DeleteMessageBatch")
EXTEND, ASSUME = ("sqs", "ChangeMessageVisibilityBatch"), ("sts", "AssumeRole")

FAULTS: Dict[str, List[Dict[str, Any]]] = {
    "s3 throttles": [_on(*GET, **_error("SlowDown", 503), times=25)],
    "s3 answers 500": [_on(*GET, **_error("InternalError", 500), times=25)],
    "s3 cuts bodies, lengths corrected": [_on(*GET, response={"truncate_frac": 0.5}, times=12)],
    "s3 aborts bodies": [_on(*GET, response={"abort_frac": 0.3}, times=20)],
    "s3 aborts bodies late": [_on(*GET, response={"abort_frac": 0.9}, times=20)],
    "s3 mangles small bodies": [_on(*GET, response={"corrupt_bytes": 16}, times=12)],
    "s3 resets connections": [_on(*GET, reset=True, times=25)],
    "s3 answers 504 late": [_on(*GET, timeout_ms=300, times=15)],
    "s3 loses etags": [_on(*GET, response={"strip_headers": ["ETag"]}, times=8)],
    "sqs throttles": [_on(*RECEIVE, **_error("RequestThrottled", 400), times=4)],
    "sqs answers 500": [
        _on(*RECEIVE, **_error("InternalFailure", 500), times=4),
        _on(*DELETE, **_error("InternalFailure", 500), times=6),
        _on(*EXTEND, **_error("InternalFailure", 500), times=6),
    ],
    "receives get lost": [_on(*RECEIVE, response={"abort_bytes": 1}, times=3)],
    "answers to deletes get lost": [_on(*DELETE, response={"abort_bytes": 1}, times=6)],
    "sqs resets connections": [
        _on(*RECEIVE, reset=True, times=4),
        _on(*DELETE, reset=True, times=6),
        _on(*EXTEND, reset=True, times=6),
    ],
    "tokens expire": [
        _on(*GET, **_error("ExpiredToken", 400), times=6),
        _on(*RECEIVE, **_error("ExpiredToken", 403), times=2),
        _on(*DELETE, **_error("ExpiredToken", 403), times=2),
    ],
    "sts throttles and fails": [
        _on(*ASSUME, **_error("Throttling", 400), times=2),
        _on(*ASSUME, **_error("InternalFailure", 500), times=2),
    ],
    "all at once": [
        _on(*GET, **_error("SlowDown", 503), probability=0.1),
        _on(*GET, **_error("InternalError", 500), probability=0.1),
        _on(*GET, response={"abort_frac": 0.5}, probability=0.1),
        _on(*GET, reset=True, probability=0.1),
        _on(*RECEIVE, **_error("RequestThrottled", 400), probability=0.2),
        _on(*RECEIVE, response={"abort_bytes": 1}, probability=0.1),
        _on(*DELETE, **_error("InternalFailure", 500), probability=0.2),
        _on(*DELETE, response={"abort_bytes": 1}, probability=0.1),
        _on(*EXTEND, reset=True, probability=0.2),
    ],
}


@pytest.mark.parametrize("output", ["hec-acks", "hec"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_aws_does_to_a_call_loses_and_repeats_nothing(unsigned_aws, burst, folder, fault, output):
    burst.forget()
    with Scenario(unsigned_aws, folder, output=output) as scenario:
        if "small" in fault:
            for number in range(20):
                scenario.upload(f"small{number}", 50)
        else:
            scenario.fill()
            for number in range(30):
                scenario.upload(f"more{number}", 20)
        ours = scenario.collector(endpoint_url=burst.url)
        ours.spec = {**ours.spec, "probe": 1.0, "slow": {"objects.open": 0.4}}
        burst.rules(*FAULTS[fault])
        process = ours.start()
        wait_for(lambda: scenario.depth() == 0 or process.poll() is not None, seconds=120)
        fired = len(burst.fired())
        burst.rules()
        ours.stop(process)
        note(f"wire {fault}", output=output, fired=fired)
        assert fired >= min(2, len(FAULTS[fault]) + 1), "the fault never came to pass"
        assert "Traceback" not in ours.log, ours.log[-4000:]
        scenario.check(repeats=0, proof=f"wire {fault}")
