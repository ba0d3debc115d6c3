"""Run targets under atheris, each for so many seconds: python -m tests.fuzz [NAME...] [--seconds 60]

Each has a process of its own, which begins with its seeds and stops at its first find: that input is kept in
the current folder as found-NAME-..., and belongs into tests/fuzz/found/NAME/ once it is mended.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Sequence

from tests.fuzz.targets import TARGETS


def main(argv: Sequence[str]) -> int:
    options = argparse.ArgumentParser(prog="tests.fuzz", description=(__doc__ or "").splitlines()[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    options.add_argument("--seconds", type=int, default=60)
    given = options.parse_args(argv)
    unknown = set(given.names) - set(TARGETS)
    if unknown:
        options.error(f"there is no target {', '.join(sorted(unknown))}")
    failed = [name for name in given.names or TARGETS if not _run(name, given.seconds)]
    print(f"found something: {', '.join(failed)}" if failed else "nothing was found")
    return 1 if failed else 0


def _run(name: str, seconds: int) -> bool:
    """Whether nothing was found; says how often the target was run, or what was found."""
    command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    said = next((line for line in reversed(lines) if line.startswith("Done ")), "stopped")
    print(f"{name:16}{said}", flush=True)
    if done.returncode:
        print("\n".join(lines[-30:]), flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
