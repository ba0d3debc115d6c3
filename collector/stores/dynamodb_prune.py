"""Removing what is old and over, row by row, under the condition that it still is.

DynamoDB's own expiry removes rows for nothing, some days late; what is left here is what it has not got to,
or all of it where expiry was never switched on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Callable, FrozenSet, Iterator, List, Mapping, Sequence

from collector.ports import FINAL
from collector.stores.dynamodb_changes import Counts
from collector.stores.dynamodb_items import (
    DAY_SECONDS,
    SHELVES,
    Item,
    Keys,
    final_place,
    number,
    text,
)
from collector.stores.dynamodb_table import Condition, Table

__all__ = ["Prune"]

_AT_ONCE = 200


@dataclass(frozen=True)
class Prune:
    """One pruning of one input."""

    table: Table
    keys: Keys
    counts: Counts

    def rows(self, before: float, holders: FrozenSet[str], owners: Mapping[str, float]) -> int:
        """Rows removed: of objects older than `before`, final or held by none of `holders`."""
        pruned = 0
        for shelf in SHELVES:
            pruned += self._remove(self._final(shelf, before), before)
            pruned += self._remove(self._abandoned(shelf, before, holders), before)
        self.counts.write()
        self._counts_before(before)
        self._dead_owners(holders, owners)
        return pruned

    def _final(self, shelf: str, before: float) -> Iterator[Item]:
        return self.table.shelf(self.keys.shelf(shelf), low="final#", high=final_place(before))

    def _abandoned(self, shelf: str, before: float, holders: FrozenSet[str]) -> Iterator[Item]:
        for item in self.table.shelf(self.keys.shelf(shelf), low="open#", high="open#~"):
            if number(item, "object_time") < before and text(item, "owner") not in holders:
                yield item

    def _remove(self, items: Iterator[Item], before: float) -> int:
        removed = 0
        while True:
            some = list(islice(items, _AT_ONCE))
            removed += sum(self.table.together([self._work(item, before) for item in some]))
            if len(some) < _AT_ONCE:
                return removed

    def _work(self, item: Item, before: float) -> Callable[[], bool]:
        """The index is a moment behind: the row itself must still be as it was seen there."""
        still: List[Condition] = [
            ("object_time", "<", before), ("place", "=", text(item, "place")),
            ("owner", "=", text(item, "owner")),
        ]

        def work() -> bool:
            old = self.table.delete({"pk": item["pk"], "sk": item["sk"]}, where=still)
            if not old:
                return False
            if text(old, "state") in FINAL:
                self.counts.note(old, text(old, "state"), -1)
            if text(old, "sha256"):
                oid = self.keys.oid(item)
                self.table.delete(self.keys.hash(text(old, "bucket"), text(old, "key"), oid))
            self._links(text(item, "pk"))
            return True

        return work

    def _links(self, pk: str) -> None:
        links: Sequence[Item] = list(self.table.query(pk, prefix="receipt#"))
        if links:
            self.table.delete_many(links)

    def _counts_before(self, before: float) -> None:
        """A day that is over and pruned has no rows, whatever was counted."""
        last = int(before // DAY_SECONDS)
        items = self.table.query(text(self.keys.counts(), "pk"), only=[])
        self.table.delete_many([item for item in items if int(text(item, "sk").partition("#")[0]) < last])

    def _dead_owners(self, holders: FrozenSet[str], owners: Mapping[str, float]) -> None:
        for owner in sorted(set(owners) - holders):
            silent: List[Condition] = [("alive_until", "=", owners[owner])]
            self.table.delete(self.keys.owner(owner), where=silent)
