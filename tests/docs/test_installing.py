"""docs/installing.md: its commands name what there is, its drop-ins fit the unit, and ours are run.

`make install` and `make uninstall` are run in tests/packaging; systemctl, docker and kubectl have nothing to
speak to here, so of them the files and units that they name are looked for.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

from collector.engine.watch import Watched
from collector.hosts.service.observation import Observation, Problem
from collector.hosts.service.signals import Signals
from collector.hosts.service.systemd import status_of
from collector.ports import QueueDepth
from collector.retention.lag import Lag
from requirements.environment import MAIN_VERSIONS
from tests.docs.shown import ROOT, blocks, commands
from tests.e2e.collector_process import environment
from tests.packaging.units import SYSTEMD, UNIT

PAGE = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())


def _of(program: str) -> Iterator[List[str]]:
    return (words for words in commands(PAGE) if words[0] == program)


def test_every_command_is_of_a_program_that_this_test_knows():
    known = {"make", "systemd-sysusers", "cp", "audit-s3", "systemctl", "docker", "kubectl", "git"}
    assert {words[0] for words in commands(PAGE)} <= known


def test_the_versions_of_python_are_those_of_the_package_and_of_its_environments():
    metadata = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    versions = re.findall(r"Python :: (3\.\d+)", metadata)
    assert f"python_requires = >={versions[0]}" in metadata
    assert f"| {versions[0]} to {versions[-1]} |" in PAGE
    assert f"| {MAIN_VERSIONS[-1]} to {MAIN_VERSIONS[0]} |" in PAGE
    for name in ("README.md", "docs/getting-started.md"):
        page = (ROOT / name).read_text(encoding="utf-8")
        assert f"Python {versions[0]} to {versions[-1]}" in page and "installing.md#which-python" in page


def test_what_is_made_can_be_made():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {words[1] for words in _of("make")}
    assert targets == {"install", "uninstall"}
    assert all(f"\n{target}:" in makefile for target in targets)


def test_systemctl_is_asked_for_what_it_can_do_with_units_that_there_are():
    for words in _of("systemctl"):
        assert words[1] in {"daemon-reload", "enable", "disable", "status", "restart"}
        for unit in words[2:]:
            name = unit.partition("@")[0] + ("@" if "@" in unit else "")
            assert unit == "--now" or (SYSTEMD / f"{name}.service").exists(), unit


def test_images_and_manifests_are_made_of_files_that_there_are():
    for program in ("docker", "kubectl"):
        for words in _of(program):
            if "-f" in words:
                assert (ROOT / words[words.index("-f") + 1]).exists()
    dockerfile = (ROOT / "packaging" / "Dockerfile").read_text(encoding="utf-8")
    build, run = (shlex.join(words) for words in _of("docker"))
    assert build in dockerfile
    assert run.split(" -v ")[0] in " ".join(dockerfile.replace("\\\n#", " ").split())


@pytest.mark.parametrize("words", list(_of("audit-s3")), ids=" ".join)
def test_its_own_commands_run_on_the_sample_that_is_installed(words, tmp_path):
    sample = (ROOT / "packaging" / "audit-s3.conf.sample").read_text(encoding="utf-8")
    for name in ("hec-token", "aws-secret"):
        (tmp_path / name).write_text("not-a-secret")
        (tmp_path / name).chmod(0o600)
    config = tmp_path / "audit-s3.conf"
    config.write_text(sample.replace("/etc/audit-s3/", f"{tmp_path}/"), encoding="utf-8")
    given = [str(config) if word == "/etc/audit-s3/audit-s3.conf" else word for word in words[1:]]
    if "--offline" not in given:
        given.append("--help")  # it would ask AWS, and there is none behind the sample
    program = [sys.executable, "-m", "collector", *given]
    done = subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("drop_in", blocks(PAGE, "ini", name="drop-in"))
def test_a_drop_in_fits_the_unit(drop_in, tmp_path: Path):
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/audit-s3/bin/audit-s3", sys.executable)
    copy.write_text(text, encoding="utf-8")
    folder = tmp_path / f"{UNIT.name}.d"
    folder.mkdir()
    (folder / "override.conf").write_text(drop_in, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_it_quotes_is_what_the_program_says():
    said = Path(Signals.__init__.__code__.co_filename).read_text(encoding="utf-8")
    assert "ends with this container or at the host's next start" in said
    assert "ends with this container or at the host's next start" in TEXT
    watched = Watched(depth=QueueDepth(340, 0, 0, 1.0), lags={"collector": Lag(1.0, 12.0, count=9)})
    seen = [
        Observation("thrive", "collecting", watched=watched), Observation("immuta", "collecting"),
        Observation("okta", "blocked", breakers={"source": Problem("refused", "role_denied")}),
    ]
    assert f"`{status_of(seen, rate=812.0)}`" in TEXT
