"""How far a backfill is: a bar on a terminal, else a line now and then; what came of it. All on stderr."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import Any, Iterator, List, Mapping, NamedTuple, Sequence

from collector.engine.engine import Engine
from collector.errors import CollectorError
from collector.runtime.runner import Runner
from collector.runtime.service import Host

__all__ = ["LINE_EVERY_SECONDS", "Backfilled", "Progress", "look"]

log = logging.getLogger("collector")

LINE_EVERY_SECONDS = 30.0
BAR_EVERY_SECONDS = 0.25
#: What becomes of objects, and the counters of that.
_ENDS = {
    "delivered": "done", "filtered": "filtered", "quarantined": "quarantined", "gone": "gone",
    "expired": "expired", "already done": "known", "asked for and not there": "not_there",
    "asked for and not to be fetched": "not_fetched",
}


class Backfilled(NamedTuple):
    """Objects listed, found missing, and of these done; events delivered; whether listing goes on."""

    listed: int = 0
    missing: int = 0
    done: int = 0
    events: int = 0
    is_listing: bool = True


def look(engine: Engine, *, named: int) -> Backfilled:
    """How far one engine is, with `named` objects asked for by name; under its lock."""
    counters, sweep = engine.ledger.counters, engine.reconciler.sweep
    missing = (sweep.missing if sweep else 0) + named
    return Backfilled(
        listed=sweep.listing.listed if sweep else 0, missing=missing, done=missing - engine.left_over(),
        events=counters["events"], is_listing=bool(sweep and not sweep.listing.is_over),
    )


class Progress(Host):
    """Shows what `watch` is told of until it is left. With `bar` rich draws it, else every 30 s a line."""

    def __init__(self, *, bar: bool) -> None:
        self._runners: Sequence[Runner] = ()
        self._over = threading.Event()
        self._began = time.monotonic()
        show = self._draw if bar else self._log
        self._thread = threading.Thread(target=show, name="progress", daemon=True)

    def watch(self, runners: Sequence[Runner], failures: Mapping[str, CollectorError]) -> None:
        """What is at work now."""
        self._runners = list(runners)

    def ended(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        """What has come of each input, a line each."""
        for name, counted in counters.items():
            shown = [f"{counted[key]:,} {word}" for word, key in _ENDS.items() if counted.get(key)]
            events = counted.get("events", 0)
            is_whole = counted.get("reconciles") and not counted.get("reconciled")  # all listed, all there
            nothing = "nothing was missing" if is_whole else "nothing was delivered"
            print(f"{name}: {', '.join(shown) or nothing}; {events:,} events", file=sys.stderr)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *how: Any) -> None:
        self._over.set()
        self._thread.join(5.0)

    def _now(self) -> Backfilled:
        seen: List[Backfilled] = [one.observe(partial(look, named=one.named)) for one in self._runners]
        return Backfilled(
            sum(one.listed for one in seen), sum(one.missing for one in seen), sum(one.done for one in seen),
            sum(one.events for one in seen), any(one.is_listing for one in seen) or not seen,
        )

    def _log(self) -> None:
        while not self._over.wait(LINE_EVERY_SECONDS):
            log.info("Backfilling. %s", line(self._now(), seconds=time.monotonic() - self._began))

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
        )
        with Bar(*columns, console=Console(stderr=True)) as bar, _lines_above_it():
            task = bar.add_task("listing", total=None, rate="")
            is_over = False
            while not is_over:
                is_over = self._over.wait(BAR_EVERY_SECONDS)
                now = self._now()
                rate = now.done / max(0.001, time.monotonic() - self._began)
                total = None if now.is_listing and not now.missing else now.missing
                shown = f"listed {now.listed:,}" if now.is_listing else "fetching"
                bar.update(task, total=total, completed=now.done, description=shown, rate=f"{rate:.0f}/s")


def line(now: Backfilled, *, seconds: float) -> str:
    """The progress in words; the time left is known once the listing is over."""
    rate = now.done / max(0.001, seconds)
    text = f"listed={now.listed} missing={now.missing} done={now.done} events={now.events} rate={rate:.1f}/s"
    if now.is_listing or not rate:
        return f"{text} listing={'on' if now.is_listing else 'over'}"
    return f"{text} left={(now.missing - now.done) / rate:.0f}s"


@contextmanager
def _lines_above_it() -> Iterator[None]:
    """Log lines go where rich can keep them clear of its bar, and back where they went.

    Those of log_level = info are left out: a line for every object says less than the bar, and hides it.
    """
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    streams = [one.stream for one in handlers]
    ours, level = logging.getLogger("collector"), logging.getLogger("collector").level
    for handler in handlers:
        handler.setStream(sys.stderr)
    if level == logging.INFO:
        ours.setLevel(logging.WARNING)
    try:
        yield
    finally:
        ours.setLevel(level)
        for handler, stream in zip(handlers, streams):
            handler.setStream(stream)
