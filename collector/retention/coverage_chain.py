"""A chain of hashes through the entries of a report: what was changed afterwards shows, and where.

    entries = chained([{"kind": "head", ...}, {"kind": "window", ...}, ...])
    seal(entries)                # the last hash: whoever keeps it elsewhere can prove the report
    first_fault(entries)         # None, or which entry is not what it was

Each entry carries `previous`, the hash of the entry before it ("" for the first), and `sha256`, the hash of
itself without that member: sha256 over canonical JSON (names sorted, no white space, ASCII, whole numbers).
The last entry is an `end`. Who changes an entry and makes all later hashes anew has another seal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

__all__ = ["Fault", "chained", "first_fault", "seal"]

_NEVER = "0" * 64


@dataclass(frozen=True)
class Fault:
    """`number` counts entries from 1; `what` ends a sentence that begins with the entry."""

    number: int
    what: str


def chained(entries: Iterable[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """The entries with their hashes, and an end."""
    chain: List[Dict[str, Any]] = []
    for entry in entries:
        _append(chain, entry)
    _append(chain, {"kind": "end"})
    return chain


def seal(chain: Sequence[Mapping[str, Any]]) -> str:
    """The hash that stands for all of it."""
    return str(chain[-1]["sha256"])


def first_fault(chain: Sequence[Any]) -> Optional[Fault]:
    """The first entry that is not as it was written; None if all are."""
    previous = ""
    for number, entry in enumerate(chain, 1):
        if not isinstance(entry, dict) or "sha256" not in entry:
            return Fault(number, "is no entry of a report")
        if entry.get("previous") != previous:
            return Fault(number, "does not follow the one before it: something was put in, left out or moved")
        if entry["sha256"] != _hash(entry):
            return Fault(number, "was changed after it was written")
        previous = entry["sha256"]
    if not chain or chain[-1].get("kind") != "end":
        return Fault(len(chain) + 1, "is not there: the report was cut off")
    return None


def _append(chain: List[Dict[str, Any]], entry: Mapping[str, Any]) -> None:
    linked = {**entry, "previous": chain[-1]["sha256"] if chain else ""}
    chain.append({**linked, "sha256": _hash(linked)})


def _hash(entry: Mapping[str, Any]) -> str:
    """Of the entry without its own hash; of what is no JSON, a hash that nothing has."""
    try:
        text = json.dumps(
            {name: value for name, value in entry.items() if name != "sha256"},
            sort_keys=True, separators=(",", ":"), allow_nan=False,
        )
    except (ValueError, RecursionError):
        return _NEVER
    return hashlib.sha256(text.encode()).hexdigest()
