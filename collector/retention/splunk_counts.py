"""What Splunk should hold of each object, asked for some objects at a time, and how its answer differs.

    for some in slices(expectations(rows, ...)):
        answer = search(search_of(some, by="s3_oid", indexes=["audit"]))
        differences += compare(some, answer, by="s3_oid")

Events carry the identity of their object as the indexed field `s3_oid` and their ordinal as `s3_seq` (HEC
with `event_identity`); `tstats` counts both from the index files, without reading an event. Where there are
no such fields, `source` stands in: the address of the object; a repeat cannot be told from an event then.
Events bear times of their own, so all times are searched; that an answer stays small is due to the question,
which names at most MOST_ASKED objects. Page: Splunk docs, Search Reference, "tstats".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set

from collector.model import Payload, payload_identity
from collector.ports import Checkpoint

__all__ = [
    "BY_OID", "BY_SOURCE", "MOST_NAMED", "SETTLE_SECONDS", "Comparison", "Difference", "Expected", "compare",
    "expectation", "is_settled", "search_of", "sent_apart", "slices",
]

BY_OID, BY_SOURCE = "s3_oid", "source"
#: Objects in one search, and characters of their names: a search is limited in both.
MOST_ASKED = 500
MOST_CHARACTERS = 50_000
#: What was delivered within this may not be searchable yet.
SETTLE_SECONDS = 120.0
#: Differences that are named.
MOST_NAMED = 1000
#: Of a larger object it is not looked up which of its events were sent apart.
_MOST_SENT_APART = 20_000


@dataclass(frozen=True)
class Expected:
    """At least `least` and at most `most` events of this object; None is no limit. `name` is what it has
    under the field that is asked for."""

    name: str
    oid: str
    url: str
    events: int
    least: int
    most: Optional[int]


@dataclass(frozen=True)
class Difference:
    """`kind` is "absent", "missing_events" or "surplus". `found` has each event once, `repeats` the rest.

    Of the `events` of the object so many are `expected`.
    """

    kind: str
    url: str
    oid: str
    events: int
    expected: int
    found: int
    repeats: int = 0


@dataclass
class Comparison:
    """What came of it. `too_new` objects were not compared; where `leaves_out`, fewer events are no loss."""

    by: str
    leaves_out: bool = False
    objects: int = 0
    events: int = 0
    too_new: int = 0
    differing: int = 0
    indexes: Set[str] = field(default_factory=set)
    differences: List[Difference] = field(default_factory=list)

    def add(self, one: Difference) -> None:
        self.differing += 1
        if len(self.differences) < MOST_NAMED:
            self.differences.append(one)


def is_settled(row: Checkpoint, *, now: float) -> bool:
    return row.updated <= now - SETTLE_SECONDS


def expectation(
    row: Checkpoint, *, by: str, refused: Mapping[str, int], leaves_out: bool = False
) -> Optional[Expected]:
    """What Splunk should hold of this object; None if nothing can be said of it.

    `refused` is how many events of an object are in quarantine, by oid. `leaves_out` says that the input
    leaves events out for what they say: how many is written nowhere.
    """
    if row.state in ("open", "filtered") or not row.events:
        return None
    whole = max(0, row.events - refused.get(row.oid, 0))
    least = 0 if leaves_out else whole
    most = whole if row.state == "done" else None  # before it failed, more may have been sent than accepted
    name = row.oid if by == BY_OID else _as_sent(row.url)
    return Expected(name, row.oid, row.url, row.events, least, most)


def slices(expected: Iterable[Expected]) -> Iterator[List[Expected]]:
    """Some objects at a time, in the order they come."""
    some: List[Expected] = []
    characters = 0
    for one in expected:
        if some and (len(some) >= MOST_ASKED or characters + len(one.name) > MOST_CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(one)
        characters += len(one.name) + 3
    if some:
        yield some


def search_of(some: Sequence[Expected], *, by: str, indexes: Sequence[str]) -> str:
    """The search for these objects: a row each, with `count`, and with `events` where they are numbered."""
    counts = "count dc(s3_seq) AS events" if by == BY_OID else "count"
    where = " OR ".join(f"index={_quoted(index)}" for index in indexes) or "index=*"
    names = ", ".join(_quoted(name) for name in dict.fromkeys(one.name for one in some))
    return f"| tstats {counts} where ({where}) {by} IN ({names}) by {by}"


def compare(
    some: Sequence[Expected], answer: Iterable[Mapping[str, Any]], *, by: str
) -> Iterator[Difference]:
    """Each object of which Splunk holds something else."""
    held = {str(row.get(by, "")): row for row in answer}
    for one in _joined(some):
        row = held.get(one.name, {})
        count = int(row.get("count", 0))
        found = int(row.get("events", count)) if count else 0
        repeats = count - found
        if found < one.least:
            kind = "missing_events" if found else "absent"
        elif repeats or (one.most is not None and found > one.most):
            kind = "surplus"
        else:
            continue
        yield Difference(kind, one.url, one.oid, one.events, one.least, found, repeats)


def sent_apart(input_name: str, oid: str, events: int) -> List[str]:
    """The oids under which single events of an object were sent, had they been refused and retried."""
    if events > _MOST_SENT_APART:
        return []
    names = (f"{oid}:{ordinal}" for ordinal in range(events))
    return [payload_identity(input_name, Payload(name, b"", whole=True)) for name in names]


def _joined(some: Sequence[Expected]) -> Iterable[Expected]:
    """Objects of one name are one: two that a key has held have one source."""
    joined: Dict[str, Expected] = {}
    for one in some:
        other = joined.get(one.name)
        joined[one.name] = one if other is None else _sum(other, one)
    return joined.values()


def _sum(one: Expected, other: Expected) -> Expected:
    most = None if one.most is None or other.most is None else one.most + other.most
    least = one.least + other.least
    return Expected(one.name, one.oid, one.url, one.events + other.events, least, most)


def _as_sent(source: str) -> str:
    """A lone surrogate has no UTF-8 form: it was sent as U+FFFD."""
    return source.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
