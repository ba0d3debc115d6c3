"""docs/security.md: every threat has its control and its tests, and all that is named exists and is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells
    for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines())
    if cells and re.fullmatch(r"T\d+", cells[0])
}
NAMED = {threat: re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cells[4]) for threat, cells in ROWS.items()}


@pytest.fixture(scope="module")
def collected():
    """The cases that `make test` has of what the table names, and of all hostile input."""
    files = sorted({path for tests in NAMED.values() for path, _ in tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
               "tests/hostile", "tests/security", *files]
    environment = {name: value for name, value in os.environ.items() if name != "FAULTS"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120)
    return {line for line in done.stdout.decode().splitlines() if "::" in line}


def test_every_threat_stands_there_once():
    assert list(ROWS) == [f"T{number}" for number in range(1, 23)]
    assert TEXT.count("\n| T") == len(ROWS)


@pytest.mark.parametrize("threat", ROWS)
def test_every_control_has_its_place_and_every_test_is_run(threat, collected):
    _, what, control, places, _ = ROWS[threat]
    assert what and control
    for place in re.findall(r"`([^`]+)`", places):
        assert (ROOT / place).exists(), place
    assert NAMED[threat], "no test"
    run = {case.partition("[")[0] for case in collected}
    assert [f"{path}::{name}" for path, name in NAMED[threat] if f"{path}::{name}" not in run] == []


def test_a_test_that_carries_a_number_stands_in_its_row():
    carried = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = str(path.relative_to(ROOT))
        for name in re.findall(r"^def (test_t(?:\d\d)_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            carried[f"{relative}::{name}"] = f"T{int(name[6:8])}"
    assert carried
    assert not [test for test, threat in carried.items() if f"`{test}`" not in ROWS[threat][4]]


def test_there_are_as_many_hostile_cases_as_the_page_says(collected):
    hostile = ("tests/hostile/", "tests/security/")
    cases = [case for case in collected if case.startswith(hostile) and "test_rows.py" not in case]
    (said,) = re.findall(r"About (\d+) hostile cases", TEXT)
    assert 150 <= int(said) <= len(cases) < int(said) + 150


def test_there_are_as_many_fuzz_targets_as_the_page_says():
    (said,) = re.findall(r"(\d+) fuzz targets", TEXT)
    assert int(said) == len(TARGETS)


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", TEXT))
    assert {"fuzz", "audit", "sbom", "wheel"} <= named <= targets
