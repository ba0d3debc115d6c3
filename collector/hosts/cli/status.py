"""`audit-s3 status`: what the ledger of each input knows, and what a collector that runs beside us says.

The ledger is read from the store. What only a running collector knows (the queue, silence, lag) is asked of
its `http_listen`, where that is set and answers.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collector.config import Input
from collector.hosts.beside import running
from collector.hosts.cli.options import configured, load_inputs
from collector.hosts.cli.stores import opened
from collector.hosts.web_page import TIMES, as_text, at
from collector.retention.notice import spell

__all__ = ["command"]

_STATES = ("done", "open", "filtered", "gone", "expired", "quarantined")


@click.command("status")
@configured
def command(config_path: str, input_name: str) -> None:
    """Show objects by state, quarantine, deadlines, silence and lag, for each input.

    Exits 1 when something needs a look: an object gone or expired, anything in quarantine, or a warning.
    """
    inputs = load_inputs(config_path, input_name, {})
    console = Console()
    table = Table("input", *_STATES, "in quarantine")
    found = [_row(one) for one in inputs]
    for row, _ in found:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)
    said = _said_beside(inputs)
    for one, (_, oldest) in zip(inputs, found):
        if one.name in said:
            console.print(_times(said[one.name]))
        elif oldest:
            _print(console, _plain(f"{one.name}: {oldest}"))
    if not said:
        _say_why_not(inputs, console)
    troubled = any(isinstance(cell, int) and cell for row, _ in found for cell in row[4:])
    sys.exit(1 if troubled or any(one.get("warnings") for one in said.values()) else 0)


def _row(found: Input) -> Tuple[List[Any], str]:
    """The cells of an input, and what of it is unfinished and in nobody's hands."""
    with opened(found) as store:
        if store is None:
            return [f"{found.name} (never started)", *("-" for _ in _STATES), "-"], ""
        counts = store.counts()
        entries = sum(1 for _ in store.quarantine())
        left = min(store.unfinished(), key=lambda row: row.object_time, default=None)
        row = [found.name, *(counts.get(state, 0) for state in _STATES), entries]
        return row, "" if left is None else _unfinished(left.url, left.object_time, found)


def _unfinished(url: str, object_time: float, found: Input) -> str:
    left = object_time + found.settings.retention_days * 86_400 - time.time()
    when = f"is deleted in {spell(left)}" if left > 0 else "may be deleted by now"
    return f"the oldest object that is unfinished and that nobody works on {when}: {url}"


def _said_beside(inputs: Sequence[Input]) -> Mapping[str, Dict[str, Any]]:
    address = inputs[0].settings.http_listen
    status = running(address) if address else None
    names = {one.name for one in inputs}
    return {one["name"]: one for one in status["inputs"] if one["name"] in names} if status else {}


def _say_why_not(inputs: Sequence[Input], console: Console) -> None:
    address = inputs[0].settings.http_listen
    why = f"nobody answers at http_listen = {address}" if address else "http_listen is not set"
    _print(console, f"Deadlines, silence and lag are known to a running collector only, and {why}.")


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _times(one: Mapping[str, Any]) -> Table:
    """What a running collector says of time, and its warnings with whose move it is."""
    table = Table("", "", title=Text(_plain(one["name"])), show_header=False, title_justify="left")
    for label, text in (("state", one["state"]), *_texts(one), *_warnings(one)):
        table.add_row(label, Text(_plain(text)))
    return table


def _texts(one: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    for label, steps in TIMES:
        text = as_text(at(one, steps))
        if text:
            yield label, text


def _warnings(one: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    warnings: Mapping[str, Mapping[str, Optional[str]]] = one.get("warnings") or {}
    for name, warning in warnings.items():
        move = f"(move: {warning.get('owner')})"
        yield f"warning: {name}", f"{warning.get('text')}. {warning.get('hint')} {move}"


def _plain(text: str) -> str:
    """One line that a terminal shows as it is, whatever a key holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
