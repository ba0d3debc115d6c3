"""docs/formats.md and the cases say the same: 48 rows, each held by a case that carries its number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from collector.hosts.codes import codes_of
from collector.hosts.web.metrics import COUNTERS, GAUGES
from collector.ports import FINAL

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "formats.md").read_text("utf-8")
ROWS = {
    int(cells[0]): cells
    for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines())
    if cells and cells[0].isdigit()
}
CASES = {
    (path.name, node.name): node
    for path in sorted(HERE.glob("test_*.py"))
    for node in ast.parse(path.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and re.match(r"test_h\d\d_", node.name)
}
CODE = re.compile(r"[a-z]+(?:_[a-z]+)+|bomb|forbidden|archived|gone|filtered")
#: What a case tells its twins, not what it sees.
TOLD = {"aws_unavailable", "role_denied"}
NOTES = {"parse_error", "encoding_error", "deep_json", "part 1"}


def _number(name):
    return int(name[6:8])


def test_there_are_48_rows_and_each_has_its_cases():
    assert list(ROWS) == list(range(1, 49))
    assert {_number(name) for _, name in CASES} == set(ROWS)
    assert all(len(cells) == 4 and cells[1] and cells[2] for cells in ROWS.values())


def test_no_two_cases_have_one_name():
    names = [name for _, name in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("number", ROWS)
def test_what_a_case_sees_is_what_its_row_says(number):
    """Every code, state and note that a case of this number expects stands in its row."""
    seen = {
        node.value
        for (_, name), case in CASES.items()
        if _number(name) == number
        for node in ast.walk(case)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    said = set(re.findall(r"`([^`]+)`", ROWS[number][3]))
    words = {word for word in seen if CODE.fullmatch(word) and word not in TOLD}
    assert {word for word in words if word in NOTES or word in FINAL or codes_of(word)} - said == set()


@pytest.mark.parametrize("number", ROWS)
def test_every_word_of_a_row_is_one_that_the_program_says(number):
    metrics = {family.name for family in (*COUNTERS, *GAUGES)}
    for word in re.findall(r"`([^`]+)`", ROWS[number][3]):
        known = word in metrics or word in FINAL or word in NOTES or word == "s3_note" or codes_of(word)
        assert known, word
