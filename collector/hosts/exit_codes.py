"""How a process of ours ends, by its exit code."""

from __future__ import annotations

from collector.errors import Fatal

__all__ = ["EX_CONFIG", "code_of"]

#: The configuration cannot be used (sysexits.h), so a service manager need not try again.
EX_CONFIG = 78


def code_of(error: Exception) -> int:
    """The exit code of a program that this error ends."""
    return EX_CONFIG if isinstance(error, Fatal) and error.scope == "config" else 1
