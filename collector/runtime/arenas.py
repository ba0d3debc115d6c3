"""glibc's malloc bounded to few arenas: what one thread has freed is then there for the next.

By default it makes up to eight arenas a core, and what is free in one is of no use to the others: with
dozens of threads that take turns, most of a process's memory lies idle.
"""

from __future__ import annotations

import os

__all__ = ["ARENAS", "bound"]

#: One would do for the threads that take turns; a second is for what runs beside them, such as compression.
ARENAS = 2
#: mallopt(3)
_M_ARENA_MAX = -8


def bound() -> bool:
    """Bound the arenas of this process, before it makes threads; whether that could be done.

    Not where the environment decides (MALLOC_ARENA_MAX), and where malloc is not glibc's.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        import ctypes  # not every Python has it

        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (ImportError, OSError, TypeError, AttributeError):
        return False
