"""The broken set-ups as a table at the end of docs/check-codes.md: `python -m tests.e2e.broken_setups`."""

from __future__ import annotations

from pathlib import Path

from collector.hosts.documents import BELOW
from collector.hosts.documents.check_codes import PATH
from tests.e2e.broken_setups.cases import CASES, Case

__all__ = ["FILE", "table", "written"]

FILE = Path(__file__).parents[3] / PATH
_HEAD = f"""{BELOW} `python -m tests.e2e.broken_setups` writes -->

## The broken set-ups that are tried

Each is a set-up that works, with one thing broken: a right, a setting, a clock, a wire. Of each `check` says
exactly one thing, with this code and this owner, and its fix has these words. `p` is the provider's name, and
111111111111 its account; the customer's is 222222222222.

| what is broken | code | status | whose move | in the fix |
|---|---|---|---|---|
"""


def table() -> str:
    """The section, by the tests' own table."""
    return _HEAD + "".join(map(_row, CASES))


def written() -> str:
    """What stands in the file."""
    _, mark, rest = FILE.read_text(encoding="utf-8").partition(BELOW)
    return mark + rest


def _row(case: Case) -> str:
    words = " ... ".join(f"`{words}`" for words in case.fix if words)
    return f"| {case.name.replace('_', ' ')} | `{case.code}` | {case.status} | {case.owner} | {words} |\n"


if __name__ == "__main__":
    text = FILE.read_text(encoding="utf-8")
    FILE.write_text(text.partition(BELOW)[0] + table(), encoding="utf-8")
