"""`audit-s3 coverage` on a real bucket: every object is counted once, and what is missing is named."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any, Callable, Dict, List

import pytest

from collector.testing.fake_hec import FakeHec
from collector.testing.fake_splunkd import FakeSplunkd
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, environment, ndjson

Make = Callable[..., Collector]


def stage(aws: LocalAws, **settings: Any) -> tuple[Provider, Dict[str, Any]]:
    """One delivered, one never told of, one broken, one left out, and one deleted before it was read."""
    aws.reset()
    provider = Provider(aws, "thrive", delivery="none")
    provider.upload("audits/2026/05/04/whole.json.gz", ndjson("whole", 5))
    provider.upload("audits/2026/05/04/broken.json.gz", ndjson("broken", 50)[:-20])
    provider.upload("audits/2026/05/04/left.tmp", ndjson("left", 2))
    provider.upload("audits/2026/05/04/deleted.json.gz", ndjson("deleted", 1))
    for name in ("whole.json.gz", "broken.json.gz", "left.tmp", "deleted.json.gz"):
        provider.notify(f"audits/2026/05/04/{name}")
    provider.client("s3").delete_object(Bucket=provider.bucket, Key="audits/2026/05/04/deleted.json.gz")
    provider.upload("audits/2026/05/04/forgotten.json.gz", ndjson("forgotten", 3))
    return provider, {**provider.handover(), "exclude": "*.tmp", "reconcile_grace_seconds": 0, **settings}


def entries(ours: Collector, *flags: str, code: int) -> List[Dict[str, Any]]:
    answer = json.loads(ours.verb("coverage", "--format", "json", *flags, code=code).stdout)
    found: List[Dict[str, Any]] = answer["entries"]
    return found


def total(found: List[Dict[str, Any]]) -> Dict[str, int]:
    """The kinds of the total that are not zero."""
    (one,) = [entry for entry in found if entry["kind"] == "total"]
    kinds = ("delivered", "late", "missing", "quarantined", "filtered", "gone", "expired", "before_start")
    return {kind: one[kind] for kind in kinds if one[kind]}


def test_everything_in_the_bucket_is_one_thing_and_what_is_missing_is_named(
    ministack: LocalAws, collector: Make
) -> None:
    provider, settings = stage(ministack)
    ours = collector(settings)
    ours.run("--once")
    found = entries(ours, code=1)
    assert total(found) == {"delivered": 1, "missing": 1, "quarantined": 1, "filtered": 1, "gone": 1}
    (window,) = [entry for entry in found if entry["kind"] == "window"]
    assert (window["prefix"], window["objects"]) == ("audits/", 5)
    unread = {(entry["what"], entry["key"].rpartition("/")[2]) for entry in found if entry["kind"] == "unread"}
    assert unread == {("missing", "forgotten.json.gz"), ("gone", "deleted.json.gz")}

    text = ours.verb("coverage", code=1).stdout.decode()
    assert "1 object is missing. To fetch: audit-s3 backfill --input thrive --missing" in text
    assert f"missing: s3://{provider.bucket}/audits/2026/05/04/forgotten.json.gz" in text

    ours.verb("backfill", "--missing", "--since", "1d", code=2)
    ours.verb("backfill", "--missing")
    found = entries(ours, code=0)
    assert total(found) == {"delivered": 2, "quarantined": 1, "filtered": 1, "gone": 1}
