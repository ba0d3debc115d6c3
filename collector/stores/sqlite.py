"""The ledger of one input in one SQLite file: the default store.

What apply() and claim() return is on the disk: write-ahead log, synchronous=FULL. Threads share
commits (group_commit), processes take turns (BEGIN IMMEDIATE, five seconds of patience, then Retry
"store_busy"). Reads go by their own connection and never wait for a writer.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Union,
)

from collector.errors import Fatal, Retry
from collector.model import Message
from collector.ports import Change, Checkpoint, Claim, Clock, Quarantined, Salvage
from collector.stores.group_commit import GroupCommit, Work
from collector.stores.owners import living, process_lives
from collector.stores.sqlite_changes import (
    CHUNK,
    apply_change,
    chunks,
    claim_rows,
    marks,
    prune_receipts,
    prune_rows,
)
from collector.stores.sqlite_file import open_reader, open_writer, translated
from collector.stores.sqlite_rows import (
    CHECKPOINT_COLUMNS,
    ENTRY_COLUMNS,
    checkpoint,
    entry,
    message,
    plain_text,
    text_value,
)

__all__ = ["SqliteStore"]

_PAGE = 100
_WINDOW_PAGE = 1000
_FLOOR_BYTES = 64 * 1024 * 1024


class SqliteStore:
    """ports.CheckpointStore on the file `path`, for one input and one owner. Safe in several threads.

    A damaged file found while opening is moved aside and a fresh ledger begins; `moved_aside` is then
    its new path and `salvage` what was taken over, for the caller to log. With `read_only` the file must
    exist, writing is Fatal, and start_from() answers without remembering. `process_lives` says whether a pid
    of this host runs.
    A file that is removed or replaced under a running store is opened anew: the rows in hand are then
    unknown, their writes are refused, and the queue sends them again.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        input_name: str,
        owner: str,
        clock: Clock,
        read_only: bool = False,
        process_lives: Callable[[str], bool] = process_lives,
        floor_bytes: int = _FLOOR_BYTES,
    ) -> None:
        self.path = Path(path)
        self.owner = owner
        self.moved_aside = ""
        self.salvage: Optional[Salvage] = None
        self.replaced = 0
        self._input_name = input_name
        self._clock = clock
        self._read_only = read_only
        self._process_lives = process_lives
        self._floor_bytes = floor_bytes
        self._commits = GroupCommit(self._commit)
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._open()

    def start_from(self, proposed: float) -> float:
        if self._read_only:
            known = self._read("SELECT value FROM about WHERE name = 'start_from'")
            return float(known[0][0]) if known else proposed

        def work(connection: sqlite3.Connection) -> float:
            connection.execute(
                "INSERT OR IGNORE INTO about (name, value) VALUES ('start_from', ?)", (repr(proposed),)
            )
            (value,) = connection.execute("SELECT value FROM about WHERE name = 'start_from'").fetchone()
            return float(value)

        return self._commits.run(work)

    def claim(self, wanted: Sequence[Checkpoint]) -> Sequence[Claim]:
        if not wanted:
            return []

        def work(connection: sqlite3.Connection) -> List[Claim]:
            return claim_rows(
                connection, wanted, owner=self.owner, now=self._clock.now(),
                living=lambda: self._living(connection),
            )

        return self._commits.run(work, rows=len(wanted))

    def apply(self, changes: Sequence[Change]) -> Sequence[bool]:
        if not changes:
            return []

        def work(connection: sqlite3.Connection) -> List[bool]:
            now = self._clock.now()
            return [apply_change(connection, change, owner=self.owner, now=now) for change in changes]

        return self._commits.run(work, rows=len(changes))

    def missing(self, oids: Sequence[str]) -> Sequence[str]:
        final: Set[str] = set()
        for chunk in chunks(oids):
            statement = f"SELECT oid FROM checkpoints WHERE oid IN ({marks(len(chunk))}) AND state <> 'open'"
            final.update(oid for (oid,) in self._read(statement, chunk))
        return [oid for oid in oids if oid not in final]

    def rows(self, oids: Sequence[str]) -> Mapping[str, Checkpoint]:
        found: Dict[str, Checkpoint] = {}
        for chunk in chunks(oids):
            statement = f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE oid IN ({marks(len(chunk))})"
            found.update((columns[0], checkpoint(columns)) for columns in self._read(statement, chunk))
        return found

    def window(self, since: float, until: float) -> Iterator[Checkpoint]:
        last = ""
        while True:
            found = self._read(
                f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE oid > ? AND object_time >= ?"
                " AND object_time < ? ORDER BY oid LIMIT ?",
                [last, since, until, _WINDOW_PAGE],
            )
            yield from map(checkpoint, found)
            if len(found) < _WINDOW_PAGE:
                return
            last = found[-1][0]

    def names(self, buckets: Collection[str]) -> bool:
        statement = f"SELECT 1 FROM checkpoints WHERE bucket IN ({marks(len(buckets))}) LIMIT 1"
        return bool(self._read(statement, list(buckets)))

    def hashes(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        found: Dict[str, List[str]] = {}
        for chunk in chunks(keys):
            statement = (
                f"SELECT key, sha256 FROM checkpoints WHERE key IN ({marks(len(chunk))}) AND bucket = ?"
                " AND sha256 <> '' ORDER BY sha256"
            )
            for key, sha256 in self._read(statement, [*map(text_value, chunk), bucket]):
                found.setdefault(plain_text(key), []).append(sha256)
        return found

    def unfinished(self, *, limit: int = 1000) -> Sequence[Checkpoint]:
        """Longest due first."""
        holders = sorted(self._living())
        found = self._read(
            f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE state = 'open' AND not_before <= ?"
            f" AND owner NOT IN ({marks(len(holders))}) ORDER BY not_before, oid LIMIT ?",
            [self._clock.now(), *holders, limit],
        )
        return [checkpoint(columns) for columns in found]

    def spooled(self) -> Sequence[Message]:
        found = self._read(
            "SELECT message_id, receipt_handle, receive_count, sent_at, group_id, body"
            " FROM spool ORDER BY place"
        )
        return [message(columns) for columns in found]

    def quarantine(self, *, id: str = "") -> Iterator[Quarantined]:
        """Read a page at a time: entries added or removed meanwhile may or may not be seen."""
        if id:
            found = self._read(f"SELECT {ENTRY_COLUMNS} FROM quarantine WHERE id = ?", [id])
            yield from map(entry, found)
            return
        created, last = float("-inf"), ""
        while True:
            keys = self._read(
                "SELECT created, id FROM quarantine WHERE created > ? OR (created = ? AND id > ?)"
                " ORDER BY created, id LIMIT ?",
                [created, created, last, _PAGE],
            )
            for _, one in keys:
                yield from self.quarantine(id=one)
            if len(keys) < _PAGE:
                return
            created, last = keys[-1]

    def unquarantine(self, ids: Sequence[str]) -> int:
        def work(connection: sqlite3.Connection) -> int:
            removed = 0
            for chunk in chunks(ids):
                statement = f"DELETE FROM quarantine WHERE id IN ({marks(len(chunk))})"
                removed += connection.execute(statement, chunk).rowcount
            return removed

        return self._commits.run(work, rows=len(ids))

    def quarantine_bytes(self) -> int:
        return int(self._read("SELECT coalesce(sum(size), 0) FROM quarantine")[0][0])

    def counts(self) -> Mapping[str, int]:
        return dict(self._read("SELECT state, count(*) FROM checkpoints GROUP BY state"))

    def alive(self, until: float) -> None:
        self._commits.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO owners (owner, alive_until) VALUES (?, ?)", (self.owner, until)
            )
        )

    def leave(self) -> None:
        self._commits.run(
            lambda connection: connection.execute("DELETE FROM owners WHERE owner = ?", (self.owner,))
        )

    def others(self) -> Sequence[str]:
        return sorted(self._living() - {self.owner})

    def lead(self, role: str, until: float) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            name = f"lead {role}"
            known = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
            owner, held_until = json.loads(known[0]) if known else ("", 0.0)
            is_held = owner not in ("", self.owner) and held_until >= self._clock.now()
            if is_held and owner in self._living(connection):
                return False
            value = json.dumps([self.owner, until])
            connection.execute("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", (name, value))
            return True

        return self._commits.run(work)

    def prune(self, *, object_time_before: float) -> int:
        """In many short transactions, so that nobody else finds the store busy."""
        pruned, last = 0, ""
        while True:
            found = self._read(
                "SELECT oid FROM checkpoints WHERE oid > ? AND object_time < ? ORDER BY oid LIMIT ?",
                [last, object_time_before, CHUNK],
            )
            oids = [oid for (oid,) in found]
            if oids:
                pruned += self._commits.run(self._prune_work(oids, object_time_before), rows=len(oids))
                last = oids[-1]
            if len(oids) < CHUNK:
                break
        self._commits.run(self._prune_leftovers)
        return pruned

    def check(self) -> None:
        """Write, and look at the free space: below the floor (64 MiB) it is Retry "disk_low"."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO about (name, value) VALUES ('checked', ?)", (repr(self._clock.now()),)
            )

        self._commits.run(work)
        with translated(self.path):
            free = shutil.disk_usage(self.path.parent).free
        if free < self._floor_bytes:
            raise Retry(
                f"Only {free} bytes are free, {self._floor_bytes} are needed",
                code="disk_low", where=str(self.path), hint="Free space on the disk of checkpoint_dir.",
            )

    def close(self) -> None:
        """Wait for a commit under way; what comes later is Retry "store_closed"."""
        with self._closing, self._reading:
            self._closed = True
            self._disconnect()

    # -- the connections

    def _open(self) -> None:
        self._writer: Optional[sqlite3.Connection] = None
        if not self._read_only:
            self._writer, moved_aside, saved = open_writer(
                self.path, input_name=self._input_name, now=self._clock.now()
            )
            self.moved_aside = moved_aside or self.moved_aside
            self.salvage = saved or self.salvage
        try:
            self._reader = open_reader(self.path, read_only=self._read_only)
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            raise
        self._file = self._identity()

    def _disconnect(self) -> None:
        """A connection that cannot be closed in order is as good as closed: commits were durable."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                try:
                    connection.close()
                except sqlite3.Error:
                    continue

    def _identity(self) -> Optional[Any]:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _reopen_if_replaced(self) -> None:
        """Else we would go on writing into a file that has no name any more."""
        if self._identity() != self._file:
            self.replaced += 1
            with self._reading:
                self._disconnect()
                self._open()

    def _commit(self, works: Sequence[Work]) -> Sequence[Any]:
        """One transaction for all; called by one thread at a time (GroupCommit's leader)."""
        with self._closing, translated(self.path):
            self._refuse_if_useless()
            self._reopen_if_replaced()
            connection = self._writer
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [work(connection) for work in works]
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return results

    def _refuse_if_useless(self) -> None:
        if self._closed:
            raise Retry("The store is closed", code="store_closed", where=str(self.path))
        if self._read_only:
            raise Fatal("The store was opened for reading only", code="store_read_only", where=str(self.path))

    def _read(self, statement: str, values: Sequence[Any] = ()) -> List[Any]:
        with self._reading, translated(self.path):
            return self._reader.execute(statement, values).fetchall()

    def _living(self, connection: Optional[sqlite3.Connection] = None) -> FrozenSet[str]:
        statement = "SELECT owner, alive_until FROM owners"
        rows = self._read(statement) if connection is None else connection.execute(statement)
        owners: Dict[str, float] = dict(rows)
        return living(owners, me=self.owner, now=self._clock.now(), lives=self._process_lives)

    def _prune_work(self, oids: Sequence[str], before: float) -> Callable[[sqlite3.Connection], int]:
        return lambda connection: prune_rows(
            connection, oids, object_time_before=before, living=self._living(connection)
        )

    def _prune_leftovers(self, connection: sqlite3.Connection) -> None:
        prune_receipts(connection)
        holders = sorted(self._living(connection))
        connection.execute(f"DELETE FROM owners WHERE owner NOT IN ({marks(len(holders))})", holders)
