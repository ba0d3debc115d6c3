"""Sorted lines come back as sorted() would have them, however few of them memory may hold."""

from __future__ import annotations

from typing import List

from hypothesis import given
from hypothesis import strategies as st

from collector.retention.coverage_sort import SortedLines

LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=5), max_size=60)


@given(lines=LINES, at_once=st.integers(1, 10), most_runs=st.integers(1, 4))
def test_all_lines_come_back_in_order(lines: List[str], at_once: int, most_runs: int) -> None:
    with SortedLines(at_once=at_once, most_runs=most_runs) as scratch:
        for line in lines:
            scratch.add(line)
        assert list(scratch) == sorted(lines)
        assert list(scratch) == sorted(lines), "and again"
