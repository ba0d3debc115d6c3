"""Which Avro schemas are read: those of which a few bytes cannot become a flood, or a depth without end.

A schema comes with the object, from whoever wrote it. Some make values of no bytes at all (an array of
empty records, a record of records of null), or nest as deep as the data like (a type that holds itself). The
library that reads records would follow them until memory, or its stack, is at its end, and so is the process.
"""

from __future__ import annotations

import io
from typing import Any, Dict, Mapping, NamedTuple, Optional

__all__ = ["Counted", "TooHeavy", "refuse_heavy"]

#: So many values may be made of one byte. Of genuine records every byte makes one or less.
_VALUES_A_BYTE = 4
#: Genuine schemas have five or six levels.
_MOST_LEVELS = 64
#: So often one record may be read from: what has more values than this is no event.
_MOST_READS = 250_000


class TooHeavy(ValueError):
    """What of a schema, or of a record, would cost too much."""


def refuse_heavy(schema: Any, named: Mapping[str, Any]) -> None:
    """TooHeavy unless each value of this parsed schema is made of bytes, and holds no value of its own type.

    `named` are its named types by full name.
    """
    _require_bytes(_Scales(named).weigh(schema).surplus, "a record that takes no bytes")


class _Weight(NamedTuple):
    """How many values more than its bytes allow the worst value of a schema makes, and how deep it nests."""

    surplus: int
    levels: int = 1


class _Scales:
    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        #: Named types that have been weighed; None while one is.
        self._known: Dict[str, Optional[_Weight]] = {}

    def weigh(self, schema: Any) -> _Weight:
        if isinstance(schema, list):
            branches = [self.weigh(branch) for branch in schema]
            return self._around(max((one.surplus for one in branches), default=1) - _VALUES_A_BYTE, branches)
        if isinstance(schema, str):
            return self._of_name(schema)
        kind = schema["type"]
        if kind in ("record", "error"):
            return self._of_record(schema)
        if kind == "array":
            items = self.weigh(schema["items"])
            _require_bytes(items.surplus, "an array whose items take no bytes")
            return self._around(1 - _VALUES_A_BYTE, [items])
        if kind == "map":
            values = self.weigh(schema["values"])
            _require_bytes(values.surplus + 1 - _VALUES_A_BYTE, "a map whose values take no bytes")
            return self._around(1 - _VALUES_A_BYTE, [values])
        if kind == "fixed":
            return _Weight(1 - _VALUES_A_BYTE * int(schema["size"]))
        return _Weight(1 if kind == "null" else 1 - _VALUES_A_BYTE)

    def _of_record(self, schema: Any) -> _Weight:
        self._known[schema["name"]] = None
        fields = [self.weigh(field["type"]) for field in schema["fields"]]
        found = self._around(1 + sum(field.surplus for field in fields), fields)
        self._known[schema["name"]] = found
        return found

    def _of_name(self, name: str) -> _Weight:
        """A primitive, or a type that is described elsewhere: it weighs and nests wherever it is named."""
        if name not in self._named:
            return _Weight(1 if name == "null" else 1 - _VALUES_A_BYTE)
        if name not in self._known:
            return self.weigh(self._named[name])
        known = self._known[name]
        if known is None:
            raise TooHeavy(f"the type {name[:60]}, which holds itself")
        return known

    @staticmethod
    def _around(surplus: int, inside: list[_Weight]) -> _Weight:
        levels = 1 + max((one.levels for one in inside), default=0)
        if levels > _MOST_LEVELS:
            raise TooHeavy(f"types inside more than {_MOST_LEVELS} others")
        return _Weight(surplus, levels)


def _require_bytes(surplus: int, what: str) -> None:
    if surplus > 0:
        raise TooHeavy(what)


class Counted(io.BytesIO):
    """A block of which each record may be read from so often; `begin` before each. TooHeavy."""

    _left = 0

    def begin(self) -> None:
        self._left = _MOST_READS

    def read(self, size: Optional[int] = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise TooHeavy(f"a record of more than {_MOST_READS:,} values")
        return super().read(size)

    @staticmethod
    def is_needed(block: bytes) -> bool:
        """A block of fewer bytes cannot be read from so often."""
        return len(block) > _MOST_READS
