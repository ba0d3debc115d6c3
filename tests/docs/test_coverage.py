"""The page on coverage: what it shows is what the program prints, and it explains every column and word."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import List

from collector.hosts.coverage.text import HEADINGS
from collector.retention.coverage import KINDS
from collector.testing.local_aws import LocalAws
from tests.docs.shown import CONFIG, ROOT, blocks
from tests.e2e.collector_process import Collector, environment
from tests.e2e.test_coverage import stage

PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")


def masked(text: str) -> List[str]:
    """Without what differs from run to run: times, hashes, sizes of compressed objects."""
    text = re.sub(r"\d{4}-\d\d-\d\d(T[\d:]+Z)?", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "HASH", text)
    return [line.rstrip() for line in text.splitlines()]


def run(command: str, folder: Path, config: Path) -> subprocess.CompletedProcess[bytes]:
    """A command of the page; a redirection goes to a file in `folder`."""
    command, _, target = command.partition(" > ")
    words = [str(config) if word == CONFIG else word for word in shlex.split(command)[1:]]
    start, environ = [sys.executable, "-m", "collector"], {**environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*start, *words], cwd=folder, env=environ, capture_output=True, check=False)
    if target:
        (folder / target.strip()).write_bytes(done.stdout)
    return done


def test_its_commands_print_what_it_shows(ministack: LocalAws, tmp_path: Path) -> None:
    _, settings = stage(ministack)
    ours = Collector(tmp_path, settings)
    ours.run("--once")
    first, keeping, *_ = blocks(PAGE, "sh")
    done = run(first, tmp_path, ours.config)
    assert done.returncode == 1
    assert masked(done.stdout.decode()) == masked(blocks(PAGE, "text", name="coverage")[0])
    export, audit = keeping.splitlines()
    done = run(export, tmp_path, ours.config)
    seal = re.findall(r"[0-9a-f]{64}", done.stderr.decode())[-1]
    done = run(audit, tmp_path, ours.config)
    assert (done.returncode, seal in done.stdout.decode()) == (0, True)
    assert masked(done.stdout.decode()) == masked(blocks(PAGE, "text", name="audit")[0])


def test_every_column_is_explained() -> None:
    columns = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Compare")[0], re.MULTILINE)
    assert columns == [heading.replace(" ", "_") for heading in HEADINGS]
    plain = PAGE.replace("`", "")
    for kind, meaning in KINDS.items():
        assert f"| {kind} | {meaning[:30]}" in plain


def test_every_difference_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Compare")[2], re.MULTILINE)
    source = (ROOT / "collector" / "retention" / "splunk_counts.py").read_text(encoding="utf-8")
    said = re.search(r'`kind` is "(\w+)", "(\w+)" or "(\w+)"', source)
    assert said is not None
    assert sorted(explained) == sorted(said.groups())


def test_every_flag_it_names_exists() -> None:
    command = [sys.executable, "-m", "collector", "coverage", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    shown = " ".join(blocks(PAGE, "sh"))
    assert set(re.findall(r"--[a-z-]+", shown)) <= set(re.findall(r"--[a-z-]+", known))


def test_lines_are_not_long() -> None:
    prose = [line for line in PAGE.splitlines() if not line.startswith(("|", "  ", "thrive:"))]
    assert max(map(len, prose)) <= 120
