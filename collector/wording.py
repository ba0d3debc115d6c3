"""How moments, lengths of time, numbers and the words of others are written, in logs and in reports."""

from __future__ import annotations

import time
from typing import List

__all__ = ["counted", "iso", "plain", "spell", "spell_short"]


def iso(moment: float) -> str:
    """Epoch seconds to the second, in UTC: "2026-05-04T10:15:02Z"."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def counted(number: int, noun: str) -> str:
    """A number and what it counts: "1 object", "1,200 objects"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def plain(text: str) -> str:
    """One line that a terminal shows as it is, and does not obey, whatever a key or a body holds."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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


def spell_short(seconds: float) -> str:
    """Below a minute with a decimal."""
    return f"{seconds:.1f} s" if seconds < 59.95 else spell(seconds)
