"""systemd's end of the notification socket: keeps what a process says, datagram by datagram."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from typing import Dict, List, Tuple

__all__ = ["Listener"]


class Listener:
    """Listens from the moment it is made until `close`. Its address is short: at most 107 bytes may be."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="notify-")
        self.address = f"{self._folder}/s"
        self._said: List[Tuple[float, Dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        threading.Thread(target=self._listen, daemon=True).start()

    def environment(self, *, watchdog_seconds: float) -> Dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6))}

    def said(self, name: str) -> List[str]:
        """Every value of one name so far, in order."""
        return [fields[name] for _, fields in list(self._said) if name in fields]

    def order(self, *names: str) -> List[str]:
        """Which of these names came, in order, each run of one name once."""
        found: List[str] = []
        for _, fields in list(self._said):
            found += [name for name in names if name in fields and found[-1:] != [name]]
        return found

    def silent_seconds(self) -> float:
        """How long ago the watchdog was fed."""
        fed = [at for at, fields in list(self._said) if "WATCHDOG" in fields]
        return time.monotonic() - fed[-1] if fed else float("inf")

    def close(self) -> None:
        self._socket.close()
        shutil.rmtree(self._folder)

    def _listen(self) -> None:
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except OSError:
                return
            pairs = (line.partition("=") for line in text.splitlines())
            self._said.append((time.monotonic(), {name: value for name, _, value in pairs}))
