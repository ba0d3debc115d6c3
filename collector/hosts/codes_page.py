"""docs/operations.md: the runbook, by symptom, written from the table of codes so that it cannot disagree.

    python -m collector.hosts.codes_page [--check] [--root DIR]

writes it or, with --check, returns 1 where it differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterator, Optional, Sequence

from collector.hosts.codes import AREAS, FATES, Area, Code

__all__ = ["PATH", "main", "page"]

PATH = "docs/operations.md"

_HEAD = """# Operations: what the log says, what it means, what to do

Every error has a code, which stands in brackets in the log line, in `audit-s3 status`, on
the status page, in metrics and in quarantine. This page has all of them, by symptom; `audit-s3 explain CODE`
says the same in a terminal.

Written by `python -m collector.hosts.codes_page` from `collector/hosts/codes.py`.

## First

    audit-s3 check --config FILE          # what is denied or misset, whose move it is, what to send them
    audit-s3 status --config FILE         # how each input goes, its last error and the next step
    audit-s3 coverage --config FILE       # what was delivered, is late, or missing
    audit-s3 quarantine list --config FILE

None of them changes anything. What the collector does with an error depends on its fate:

"""

_AFTER = """
## Repairs

| what you want | command |
|---|---|
| know first what a backfill would do | `audit-s3 backfill --missing --plan` |
| fetch what listing finds missing | `audit-s3 backfill --missing` |
| fetch a range before `start_from` | `audit-s3 backfill --since 2026-05-01T00:00:00Z --until TIME` |
| deliver one object again | `audit-s3 backfill --again s3://BUCKET/KEY` |
| deliver what is in quarantine, once its cause is mended | `audit-s3 quarantine retry` |
| give something in quarantine up for good | `audit-s3 quarantine drop ID` |
| see how a message would be understood | `audit-s3 explain FILE` |
| drain a dead-letter queue | `audit-s3 run --once --queue-url URL-OF-THE-DLQ` |
"""


def page() -> str:
    """The whole file."""
    lines = [_HEAD + "| fate | what becomes of the work |\n|---|---|"]
    lines += [f"| {fate} | {text} |" for fate, text in FATES.items() if fate not in ("check", "found")]
    lines.append(_AFTER)
    for area in AREAS:
        lines += _section(area)
    return "\n".join(lines).rstrip() + "\n"


def _section(area: Area) -> Iterator[str]:
    yield f"## {area.symptom}\n"
    if area.about:
        yield f"{area.about}\n"
    yield "| code | fate | what it means | what to do |\n|---|---|---|---|"
    yield from map(_row, area.codes)
    yield ""


def _row(one: Code) -> str:
    return f"| `{one.code}` | {one.fate} | {one.meaning} | {one.step or 'nothing'} |"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Write the file, or with --check return 1 if it differs."""
    parser = argparse.ArgumentParser(prog="python -m collector.hosts.codes_page")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    options = parser.parse_args(argv)
    path = options.root / PATH
    if path.exists() and path.read_text(encoding="utf-8") == page():
        return 0
    if options.check:
        print(f"{PATH} differs from the table of codes", file=sys.stderr)
        return 1
    path.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
