"""`audit-s3 explain FILE`: how a message body is understood, and why."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, TextIO

import click

from collector.errors import Poison
from collector.model import Notification
from collector.notifications import parse

__all__ = ["command"]


@click.command("explain")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@click.option("--bodies", is_flag=True, help="As for a provider whose messages are the audits themselves.")
def command(file: TextIO, bodies: bool) -> None:
    """Say how the message body in FILE (- for stdin) is understood. Exits 1 if it would be quarantined."""
    try:
        found = parse(file.read(), bodies_are_audits=bodies)
    except Poison as error:
        said = {"understood": False, "code": error.code, "why": error.what, "hint": error.hint}
        print(json.dumps(said, indent=2))
        sys.exit(1)
    print(json.dumps(_described(found), indent=2))


def _described(found: Notification) -> Dict[str, Any]:
    said: Dict[str, Any] = {"understood": True, "shape": found.shape}
    if found.noop:
        said["nothing_to_do"] = found.noop
    if found.refs:
        said["objects"] = [
            {name: value for name, value in vars(ref).items() if value is not None} for ref in found.refs
        ]
    if found.payloads:
        said["audits"] = [
            {"producer_id": one.producer_id, "one_event": one.whole, "time": one.time, "bytes": len(one.body)}
            for one in found.payloads
        ]
    return said
