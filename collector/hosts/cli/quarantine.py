"""`audit-s3 quarantine`: what could not be delivered, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Iterator, List, Tuple

import click

from collector.config import Input
from collector.errors import CollectorError, Poison
from collector.hosts.cli.options import configured, load_inputs
from collector.hosts.stores import opened, say_where_none_is
from collector.ports import Quarantined
from collector.wording import iso, plain

__all__ = ["command"]


@click.group("quarantine")
def command() -> None:
    """List, show, retry or drop what could not be delivered."""


@command.command("list")
@configured
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_entries(config_path: str, input_name: str, form: str) -> None:
    """List every entry, oldest first.

    A line has input, id, kind, reason, since and where. Exits 1 when a ledger cannot be read.
    """
    inputs = _inputs(config_path, input_name)
    entries, unreadable = _listed(inputs)
    if form == "json":
        for found, entry in entries:
            print(json.dumps(_described(found, entry)))
    elif entries:
        _print_table(entries)
    elif not unreadable:
        print("quarantine is empty", file=sys.stderr)
    sys.exit(1 if unreadable else 0)


def _listed(inputs: List[Input]) -> Tuple[List[Tuple[Input, Quarantined]], int]:
    """All entries, and of how many inputs the ledger cannot be read: one's trouble hides no other."""
    entries, unreadable = [], 0
    for found in inputs:
        try:
            entries += list(_entries([found]))
        except CollectorError as error:
            if len(inputs) == 1:
                raise
            print(f"{found.name}: {error}", file=sys.stderr)
            unreadable += 1
    return entries, unreadable


def _print_table(entries: List[Tuple[Input, Quarantined]]) -> None:
    rows = [("INPUT", "ID", "KIND", "REASON", "SINCE", "WHERE")] + [
        (found.name, entry.id, entry.kind, entry.reason, iso(entry.created), plain(entry.url))
        for found, entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


@command.command("show")
@configured
@click.argument("entry_id", metavar="ID")
def show(config_path: str, input_name: str, entry_id: str) -> None:
    """Show one entry and its bytes.

    What happened is on stderr, the bytes are on stdout (escaped on a terminal).
    """
    for found, entry in _entries(_inputs(config_path, input_name)):
        if entry.id == entry_id:
            print(json.dumps(_described(found, entry)), file=sys.stderr)
            _write(entry.body)
            return
    raise _unknown(entry_id)


@command.command("drop")
@configured
@click.argument("entry_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Confirm the action without prompting.")
def drop(config_path: str, input_name: str, entry_ids: Tuple[str, ...], yes: bool) -> None:
    """Give entries up for good."""
    inputs, dropped = _inputs(config_path, input_name), 0
    _refuse_unknown(entry_ids, inputs)
    if not yes:
        _confirm()
    for found in inputs:
        with opened(found, read_only=False) as store:
            dropped += store.unquarantine(entry_ids) if store is not None else 0
    print(f"dropped {dropped} of {len(set(entry_ids))}", file=sys.stderr)
    sys.exit(0 if dropped == len(set(entry_ids)) else 1)


def _confirm() -> None:
    """Who has no terminal may pipe the answer in; where none comes it is not to end in silence."""
    try:
        click.confirm("What is dropped cannot be delivered any more. Go on?", abort=True, err=True)
    except click.Abort:
        print("\nNothing is dropped; --yes drops without asking.", file=sys.stderr)
        raise


@command.command("retry")
@configured
@click.argument("entry_ids", metavar="[ID]...", nargs=-1)
def retry(config_path: str, input_name: str, entry_ids: Tuple[str, ...]) -> None:
    """Deliver entries again, or all of them.

    All where none is named; what fails again stays. An event goes out under an identity of its own: its
    object is long done.
    """
    from collector.hosts.retry import deliver_again

    wanted = delivered = 0
    inputs = _inputs(config_path, input_name)
    _refuse_unknown(entry_ids, inputs)
    for found in inputs:
        with opened(found) as store:
            entries = [
                entry for entry in (store.quarantine() if store is not None else ())
                if not entry_ids or entry.id in entry_ids
            ]
        wanted += len(entries)
        stayed = deliver_again(found, entries) if entries else {}
        delivered += len(entries) - len(stayed)
        for name, why in stayed.items():
            print(f"{name} stays: {plain(why)}", file=sys.stderr)
    print(f"delivered {delivered} of {wanted}", file=sys.stderr)
    sys.exit(0 if delivered == wanted else 1)


def _inputs(config_path: str, input_name: str) -> List[Input]:
    inputs = load_inputs(config_path, input_name, {})
    say_where_none_is(inputs)
    return inputs


def _entries(inputs: List[Input]) -> Iterator[Tuple[Input, Quarantined]]:
    for found in inputs:
        with opened(found) as store:
            if store is not None:
                for entry in store.quarantine():
                    yield found, entry


def _described(found: Input, entry: Quarantined) -> Dict[str, Any]:
    return {
        "input": found.name, "id": entry.id, "kind": entry.kind, "reason": entry.reason,
        "detail": entry.detail, "where": entry.url, "since": iso(entry.created),
        "bytes": len(entry.body), "event": entry.ordinal,
    }


def _write(body: bytes) -> None:
    """As it is to a file or a pipe; a terminal is shown what would steer it, and not steered."""
    if sys.stdout.isatty():
        print("\n".join(plain(line) for line in body.decode("utf-8", "replace").split("\n")))
    else:
        sys.stdout.buffer.write(body)


def _refuse_unknown(entry_ids: Tuple[str, ...], inputs: List[Input]) -> None:
    """Before anything is done: one mistyped id among several is not to pass for done."""
    known = {entry.id for _, entry in _entries(inputs)} if entry_ids else set()
    unknown = [entry_id for entry_id in entry_ids if entry_id not in known]
    if unknown:
        raise _unknown(", ".join(unknown))


def _unknown(entry_id: str) -> Poison:
    return Poison(
        f"there is no entry {entry_id}", code="no_such_entry", where="quarantine",
        hint="`audit-s3 quarantine list` shows what there is",
    )
