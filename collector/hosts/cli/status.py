"""`audit-s3 status`: what the ledger of each input knows, and what a collector that runs beside us says.

The ledger is read from the store. What only a running collector knows (the queue, rates, silence, lag) is
asked of its `http_listen`, where that is set and answers.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

import click

from collector.config import Input
from collector.errors import CollectorError
from collector.hosts.cli.options import configured, load_inputs
from collector.hosts.status_report import Seen, as_json, broken, lines
from collector.hosts.stores import opened, say_where_none_is
from collector.hosts.web.beside import running
from collector.wording import spell

__all__ = ["command"]


@click.command("status")
@configured
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option("--every", "seconds", metavar="SECONDS", type=click.FloatRange(0.1), default=2.0,
              show_default=True, help="With --watch: how often.")
def command(config_path: str, input_name: str, form: str, watch: bool, seconds: float) -> None:
    """Show objects by state, quarantine, rates, deadlines, silence and lag, for each input.

    Exits 1 when something needs a look: an object gone or expired, or unfinished where no collector runs;
    anything in quarantine, a warning, an input that is blocked, cannot be started or has never run, a ledger
    that cannot be read, or nobody who answers at http_listen; with --watch 0. Where stdout is no terminal
    --watch prints one report after the other, as JSON one a line.
    """
    inputs = load_inputs(config_path, input_name, {})
    say_where_none_is(inputs)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A key may hold what this terminal has no letter for.
        sys.stdout.reconfigure(errors="backslashreplace")
    if not watch:
        seen = _look(inputs)
        error = seen[0].unreadable
        if error is not None and all(one.unreadable and one.running is None for one in seen):
            raise error  # there is nothing else to report
        print(_report(seen, inputs, form=form))
        sys.exit(1 if any(one.is_troubled for one in seen) else 0)
    leave = threading.Event()
    # As an exception it might come up where it is swallowed, and who watches would go on.
    signal.signal(signal.SIGINT, lambda *_: leave.set())
    try:
        if form == "text" and sys.stdout.isatty():
            _draw(inputs, seconds, leave)
        else:
            _go_on(inputs, seconds, leave, form=form)
    except BrokenPipeError:  # `status --watch | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _go_on(inputs: Sequence[Input], seconds: float, leave: threading.Event, *, form: str) -> None:
    while not leave.is_set():
        report = _report(_look(inputs), inputs, form=form, is_one_of_many=True)
        print(report if form == "json" else f"{_now()}\n{report}\n", flush=True)
        leave.wait(seconds)


def _draw(inputs: Sequence[Input], seconds: float, leave: threading.Event) -> None:
    """On the terminal's other screen, so that what was there before comes back."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)

    def picture() -> Any:
        return _coloured(f"{_now()}, every {seconds:g} s; Ctrl-C leaves\n\n{_report(_look(inputs), inputs)}")

    with Live(picture(), console=console, screen=True, auto_refresh=False) as live:
        while not leave.wait(seconds):
            live.update(picture(), refresh=True)


def _coloured(report: str) -> Any:
    """The states' words in colours; nothing in the text is taken for rich's own markup."""
    from rich.text import Text

    text = Text(report, no_wrap=True, overflow="ignore")
    text.highlight_words(["collecting"], "green")
    text.highlight_words(["starting", "retrying", "stopping", "warning"], "yellow")
    text.highlight_words(["blocked", "not_started", "unreadable", "last error"], "bold red")
    return text


# -- one look ---------------------------------------------------------------------------------------------


def _look(inputs: Sequence[Input]) -> List[Seen]:
    said = _said_beside(inputs)
    return [_seen(one, said) for one in inputs]


def _seen(found: Input, said: Mapping[str, Dict[str, Any]]) -> Seen:
    told, is_expected = said.get(found.name), bool(found.settings.http_listen)
    try:
        return _known(found, told, is_expected=is_expected)
    except CollectorError as error:  # one input's trouble hides no other input
        return Seen(found.name, running=told, is_expected=is_expected, unreadable=error)


def _known(found: Input, told: Optional[Dict[str, Any]], *, is_expected: bool) -> Seen:
    with opened(found) as store:
        if store is None:
            return Seen(found.name, running=told, is_expected=is_expected)
        entries = sum(1 for _ in store.quarantine())
        left = min(store.unfinished(), key=lambda row: row.object_time, default=None)
        text = "" if left is None else _unfinished(left.url, left.object_time, found)
        return Seen(found.name, store.counts(), entries, text, told, is_expected)


def _unfinished(url: str, object_time: float, found: Input) -> str:
    left = object_time + found.settings.retention_seconds - time.time()
    when = f"S3 will delete it in {spell(left)}" if left > 0 else "S3 may have deleted it by now"
    return f"{when}, the oldest object that is unfinished and that nobody works on: {url}"


def _said_beside(inputs: Sequence[Input]) -> Mapping[str, Dict[str, Any]]:
    address = inputs[0].settings.http_listen
    status = running(address) if address else None
    names = {one.name for one in inputs}
    return {one["name"]: one for one in status["inputs"] if one["name"] in names} if status else {}


def _report(
    seen: Sequence[Seen], inputs: Sequence[Input], *, form: str = "text", is_one_of_many: bool = False
) -> str:
    if form == "json":
        return json.dumps(as_json(seen), indent=None if is_one_of_many else 2)
    bars = (sys.stdout.encoding or "").lower().startswith("utf")
    width = _width()
    report = list(lines(seen, width=width, bars=bars))
    if not all(one.running for one in seen):
        report += ["", *broken(_why_not(seen, inputs), "", "", width)]
    return "\n".join(report)


def _width() -> Optional[int]:
    """Of the terminal; None if stdout is none."""
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None


def _why_not(seen: Sequence[Seen], inputs: Sequence[Input]) -> str:
    address, knows = inputs[0].settings.http_listen, any(one.running for one in seen)
    why = f"nobody answers at http_listen = {address}" if address else "http_listen is not set"
    why = f"who answers at http_listen = {address} has other inputs only" if knows else why
    said = f"Rates, deadlines, silence and lag are known to a running collector only, and {why}."
    if any(one.state == "not seen" for one in seen):
        said += " not seen: it has run before, as by run --once, and no running collector says how it is now."
    return said


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
