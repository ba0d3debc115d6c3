"""Every document that is written from a table of the program, so that none can disagree with it.

    python -m collector.hosts.documents [--check] [--root DIR]

writes them, or with --check names those that differ and returns 1. What stands below a line that begins with
`<!-- from here on` is written by somebody else, and left.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence, Tuple

from collector.config import generate
from collector.hosts.documents import check_codes, manual, metrics, operations

__all__ = ["BELOW", "FILES", "main"]

#: How a line begins below which somebody else writes.
BELOW = "<!-- from here on"

#: Path below the root -> its text.
FILES: Mapping[str, Callable[[], str]] = {
    **generate.FILES,
    **manual.FILES,
    check_codes.PATH: check_codes.page,
    metrics.PATH: metrics.page,
    operations.PATH: operations.page,
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Write the files, or with --check name those that differ and return 1."""
    parser = argparse.ArgumentParser(prog="python -m collector.hosts.documents")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    options = parser.parse_args(argv)
    stale = [name for name, text in FILES.items() if _is_stale(options.root / name, text())]
    for name in stale:
        print(f"{name} {'differs from its table' if options.check else 'written'}", file=sys.stderr)
        if not options.check:
            path = options.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FILES[name]() + _below(path)[1], encoding="utf-8")
    return 1 if stale and options.check else 0


def _is_stale(path: Path, text: str) -> bool:
    return not path.exists() or _below(path)[0] != text


def _below(path: Path) -> Tuple[str, str]:
    """What is ours of a file, and what is below."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    ours, mark, others = text.partition(BELOW)
    return ours, mark + others
