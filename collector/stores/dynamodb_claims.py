"""Claims on the table: read all rows, judge them, write what changes if it still is as it was read.

A condition that refuses means that somebody was quicker: the row is read and judged again. A claim costs
one write, or none for rows that are final, held or already ours. It reads receipts only for rows that
existed before, for nobody sends an object that nobody has claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from collector.errors import Retry
from collector.model import Receipt
from collector.ports import Checkpoint, Claim
from collector.stores.claims import judge
from collector.stores.dynamodb_bodies import Bodies
from collector.stores.dynamodb_items import (
    Item,
    Keys,
    attribute,
    checkpoint,
    final_place,
    open_place,
    row_attributes,
    text,
)
from collector.stores.dynamodb_table import ABSENT, Condition, Table
from collector.stores.receipts import furthest_ends, receipt

__all__ = ["Claims"]

#: Each refusal is another owner's success, so this many in a row for one object mean a fault.
_ROUNDS = 8


@dataclass(frozen=True)
class Claims:
    """Claiming for one input and one owner.

    `expires` gives the epoch second after which the row of an object of that time may go.
    """

    table: Table
    keys: Keys
    receipts: Bodies
    owner: str
    expires: Callable[[float], int]

    def claim(
        self, wanted: Sequence[Checkpoint], *, now: float, living: Callable[[], FrozenSet[str]]
    ) -> List[Claim]:
        """One Claim per wanted row, in order; a row wanted twice is claimed twice, one after the other."""
        claims: Dict[int, Claim] = {}
        places = list(range(len(wanted)))
        while places:
            first = {wanted[place].oid: place for place in reversed(places)}
            wave = sorted(first.values())
            found = self._wave([wanted[place] for place in wave], now, living)
            claims.update(zip(wave, found))
            places = [place for place in places if place not in claims]
        return [claims[place] for place in range(len(wanted))]

    def _wave(
        self, wanted: Sequence[Checkpoint], now: float, living: Callable[[], FrozenSet[str]]
    ) -> List[Claim]:
        """Claims of different rows, written at the same time."""
        left = {want.oid: want for want in wanted}
        judged: Dict[str, Tuple[str, Checkpoint]] = {}
        existed = set()
        for _ in range(_ROUNDS):
            known = self._rows(list(left))
            existed |= set(known)
            verdicts = {
                oid: judge(want, known.get(oid), owner=self.owner, now=now, living=living)
                for oid, want in left.items()
            }
            written = self.table.together(
                [self._writing(known.get(oid), after) for oid, (_, after) in verdicts.items()]
            )
            judged.update(verdict for verdict, done in zip(verdicts.items(), written) if done)
            left = {oid: want for oid, want in left.items() if oid not in judged}
            if not left:
                return self._with_receipts([judged[want.oid] for want in wanted], existed)
        raise Retry(f"{len(left)} rows are claimed by many at once", code="store_busy")

    def _rows(self, oids: Sequence[str]) -> Dict[str, Checkpoint]:
        found = {}
        for item in self.table.get_many([self.keys.row(oid) for oid in oids]):
            oid = self.keys.oid(item)
            found[oid] = checkpoint(oid, item)
        return found

    def _writing(self, row: Optional[Checkpoint], after: Checkpoint) -> Callable[[], bool]:
        """The write that makes `row` into `after`: False if it is not as it was read."""
        if after is row:
            return lambda: True
        if row is None:
            return lambda: self.table.put(self._fresh(after), where=[ABSENT]) is not None
        as_read: List[Condition] = [
            ("epoch", "=", row.epoch), ("owner", "=", row.owner), ("state", "=", "open"),
        ]
        sets: Dict[str, Any] = {
            "owner": after.owner, "epoch": after.epoch, "updated": after.updated,
            "version_id": after.version_id, "expires": self.expires(after.object_time),
        }
        if after.size is not None:
            sets["size"] = after.size
        return lambda: self.table.update(self.keys.row(after.oid), sets, where=as_read) is not None

    def _fresh(self, row: Checkpoint) -> Item:
        return {
            **self.keys.row(row.oid),
            **row_attributes(row),
            "shelf": attribute(self.keys.shelf_of(row.oid)),
            "place": attribute(open_place(row.not_before)),
            "aged": attribute(final_place(row.object_time)),
            "expires": attribute(self.expires(row.object_time)),
        }

    def _with_receipts(self, judged: Sequence[Tuple[str, Checkpoint]], existed: Any) -> List[Claim]:
        sought = [row for verdict, row in judged if verdict == "yours" and row.oid in existed]
        receipts = dict(zip((row.oid for row in sought), self._open_receipts(sought)))
        return [Claim(verdict, row, receipts.get(row.oid, ())) for verdict, row in judged]

    def _open_receipts(self, rows: Sequence[Checkpoint]) -> List[Sequence[Receipt]]:
        """By row, those that reach beyond what the row counts as accepted, oldest first."""
        named = self.table.together([self._links_work(row.oid) for row in rows])
        ids = sorted({id_ for some in named for id_ in some})
        held: Dict[str, Receipt] = {}
        for item in self.table.get_many([self.keys.receipt(id_) for id_ in ids]):
            id_ = text(item, "id")
            body = self.receipts.read(id_, item)
            if body is not None:
                held[id_] = receipt(id_, body.decode())
        return [_beyond(row, [held[id_] for id_ in some if id_ in held]) for row, some in zip(rows, named)]

    def _links_work(self, oid: str) -> Callable[[], List[str]]:
        pk = text(self.keys.row(oid), "pk")

        def work() -> List[str]:
            found = self.table.query(pk, prefix="receipt#", only=())
            return [text(item, "sk").partition("#")[2] for item in found]

        return work


def _beyond(row: Checkpoint, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
    """A link may outlive what its receipt says: the receipt's own spans count."""
    open_ = [one for one in receipts if furthest_ends(one.spans).get(row.oid, 0) > row.offset]
    return tuple(sorted(open_, key=lambda one: one.sent_at))
