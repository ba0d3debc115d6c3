"""glibc gives threads arenas of their own, and each keeps what was freed in it: 32 readers keep 32 peaks.

Two arenas are enough where one thread at a time runs Python: with 16 objects of one 60 MB event each the peak
is half of what it is with as many as glibc likes. Elsewhere than on glibc nothing is done.
"""

from __future__ import annotations

import os

__all__ = ["use_few_arenas"]

#: malloc.h
_M_ARENA_MAX = -8
_ARENAS = 2


def use_few_arenas() -> bool:
    """Call it before threads begin; False where the allocator is another, or the operator chose a number."""
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (ImportError, OSError, AttributeError, MemoryError, TypeError):
        return False  # no ctypes, no libc of that name, no mallopt in it, no executable memory for ctypes
