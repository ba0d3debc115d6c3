"""What systemd is told: ready, alive, how it goes, reloading, stopping (sd_notify(3), Type=notify).

    service = Service(Notifier.from_environment(os.environ), board)
    service.turn(decided=True)                        # by the main loop, again and again

The watchdog is fed by the main loop and only after a look at the engines: a lock that is not given back, a
thread that died or a station none of whose threads returns from its call leave it hungry, and systemd starts
the process anew. The protocol is a datagram of NAME=VALUE lines, which is no reason for a dependency.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Callable, List, Mapping, MutableMapping, Sequence

from collector.hosts.service.board import Board
from collector.hosts.service.observation import Observation
from collector.wording import spell_short

__all__ = ["EXTEND_SECONDS", "Notifier", "Service", "journal_caution", "reloading", "status_of", "stopping"]

log = logging.getLogger("collector")

#: While inputs start, and while they hand back, systemd is asked for this much more each time.
EXTEND_SECONDS = 30.0
#: How often systemd hears from us, unless its watchdog wants to more often.
SAY_EVERY_SECONDS = 10.0


class Notifier:
    """Sends to one notification socket: a path, @name in the abstract namespace, or "" for none.

    Never raises: nobody's work may fail because nobody listens.
    """

    def __init__(self, address: str, *, watchdog_seconds: float = 0.0) -> None:
        #: How often the other side wants to hear from us, at least.
        self.say_every_seconds = min(SAY_EVERY_SECONDS, watchdog_seconds / 3 or SAY_EVERY_SECONDS)
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """As systemd named it to us; what we start ourselves does not inherit it."""
        address, microseconds = environ.pop("NOTIFY_SOCKET", ""), environ.pop("WATCHDOG_USEC", "0")
        environ.pop("WATCHDOG_PID", None)
        return cls(address if hasattr(socket, "AF_UNIX") else "", watchdog_seconds=float(microseconds) / 1e6)

    def __bool__(self) -> bool:
        return bool(self._address)

    def send(self, **fields: object) -> None:
        """One datagram with these NAME=VALUE lines."""
        if not self._address:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.settimeout(1.0)
                door.sendto(text.encode("utf-8"), self._address)
        except OSError as error:
            log.debug("systemd was not reached: %s", error)


def reloading(notifier: Notifier) -> None:
    """SIGHUP has been seen; READY says later that it is over."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.send(RELOADING=1, MONOTONIC_USEC=now, STATUS="Reading the configuration again")


def stopping(notifier: Notifier) -> None:
    """SIGTERM has been seen. Handing back is bounded by itself; systemd is to wait that long."""
    more = int(EXTEND_SECONDS * 1e6)
    notifier.send(STOPPING=1, EXTEND_TIMEOUT_USEC=more, STATUS="Handing back what is in hand")


class Service:
    """This process as systemd sees it. Its methods are the main thread's."""

    def __init__(
        self, notifier: Notifier, board: Board, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._board = board
        self._monotonic = monotonic
        self._due = self._told_at = 0.0
        self._is_ready = False
        self._stuck: List[str] = []
        self._events = 0

    def turn(self, *, decided: bool) -> None:
        """Say what is due. `decided`: each input runs, or its first attempt has failed."""
        now = self._monotonic()
        if now < self._due and (self._is_ready or not decided):
            return
        self._due = now + self._notifier.say_every_seconds
        self._look()
        if self._stuck:
            return
        fields = {"WATCHDOG": 1, "STATUS": self._status(now)}
        if not decided and not self._is_ready:
            self._notifier.send(**fields, EXTEND_TIMEOUT_USEC=int(EXTEND_SECONDS * 1e6))
        elif not self._is_ready:
            self._is_ready = True
            self._notifier.send(READY=1, **fields)
        else:
            self._notifier.send(**fields)

    def reloading(self) -> None:
        """The configuration is about to be read again; the next `turn` says that it is over."""
        reloading(self._notifier)
        self._is_ready = False
        self._due = 0.0

    def stopping(self) -> None:
        """The end has been asked for."""
        stopping(self._notifier)

    def _look(self) -> None:
        """What stands still is said once, before systemd acts on the silence."""
        stuck = self._board.standstill()
        if stuck and stuck != self._stuck:
            log.error("An engine stands still; the watchdog is left to bite. %s", "; ".join(stuck))
        self._stuck = stuck

    def _status(self, now: float) -> str:
        seen = self._board.observe()
        events = sum(each.counters.get("events", 0) for each in seen)
        seconds, before = now - self._told_at, self._events
        self._told_at, self._events = now, events
        return status_of(seen, rate=max(0, events - before) / seconds if seconds and before else 0.0)


def status_of(seen: Sequence[Observation], *, rate: float) -> str:
    """One line for `systemctl status`: rate, lag, backlog, quarantine, and who does not collect."""
    if not seen:
        return "Starting"
    well = sum(each.is_ready for each in seen)
    depths = [each.watched.depth.visible for each in seen if each.watched.depth is not None]
    lags = [lag.p95_seconds for each in seen for name, lag in each.watched.lags.items()
            if name == "collector" and lag.count]
    parts = [f"{well} of {len(seen)} inputs collect", f"{rate:,.0f} events/s"]
    parts += [f"lag {spell_short(max(lags))}"] if lags else []
    parts += [f"backlog {sum(depths):,} messages"] if depths else []
    parts += [f"quarantine {sum(each.quarantine_bytes for each in seen):,} bytes"]
    for each in seen:
        codes = sorted({problem.code for problem in each.open_breakers.values()})
        if not each.is_ready:
            parts.append(f"{each.name} {each.state}" + (f" [{', '.join(codes)}]" if codes else ""))
    return ", ".join(parts)


def journal_caution(environ: Mapping[str, str]) -> str:
    """What to say before events go to journald, "" if they do not (JOURNAL_STREAM, systemd.exec(5))."""
    try:
        stat = os.fstat(1)
    except OSError:
        return ""
    if environ.get("JOURNAL_STREAM") != f"{stat.st_dev}:{stat.st_ino}":
        return ""
    return (
        "Events go to the journal, which cuts lines of more than 48 KiB and forgets the oldest at its cap: "
        "set StandardOutput=append:FILE in the unit, or another output"
    )
