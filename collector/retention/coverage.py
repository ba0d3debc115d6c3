"""What became of every object of a time: pages of a listing and rows of the ledger in, counts out.

    with Tally(question, rows=store.rows, free=free, drops=drops) as tally:
        for page in pages:
            tally.listed(page.refs)
        for row in store.window(question.since, question.until):
            tally.row(row)
        coverage = tally.coverage()

Everything that is listed or has a row is counted once, as exactly one of KINDS. A row speaks for its object;
a listing only for what has none. First the listing, then the rows: what a running collector takes up in
between is met twice, and the row wins. Memory holds sums and no objects: facts go to scratch files, sorted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import AbstractSet, Callable, Mapping, Optional, Sequence, Tuple

from collector.model import ObjectRef, object_identity
from collector.ports import Checkpoint
from collector.retention.coverage_sort import SortedLines
from collector.retention.coverage_sums import LISTED, Covered, Named, Sums

__all__ = ["KINDS", "Coverage", "Question", "Tally"]

#: What an object can be, in the order in which it is shown; each with its meaning.
KINDS: Mapping[str, str] = {
    "delivered": "every event of it was accepted by the output",
    "late": "not delivered yet, and younger than the grace or in work",
    "missing": "nobody works on it, it is older than the grace, and it should have been delivered",
    "quarantined": "it could not be delivered; audit-s3 quarantine list says why",
    "filtered": "the settings leave it out",
    "gone": "it was deleted before its retention was over, and not read",
    "expired": "it was deleted after its retention, and not read",
    "before_start": "it was written before start_from and never asked for",
}
_KIND_OF_STATE = {"done": "delivered"}
#: A row that stood in for an object of unknown etag ends so once the object has a row of its own.
_STAND_IN = ("filtered", "identified")


@dataclass(frozen=True)
class Question:
    """Which objects are asked about: LastModified in [since, until), epoch seconds, and what is due by now.

    `buckets` are those of the input; without one there is nothing to compare the rows with.
    """

    input_name: str
    buckets: Tuple[str, ...]
    prefix: str
    since: float
    until: float
    start_from: float
    now: float
    grace_seconds: float

    def covers(self, moment: float) -> bool:
        return self.since <= moment < self.until

    def is_young(self, moment: float) -> bool:
        return moment > self.now - self.grace_seconds


@dataclass(frozen=True)
class Coverage:
    """The answer. `covered` is sorted by day, bucket and prefix; `unlisted` says why, by bucket.

    `named` are the first objects that were not read, and `unnamed` how many more there are. `earlier` are
    listed and were written before the time that was asked about, the first of them at `earliest`.
    """

    question: Question
    covered: Tuple[Covered, ...]
    total: Covered
    named: Tuple[Named, ...]
    unnamed: int
    unlisted: Mapping[str, str]
    earlier: int = 0
    earliest: float = 0.0

    @property
    def missing(self) -> int:
        return self.total.counts["missing"]

    @property
    def is_whole(self) -> bool:
        """Nothing is missing, and nothing is unknown that should be known."""
        return not self.missing and not self.unlisted


class Tally:
    """One count. `free` are the oids of open rows that nobody works on; `drops` says what settings leave out.

    With `free_is_all` False there are more of them than were named: then an open row counts as in work
    only if it has changed within the grace.
    """

    def __init__(
        self,
        question: Question,
        *,
        rows: Callable[[Sequence[str]], Mapping[str, Checkpoint]],
        free: AbstractSet[str] = frozenset(),
        free_is_all: bool = True,
        drops: Callable[[str], bool] = lambda key: False,
        lines: Optional[SortedLines] = None,
    ) -> None:
        self._question = question
        self._rows = rows
        self._free = free
        self._free_is_all = free_is_all
        self._drops = drops
        self._lines = lines or SortedLines()
        self._unlisted: Mapping[str, str] = {}
        self._earlier, self._earliest = 0, question.since

    def listed(self, refs: Sequence[ObjectRef]) -> None:
        """Some objects of a listing: those without a row are counted, the others are left to their rows."""
        question = self._question
        for moment in (ref.event_time or 0.0 for ref in refs):
            if moment < question.since:
                self._earlier, self._earliest = self._earlier + 1, min(moment, self._earliest)
        named = {
            object_identity(question.input_name, ref): ref
            for ref in refs
            if question.covers(ref.event_time or 0.0)
        }
        rows = self._rows(list(named)) if named else {}
        for oid, ref in named.items():
            row, moment = rows.get(oid), ref.event_time or 0.0
            if row is None:
                self._add(ref.bucket, ref.key, ref.etag or "", LISTED, self._kind_of_ref(ref), moment,
                          ref.size or 0, 0)
            elif not question.covers(row.object_time):
                self._add_row(row, moment)  # by its own time, a row like this one is not of the window

    def unlisted(self, reasons: Mapping[str, str]) -> None:
        """These buckets could not be listed, or not to their end."""
        self._unlisted = dict(reasons)

    def row(self, row: Checkpoint) -> None:
        if self._question.covers(row.object_time) and (row.state, row.reason) != _STAND_IN:
            self._add_row(row, row.object_time)

    def coverage(self) -> Coverage:
        sums = Sums(KINDS)
        sums.add_all(self._lines)
        covered, named = tuple(sums.covered()), tuple(sums.named)
        return Coverage(
            self._question, covered, sums.total(), named, sums.unnamed, self._unlisted,
            earlier=self._earlier, earliest=self._earliest,
        )

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.__exit__()

    def _kind_of_ref(self, ref: ObjectRef) -> str:
        moment = ref.event_time or 0.0
        if self._drops(ref.key):
            return "filtered"
        if moment < self._question.start_from:
            return "before_start"
        return "late" if self._question.is_young(moment) else "missing"

    def _kind_of_row(self, row: Checkpoint) -> str:
        if row.state != "open":
            return _KIND_OF_STATE.get(row.state, row.state)
        if self._question.is_young(row.object_time) or self._is_in_work(row):
            return "late"
        return "missing"

    def _is_in_work(self, row: Checkpoint) -> bool:
        return row.oid not in self._free and (self._free_is_all or self._question.is_young(row.updated))

    def _add_row(self, row: Checkpoint, moment: float) -> None:
        is_open = row.state == "open"
        self._add(
            row.bucket, row.key if row.bucket else row.url, row.etag, 1 if is_open else 0,
            self._kind_of_row(row), moment, row.size or 0, row.offset if is_open else row.events,
        )

    def _add(
        self, bucket: str, key: str, etag: str, rank: int, kind: str, moment: float, size: int, events: int
    ) -> None:
        fact = [bucket, key, etag.strip('"'), rank, kind, moment, size, events]
        self._lines.add(json.dumps(fact, separators=(",", ":")))
