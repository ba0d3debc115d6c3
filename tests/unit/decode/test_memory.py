"""Peak memory does not grow with the object: a large one is decoded in what a small one needs.

Each object is made by one process and decoded by another, fresh one; see benchmarks/memory.py, which has
the same cases at full size.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks.memory import measure

#: Interpreter, libraries and windows, of which an event of 5 MB is the widest.
LIMIT_MB = 150

#: Small and large, in MiB. What is held whole adds its size; zip_of_many's directory alone is a fifth of it.
SIZES = {
    "records_gz": (20, 60), "text_line": (20, 60), "json_record": (20, 60), "tar_of_gz": (4, 24),
    "zip": (8, 40), "zip_of_many": (2, 10), "parquet": (8, 40), "avro": (4, 20),
}

pytestmark = pytest.mark.once

NO_PEAK = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say what a process's peak was")


@NO_PEAK
@pytest.mark.parametrize("case", SIZES)
def test_memory_does_not_grow_with_the_object(case: str) -> None:
    low, high = SIZES[case]
    small, large = measure(case, size_mb=low), measure(case, size_mb=high)
    assert (small.outcome, large.outcome) == ("whole", "whole")
    assert large.events > 2 * small.events
    assert large.peak_mb < small.peak_mb + (high - low) / 2
    assert large.peak_mb < LIMIT_MB


@NO_PEAK
@pytest.mark.parametrize("case", ["bomb_gz_gz", "bomb_bz2", "bomb_zip"])
def test_a_bomb_takes_no_more_memory_than_an_object(case: str) -> None:
    bomb = measure(case, size_mb=72)
    assert bomb.outcome == "bomb"
    assert bomb.peak_mb < LIMIT_MB
