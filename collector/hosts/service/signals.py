"""The service between its signals, systemd and the runtime.

SIGTERM and SIGINT end it in order. SIGHUP has it read configuration and secrets again, in the main loop and
not in the handler; where there is a terminal, that is what hung up, and ends it too.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence

from collector.config import ConfigError, Input
from collector.errors import CollectorError
from collector.hosts.service.board import Board
from collector.hosts.service.mounts import throw_away
from collector.hosts.service.systemd import Notifier, Service, journal_caution
from collector.runtime.adapters import checkpoint_path
from collector.runtime.service import Host

if TYPE_CHECKING:
    from collector.runtime.runner import Runner

__all__ = ["Signals", "has_terminal"]

log = logging.getLogger("collector")

#: What is taken up once, at the start.
_TAKES_A_RESTART = ("processes", "http_listen")


def _is_local(configured: Input) -> bool:
    return configured.settings.checkpoint_store == "sqlite"


def has_terminal() -> bool:
    """Whether SIGHUP is the word of a terminal, not of an operator."""
    return sys.stdin is not None and sys.stdin.isatty()


class Signals(Host):
    """From the moment it is made, SIGTERM and SIGINT set `stop`, and SIGHUP sets `reload`.

    When `reload` is set, `load` gives the inputs that are to be from then on, or raises CollectorErrors.
    """

    def __init__(
        self,
        boards: Sequence[Board],
        inputs: Sequence[Input],
        load: Callable[[], Sequence[Input]],
        *,
        stop: threading.Event,
        reload: threading.Event,
    ) -> None:
        self._boards = boards
        self._first = inputs[0].settings
        self._load = load
        self._stop = stop
        self._reload = reload
        self._service = Service(Notifier.from_environment(os.environ), boards[0])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._end if has_terminal() else self._ask)
        faulthandler.enable()  # a watchdog ends us by SIGABRT: say where every thread is
        self._warn(inputs)

    def _warn(self, inputs: Sequence[Input]) -> None:
        """What the place that we were put in will cost, a line each."""
        caution = journal_caution(os.environ) if "stdout" in self._first.output else ""
        if caution:
            log.warning("%s.", caution)
        for folder in sorted({str(checkpoint_path(one).parent) for one in inputs if _is_local(one)}):
            kind = throw_away(folder)
            if kind:
                log.warning(
                    "The checkpoints lie on %s, which ends with this container or at the host's next start: "
                    "what was delivered is then forgotten. Mount a volume there. checkpoint_dir=%s",
                    kind, folder,
                )

    def watch(self, runners: Sequence[Runner], failures: Mapping[str, CollectorError]) -> None:
        """This is what runs now, and why the rest does not."""
        for board in self._boards:
            board.watch(runners, failures)

    def turn(self, *, decided: bool) -> None:
        """The runtime is alive, and wants its signals answered."""
        self._service.turn(decided=decided)

    def reread(self) -> Optional[Sequence[Input]]:
        """The inputs of a configuration that is to be taken over; None, most of the time."""
        if not self._reload.is_set():
            return None
        self._reload.clear()
        self._service.reloading()
        try:
            inputs = self._load()
        except CollectorError as error:
            why = "; ".join(map(str, error.problems)) if isinstance(error, ConfigError) else error
            log.error("The configuration was read again and is refused; the old one goes on: %s", why)
            return None
        now = inputs[0].settings
        for name in _TAKES_A_RESTART:
            if getattr(now, name) != getattr(self._first, name):
                log.warning("A new %s takes a restart; the old one stays.", name)
        for board in self._boards:
            board.expect([found.name for found in inputs])
        return inputs

    def _ask(self, *_: Any) -> None:
        self._reload.set()

    def _end(self, *_: Any) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._service.stopping()
