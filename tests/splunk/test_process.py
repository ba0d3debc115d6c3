"""The life of the process: it hears a signal whatever stdout does, and never outlives splunkd."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Each is `collect(stop)`: the part of a run that is not the host's.
PATIENT = "def collect(stop):\n    stop.wait()\n    return 0"
LEAVING_WORK = "def collect(stop):\n    stop.wait()\n    return 1"
BLOCKED = "def collect(stop):\n    while True:\n        events.write(b'x' * 65536)"
FAILING = "def collect(stop):\n    raise Fatal('no such queue', code='queue_missing', hint='check queue_url')"
BUGGY = "def collect(stop):\n    return {}['nothing']"
CHATTY = """
def collect(stop):
    print('stray')
    events.write(b'<stream></stream>')
    events.flush()
    return 0"""

PROGRAM = """
import os, sys, time
parent = os.getppid()
sys.path.insert(0, {root!r})
from collector.errors import Fatal
from collector.hosts.modular_input import claim_stdout, drive, leave
from collector.hosts.splunkd.log import log_to_splunkd
events = claim_stdout()
log_to_splunkd()
{collect}
def begin(stop):
    print("ready", file=sys.stderr, flush=True)
    return collect(stop)
{first}
leave(drive(begin, events, parent=parent, grace_seconds=1.0))
"""


def _start(collect: str, environment: Dict[str, str], **streams: int) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(root=str(ROOT), collect=collect, first="")
    wanted = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    # Unbuffered: what a buffer has read beyond "ready" communicate() would never see.
    process = subprocess.Popen([sys.executable, "-c", program], bufsize=0, env=environment, **wanted)
    if process.stderr is not None:
        assert process.stderr.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("collect", [PATIENT, LEAVING_WORK], ids=["patient", "leaving_work"])
def test_after_a_signal_the_exit_code_is_0_whatever_was_left(environment, collect: str, number) -> None:
    process = _start(collect, environment)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_a_signal_is_heard_while_stdout_is_blocked(environment) -> None:
    process = _start(BLOCKED, environment)
    time.sleep(0.5)  # time enough to fill the pipe that nobody reads
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - started < 20, "it was given one second"
    assert b"WARN stdout is blocked" in process.communicate()[1]


def test_a_closed_reader_ends_the_process_quietly(environment) -> None:
    process = _start(PATIENT, environment)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=60)
    assert process.returncode == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX process ids")
@pytest.mark.parametrize("when", ["at work", "while it starts"])
def test_an_orphan_does_not_outlive_splunkd(environment, when: str) -> None:
    """A parent that dies without a word leaves its child; the child's end closes the pipe we hold."""
    witness, held = os.pipe()
    said, first = "ready", ""
    if when == "while it starts":
        said, first = "starting", (
            "print('starting', file=sys.stderr, flush=True)\n"
            "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"  # its reader is about to go
            "while os.getppid() == parent: time.sleep(0.01)"
        )
    child = PROGRAM.format(root=str(ROOT), collect=PATIENT, first=first)
    parent = (
        "import sys\nfrom subprocess import PIPE, Popen\n"
        f"child = Popen([sys.executable, '-c', {child!r}], stdout={held}, stderr=PIPE)\n"
        f"assert child.stderr.readline() == b'{said}\\n'"
    )
    subprocess.run([sys.executable, "-c", parent], env=environment, pass_fds=(held,), check=True, timeout=30)
    os.close(held)
    ready, _, _ = select.select([witness], [], [], 60)
    assert ready
    assert os.read(witness, 1) == b""
    os.close(witness)


def test_a_fatal_error_is_one_line_for_splunkd_and_exit_code_78(environment) -> None:
    process = _start(FAILING, environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 78
    assert err == b"FATAL no such queue [queue_missing]. check queue_url move=you\n"


def test_a_bug_is_one_line_with_its_traceback_and_exit_code_1(environment) -> None:
    process = _start(BUGGY, environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"ERROR a bug ended the input: KeyError('nothing')")
    assert b"Traceback" in err
    assert err.count(b"\n") == 1


def test_a_stray_print_never_reaches_the_stream(environment) -> None:
    process = _start(CHATTY, environment)
    out, _ = process.communicate(timeout=60)
    assert out == b"<stream></stream>"
