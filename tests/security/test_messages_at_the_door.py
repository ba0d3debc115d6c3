"""The real program on a queue that anybody may write to, between doors that record every request it makes.

One run meets all attacks at once, beside genuine objects. AWS is behind the one door, every other address of
the world behind the other: what was asked for there is what the program was led to.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from collector.testing.proxy import Passed, Proxy
from tests.e2e.collector_process import Collector, environment
from tests.security.hostile_messages import KEYS, attacks

OURS = "door-audit-logs"
ATTACKS = attacks(OURS, "222222222222")
GENUINE = [b'{"eventTime":"2026-05-04T10:15:02Z","n":%d}' % number for number in range(3)]


class Seen(NamedTuple):
    """What one run did."""

    aws: List[Passed]
    world: List[Passed]
    kept: Dict[str, str]
    events: List[bytes]
    said: str
    left: int
    state: Path


@pytest.fixture(scope="module")
def seen(ministack: LocalAws, tmp_path_factory: Any) -> Seen:
    ministack.reset()
    provider = Provider(ministack, "door")
    assert provider.bucket == OURS
    for number, line in enumerate(GENUINE):
        provider.upload(f"audits/{number}.json", line)
    for number, key in enumerate(KEYS):
        provider.upload(key, b'{"eventTime":"2026-05-04T10:15:02Z","key":%d}' % number)
    folder = tmp_path_factory.mktemp("door")
    with Proxy(origin=ministack.endpoint_url) as aws, Proxy({}) as world:
        settings = {**provider.handover(), "endpoint_url": aws.url, "sns_signature": "warn"}
        settings["queue_url"] = provider.queue_url.replace(ministack.endpoint_url, aws.url)
        collector = Collector(folder, settings)
        outer = {**environment(), "HTTP_PROXY": world.url, "HTTPS_PROXY": world.url, "ALL_PROXY": world.url}
        first = _once(collector, outer)
        for attack in ATTACKS:
            provider.send_body(attack.body)
        second = _once(collector, outer)
        state = folder / "state"
        events, said = first.stdout + second.stdout, (first.stderr + second.stderr).decode()
        left = provider.queue_depth()
        return Seen(aws.passed, world.passed, _kept(state), events.splitlines(), said, left, state)


def _once(collector: Collector, environ: Dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = collector._command("--once", "--log-level", "debug")
    return subprocess.run(command, env=environ, capture_output=True, timeout=120, check=False)


def _kept(state: Path) -> Dict[str, str]:
    """Bodies in quarantine, and why; read from the file, as it lies on disk."""
    (path,) = state.glob("*.sqlite3")
    with sqlite3.connect(path) as store:
        rows = store.execute("SELECT body, reason FROM quarantine WHERE kind = 'body'").fetchall()
    return {bytes(body).decode("utf-8", "surrogatepass"): reason for body, reason in rows}


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_t01_nobody_is_asked_for_what_an_attack_names_and_its_body_is_kept(seen, attack):
    asked = [unquote(passed.path) for passed in seen.aws if passed.service != "sqs"]
    assert not [path for path in asked if attack.word in path]
    assert not [passed for passed in seen.world if attack.word in passed.host + passed.path]
    assert (attack.body in seen.kept) == attack.kept, seen.kept.get(attack.body)


def test_t01_only_objects_of_our_bucket_are_fetched_each_under_its_own_key(seen):
    paths = {urlsplit(f"http://x{passed.path}").path for passed in seen.aws if passed.service == "s3"}
    buckets = {path.split("/")[1] for path in paths}
    assert buckets == {OURS}
    fetched = {unquote(path.split("/", 2)[2]) for path in paths if path.count("/") > 1}
    assert {*KEYS, "audits/0.json"} <= fetched
    assert not fetched - {*KEYS, *(f"audits/{number}.json" for number in range(3)), ""}


def test_t01_the_genuine_objects_are_delivered_once_beside_them(seen):
    assert sorted(json.loads(line)["n"] for line in seen.events if b'"n"' in line) == [0, 1, 2]
    keys = sorted(json.loads(line)["key"] for line in seen.events if b'"key"' in line)
    assert keys == list(range(len(KEYS)))


def test_t01_no_event_is_made_of_an_attack(seen):
    assert len(seen.events) == len(GENUINE) + len(KEYS)


def test_t08_nobody_outside_is_asked_for_anything(seen):
    assert seen.world == []


def test_t11_no_message_is_left_and_none_was_deleted_without_its_copy(seen):
    assert seen.left == 0
    assert len([attack for attack in ATTACKS if attack.kept and attack.body not in seen.kept]) == 0


def test_t06_the_log_is_one_printable_line_for_each_record(seen):
    lines = seen.said.splitlines()
    assert lines and all(line.isprintable() for line in lines)
    assert all(line[:2] == "20" for line in lines), "a line that no record begins"


def test_t07_nothing_secret_is_in_what_was_said_or_kept(seen):
    secret = (seen.state.parent / "aws-secret").read_text().strip()
    assert len(secret) > 10
    assert secret not in seen.said
    files = [path for path in seen.state.rglob("*") if path.is_file()]
    assert files and not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_t12_what_is_kept_can_be_read_by_its_owner_alone(seen):
    found = list(seen.state.rglob("*"))
    assert found
    for path in found:
        assert path.stat().st_mode & 0o077 == 0, path
    assert seen.state.stat().st_mode & 0o077 == 0
