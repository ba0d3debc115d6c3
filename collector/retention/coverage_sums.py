"""Sorted facts become sums by day, bucket and prefix, and one hash for each over what was delivered.

The hash is sha256 over one line an object, `["bucket","key","etag","done",12]` and a newline (JSON in ASCII;
bucket, key, etag, state, events), in the order of `LC_ALL=C sort`: the same ledger gives the same hash.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from collector.retention.partitions import dated

__all__ = [
    "LISTED", "MOST_NAMED", "MOST_PREFIXES", "OTHERS", "Covered", "Named", "Sums", "prefix_of",
]

#: The rank of a fact that only a listing knows, after those of rows: 0 final, 1 open.
LISTED = 2
#: Objects not read that are named, of each kind.
MOST_NAMED = 1000
#: Prefixes that have a line of their own; the others share one.
MOST_PREFIXES = 1000
OTHERS = "(other prefixes)"
_NAMED_KINDS = ("missing", "gone", "expired")
#: Of these, what was accepted before they ended is delivered for good.
_ENDED = frozenset({"delivered", "quarantined", "filtered", "gone", "expired"})
_UNREAD = frozenset({"late", "missing", "quarantined"})


@dataclass(frozen=True)
class Covered:
    """The objects of one day, bucket and prefix. `counts` has every kind; `sha256` is of what was delivered.

    Payloads have no bucket and no prefix.
    """

    day: str
    bucket: str
    prefix: str
    counts: Mapping[str, int]
    events: int
    size_bytes: int
    sha256: str

    @property
    def objects(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Named:
    """An object that was not read. `moment` is its time, in epoch seconds."""

    kind: str
    bucket: str
    key: str
    etag: str
    size_bytes: int
    moment: float

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}" if self.bucket else self.key


@dataclass
class _Sum:
    counts: Dict[str, int]
    events: int = 0
    size_bytes: int = 0
    delivered: Any = field(default_factory=hashlib.sha256)


class Sums:
    """Memory for as many sums as there are days and prefixes, whatever the number of objects."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        self._sums: Dict[Tuple[str, str, str], _Sum] = {}
        self._total = _Sum(dict.fromkeys(self._kinds, 0))
        self._prefixes: Dict[Tuple[str, str], None] = {}
        self._named: Dict[str, int] = dict.fromkeys(_NAMED_KINDS, 0)
        self.named: List[Named] = []

    def add_all(self, lines: Iterable[str]) -> None:
        """Facts in their order, each identity once."""
        for bucket, key, etag, _, kind, moment, size, events in _once(map(json.loads, lines)):
            day, prefix = day_of(moment), self._prefix(bucket, key)
            one = self._sums.get((day, bucket, prefix))
            if one is None:
                one = self._sums[day, bucket, prefix] = _Sum(dict.fromkeys(self._kinds, 0))
            line = _delivered(bucket, key, etag, kind, events)
            for each in (one, self._total):
                each.counts[kind] += 1
                each.events += events
                each.size_bytes += size
                each.delivered.update(line)
            if kind in _NAMED_KINDS:
                self._name(Named(kind, bucket, key, etag, size, moment))

    def covered(self) -> Iterator[Covered]:
        for (day, bucket, prefix), one in sorted(self._sums.items(), key=lambda item: item[0]):
            yield _frozen(day, bucket, prefix, one)

    def total(self) -> Covered:
        return _frozen("", "", "", self._total)

    @property
    def unnamed(self) -> int:
        """How many more were not read than are named."""
        return sum(self._named.values()) - len(self.named)

    def _prefix(self, bucket: str, key: str) -> str:
        prefix = prefix_of(key) if bucket else ""
        if (bucket, prefix) not in self._prefixes:
            if len(self._prefixes) >= MOST_PREFIXES:
                return OTHERS
            self._prefixes[bucket, prefix] = None
        return prefix

    def _name(self, one: Named) -> None:
        self._named[one.kind] += 1
        if self._named[one.kind] <= MOST_NAMED:
            self.named.append(one)


def prefix_of(key: str) -> str:
    """What stands before the date in a key; without one its first folder, "" for a key in none."""
    found = dated(key)
    if found is not None:
        return found[0].head
    folder, slash, _ = key.partition("/")
    return folder + slash if slash else ""


def day_of(moment: float) -> str:
    """The day in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _once(facts: Iterable[List[Any]]) -> Iterator[List[Any]]:
    """The first fact of each identity: a final row, else an open one, else the listing's.

    Rows of objects whose etag nobody knew come first among those of their key: while such a row is not at its
    end, what is listed under the key is the object that it stands for.
    """
    last: List[Any] = []
    stood_for: List[Any] = []
    for fact in facts:
        identity, address, etag = fact[:3], fact[:2], fact[2]
        if etag and identity == last:
            continue
        last = identity
        if not etag and fact[4] in _UNREAD:
            stood_for = address
        elif fact[3] == LISTED and fact[4] in _UNREAD and address == stood_for:
            continue
        yield fact


def _delivered(bucket: str, key: str, etag: str, kind: str, events: int) -> bytes:
    """The line of an object in the hash; nothing for one of which nothing was delivered, or not for good."""
    if kind != "delivered" and not (events and kind in _ENDED):
        return b""
    state = "done" if kind == "delivered" else kind
    return json.dumps([bucket, key, etag, state, events], separators=(",", ":")).encode() + b"\n"


def _frozen(day: str, bucket: str, prefix: str, one: _Sum) -> Covered:
    digest = one.delivered.hexdigest()
    return Covered(day, bucket, prefix, dict(one.counts), one.events, one.size_bytes, digest)
