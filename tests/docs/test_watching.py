"""The page on watching: its commands run, and what it says of lines and rules is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from collector.engine.watch import WARNINGS
from collector.logs import MOST_ALIKE
from collector.retention.clock import BUCKET, Cliff, Oldest
from collector.retention.silence import STATES
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, Shell, blocks, commands
from tests.e2e.collector_process import Collector, ndjson

PAGE = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")


def test_its_commands_run(ministack: LocalAws, tmp_path: Path) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 3))
    ours = Collector(tmp_path, provider.handover())
    ours.once()
    shell = Shell(ministack, tmp_path, config=ours.config)
    shown = [(words[1], shell.run(words)) for words in commands(PAGE)]
    assert [verb for verb, _ in shown] == ["status", "status", "run"]
    assert b'"done": 1' in shown[1][1] and shown[2][1].startswith(b"<!doctype html>")


def test_the_warning_that_it_quotes_is_the_programs_own() -> None:
    (quoted,) = blocks(PAGE, "text")
    where, day = "s3://thrive-audit-logs/k/a.gz", 86_400.0
    reason = "AWS refused s3:GetObject: AccessDenied [object_denied]"
    waits = Oldest(where, 1e9 - 15.02 * day, reason, "Provider: attach s3:GetObject on ...")
    warned = Cliff(BUCKET).look(waits, window_seconds=30 * day, now=1e9)
    assert warned is not None
    shown = " ".join(quoted.split())
    assert shown.startswith(f"{warned.what} [{warned.code}] at {where}. {warned.hint}")
    assert shown.endswith(f"move={warned.owner}")


def test_every_warning_and_every_state_of_silence_is_named() -> None:
    assert [name for name in (*WARNINGS, *STATES) if f"`{name}`" not in PAGE] == []


def test_how_often_a_line_comes_is_as_it_says() -> None:
    words = {5: "five"}
    assert f"at most {words[MOST_ALIKE]} times a minute" in " ".join(PAGE.split())


def test_the_rules_look_at_the_shares_of_time_that_it_names() -> None:
    rules = yaml.safe_load((ROOT / "packaging" / "grafana" / "alerts.yml").read_text(encoding="utf-8"))
    shares = re.findall(r"retention_used_ratio\) > ([\d.]+)", str(rules))
    assert sorted(shares) == ["0.5", "0.8"] and "(at 50 and 80 % of its time)" in PAGE
