"""The page on retention: its commands fetch what they say, and what it quotes is what the program prints."""

from __future__ import annotations

import re
from pathlib import Path

from collector.engine import reconciler
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, Shell, commands
from tests.e2e.collector_process import Collector, ndjson

PAGE = (ROOT / "docs" / "retention.md").read_text(encoding="utf-8")


def test_its_commands_plan_fetch_once_and_fetch_again(ministack: LocalAws, tmp_path: Path) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    ours = Collector(tmp_path, {**provider.handover(), "reconcile_grace_seconds": 0})
    ours.once()
    provider.upload("audits/a.json.gz", ndjson("a", 3))
    shell = Shell(ministack, tmp_path, config=ours.config)
    out = [(words[2], shell.run(words)) for words in commands(PAGE)]
    assert [first for first, _ in out[:3]] == ["--missing", "--missing", "--since"]
    assert [said.count(b"\n") for _, said in out[1:]] == [3, 0, 0, 3]
    assert b"1 object," in out[0][1]


def test_the_line_about_what_lies_before_the_start_is_the_programs_own() -> None:
    shown = " ".join(PAGE.split())
    source = " ".join(Path(reconciler.__file__).read_text(encoding="utf-8").replace('"', " ").split())
    (ours,) = re.findall(r"(Written before start_from .*? --since %s)", source)
    pattern = re.escape(ours).replace("%s", r"\S+(?: objects| bytes)?")
    assert re.search(pattern, shown), ours
