"""The README: its commands exist, its configuration loads, its output is what the program prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector.config import load
from collector.hosts.cli import VERBS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _block(mark):
    return re.search(rf"<!-- {mark}[^>]*-->\n```\n(.*?)```", README, re.DOTALL).group(1)


def _masked(text):
    """Without what differs from run to run: seconds, calls (deletes share one as it comes), and spaces."""
    lines = (re.sub(r"\b\d+\.\d\b", "S", line.rstrip()) for line in text.splitlines())
    lines = (re.sub(r"(?<= )\d+$", "N", line) for line in lines)
    return [re.sub(r" +", " ", line) for line in lines if line.strip()]


def test_it_is_short():
    assert README.count("\n") <= 150


def test_the_demo_ends_as_the_readme_shows(tmp_path):
    pytest.importorskip("ministack", reason="ministack (extra `demo`) is not installed")
    demo = [sys.executable, "-m", "collector", "demo"]
    done = subprocess.run(demo, capture_output=True, text=True, cwd=ROOT, timeout=120, check=True)
    shown = _masked(_block("demo"))
    assert _masked(done.stderr)[-len(shown) :] == shown


def test_the_configuration_of_the_readme_loads(tmp_path, monkeypatch):
    text = _block("config")
    for name in ("aws-secret", "hec-token"):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
        text = text.replace(f"/etc/audit-s3/{name}", str(tmp_path / name))
    path = tmp_path / "audit-s3.conf"
    path.write_text(text)
    (found,) = load(config_path=str(path), environ={})
    assert (found.name, found.settings.output, found.warnings) == ("thrive", ("hec",), ())
    assert set(re.findall(r"^(\w+) =", text, re.MULTILINE)) <= set(found.sources)


def test_its_table_of_commands_is_the_programs_own():
    assert set(re.findall(r"^\| `audit-s3 (\w+)`", README, re.MULTILINE)) == set(VERBS)
    for verb in VERBS:
        command = [sys.executable, "-m", "collector", verb, "--help"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, verb


def test_every_flag_it_names_exists():
    help_text = subprocess.run(
        [sys.executable, "-m", "collector", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for flag in ("--once", "--dry-run", "--config", "--queue-url"):
        assert flag in README
        assert flag in help_text


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_every_make_target_it_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README)) - {"and", "it"}:
        assert f"\n{target}:" in makefile, target
