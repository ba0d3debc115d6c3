"""A trail with digests through the real program: logs are delivered, and each digest says how they hold."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector
from tests.signed_trail import FakeCloudTrail, LogFile, Trail

#: Where boto3 finds CloudTrail: no setting of ours says it.
AWS_CONFIG = "[default]\nservices = local\n\n[services local]\ncloudtrail =\n  endpoint_url = {url}\n"


class Scene:
    """A provider's bucket with a trail in it, and one collector on its queue."""

    def __init__(self, aws: Any, make: Callable[..., Collector], ders: Dict[str, bytes]) -> None:
        self._make, self._ders = make, ders
        self.provider = Provider(aws, "okera")
        self.trail = Trail(self.provider.bucket, region=aws.region)
        self.list_keys()

    def list_keys(self, *, allowed: bool = True) -> None:
        self._ders.clear()
        if allowed:
            self._ders[self.trail.region] = self.trail.der

    def collector(self, **settings: str) -> Collector:
        handed = self.provider.handover()
        endpoint = handed.pop("endpoint_url")
        endpoints = {f"{service}_endpoint_url": endpoint for service in ("s3", "sqs", "sts", "kms")}
        own = {"provider": "cloudtrail", "stdout_format": "json", **endpoints, **settings}
        return self._make({**handed, **own}, name="okera")

    def upload(self, *files: Any) -> None:
        for file in files:
            self.provider.upload(file.key, file.body, Metadata=dict(getattr(file, "metadata", {})))

    def logs(self, count: int) -> List[LogFile]:
        """So many log files, uploaded."""
        made = [self.trail.log() for _ in range(count)]
        self.upload(*made)
        return made

    def url(self, file: Any) -> str:
        return f"s3://{self.provider.bucket}/{file.key}"


@pytest.fixture
def scene(ministack: Any, collector: Any, tmp_path: Path, monkeypatch: Any) -> Iterator[Scene]:
    ministack.reset()
    ders: Dict[str, bytes] = {}
    with FakeCloudTrail(ders) as keys:
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "config").write_text(AWS_CONFIG.format(url=keys.url))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield Scene(ministack, collector, ders)


def audits(lines: List[bytes]) -> List[str]:
    found = [json.loads(line) for line in lines]
    events = [json.loads(one["event"]) for one in found if one["sourcetype"] == "aws:cloudtrail"]
    return sorted(event["eventID"] for event in events)


def verdicts(lines: List[bytes]) -> Dict[str, Dict[str, Any]]:
    """What is said of digests, by the source of its line."""
    found = [json.loads(line) for line in lines]
    mine = [one for one in found if one["sourcetype"] == "aws:cloudtrail:digest"]
    return {one["source"]: {**json.loads(one["event"]), "at": float(one["time"])} for one in mine}


def test_logs_are_delivered_and_every_digest_says_that_they_hold(scene: Scene) -> None:
    ours = scene.collector()
    logs = scene.logs(3)
    assert audits(ours.once()) == sorted(f"{n}-{i}" for n in (1, 2, 3) for i in (0, 1))
    first, second = scene.trail.digest(logs[:2]), scene.trail.digest(logs[2:])
    for log in logs:  # what was read vouches for itself: nothing is fetched a second time
        scene.provider.client("s3").delete_object(Bucket=scene.provider.bucket, Key=log.key)
    scene.upload(first)
    scene.upload(second)
    said = verdicts(ours.once())
    assert sorted(said) == sorted([scene.url(first), scene.url(second)])
    one, two = said[scene.url(first)], said[scene.url(second)]
    assert (one["result"], one["chain"], one["logFilesValid"]) == ("valid", "start", 2)
    assert one["signature"] == "valid"
    assert (two["result"], two["chain"], two["logFilesValid"]) == ("valid", "linked", 1)
    assert one["digest"] == json.loads(first.document)
    assert one["at"] == 1_777_892_491.0
    assert scene.provider.queue_depth() == 0
    assert ours.once() == []


@pytest.mark.exhaustive
def test_logs_and_digests_in_one_run_come_to_the_same(scene: Scene) -> None:
    logs = scene.logs(4)
    scene.upload(scene.trail.digest(logs[:2]), scene.trail.digest(logs[2:]), scene.trail.digest())
    lines = scene.collector().once()
    assert len(audits(lines)) == 8
    assert [one["result"] for one in verdicts(lines).values()] == ["valid"] * 3


@pytest.mark.exhaustive
def test_what_was_changed_or_removed_is_named_and_said_loudly(scene: Scene) -> None:
    sound, changed, removed = scene.logs(3)
    digest = scene.trail.digest([sound, changed, removed])
    forged = gzip.compress(changed.content.replace(b'"2-1"', b'"9-9"'))
    scene.provider.upload(changed.key, forged)
    scene.provider.client("s3").delete_object(Bucket=scene.provider.bucket, Key=removed.key)
    ours = scene.collector()
    before = ours.run("--once")  # the removed file is gone, which is no success
    assert before.returncode == 1
    assert "9-9" in audits(before.stdout.splitlines())
    scene.upload(digest)
    done = ours.run("--once")
    (event,) = verdicts(done.stdout.splitlines()).values()
    assert (event["result"], event["reasons"]) == ("invalid", ["log_invalid", "log_missing"])
    assert event["invalidLogFiles"] == [scene.url(changed)]
    assert event["missingLogFiles"] == [scene.url(removed)]
    assert b"CloudTrail digest: invalid" in done.stderr
    assert done.returncode == 0  # the event is delivered: what it says is for whoever watches events


@pytest.mark.exhaustive
def test_without_the_permission_audits_flow_and_the_digest_says_what_was_not_checked(scene: Scene) -> None:
    scene.list_keys(allowed=False)
    logs = scene.logs(2)
    scene.upload(scene.trail.digest(logs))
    done = scene.collector().run("--once")
    assert (done.returncode, len(audits(done.stdout.splitlines()))) == (0, 4)
    (event,) = verdicts(done.stdout.splitlines()).values()
    assert (event["result"], event["reasons"]) == ("unsigned", ["keys_denied"])
    assert (event["signature"], event["logFilesValid"]) == ("unchecked", 2)
    assert done.stderr.count(b"cannot be checked for their signature") == 1
    assert b"cloudtrail:ListPublicKeys" in done.stderr


@pytest.mark.exhaustive
def test_what_lies_among_digests_and_is_none_goes_to_quarantine(scene: Scene) -> None:
    scene.provider.upload("AWSLogs/1/CloudTrail-Digest/eu-west-1/x.json.gz", gzip.compress(b'{"a":1}'))
    done = scene.collector().run("--once")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"digest_format" in done.stderr
    assert scene.provider.queue_depth() == 0


@pytest.mark.exhaustive
def test_who_drops_digests_has_nothing_hashed(scene: Scene) -> None:
    ours = scene.collector(routes="*/CloudTrail-Digest/* drop")
    logs = scene.logs(1)
    scene.upload(scene.trail.digest(logs))
    assert verdicts(ours.once()) == {}
    with closing(sqlite3.connect(ours.folder / "state" / "okera.sqlite3")) as store:
        rows = store.execute("SELECT state, sha256 FROM checkpoints ORDER BY state").fetchall()
    assert rows == [("done", ""), ("filtered", "")]
