"""The CheckpointStore in memory: what the simulation restarts, a million calls at a time.

A MemoryTable is the disk: it outlives the stores. Several MemoryCheckpointStores, each with its own
owner, may share one, as two collectors share a file; a "restart" is a new store on the same table.
Nothing fails here by itself; faults are put around it.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import Any, Collection, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from collector.model import Message, Receipt
from collector.ports import (
    FINAL,
    Advance,
    Change,
    Checkpoint,
    Claim,
    Clock,
    DropReceipts,
    Finish,
    Forget,
    Quarantined,
    Release,
    SaveReceipt,
    Spool,
    Unspool,
)
from collector.stores.owners import DEAD_AFTER_SECONDS

__all__ = ["MemoryCheckpointStore", "MemoryTable"]


class MemoryTable:
    """What survives a restart. Tests may look inside; only stores write."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: Dict[str, Checkpoint] = {}
        #: oids of rows in state "open": few among many.
        self.open: Set[str] = set()
        self.owners: Dict[str, float] = {}
        #: role -> who has it, and until when.
        self.leads: Dict[str, Tuple[str, float]] = {}
        self.receipts: Dict[str, Receipt] = {}
        #: oid -> receipt id -> the highest end of its spans of that object.
        self.receipts_of: Dict[str, Dict[str, int]] = {}
        self.entries: Dict[str, Quarantined] = {}
        self.spool: Dict[str, Message] = {}
        self.start: Optional[float] = None

    def put(self, row: Checkpoint) -> None:
        self.rows[row.oid] = row
        if row.state == "open":
            self.open.add(row.oid)
        else:
            self.open.discard(row.oid)


