"""What each change writes. Independent changes are written at the same time, dependent ones in order.

DynamoDB promises nothing across items, so order is the promise here: a copy (quarantine, spool, receipt)
is durable before a row says that nothing is left to do, and rows are before receipts are dropped. If a
write fails, nothing that was to follow it is begun; the caller repeats all, and every change bears that.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Type, cast

from collector.errors import Retry
from collector.ports import (
    FINAL,
    Advance,
    Change,
    DropReceipts,
    Finish,
    Forget,
    Quarantined,
    Release,
    SaveReceipt,
    Spool,
    Unspool,
)
from collector.stores.dynamodb_bodies import Bodies
from collector.stores.dynamodb_items import (
    DAY_SECONDS,
    Item,
    Keys,
    attribute,
    entry_attributes,
    message_attributes,
    number,
    open_place,
    text,
)
from collector.stores.dynamodb_table import Attribute, Condition, Table
from collector.stores.receipts import furthest_ends, receipt_text

__all__ = ["Changes", "Counts"]

_COPIES = (Quarantined, Spool, SaveReceipt)
_DROPS = (DropReceipts, Unspool)


class Counts:
    """How many rows became final, by day of the object and state: an index would have to be counted.

    Added after the rows are written, one write a call and day; a crash between the two is a number that
    is off by a few until that day is pruned, and nothing but status reads it.
    """

    def __init__(self, table: Table, keys: Keys, *, owner: str, expires: Callable[[float], int]) -> None:
        self._table = table
        self._keys = keys
        self._owner = owner
        self._expires = expires
        self._lock = threading.Lock()
        self._waiting: Counter[Tuple[int, str]] = Counter()

    def note(self, row: Item, state: str, count: int) -> None:
        """`count` rows (-1: one less) of the object time of `row` are in the final `state`."""
        with self._lock:
            self._waiting[(int(number(row, "object_time") // DAY_SECONDS), state)] += count

    def write(self) -> None:
        """What cannot be written now is added next time: no count is worth repeating changes for."""
        with self._lock:
            waiting, self._waiting = self._waiting, Counter()
        days: Dict[int, Dict[str, int]] = {}
        for (day, state), count in waiting.items():
            if count:
                days.setdefault(day, {})[state] = count
        self._table.together([self._work(day, adds) for day, adds in days.items()])

    def _work(self, day: int, adds: Mapping[str, int]) -> Callable[[], None]:
        def work() -> None:
            sets = {"expires": self._expires((day + 1) * DAY_SECONDS)}
            try:
                self._table.update(self._keys.counts(day, self._owner), sets, adds=adds)
            except Retry:
                with self._lock:
                    self._waiting.update({(day, state): count for state, count in adds.items()})

        return work


class Changes:
    """Applies changes for one input and one owner. Safe in several threads."""

    def __init__(
        self, table: Table, keys: Keys, *, owner: str, counts: Counts, receipts: Bodies, entries: Bodies,
        spool: Bodies, receipt_expires: Callable[[float], int],
    ) -> None:
        self._table = table
        self._keys = keys
        self._owner = owner
        self._counts = counts
        self._receipts = receipts
        self._entries = entries
        self._spool = spool
        self._receipt_expires = receipt_expires
        self._lock = threading.Lock()
        self._spooled = 0
        #: receipt id -> digest of the objects that already name it: a receipt confirmed is saved again.
        self._linked: Dict[str, int] = {}

    def apply(self, changes: Sequence[Change], *, now: float) -> List[bool]:
        for change in changes:
            if isinstance(change, Finish) and change.state not in FINAL:
                raise ValueError(f"{change.state!r} is not a final state")
        works = [self._work(change, now) for change in changes]
        verdicts: Dict[int, bool] = {}
        try:
            for places in _stages(changes):
                answers = self._table.together([works[place] for place in places])
                verdicts.update(zip(places, answers))
        finally:
            self._counts.write()
        return [verdicts[place] for place in range(len(changes))]

    def _work(self, change: Change, now: float) -> Callable[[], bool]:
        """Called in the order of the changes: that is the order in which messages are spooled."""
        if isinstance(change, Spool):
            since = self._next_place(now)
            return lambda: self._spool_message(change, since)
        return lambda: _WRITERS[type(change)](self, change, now)

    def _fence(self, oid_epoch: int, *more: Condition) -> List[Condition]:
        return [("epoch", "=", oid_epoch), ("owner", "=", self._owner), *more]

    def _advance(self, change: Advance, now: float) -> bool:
        key, fence = self._keys.row(change.oid), self._fence(change.epoch, ("state", "=", "open"))
        forward = [*fence, ("offset", "<=", change.offset)]
        if self._table.update(key, {"offset": change.offset, "updated": now}, where=forward) is not None:
            return True
        return self._table.update(key, {"updated": now}, where=fence) is not None  # it is further already

    def _finish(self, change: Finish, now: float) -> bool:
        """Saying the same twice is fine: after a lost answer nobody knows whether the first one counted."""
        sets: Dict[str, Any] = {
            "state": change.state, "events": change.events, "reason": change.reason, "updated": now,
            "place": Attribute("aged"),
        }
        if change.sha256:
            sets["sha256"] = change.sha256
        fence = self._fence(change.epoch, ("state", "in", ("open", change.state)))
        old = self._table.update(self._keys.row(change.oid), sets, where=fence)
        if old is not None and text(old, "state") == "open":
            self._counts.note(old, change.state, 1)
        if old is not None and change.sha256:
            self._keep_hash(old, change)
        return old is not None

    def _keep_hash(self, row: Item, change: Finish) -> None:
        """After the row, which says where it belongs. A crash between the two costs one more look at S3."""
        key = self._keys.hash(text(row, "bucket"), text(row, "key"), change.oid)
        self._table.put({**key, "sha256": attribute(change.sha256), "expires": row["expires"]})

    def _release(self, change: Release, now: float) -> bool:
        sets = {
            "owner": "", "attempts": change.attempts, "first_failed": change.first_failed,
            "not_before": change.not_before, "reason": change.reason, "updated": now,
            "place": open_place(change.not_before),
        }
        fence = self._fence(change.epoch, ("state", "=", "open"))
        return self._table.update(self._keys.row(change.oid), sets, where=fence) is not None

    def _forget(self, change: Forget, now: float) -> bool:
        """Its receipts no longer speak for the object: it is wanted again, whatever was confirmed."""
        key = self._keys.row(change.oid)
        self._table.delete_many(list(self._table.query(text(key, "pk"), prefix="receipt#")))
        with self._lock:
            self._linked.clear()
        sets = {
            "state": "open", "offset": change.offset, "events": 0, "reason": "", "attempts": 0,
            "first_failed": 0.0, "not_before": 0.0, "owner": "", "updated": now, "sha256": "",
            "place": open_place(0.0),
        }
        old = self._table.update(key, sets, adds={"epoch": 1}, where=[("pk", "present", None)])
        if old and text(old, "state") in FINAL:
            self._counts.note(old, text(old, "state"), -1)
        if old and text(old, "sha256"):
            self._table.delete(self._keys.hash(text(old, "bucket"), text(old, "key"), change.oid))
        return True

    def _save_receipt(self, change: SaveReceipt, now: float) -> bool:
        """The objects name the receipt before it exists: with its own item it counts for all of them."""
        oids = sorted(furthest_ends(change.receipt.spans))
        expires = attribute(self._receipt_expires(now))
        with self._lock:
            linked = self._linked.get(change.id) == hash(tuple(oids))
        if not linked:
            links = [{**self._keys.link(oid, change.id), "expires": expires} for oid in oids]
            self._table.put_many(links)
        item = {**self._keys.receipt(change.id), "id": attribute(change.id), "expires": expires}
        self._receipts.put(change.id, item, receipt_text(change.receipt).encode())
        with self._lock:
            self._linked[change.id] = hash(tuple(oids))
        return True

    def _drop_receipts(self, change: DropReceipts, now: float) -> bool:
        """The receipt goes; who names it names nothing from now on, and expires."""
        with self._lock:
            for id_ in change.ids:
                self._linked.pop(id_, None)
        self._table.together([self._drop_work(id_) for id_ in dict.fromkeys(change.ids)])
        return True

    def _drop_work(self, id_: str) -> Callable[[], bool]:
        return lambda: self._receipts.delete(id_, self._keys.receipt(id_))

    def _quarantine(self, change: Quarantined, now: float) -> bool:
        item = {**self._keys.entry(change.id), **entry_attributes(change)}
        item["bytes"] = attribute(change.size_bytes)
        self._entries.put(change.id, item, change.body)
        return True

    def _next_place(self, now: float) -> str:
        with self._lock:
            self._spooled += 1
            return f"{now:017.6f}#{self._spooled:09}"

    def _spool_message(self, change: Spool, since: str) -> bool:
        """A message received again keeps its place; its handle is the newest."""
        message = change.message
        item = {
            **self._keys.spooled(message.message_id), **message_attributes(message),
            "since": attribute(since),
        }
        known = self._table.get(self._keys.spooled(message.message_id))
        if known is not None:
            item["since"] = known["since"]
        self._spool.put(message.message_id, item, message.body.encode("utf-8", "surrogatepass"))
        return True

    def _unspool(self, change: Unspool, now: float) -> bool:
        self._spool.delete(change.message_id, self._keys.spooled(change.message_id))
        return True


_Writer = Callable[[Changes, Any, float], bool]
_WRITERS: Mapping[Type[Any], _Writer] = cast(
    Mapping[Type[Any], _Writer],
    {
        Advance: Changes._advance,
        Finish: Changes._finish,
        Release: Changes._release,
        Forget: Changes._forget,
        SaveReceipt: Changes._save_receipt,
        DropReceipts: Changes._drop_receipts,
        Quarantined: Changes._quarantine,
        Unspool: Changes._unspool,
    },
)


def _stages(changes: Sequence[Change]) -> List[List[int]]:
    """Places of changes that may be written together, in the order in which the groups must be.

    A change follows every earlier one of the same item, a row's change every earlier copy, a drop every
    earlier copy and row. Forget touches an object's receipts too: it stands alone.
    """
    stages: List[List[int]] = []
    latest: Dict[Any, int] = {}  # item, or rank -> its last stage
    floor = 0
    for place, change in enumerate(changes):
        rank = 0 if isinstance(change, _COPIES) else 2 if isinstance(change, _DROPS) else 1
        items = _items_of(change)
        before = [latest[name] + 1 for name in (*items, *range(rank)) if name in latest]
        stage = len(stages) if isinstance(change, Forget) else max([floor, *before])
        floor = stage + 1 if isinstance(change, Forget) else floor
        for name in (*items, rank):
            latest[name] = max(stage, latest.get(name, 0))
        while len(stages) <= stage:
            stages.append([])
        stages[stage].append(place)
    return stages


def _items_of(change: Change) -> List[Tuple[str, str]]:
    """The items that a change writes, by kind and id."""
    if isinstance(change, DropReceipts):
        return [("receipt", id_) for id_ in change.ids]
    if isinstance(change, SaveReceipt):
        return [("receipt", change.id)]
    if isinstance(change, Quarantined):
        return [("entry", change.id)]
    if isinstance(change, Spool):
        return [("message", change.message.message_id)]
    if isinstance(change, Unspool):
        return [("message", change.message_id)]
    return [("row", change.oid)]
