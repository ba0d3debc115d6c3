"""The program's first lines: `python -m collector` is the same as `audit-s3`.

Imports take the better part of a second. Whoever stops or reloads a service in that time must not kill it, so
its signals are answered before anything else is imported.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the program; never returns."""
    if sys.argv[1:2] == ["run"] and "--dry-run" not in sys.argv:
        _answer_signals()
    from collector.hosts.cli import main as program

    program()


def _answer_signals() -> None:
    """Until `run` answers them itself: to stop is to be gone, and what is to be read again is read anyway."""
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: os._exit(0))  # an exception might be swallowed by whoever imports
    is_service = "--once" not in sys.argv and not (sys.stdin is not None and sys.stdin.isatty())
    if is_service and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: None)  # not SIG_IGN, which children would inherit


if __name__ == "__main__":
    main()
