"""`audit-s3 status`: what the ledger of each input knows, read beside a running collector."""

from __future__ import annotations

import sys
from typing import Any, List

import click
from rich.console import Console
from rich.table import Table

from collector.config import Input
from collector.hosts.cli.options import configured, load_inputs
from collector.hosts.cli.stores import opened

__all__ = ["command"]

_STATES = ("done", "open", "filtered", "gone", "expired", "quarantined")


@click.command("status")
@configured
def command(config_path: str, input_name: str) -> None:
    """Show objects by state, and what is in quarantine, for each input.

    Exits 1 when something needs a look: an object gone or expired, or anything in quarantine.
    """
    inputs = load_inputs(config_path, input_name, {})
    table = Table("input", *_STATES, "in quarantine")
    rows = [_row(found) for found in inputs]
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
    troubled = any(isinstance(cell, int) and cell for row in rows for cell in row[4:])
    sys.exit(1 if troubled else 0)


def _row(found: Input) -> List[Any]:
    with opened(found) as store:
        if store is None:
            return [f"{found.name} (never started)", *("-" for _ in _STATES), "-"]
        counts = store.counts()
        entries = sum(1 for _ in store.quarantine())
        return [found.name, *(counts.get(state, 0) for state in _STATES), entries]
