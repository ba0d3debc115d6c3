"""docs/operations.md: the runbook, by symptom, written from the table of codes so that it cannot disagree."""

from __future__ import annotations

from typing import Iterator

from collector.hosts.codes import AREAS, FATES, Area, Code

__all__ = ["PATH", "page"]

PATH = "docs/operations.md"

_HEAD = """# Operations: what the log says, what it means, what to do

Every error has a code, which stands in brackets in the log line, in `audit-s3 status`, on
the status page, in metrics and in quarantine. This page has all of them, by symptom; `audit-s3 explain CODE`
says the same in a terminal.

Written by `python -m collector.hosts.documents` from `collector/hosts/codes.py`.

## First

    audit-s3 check --config FILE          # what is denied or misset, whose move it is, what to send them
    audit-s3 status --config FILE         # how each input goes, its last error and the next step
    audit-s3 coverage --config FILE       # what was delivered, is late, or missing
    audit-s3 quarantine list --config FILE

None of them changes anything. What the collector does with an error depends on its fate:

"""

_AFTER = """
## Repairs

Like those above, each takes `--config FILE`; `export AUDIT_S3_CONFIG=FILE` saves typing it, and makes a
command that a log line or a report names work as it stands.

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
