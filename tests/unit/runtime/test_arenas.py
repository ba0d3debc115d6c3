"""However many threads there are, memory that one has freed is there for the others."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from collector.runtime.arenas import ARENAS

#: Eight threads that allocate at the same time, then what malloc_info(3) says.
CHILD = """
import ctypes, sys, threading
from collector.runtime import arenas
print(arenas.bound())
libc, here = ctypes.CDLL(None), threading.Barrier(8)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
def allocate():
    here.wait()
    libc.malloc(ctypes.c_size_t(50_000))
    here.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")


def child(tmp_path, **environ):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "arenas.xml")]
    ran = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=True)
    return ran.stdout.strip(), (tmp_path / "arenas.xml").read_text().count("<heap nr=")


def test_a_process_of_many_threads_has_few_arenas(tmp_path):
    assert child(tmp_path) == ("True", ARENAS)


def test_the_environment_has_the_last_word(tmp_path):
    bound, arenas = child(tmp_path, MALLOC_ARENA_MAX="5")

    assert bound == "False" and ARENAS < arenas <= 5
