"""Runs a program under the restrictions of a unit file, as far as that goes without systemd.

    python -m tests.packaging.confined UNIT -- PROGRAM ARGUMENTS

`command` puts the rest around that, as root on Linux: mounts of its own on which all is read-only but the
state directory (ProtectSystem=strict, ProtectHome=read-only, and what lies in /sys), and a user namespace of
its own (PrivateUsers) without any capability and without new privileges. In there two seccomp filters are
laid: SystemCallFilter as `systemd-analyze syscall-filter` spells it out, and what MemoryDenyWriteExecute,
RestrictNamespaces, RestrictAddressFamilies and RestrictSUIDSGID refuse.

Not played: User and ProtectHome=yes (the tests' own Python may lie in /root), PrivateTmp (their
folders lie there), PrivateDevices, ProtectProc, RestrictRealtime, LockPersonality, and what is of cgroups.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Set

from tests.packaging.units import directives

__all__ = ["can_confine", "command"]

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NE, _EQ, _MASKED = 1, 4, 7
_WRITE, _EXECUTE, _SHARED_EXECUTE = 2, 4, 0o100000
_NAMESPACES = 0x7E020080  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


def can_confine() -> str:
    """Why this machine cannot, "" if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a program can be confined as root on Linux only"
    nested = ["unshare", "--mount", "--propagation=private", "--", "unshare", "--user", "true"]
    if subprocess.run(nested, capture_output=True).returncode:
        return "this machine allows no namespaces of one's own"
    try:
        _libseccomp()
    except OSError:
        return "libseccomp is not installed"
    return ""


def command(unit: Path, writable: Path, program: Sequence[str]) -> List[str]:
    """The command line of `program` under the restrictions of `unit`."""
    own = [sys.executable, "-m", "tests.packaging.confined", str(unit), "--", *program]
    inner = ["unshare", "--user", "--map-current-user", "--ipc", "--", "setpriv", "--no-new-privs",
             "--bounding-set=-all", "--inh-caps=-all", "--", *own]
    state = shlex.quote(str(writable))
    script = f"""set -e
mount --bind {state} {state}
mount -t tmpfs -o mode=755,nosuid tmpfs /dev/shm
cut -d' ' -f5 /proc/self/mountinfo | while read -r at; do
    case "$at" in {state}|/dev/*|/proc|/proc/*) continue ;; esac
    mount -o remount,bind,ro "$at" 2>/dev/null || true
done
touch /usr/proof 2>/dev/null && exit 99
exec {shlex.join(inner)}"""
    return ["unshare", "--mount", "--propagation=private", "--", "sh", "-c", script]


def _filter(unit: Path) -> None:
    """The two filters. The kernel does what the stricter of them says."""
    said = directives(unit)
    allowed = _system_calls(said["SystemCallFilter"])
    known = Filter(default=_ERRNO | errno.EPERM)
    for name in sorted(allowed):
        known.rule(_ALLOW, name)
    finer = Filter(default=_ALLOW)
    refuse = _ERRNO | errno.EPERM
    if said.get("MemoryDenyWriteExecute") == ["yes"]:
        both = _WRITE | _EXECUTE
        finer.rule(refuse, "mmap", Compare(2, _MASKED, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            finer.rule(refuse, name, Compare(2, _MASKED, _EXECUTE, _EXECUTE))
        finer.rule(refuse, "shmat", Compare(2, _MASKED, _SHARED_EXECUTE, _SHARED_EXECUTE))
    if said.get("RestrictNamespaces") == ["yes"]:
        for name in ("unshare", "setns"):
            finer.rule(refuse, name)
        finer.rule(_ERRNO | errno.ENOSYS, "clone3")
        for bit in (1 << number for number in range(32)):
            if bit & _NAMESPACES:
                finer.rule(refuse, "clone", Compare(0, _MASKED, bit, bit))
    families = [_FAMILIES[name] for name in said["RestrictAddressFamilies"][0].split()]
    # libseccomp joins the comparisons of one rule by "and": none of the allowed families.
    for family in range(46):
        if family not in families:
            finer.rule(_ERRNO | errno.EAFNOSUPPORT, "socket", Compare(0, _EQ, family, 0))
    if said.get("RestrictSUIDSGID") == ["yes"]:
        for name, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2)):
            for bit in (0o4000, 0o2000):
                finer.rule(refuse, name, Compare(place, _MASKED, bit, bit))
    finer.load()
    known.load()  # last: it allows no further filter


def _system_calls(lines: Sequence[str]) -> Set[str]:
    """What these SystemCallFilter lines leave: the first allows, one with ~ takes away."""
    allowed: Set[str] = set()
    for line in lines:
        names = {name for word in line.lstrip("~").split() for name in _spelled_out(word)}
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _spelled_out(word: str) -> Set[str]:
    if not word.startswith("@"):
        return {word}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True
    ).stdout
    words = [line.strip() for line in listed.splitlines()[1:]]
    return {name for each in words if each and not each.startswith("#") for name in _spelled_out(each)}


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = [
        ("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64),
    ]


def _libseccomp() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p,
    ]
    return library


class Filter:
    """One seccomp filter in the making."""

    def __init__(self, *, default: int) -> None:
        self._library = _libseccomp()
        self._context = self._library.seccomp_init(default)

    def rule(self, action: int, name: str, *when: Compare) -> None:
        """What the kernel is to do at this call. Calls that this machine does not have are left out."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (Compare * max(1, len(when)))(*when)
        done = self._library.seccomp_rule_add_array(
            self._context, action, number, len(when), ctypes.cast(array, ctypes.c_void_p)
        )
        if done:
            raise OSError(-done, f"no rule for {name}: {os.strerror(-done)}")

    def load(self) -> None:
        done = self._library.seccomp_load(self._context)
        if done:
            raise OSError(-done, f"no filter: {os.strerror(-done)}")


def _environment() -> Dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def main(arguments: Sequence[str]) -> None:
    unit, dashes, *program = arguments
    if dashes != "--" or not program:
        sys.exit(__doc__)
    environment = _environment()
    os.umask(0o077)
    _filter(Path(unit))
    os.execvpe(program[0], program, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
