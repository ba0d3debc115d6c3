"""What a real process says of time: silence told apart and its objects fetched, lag, `status` beside it."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict
from urllib.parse import urlsplit

import pytest

from collector.hosts.web.beside import running
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, ndjson, wait_for
from tests.e2e.test_web import ask, is_ready, sample

KEYS = "audits/2026/05/04/{}.json.gz"


@pytest.fixture
def provider(ministack: LocalAws) -> Provider:
    ministack.reset()
    return Provider(ministack, "thrive")


@pytest.fixture
def start(
    provider: Provider, collector: Callable[..., Collector], address: str
) -> Callable[..., Collector]:
    """A running collector that expects a message every two seconds."""

    def begin(**settings: Any) -> Collector:
        own = {"expected_interval_seconds": 2, "reconcile_grace_seconds": 1, "http_listen": address}
        ours = collector({**provider.handover(), **own, **settings})
        ours.start()
        wait_for(lambda: is_ready(address))
        return ours

    return begin


def shown(address: str) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(ask(address, "/status.json")[1])["inputs"][0]
    return found


def silence(address: str) -> str:
    return str(shown(address)["silence"]["state"])


@pytest.mark.exhaustive
def test_a_provider_that_writes_nothing_is_quiet_and_heard_again(
    provider: Provider, start: Callable[..., Collector], address: str
) -> None:
    ours = start()
    provider.upload(KEYS.format("one"), ndjson("one", 3))
    wait_for(lambda: silence(address) == "quiet")
    assert shown(address)["warnings"] == {}
    provider.upload(KEYS.format("two"), ndjson("two", 3))
    wait_for(lambda: "after a silence of" in ours.log)
    assert "[provider_quiet]" in ours.log
    assert "notifications_broken" not in ours.log


def test_notifications_that_are_switched_off_are_noticed_and_their_objects_fetched(
    provider: Provider, start: Callable[..., Collector], address: str
) -> None:
    ours = start()
    provider.upload(KEYS.format("one"), ndjson("one", 3))
    wait_for(lambda: len(ours.output()) == 3)
    provider.client("s3").put_bucket_notification_configuration(
        Bucket=provider.bucket, NotificationConfiguration={}
    )
    provider.upload(KEYS.format("two"), ndjson("two", 4))
    wait_for(lambda: silence(address) == "notifications_broken")
    wait_for(lambda: len(ours.output()) == 7)
    assert shown(address)["warnings"]["silence"]["hint"].startswith("Provider: ")
    assert sample(address, "audit_s3_warning_active", warning="silence") == 1
    assert sample(address, "audit_s3_silence_state", state="notifications_broken") == 1
    assert ours.log.count("[notifications_broken]") == 1
    provider.notify(KEYS.format("two"))
    wait_for(lambda: "Messages come again after a silence of" in ours.log)
    assert len(ours.output()) == 7, "what was fetched is not sent again"


@pytest.mark.exhaustive
def test_a_bucket_that_is_taken_from_us_is_told_as_our_access(
    provider: Provider, start: Callable[..., Collector], address: str
) -> None:
    ours = start()
    provider.upload(KEYS.format("one"), ndjson("one", 3))
    wait_for(lambda: silence(address) == "quiet")
    provider.set_rights(provider.least_privilege(without="s3:ListBucket"))
    wait_for(lambda: silence(address) == "access_broken")
    (line,) = [line for line in ours.log.splitlines() if "[access_broken]" in line]
    assert "move=provider" in line and "s3:ListBucket" in line


def test_without_the_rights_to_list_and_to_count_it_says_what_it_cannot_tell(
    provider: Provider, start: Callable[..., Collector], address: str
) -> None:
    policy = json.loads(provider.least_privilege(without="s3:ListBucket"))
    for statement in policy["Statement"]:
        statement["Action"] = [one for one in statement["Action"] if one != "sqs:GetQueueAttributes"]
    provider.set_rights(json.dumps(policy))
    ours = start()
    wait_for(lambda: silence(address) == "unknown")
    assert "why cannot be told" in ours.log
    assert ours.log.count("may not be asked") == 1
    found = shown(address)
    assert (found["queue"], found["retention"]["queue"]["left_seconds"]) == (None, None)


def test_status_shows_what_the_running_collector_knows_and_without_it_what_the_store_does(
    provider: Provider, start: Callable[..., Collector], address: str
) -> None:
    ours = start(expected_interval_seconds=3600)
    provider.upload(KEYS.format("one"), ndjson("one", 3))
    wait_for(lambda: shown(address)["lag"]["collector"]["objects"] == 1)
    found = shown(address)
    assert found["lag"]["provider"]["p95_seconds"] > 86_400, "these events are of long ago"
    assert found["lag"]["aws"]["p95_seconds"] < 30 and found["lag"]["collector"]["p95_seconds"] < 30
    assert sample(address, "audit_s3_lag_seconds_count", owner="aws") == 1
    assert sample(address, "audit_s3_lag_seconds", owner="aws", quantile="0.95") < 30
    said = ours.verb("status").stdout.decode()
    for word in ("by the bucket: ", "lag           provider: p50", "collecting", "Messages come"):
        assert word in said
    for process in ours._running:
        ours.stop(process)
    said = ours.verb("status", code=1).stdout.decode()
    assert f"nobody answers at http_listen = {address}" in said
    assert "p95" not in said


def test_whoever_else_answers_at_that_address_is_not_believed() -> None:
    with FakeHec() as hec:
        host = urlsplit(hec.url)
        assert running(f"{host.hostname}:{host.port}") is None
