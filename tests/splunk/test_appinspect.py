"""Splunk's own tools on the built package: AppInspect, by which Splunk Cloud admits apps, slim and ksconf.

They live in an environment of their own, which the first test to ask for it makes. AppInspect reads every
line of Python several times over, most of it boto3's: `make test` lets it read the collector's, and look at
all of the rest; with FAULTS=all it reads everything, once for each kind of admission.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from tests.splunk.app_package import ROOT, build, unpack

#: "No action required", say the first three; the last is about subprocesses in botocore and tzlocal.
UNAVOIDABLE = {
    "check_for_modular_inputs",
    "check_for_python_script_existence",
    "check_for_indexer_synced_configs",
    "check_for_possible_threading",
}
#: The tags that stand for a kind of admission; without one, every check is made.
ADMISSIONS = ["", "cloud", "private_victoria", "migration_victoria", "future"]

FOR_ONE_PROCESSOR = ("failure", "check_aarch64_compatibility")
Report = Dict[Tuple[str, str], List[str]]


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of their programs; skips where they cannot be installed."""
    import fcntl

    with (ROOT / "requirements" / "appinspect.lock").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        make = [sys.executable, "requirements/environment.py", ".venv-appinspect", "appinspect"]
        done = subprocess.run(make, cwd=str(ROOT), capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        pytest.skip("splunk-appinspect cannot be installed")
    programs = ROOT / ".venv-appinspect" / "bin"
    magic = subprocess.run([str(programs / "python"), "-c", "import magic"], capture_output=True)
    if magic.returncode:
        pytest.skip("libmagic is not installed")
    return programs


def _inspect(tools: Path, app: Path, folder: Path, *options: str) -> Report:
    """What is neither a success nor without an object: (result, check) and its messages."""
    report = folder / "report.json"
    subprocess.run(
        [
            str(tools / "splunk-appinspect"), "inspect", str(app), "--skip-trusted-libraries-update",
            "--max-messages", "all", "--data-format", "json", "--output-file", str(report), *options,
        ],
        check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=900,
    )
    (found,) = json.loads(report.read_text(encoding="utf-8"))["reports"]
    checks = [check for group in found["groups"] for check in group["checks"]]
    assert len(checks) >= 10
    silent = ("success", "not_applicable")
    return {
        (check["result"], check["name"]): [each["message"] for each in check["messages"]]
        for check in checks
        if check["result"] not in silent
    }


def _refusals(report: Report) -> Report:
    known = {("warning", name) for name in UNAVOIDABLE}
    return {key: said for key, said in report.items() if key not in known}


def test_appinspect_admits_the_package(tools: Path, package: Path, tmp_path: Path) -> None:
    assert _refusals(_inspect(tools, package, tmp_path, "--excluded-tags", "ast")) == {}


@pytest.mark.exhaustive
def test_appinspect_admits_the_collectors_own_code(tools: Path, package: Path, tmp_path: Path) -> None:
    app = unpack(package, tmp_path)
    for other in (app / "lib").iterdir():
        if other.name != "collector":
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    report = _inspect(tools, app, tmp_path, "--included-tags", "ast")
    assert _refusals(report) == {}
    assert ("warning", "check_for_possible_threading") not in report  # that is others' code


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("admission", ADMISSIONS)
def test_appinspect_admits_every_line_of_it(
    tools: Path, package: Path, tmp_path: Path, admission: str
) -> None:
    tags = ["--included-tags", admission] if admission else []
    assert _refusals(_inspect(tools, package, tmp_path, *tags)) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("admission", ["", "cloud"])
@pytest.mark.parametrize("platform", ["linux_x86_64", "linux_aarch64"])
def test_a_platforms_package_is_refused_for_nothing_but_its_platform(
    tools: Path, tmp_path: Path, platform: str, admission: str
) -> None:
    package = build(tmp_path, platform=platform)
    tags = ["--included-tags", admission] if admission else []
    report = _inspect(tools, package, tmp_path, *tags)
    is_refused = report.pop(FOR_ONE_PROCESSOR, None) is not None
    assert is_refused == (admission == "" and platform == "linux_x86_64")
    addresses = report.pop(("warning", "check_hostnames_and_ips"))  # object identifiers, which look alike
    assert all("lib/cryptography/" in each for each in addresses)
    assert _refusals(report) == {}


def test_slim_finds_the_manifest_in_order(tools: Path, package: Path, tmp_path: Path) -> None:
    """It knows no release after 8.0, so it warns of settings that came later; errors are another thing."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    command = [str(tools / "slim"), "validate", str(package)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    assert "[ERROR]" not in said
    assert all("Undefined setting" in line for line in _lines(said, "[WARNING]")), said


def test_ksconf_can_read_every_conf_file(tools: Path, package: Path, tmp_path: Path) -> None:
    app = unpack(package, tmp_path)
    files = [*sorted((app / "default").glob("*.conf")), app / "metadata" / "default.meta"]
    command = [str(tools / "ksconf"), "check", *map(str, files)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    assert f"{len(files)} files were parsed successfully" in said


def _lines(text: str, mark: str) -> Iterator[str]:
    return (line for line in text.splitlines() if mark in line)
