"""How much one object may become, so that a small one cannot turn into an endless one.

The law is about output, not about one layer's ratio: bzip2 reaches 927,943:1, gzip in gzip 313,008:1,
and genuine logs a hundred. One Budget is shared by all layers and all entries of an object.
"""

from __future__ import annotations

from typing import Optional

from collector.errors import Poison

__all__ = ["Budget"]


class Budget:
    """10 GiB in all, and 200 times the stored size beyond 64 MiB. `stored` is what S3 has given."""

    max_bytes = 10 * 1024**3
    max_ratio = 200
    free_bytes = 64 * 1024**2

    def __init__(self, outer: Optional[Budget] = None) -> None:
        self.stored = 0
        self.spent = 0
        self._outer = outer

    def inner(self) -> Budget:
        """The same budget for a layer below the first: what goes into it is not what S3 stores."""
        return Budget(self._outer or self)

    def spend(self, count: int) -> None:
        """Count output of any layer. Poison "bomb" when it is too much."""
        if self._outer is not None:
            self._outer.spend(count)
            return
        self.spent += count
        if self.spent > self.max_bytes or (
            self.spent > self.free_bytes and self.spent > self.max_ratio * self.stored
        ):
            raise Poison(
                f"{self.stored} stored bytes grew to more than {self.spent} bytes",
                code="bomb",
                hint="look at the object; if it is genuine, ask its producer for smaller ones",
            )
