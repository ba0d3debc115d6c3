"""`processes = N`: N whole collectors on one host, sharing the queue and the store.

The parent only starts them, passes signals on, and starts again what died. There is nothing to coordinate:
SQS shares out the work, and by the store one of them leads in what one should do: reconcile and prune.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from typing import List, Sequence

__all__ = ["supervise"]

log = logging.getLogger("collector")

#: A collector that dies at once is not started again at once.
RESTART_SECONDS = 5.0
STOP_SECONDS = 10.0


def supervise(count: int, arguments: Sequence[str], *, once: bool) -> int:
    """Run `count` collectors with these arguments until told to stop; the worst exit code of theirs.

    With `once` each drains the queue and none is started again.
    """
    asked: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    children = [_start(number, arguments) for number in range(count)]
    while not asked:
        running = [child for child in children if child.poll() is None]
        if once and not running:
            break
        if not once:
            _restart_dead(children, arguments)
        time.sleep(0.2)
    return _stop(children)


def _start(number: int, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "collector", *arguments, "--process", str(number)])


def _restart_dead(children: List[subprocess.Popen[bytes]], arguments: Sequence[str]) -> None:
    for number, child in enumerate(children):
        if child.poll() is None:
            continue
        code = child.returncode
        log.error("A collector process ended and is started again. process=%d code=%s", number, code)
        time.sleep(RESTART_SECONDS)
        children[number] = _start(number, arguments)


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> int:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    codes = [child.returncode if child.returncode >= 0 else 1 for child in children]
    return max(codes, default=0)
