"""What was freed in one thread's arena is of no use to the others: there are two."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_is_told_to_use_few_arenas_unless_the_operator_chose():
    told = "from collector.allocator import use_few_arenas; print(use_few_arenas())"
    for chosen, answer in (({}, "True"), ({"MALLOC_ARENA_MAX": "4"}, "False")):
        asked = [sys.executable, "-c", told]
        done = subprocess.run(asked, env=chosen, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == answer
