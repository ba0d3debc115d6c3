"""What an operator is told once when it begins and once when it ends, and is shown for as long as it lasts.

A Notice is no error: nothing has failed, and collecting goes on. But time runs, and somebody has a move.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.retention.moves import NOBODY, YOU

__all__ = ["Notice"]


@dataclass(frozen=True)
class Notice:
    """What is going on, where, whose move it is, and what that move would be.

    `is_over` makes it the news that what `code` stands for has ended. What is nobody's move is no warning.
    """

    what: str
    code: str
    where: str = ""
    hint: str = ""
    owner: str = YOU
    is_over: bool = False

    @property
    def is_warning(self) -> bool:
        return self.owner != NOBODY and not self.is_over

    def __str__(self) -> str:
        at = f" at {self.where}" if self.where else ""
        return f"{self.what} [{self.code}]{at}" + (f". {self.hint}" if self.hint else "")
