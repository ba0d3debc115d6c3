"""What /metrics says of requests to AWS is what AWS was sent: customers pay by the request."""

from __future__ import annotations

from typing import Callable, Dict

from collector.testing.call_counter import CallCounter
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, ndjson, wait_for
from tests.e2e.test_web import ask, labels, sample

METRIC = "audit_s3_aws_calls_total"
#: What the counter sees of others than the queue's and the bucket's calls names neither of them.
NAMED = ("ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes", "GetObject", "ListObjectsV2")


def told(address: str) -> Dict[str, float]:
    operations = [one["operation"] for one in labels(address, METRIC)]
    return {name.partition(":")[2]: sample(address, METRIC, operation=name) for name in operations}


def test_every_request_to_aws_is_counted_once_by_its_operation(
    ministack: LocalAws, collector: Callable[..., Collector], address: str
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    for number in range(24):
        provider.upload(f"k/{number}", ndjson(str(number), 3))
    with CallCounter(ministack.endpoint_url, ["thrive"]) as counter:
        ours = collector({
            **provider.handover(), "endpoint_url": counter.url, "wait_time_seconds": 1,
            "reconcile_grace_seconds": 0,
        })
        process = ours.start("--http-listen", address)
        wait_for(lambda: ask(address, "/readyz")[0] == 200 and told(address).get("DeleteMessageBatch", 0) > 1)
        wait_for(lambda: sample(address, "audit_s3_objects_finished_total", state="done") == 24)
        wait_for(lambda: told(address)["ListObjectsV2"] >= 1)
        before = counter.calls("thrive")
        shown = told(address)
        after = counter.calls("thrive")
        ours.stop(process)
    assert shown["GetObject"] == before["GetObject"] == 24
    assert shown["AssumeRole"] == 1
    for name in NAMED:
        assert before[name] <= shown[name] <= after[name] + 1, name  # sent, and not yet seen to arrive
    assert set(after) <= set(shown)
