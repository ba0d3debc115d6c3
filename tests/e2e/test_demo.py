"""`audit-s3 demo`, as a newcomer starts it: a process, its output, and what is left when it has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from collector.hosts.demo_report import Verdict
from collector.testing.demo_audits import SYSTEMS
from collector.testing.demo_stage import Scene, Stage
from collector.testing.hec_indexer import Received

NOW = 1_790_000_000.0
SOURCETYPES = {
    "thrive": "thrive:audit",
    "cloudtrail": "aws:cloudtrail",
    "pgaudit": "postgresql:pgaudit",
    "policysync": "privacera:policysync",
    "immuta": "immuta:uam",
}


@pytest.fixture
def environment(tmp_path: Path) -> Dict[str, str]:
    """With a TMPDIR of its own, by which its files and its processes can be told from others'."""
    return {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "AWS_PROFILE": "nobody",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }


def _demo(environment: Dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("ministack", reason="ministack (extra `demo`) is not installed")
    command = [sys.executable, "-m", "collector", "demo", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _left_behind(folder: Path) -> List[str]:
    """Files under the folder, and processes that were started with it as their TMPDIR."""
    mark = f"TMPDIR={folder}".encode()
    left = [str(path) for path in folder.rglob("*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                left.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is not ours to see
    return left


def _expected() -> Dict[str, int]:
    return {SOURCETYPES[audits.name]: len(audits.events) for audits in (make(now=NOW) for make in SYSTEMS)}


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", [pytest.param("stdout", marks=pytest.mark.exhaustive), "hec"])
def test_the_demo_brings_every_event_of_every_system_and_leaves_nothing(
    environment: Dict[str, str], tmp_path: Path, output: str
) -> None:
    done = _demo(environment, "--output", output)
    assert done.returncode == 0, done.stderr
    envelopes = [json.loads(line) for line in done.stdout.splitlines()]
    assert Counter(envelope["sourcetype"] for envelope in envelopes) == _expected()
    identities = {(each["fields"]["s3_oid"], each["fields"]["s3_seq"]) for each in envelopes}
    assert len(identities) == len(envelopes)
    assert "arrived, each exactly once" in done.stderr
    assert "0 messages left in the queues" in done.stderr
    _check_summary(done.stderr)
    assert _left_behind(tmp_path) == []


def _check_summary(told: str) -> None:
    """The table, by the first word of each row."""
    rows = {words[0]: words[1:] for line in told.splitlines() if len(words := line.split()) in (6, 7)}
    assert rows["provider"] == ["messages", "objects", "events", "bytes", "seconds", "calls"]
    # Three uploads, one of them announced twice, and the test event of S3.
    assert rows["thrive"][:3] == ["5", "3", "36"]
    assert rows["pgaudit"][:3] == ["19", "0", "18"]
    for name in SOURCETYPES:
        assert int(rows[name][5]) >= 4, "AssumeRole, ReceiveMessage twice and DeleteMessageBatch at the least"
    assert int(rows["all"][2]) == sum(_expected().values())


@pytest.mark.exhaustive
def test_kept_it_waits_with_new_events_for_a_collector_started_by_hand(
    environment: Dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ministack", reason="ministack (extra `demo`) is not installed")
    command = [sys.executable, "-m", "collector"]
    demo = subprocess.Popen(
        [*command, "demo", "--keep"],
        env={**environment, "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stderr is not None
        config = next(line.split()[-1] for line in demo.stderr if line.startswith("  audit-s3 run --once"))
        plain = {
            name: value for name, value in environment.items() if not name.startswith(("AWS_", "HTTPS_"))
        }
        by_hand = subprocess.run(
            [*command, "run", "--once", "--config", config],
            env=plain,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert by_hand.returncode == 0, by_hand.stderr.decode()
        assert len(by_hand.stdout.splitlines()) == sum(_expected().values())
        assert b"was not sent by SNS" not in by_hand.stderr, "the local AWS cannot sign"
        demo.send_signal(signal.SIGINT)
        try:
            assert demo.wait(20) == 0
        except subprocess.TimeoutExpired:
            demo.send_signal(signal.SIGABRT)
            pytest.fail(f"it stays where it is:\n{demo.communicate()[1]}")
    finally:
        demo.kill()
        demo.communicate()
    assert _left_behind(tmp_path) == []


def test_ended_early_it_leaves_nothing(environment: Dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("ministack", reason="ministack (extra `demo`) is not installed")
    demo = subprocess.Popen(
        [sys.executable, "-m", "collector", "demo"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert demo.stderr is not None
        next(line for line in demo.stderr if line.startswith("Collecting"))
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(20) == 130
    finally:
        demo.kill()
        demo.communicate()
    assert _left_behind(tmp_path) == []


def test_without_ministack_it_says_what_to_install(environment: Dict[str, str]) -> None:
    program = (
        "import sys; sys.modules['ministack'] = None; from collector.hosts.cli import main; main(['demo'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'audit-s3-collector[demo]'" in done.stderr


def test_its_configuration_doubts_no_sender_that_the_local_aws_cannot_sign_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.scenes = []
    written = stage.write_config(endpoint_url="http://127.0.0.1:9", region="eu-west-1", output={}).read_text()
    assert written.startswith("# The local AWS cannot sign")
    assert "\nsns_signature = off\n" in written


def _arrived(scenes: Sequence[Scene]) -> List[Received]:
    """What an output would hold if all went well."""
    return [
        Received({"sourcetype": SOURCETYPES[scene.name], "event": event.decode()}, b"", "")
        for scene in scenes
        for event in scene.audits.events
    ]


def test_the_verdict_misses_one_event_and_sees_one_repeat() -> None:
    scenes = [Scene(make, NOW) for make in SYSTEMS]
    arrived = _arrived(scenes)
    assert Verdict(scenes, arrived).complete
    lost = Verdict(scenes, arrived[1:])
    assert (lost.complete, lost.missing, lost.repeated) == (False, 1, 0)
    twice = Verdict(scenes, [*arrived, arrived[0]])
    assert (twice.complete, twice.missing, twice.repeated) == (False, 0, 1)


def test_a_changed_byte_counts_as_missing_and_as_too_much() -> None:
    scenes = [Scene(make, NOW) for make in SYSTEMS]
    first, *rest = _arrived(scenes)
    changed = Received({**first.envelope, "event": first.envelope["event"] + " "}, b"", "")
    verdict = Verdict(scenes, [changed, *rest])
    assert (verdict.missing, verdict.repeated) == (1, 1)


def test_the_audits_are_the_same_for_the_same_time_and_seed_and_no_event_is_there_twice() -> None:
    for make in SYSTEMS:
        audits = make(now=NOW)
        assert audits == make(now=NOW)
        assert len(set(audits.events)) == len(audits.events) > 0
        assert not set(audits.events) & set(make(now=NOW, seed=2).events)
