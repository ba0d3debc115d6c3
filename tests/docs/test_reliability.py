"""docs/reliability.md: every failure has its tests, and every test that is named exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
_LINES = [line for line in TEXT.splitlines() if line.startswith("| F")]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in _LINES]
CATALOGUE = {row[0]: row for row in ROWS if re.fullmatch(r"F\d+", row[0])}


def _functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_catalogue_has_every_failure_once():
    assert list(CATALOGUE) == [f"F{number}" for number in range(1, 27)]
    assert len(ROWS) == len(CATALOGUE) + 1, "the heading, and one row a failure"


@pytest.mark.parametrize("failure", CATALOGUE)
def test_every_test_of_a_failure_exists(failure):
    _, what, answer, tests = CATALOGUE[failure]
    assert what
    assert answer
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert named, "no test"
    missing = [f"{path}::{name}" for path, name in named if name not in _functions(path)]
    assert not missing


def test_a_test_that_carries_a_number_stands_in_its_row():
    carried = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = str(path.relative_to(ROOT))
        for name in re.findall(r"^def (test_f(?:\d\d)_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            carried[f"{relative}::{name}"] = f"F{int(name[6:8])}"
    assert carried
    assert not [test for test, failure in carried.items() if test not in CATALOGUE[failure][3]]


def test_every_other_file_that_is_named_exists():
    paths = re.findall(r"`(?:\S+ )?(tests/[\w/]+\.py)", TEXT)
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]
