"""What an operator is told once when it begins and once when it ends, and is shown for as long as it lasts.

A Notice is no error: nothing has failed, and collecting goes on. But time runs, and somebody has a move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

from collector.retention.moves import NOBODY, YOU

__all__ = ["Notice", "counted", "spell"]


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


def spell(seconds: float) -> str:
    """A length of time in its two largest units: "14 d 3 h", "2 h", "7 min", "40 s"."""
    left = round(max(0.0, seconds))
    parts: List[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def counted(number: int, noun: str) -> str:
    """A number and what it counts: "1 object", "1,200 objects"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
