"""Who holds a row, and whether they are still alive.

An owner is one process: `host/boot/pid/random`. It says "alive until" every 20 seconds in the store; a
row is free once its owner is dead by DEAD_AFTER_SECONDS of wall clock (hosts may disagree on the time),
or at once when the owner was a process of this very host that is gone.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from random import Random
from typing import Callable, FrozenSet, Mapping, Tuple

__all__ = ["DEAD_AFTER_SECONDS", "living", "new_owner", "process_lives"]

#: An owner is believed dead only this long after its own last word: clocks of hosts differ.
DEAD_AFTER_SECONDS = 10.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "-"


def new_owner(random: Random) -> str:
    """The name of this process as an owner: make it once per process.

    `boot` carries the pid namespace too, so that two containers of one host never take each other's
    pids for their own; the pid carries its start time, so that a reused pid is not taken for its
    predecessor (a restarted container is pid 1 again). Where the system tells neither, they are left
    out and only the lapse of `alive_until` frees a row.
    """
    pid = os.getpid()
    _, started = _process_state(pid)
    process = f"{pid}.{started}" if started else str(pid)
    host = socket.gethostname().replace("/", "_") or _UNKNOWN
    return f"{host}/{_boot()}/{process}/{random.getrandbits(48):012x}"


def living(
    owners: Mapping[str, float],
    *,
    me: str,
    now: float,
    lives: Callable[[str], bool],
) -> FrozenSet[str]:
    """Those of `owners` (name -> alive_until, epoch seconds) who still hold their rows, and `me`.

    `lives` answers for the pid part of an owner of this host and boot; see process_lives.
    """
    here = _host_and_boot(me)
    alive = {me}
    for owner, until in owners.items():
        lapsed = until < now - DEAD_AFTER_SECONDS
        gone = bool(here) and _host_and_boot(owner) == here and not lives(owner.split("/")[2])
        if owner == me or not (lapsed or gone):
            alive.add(owner)
    return frozenset(alive)


def process_lives(process: str) -> bool:
    """Whether the process `pid` or `pid.started` of this host still runs; when in doubt, it does."""
    pid_text, _, started = process.partition(".")
    if os.name != "posix" or not pid_text.isdigit():
        return True  # on Windows os.kill(pid, 0) is not a question: it sends Ctrl-C
    pid = int(pid_text)
    state, started_now = _process_state(pid)
    if state:
        return state not in "ZX" and started in ("", started_now)
    return _answers_signals(pid)


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _host_and_boot(owner: str) -> str:
    """What makes pids comparable, "" if nothing does."""
    parts = owner.split("/")
    if len(parts) != 4 or _UNKNOWN in parts[:2]:
        return ""
    return f"{parts[0]}/{parts[1]}"


def _boot() -> str:
    try:
        boot_id = _BOOT_ID.read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return _UNKNOWN
    return f"{boot_id}.{''.join(char for char in namespace if char.isdigit())}"


def _process_state(pid: int) -> Tuple[str, str]:
    """The state letter and the start time in clock ticks since boot (proc(5)); "" where unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()  # the program's name may hold spaces and parentheses
    return fields[0], fields[19]
