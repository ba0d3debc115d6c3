"""Whether a directory outlives this container, or this start of the host (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["throw_away"]

#: A container's own layer, and memory.
_THROW_AWAY = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs", "tmpfs", "ramfs"})
_MOUNTS = Path("/proc/self/mountinfo")


def throw_away(folder: str, *, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that `folder` lies on if it is one that is thrown away, else "".

    The folder need not exist yet. Where the system does not tell, it is believed to last.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    path = os.path.realpath(folder)
    found, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _unescaped(before.split()[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # what is mounted later over the same point hides the first
            found, longest = after.split()[0], len(point)
    return found if found in _THROW_AWAY else ""


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
