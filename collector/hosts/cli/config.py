"""`audit-s3 config`: the effective settings, and where each comes from."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from collector.config import SETTINGS, shown
from collector.hosts.cli.options import configured, load_inputs, setting_flags

__all__ = ["command"]


@click.command("config")
@configured
@click.option("--all", "everything", is_flag=True, help="Defaults too.")
@setting_flags
def command(config_path: str, input_name: str, everything: bool, **given: Any) -> None:
    """Show the effective settings of each input with their sources; secrets stay hidden."""
    console = Console(soft_wrap=True)
    for found in load_inputs(config_path, input_name, given):
        table = Table("setting", "value", "from", title=f"[audit_s3://{found.name}]", title_justify="left")
        for name in SETTINGS:
            source = found.sources[name]
            if everything or source != "default":
                table.add_row(name, shown(getattr(found.settings, name)), source)
        console.print(table)
