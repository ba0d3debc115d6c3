"""`audit-s3 config`: the effective settings, and where each comes from."""

from __future__ import annotations

from typing import Any

import click

from collector.config import SETTINGS, shown
from collector.hosts.cli.options import configured, load_inputs, setting_flags

__all__ = ["command"]


@click.command("config")
@configured
@click.option("--all", "everything", is_flag=True, help="Defaults too.")
@setting_flags
def command(config_path: str, input_name: str, everything: bool, **given: Any) -> None:
    """Show the effective settings of each input with their sources.

    Secrets stay hidden; of one that is kept elsewhere it is shown where.
    """
    for found in load_inputs(config_path, input_name, given):
        print(f"[audit_s3://{found.name}]")
        for name in SETTINGS:
            source = found.sources[name]
            if everything or source != "default":
                value = shown(getattr(found.settings, name))
                kept = found.references.get(name, "") if SETTINGS[name].secret else ""
                print(f"# {source}\n{name} = {kept or value}")