class MemoryCheckpointStore:
    """ports.CheckpointStore on a MemoryTable. Safe in several threads."""

    def __init__(self, table: Optional[MemoryTable] = None, *, owner: str = "owner", clock: Clock) -> None:
        self.table = MemoryTable() if table is None else table
        self.owner = owner
        self._clock = clock

    def start_from(self, proposed: float) -> float:
        with self.table.lock:
            if self.table.start is None:
                self.table.start = proposed
            return self.table.start

    def claim(self, wanted: Sequence[Checkpoint]) -> Sequence[Claim]:
        with self.table.lock:
            now = self._clock.now()
            return [self._claim(want, now) for want in wanted]

    def apply(self, changes: Sequence[Change]) -> Sequence[bool]:
        with self.table.lock:
            now = self._clock.now()
            return [_WRITERS[type(change)](self, change, now) for change in changes]

    def missing(self, oids: Sequence[str]) -> Sequence[str]:
        rows, still_open = self.table.rows, self.table.open
        with self.table.lock:
            return [oid for oid in oids if oid not in rows or oid in still_open]

    def rows(self, oids: Sequence[str]) -> Mapping[str, Checkpoint]:
        with self.table.lock:
            return {oid: self.table.rows[oid] for oid in oids if oid in self.table.rows}

    def window(self, since: float, until: float) -> Iterator[Checkpoint]:
        with self.table.lock:
            found = [row for row in self.table.rows.values() if since <= row.object_time < until]
        yield from found

    def names(self, buckets: Collection[str]) -> bool:
        with self.table.lock:
            return any(row.bucket in buckets for row in self.table.rows.values())

    def hashes(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        wanted = set(keys)
        found: Dict[str, List[str]] = {}
        with self.table.lock:
            for row in self.table.rows.values():
                if row.sha256 and row.bucket == bucket and row.key in wanted:
                    found.setdefault(row.key, []).append(row.sha256)
        return {key: sorted(some) for key, some in found.items()}

    def unfinished(self, *, limit: int = 1000) -> Sequence[Checkpoint]:
        with self.table.lock:
            now, living = self._clock.now(), self._living()
            rows = (self.table.rows[oid] for oid in self.table.open)
            free = [row for row in rows if row.not_before <= now and row.owner not in living]
        free.sort(key=lambda row: (row.not_before, row.oid))
        return free[:limit]

    def spooled(self) -> Sequence[Message]:
        with self.table.lock:
            return list(self.table.spool.values())

    def quarantine(self, *, id: str = "") -> Iterator[Quarantined]:
        with self.table.lock:
            entries = [entry for entry in self.table.entries.values() if id in ("", entry.id)]
        yield from sorted(entries, key=lambda entry: (entry.created, entry.id))

    def unquarantine(self, ids: Sequence[str]) -> int:
        with self.table.lock:
            return sum(self.table.entries.pop(id_, None) is not None for id_ in ids)

    def quarantine_bytes(self) -> int:
        with self.table.lock:
            return sum(entry.size_bytes for entry in self.table.entries.values())

    def counts(self) -> Mapping[str, int]:
        with self.table.lock:
            return dict(Counter(row.state for row in self.table.rows.values()))

    def alive(self, until: float) -> None:
        with self.table.lock:
            self.table.owners[self.owner] = until

    def leave(self) -> None:
        with self.table.lock:
            self.table.owners.pop(self.owner, None)

    def others(self) -> Sequence[str]:
        with self.table.lock:
            return sorted(self._living() - {self.owner})

    def lead(self, role: str, until: float) -> bool:
        with self.table.lock:
            owner, held_until = self.table.leads.get(role, ("", 0.0))
            free = owner in ("", self.owner) or owner not in self._living() or held_until < self._clock.now()
            if free:
                self.table.leads[role] = (self.owner, until)
            return free

    def prune(self, *, object_time_before: float) -> int:
        table = self.table
        with table.lock:
            living = self._living()
            old = [
                row.oid
                for row in table.rows.values()
                if row.object_time < object_time_before and (row.state != "open" or row.owner not in living)
            ]
            for oid in old:
                del table.rows[oid]
                table.open.discard(oid)
            self._prune_receipts()
            table.owners = {owner: until for owner, until in table.owners.items() if owner in living}
        return len(old)

    def check(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        """The table stays: it is the disk."""

    # -- under the lock

    def _claim(self, want: Checkpoint, now: float) -> Claim:
        row = self.table.rows.get(want.oid)
        if row is None:
            row = _with(
                want, state="open", offset=0, events=0, reason="", attempts=0, first_failed=0.0,
                not_before=0.0, epoch=1, owner=self.owner, updated=now, sha256="",
            )
            self.table.put(row)
            return Claim("yours", row, self._receipts(row))
        if row.state in FINAL:
            return Claim("final", row)
        if row.owner != self.owner and row.owner and row.owner in self._living():
            return Claim("held", row)
        changes: Dict[str, Any] = {}
        if row.owner != self.owner:
            changes = {"owner": self.owner, "epoch": row.epoch + 1}
        if not row.version_id and want.version_id:
            changes["version_id"] = want.version_id
        if row.size is None and want.size is not None:
            changes["size"] = want.size
        if changes:
            row = _with(row, updated=now, **changes)
            self.table.put(row)
        return Claim("yours", row, self._receipts(row))

    def _living(self) -> FrozenSet[str]:
        limit = self._clock.now() - DEAD_AFTER_SECONDS
        alive = (owner for owner, until in self.table.owners.items() if until >= limit)
        return frozenset((self.owner, *alive))

    def _receipts(self, row: Checkpoint) -> Sequence[Receipt]:
        ends = self.table.receipts_of.get(row.oid)
        if not ends:
            return ()
        beyond = sorted(id_ for id_, end in ends.items() if end > row.offset)
        return sorted((self.table.receipts[id_] for id_ in beyond), key=lambda one: one.sent_at)

    def _fenced(self, oid: str, epoch: int) -> Optional[Checkpoint]:
        """The row if we may write it."""
        row = self.table.rows.get(oid)
        if row is None or row.epoch != epoch or row.owner != self.owner:
            return None
        return row

    def _advance(self, change: Advance, now: float) -> bool:
        row = self._fenced(change.oid, change.epoch)
        if row is None or row.state != "open":
            return False
        self.table.put(_with(row, offset=max(row.offset, change.offset), updated=now))
        return True

    def _finish(self, change: Finish, now: float) -> bool:
        if change.state not in FINAL:
            raise ValueError(f"{change.state!r} is not a final state")
        row = self._fenced(change.oid, change.epoch)
        if row is None or row.state not in ("open", change.state):
            return False
        self.table.put(
            _with(
                row, state=change.state, events=change.events, reason=change.reason, updated=now,
                sha256=change.sha256 or row.sha256,
            )
        )
        return True

    def _release(self, change: Release, now: float) -> bool:
        row = self._fenced(change.oid, change.epoch)
        if row is None or row.state != "open":
            return False
        self.table.put(
            _with(
                row, owner="", attempts=change.attempts, first_failed=change.first_failed,
                not_before=change.not_before, reason=change.reason, updated=now,
            )
        )
        return True

    def _forget(self, change: Forget, now: float) -> bool:
        row = self.table.rows.get(change.oid)
        if row is not None:
            self.table.put(
                _with(
                    row, state="open", offset=change.offset, events=0, reason="", attempts=0,
                    first_failed=0.0, not_before=0.0, epoch=row.epoch + 1, owner="", updated=now, sha256="",
                )
            )
        self.table.receipts_of.pop(change.oid, None)
        return True

    def _save_receipt(self, change: SaveReceipt, now: float) -> bool:
        self._drop(change.id)
        self.table.receipts[change.id] = replace(change.receipt, id=change.id)
        for span in change.receipt.spans:
            ends = self.table.receipts_of.setdefault(span.oid, {})
            ends[change.id] = max(span.end, ends.get(change.id, 0))
        return True

    def _drop_receipts(self, change: DropReceipts, now: float) -> bool:
        for id_ in change.ids:
            self._drop(id_)
        return True

    def _drop(self, id_: str) -> None:
        receipt = self.table.receipts.pop(id_, None)
        for span in receipt.spans if receipt else ():
            ends = self.table.receipts_of.get(span.oid)
            if ends is not None:
                ends.pop(id_, None)
                if not ends:
                    del self.table.receipts_of[span.oid]

    def _prune_receipts(self) -> None:
        table = self.table
        table.receipts_of = {oid: ends for oid, ends in table.receipts_of.items() if oid in table.open}
        asked: Set[str] = set()
        for ends in table.receipts_of.values():
            asked.update(ends)
        table.receipts = {id_: receipt for id_, receipt in table.receipts.items() if id_ in asked}

    def _quarantine(self, change: Quarantined, now: float) -> bool:
        self.table.entries[change.id] = change
        return True

    def _spool(self, change: Spool, now: float) -> bool:
        self.table.spool[change.message.message_id] = change.message
        return True

    def _unspool(self, change: Unspool, now: float) -> bool:
        self.table.spool.pop(change.message_id, None)
        return True


def _with(row: Checkpoint, **changes: Any) -> Checkpoint:
    """dataclasses.replace, five times as fast: the simulation does little else."""
    changed = object.__new__(Checkpoint)
    changed.__dict__.update(row.__dict__, **changes)
    return changed


_WRITERS: Mapping[Any, Any] = {
    Advance: MemoryCheckpointStore._advance,
    Finish: MemoryCheckpointStore._finish,
    Release: MemoryCheckpointStore._release,
    Forget: MemoryCheckpointStore._forget,
    SaveReceipt: MemoryCheckpointStore._save_receipt,
    DropReceipts: MemoryCheckpointStore._drop_receipts,
    Quarantined: MemoryCheckpointStore._quarantine,
    Spool: MemoryCheckpointStore._spool,
    Unspool: MemoryCheckpointStore._unspool,
}
