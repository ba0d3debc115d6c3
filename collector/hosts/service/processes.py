"""`processes = N`: N whole collectors on one host, sharing the queue and the store.

The parent only starts them, passes signals on, and starts again what died or hangs. There is nothing to
coordinate: SQS shares out the work, and by the store one of them leads in what one should do: reconcile and
prune. Each child speaks to the parent as the parent does to systemd, by a notification socket of its own.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from collector.hosts.service.signals import has_terminal
from collector.hosts.service.systemd import EXTEND_SECONDS, Notifier, reloading, stopping

__all__ = ["supervise"]

log = logging.getLogger("collector")

#: A collector that dies at once is not started again at once.
RESTART_SECONDS = 5.0
STOP_SECONDS = 10.0
#: A child that has said nothing for so long hangs: it speaks every ten seconds while its engines move.
SILENCE_SECONDS = 120.0


def supervise(count: int, arguments: Sequence[str], *, once: bool, stop: threading.Event) -> int:
    """Run `count` collectors with these arguments until told to stop; the worst exit code of theirs.

    With `once` each drains the queue and none is started again. `stop` is set if that was said before this.
    """
    asked: List[int] = []
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _: asked.append(number))
    if stop.is_set():
        return 0
    hangup = None if has_terminal() else getattr(signal, "SIGHUP", None)
    above = Notifier.from_environment(os.environ)
    with tempfile.TemporaryDirectory(prefix="audit-s3-") as folder:
        children = [Child(number, arguments, Path(folder)) for number in range(count)]
        try:
            _watch(children, asked, above, hangup=hangup, once=once)
            stopping(above)
            return _stop(children)
        finally:
            for child in children:
                child.close()


def _watch(
    children: Sequence[Child], asked: List[int], above: Notifier, *, hangup: Optional[int], once: bool
) -> None:
    """Until a signal other than `hangup` says stop, or with `once` until all are through."""
    is_ready, due = False, 0.0
    while not once or any(child.is_running for child in children):
        while asked:
            if asked.pop(0) != hangup:
                return
            is_ready, due = False, 0.0
            reloading(above)
            for child in children:
                child.reload()
        for child in children:
            child.listen()
            if not once:
                child.keep_going()
        now = time.monotonic()
        if now >= due or (not is_ready and all(child.is_ready for child in children)):
            due = now + above.say_every_seconds
            is_ready = is_ready or all(child.is_ready for child in children)
            _tell(above, children, is_ready=is_ready)
        time.sleep(0.2)


def _tell(above: Notifier, children: Sequence[Child], *, is_ready: bool) -> None:
    status = "; ".join(f"process {child.number}: {child.status}" for child in children)
    state = {"READY": 1} if is_ready else {"EXTEND_TIMEOUT_USEC": int(EXTEND_SECONDS * 1e6)}
    above.send(**state, WATCHDOG=1, STATUS=status)


class Child:
    """One collector, over as many processes as that takes, and what the present one says of itself."""

    def __init__(self, number: int, arguments: Sequence[str], folder: Path) -> None:
        self.number = number
        self.is_ready, self.status = False, "Starting"
        self._heard = self._due = 0.0
        self._arguments = arguments
        self._address = str(folder / str(number))
        self._ear: Optional[socket.socket] = None
        if hasattr(socket, "AF_UNIX"):
            self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._ear.setblocking(False)
            self._ear.bind(self._address)
        self.process = self._begun()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def listen(self) -> None:
        """Take in what it has said."""
        while self._ear is not None:
            try:
                said = self._ear.recv(65_536).decode("utf-8", "replace")
            except BlockingIOError:
                return
            fields: Dict[str, str] = {}
            for line in said.splitlines():
                name, _, value = line.partition("=")
                fields[name] = value
            self._heard = time.monotonic()
            self.is_ready = "READY" in fields or (self.is_ready and "RELOADING" not in fields)
            self.status = fields.get("STATUS", self.status)

    def keep_going(self) -> None:
        """Start again what died, and end what hangs, so that it is."""
        now = time.monotonic()
        if self.is_running:
            if self._ear is not None and now - self._heard > SILENCE_SECONDS:
                log.error("A collector process hangs and is ended. process=%d", self.number)
                self._heard = now
                self.process.send_signal(signal.SIGABRT)  # its threads say where they are
        elif not self._due:
            code = self.process.returncode
            log.error("A collector process ended and is started again. process=%d code=%s", self.number, code)
            self.is_ready, self.status, self._due = False, f"ended with {code}", now + RESTART_SECONDS
        elif now >= self._due:
            self.process = self._begun()

    def reload(self) -> None:
        """Have it read the configuration again."""
        if self.is_running:
            self.is_ready = False
            self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()

    def _begun(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "NOTIFY_SOCKET": self._address}
        command = [sys.executable, "-m", "collector", *self._arguments, "--process", str(self.number)]
        self.is_ready, self.status, self._due = False, "Starting", 0.0
        self._heard = time.monotonic()
        return subprocess.Popen(command, env=environment)


def _stop(children: Sequence[Child]) -> int:
    for child in children:
        if child.is_running:
            child.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    codes = [child.process.returncode for child in children]
    return max((code if code >= 0 else int(code != -signal.SIGTERM) for code in codes), default=0)
