"""docs/security.md: every threat has its control and its tests, and all that is named exists."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells
    for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines())
    if cells and re.fullmatch(r"T\d+", cells[0])
}


def _functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_threat_stands_there_once():
    assert list(ROWS) == [f"T{number}" for number in range(1, 23)]
    assert TEXT.count("\n| T") == len(ROWS)


@pytest.mark.parametrize("threat", ROWS)
def test_every_control_has_its_place_and_every_test_exists(threat):
    _, what, control, places, tests = ROWS[threat]
    assert what and control
    for place in re.findall(r"`([^`]+)`", places):
        assert (ROOT / place).exists(), place
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert named, "no test"
    assert [f"{path}::{name}" for path, name in named if name not in _functions(path)] == []


def test_a_test_that_carries_a_number_stands_in_its_row():
    carried = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = str(path.relative_to(ROOT))
        for name in re.findall(r"^def (test_t(?:\d\d)_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            carried[f"{relative}::{name}"] = f"T{int(name[6:8])}"
    assert carried
    assert not [test for test, threat in carried.items() if f"`{test}`" not in ROWS[threat][4]]


def test_there_are_as_many_hostile_cases_as_the_page_says():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
               "tests/hostile", "tests/security"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    lines = done.stdout.decode().splitlines()
    cases = [line for line in lines if "::" in line and "test_rows.py" not in line]
    (said,) = re.findall(r"About (\d+) hostile cases", TEXT)
    assert int(said) <= len(cases) < int(said) + 150


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", TEXT))
    assert {"fuzz", "audit", "sbom", "wheel"} <= named <= targets
