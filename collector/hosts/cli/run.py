"""`audit-s3 run`: the service, one drain (--once), or a look without touching anything (--dry-run)."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, List, Optional, Sequence

import click

from collector.config import Input, secrets_of
from collector.hosts.cli.options import configured, load_inputs, setting_flags

if TYPE_CHECKING:
    from collector.hosts.service.board import Board

__all__ = ["command"]


@click.command("run")
@configured
@click.option("--once", is_flag=True, help="Collect what the queue holds, then exit.")
@click.option("--dry-run", is_flag=True, help="Show what would be forwarded; write and delete nothing.")
@click.option("--peek", is_flag=True, help="With --dry-run: look into the queue too (costs one receive).")
@click.option("--sample", metavar="N", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="With --dry-run: at most this many objects and messages.")
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text",
              show_default=True,
              help="With --dry-run: the report; json and html go to stdout, events and all.")
@click.option("--mask", is_flag=True,
              help="With --dry-run: mask what looks like a secret, an e-mail or an IP address.")
@click.option("--summary", metavar="FILE", hidden=True, help="With --once: write each input's counters.")
@click.option("--process", "number", type=int, default=None, hidden=True, help="Which of several this is.")
@setting_flags
def command(
    config_path: str,
    input_name: str,
    once: bool,
    dry_run: bool,
    peek: bool,
    sample: int,
    form: str,
    mask: bool,
    summary: Optional[str],
    number: Optional[int],
    **given: Any,
) -> None:
    """Collect audits: receive, fetch, forward, checkpoint, delete.

    Every setting but a secret is a flag too; docs/reference/settings.md lists them.
    """
    if (peek or sample != 10 or form != "text" or mask) and not dry_run:
        raise click.UsageError("--peek, --sample, --format and --mask belong to --dry-run")
    stop, reload = threading.Event(), threading.Event()
    if not dry_run:
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, lambda *_: stop.set())
    if not dry_run and not once and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: reload.set())  # while it starts, too, it ends nothing
    inputs = load_inputs(config_path, input_name, given)
    if dry_run:
        from collector.hosts.dry_run.rehearsal import dry_run as look

        sys.exit(look(
            inputs, peek=peek, sample=sample, stdout=sys.stdout, form=form, mask=mask,
            secrets=secrets_of(inputs),
        ))
    count = inputs[0].settings.processes
    if count > 1 and number is None:
        from collector.hosts.service.processes import supervise

        sys.exit(supervise(count, sys.argv[1:], once=once, stop=stop))
    from collector.hosts.service.board import Board
    from collector.hosts.service.signals import Signals
    from collector.runtime import service

    if once:
        from collector.hosts.summary import Summary

        sys.exit(service.run(inputs, stop=stop, host=Summary(summary) if summary else None, once=True))
    with ExitStack() as stack:
        boards = [Board([found.name for found in inputs])]
        boards += _web(inputs, stack, number or 0)
        load = partial(load_inputs, config_path, input_name, given)
        signals = Signals(boards, inputs, load, stop=stop, reload=reload)
        code = service.run(inputs, stop=stop, host=signals)
    sys.exit(code)


def _web(inputs: Sequence[Input], stack: ExitStack, number: int) -> List[Board]:
    """Show how it goes until `stack` unwinds, if `http_listen` is set; what is to be told of the runners.

    The first of several processes listens, and the others tell it.
    """
    settings = inputs[0].settings
    if not settings.http_listen:
        return []
    from collector.hosts.service.board import Board
    from collector.hosts.service.siblings import Others, telling
    from collector.hosts.web.server import serving
    from collector.runtime.adapters import checkpoint_path

    names = [found.name for found in inputs]
    folder = checkpoint_path(inputs[0]).parent
    if number:
        board = Board(names, number=number)
        stack.enter_context(telling(folder, number=number, board=board))
    else:
        siblings = Others(folder) if settings.processes > 1 else dict
        board = Board(names, siblings=siblings)
        stack.enter_context(serving(settings.http_listen, board))
    return [board]
