"""How long to wait after a failure: exponential, capped, with full jitter from the engine's own random."""

from __future__ import annotations

import random
from typing import Optional

__all__ = ["backoff_seconds"]


def backoff_seconds(
    attempts: int,
    *,
    rng: random.Random,
    first: float = 1.0,
    longest: float = 60.0,
    asked: Optional[float] = None,
) -> float:
    """The wait after the `attempts`-th failure in a row (1, 2, ...); never less than was asked for."""
    ceiling = min(longest, first * 2.0 ** min(attempts - 1, 20))
    wait = ceiling / 2 + rng.uniform(0, ceiling / 2)
    return max(wait, asked or 0.0)
