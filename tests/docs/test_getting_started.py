"""Getting started: the page's commands, as they stand there, from nothing to events in Splunk."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, commands
from tests.e2e.collector_process import environment, ndjson

PAGE = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
FOLDER = ROOT / "docs"


def test_its_commands_lead_from_nothing_to_events_in_splunk(ministack: LocalAws, tmp_path: Path) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("2026/05/04/a.json.gz", ndjson("a", 3))
    with FakeHec() as hec:
        ours = {**provider.handover(), "hec_url": hec.url}
        env = {
            **environment(), "PYTHONPATH": str(ROOT), "AWS_REGION": "eu-west-1",
            "AUDIT_S3_ENDPOINT_URL": ministack.endpoint_url, "AUDIT_S3_WAIT_TIME_SECONDS": "1",
            "AUDIT_S3_CHECKPOINT_DIR": str(tmp_path / "state"), "AUDIT_S3_HEC_TOKEN": hec.token,
            "AWS_ACCESS_KEY_ID": provider.access_key_id, "AWS_SECRET_ACCESS_KEY": provider.secret_access_key,
            "AUDIT_S3_AWS_SECRET_ACCESS_KEY": provider.secret_access_key,
        }
        for words in commands(PAGE):
            assert words[0] == "audit-s3"
            given = [str(ours[_setting(before)]) if _setting(before) in ours else word
                     for before, word in zip(words, words[1:])]
            program = [sys.executable, "-m", "collector", *given]
            done = subprocess.run(program, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=90, check=False)
            assert done.returncode == 0, f"{words}\n{done.stderr}\n{done.stdout}"
        assert len(hec.events) == 3
    assert provider.queue_depth() == 0


def _setting(word: str) -> str:
    """The setting that a flag sets, but for the provider's own name."""
    name = word[2:].replace("-", "_") if word.startswith("--") else ""
    return "" if name == "provider" else name


def test_every_page_is_in_the_index_and_every_link_leads_somewhere() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#:]+)\)", index))
    pages = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.md")}
    within = {"decisions", "providers"}  # they have indexes of their own
    wanted = {page for page in pages if page.partition("/")[0] not in within} - {"README.md"}
    assert sorted(wanted - linked) == []
    for page in FOLDER.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
