"""What each change and each claim does to the tables, inside one transaction.

Every write to an open row is fenced: it counts only while the row names this owner and this epoch. A
takeover raises the epoch, so what a paused process writes afterwards is refused, not believed.
"""

from __future__ import annotations

import sqlite3
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Mapping,
    Sequence,
    Tuple,
    Type,
    cast,
)

from collector.model import Receipt
from collector.ports import (
    FINAL,
    Advance,
    Change,
    Checkpoint,
    Claim,
    DropReceipts,
    Finish,
    Forget,
    Quarantined,
    Release,
    SaveReceipt,
    Spool,
    Unspool,
)
from collector.stores.claims import judge
from collector.stores.receipts import furthest_ends, receipt, receipt_text
from collector.stores.sqlite_rows import (
    CHECKPOINT_COLUMNS,
    ENTRY_COLUMNS,
    checkpoint,
    checkpoint_values,
    entry_values,
    message_values,
    text_value,
)

__all__ = ["CHUNK", "apply_change", "chunks", "claim_rows", "marks", "prune_receipts", "prune_rows"]

#: Values in one IN (...): old SQLite allows 999 in a statement.
CHUNK = 500
_FENCE = "WHERE oid = ? AND epoch = ? AND owner = ? AND state = 'open'"


def claim_rows(
    connection: sqlite3.Connection,
    wanted: Sequence[Checkpoint],
    *,
    owner: str,
    now: float,
    living: Callable[[], FrozenSet[str]],
) -> List[Claim]:
    """One Claim per wanted row, in order; `living` is asked only if somebody else's row is in the way."""
    known = _rows(connection, {row.oid for row in wanted})
    changed: Dict[str, Checkpoint] = {}
    judged: List[Tuple[str, Checkpoint]] = []
    for want in wanted:
        row = known.get(want.oid)
        verdict, after = judge(want, row, owner=owner, now=now, living=living)
        if after is not row:
            known[want.oid] = changed[want.oid] = after
        judged.append((verdict, after))
    connection.executemany(
        f"INSERT OR REPLACE INTO checkpoints ({CHECKPOINT_COLUMNS}) VALUES ({_marks_of(CHECKPOINT_COLUMNS)})",
        [checkpoint_values(row) for row in changed.values()],
    )
    receipts = _open_receipts(connection, [row for verdict, row in judged if verdict == "yours"])
    return [
        Claim(verdict, row, receipts.get(row.oid, ()) if verdict == "yours" else ())
        for verdict, row in judged
    ]


def apply_change(connection: sqlite3.Connection, change: Change, *, owner: str, now: float) -> bool:
    """True if the change is written, False if a fence refused it."""
    return _WRITERS[type(change)](connection, change, owner, now)


def prune_rows(
    connection: sqlite3.Connection,
    oids: Sequence[str],
    *,
    object_time_before: float,
    living: FrozenSet[str],
) -> int:
    """Delete those of `oids` that are old, and final or abandoned; returns how many."""
    holders = sorted(living)
    return connection.execute(
        f"DELETE FROM checkpoints WHERE oid IN ({marks(len(oids))}) AND object_time < ?"
        f" AND (state <> 'open' OR owner NOT IN ({marks(len(holders))}))",
        [*oids, object_time_before, *holders],
    ).rowcount


def prune_receipts(connection: sqlite3.Connection) -> None:
    """Forget receipts that no open row would ever ask about."""
    connection.execute(
        "DELETE FROM receipts_of WHERE NOT EXISTS"
        " (SELECT 1 FROM checkpoints c WHERE c.oid = receipts_of.oid AND c.state = 'open')"
    )
    connection.execute("DELETE FROM receipts WHERE id NOT IN (SELECT id FROM receipts_of)")


def marks(count: int) -> str:
    """Question marks for `count` values."""
    return ",".join("?" * count)


def _marks_of(columns: str) -> str:
    return marks(columns.count(",") + 1)


def chunks(values: Iterable[str]) -> Iterator[List[str]]:
    """`values` in lists of at most CHUNK."""
    listed = list(values)
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


def _rows(connection: sqlite3.Connection, oids: Iterable[str]) -> Dict[str, Checkpoint]:
    found = {}
    for chunk in chunks(oids):
        for columns in connection.execute(
            f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints WHERE oid IN ({marks(len(chunk))})", chunk
        ):
            found[columns[0]] = checkpoint(columns)
    return found


def _open_receipts(
    connection: sqlite3.Connection, rows: Sequence[Checkpoint]
) -> Mapping[str, Sequence[Receipt]]:
    """Receipts that reach beyond what the row already counts as accepted, by oid, oldest first."""
    offsets = {row.oid: row.offset for row in rows}
    found: Dict[str, List[Receipt]] = {}
    for chunk in chunks(offsets):
        for oid, end, id_, body in connection.execute(
            'SELECT o.oid, o."end", r.id, r.body FROM receipts_of o JOIN receipts r ON r.id = o.id'
            f" WHERE o.oid IN ({marks(len(chunk))}) ORDER BY o.id",
            chunk,
        ):
            if end > offsets[oid]:
                found.setdefault(oid, []).append(receipt(id_, body))
    return {oid: sorted(some, key=lambda one: one.sent_at) for oid, some in found.items()}


def _advance(connection: sqlite3.Connection, change: Advance, owner: str, now: float) -> bool:
    written = connection.execute(
        f'UPDATE checkpoints SET "offset" = max("offset", ?), updated = ? {_FENCE}',
        (change.offset, now, change.oid, change.epoch, owner),
    )
    return written.rowcount == 1


def _finish(connection: sqlite3.Connection, change: Finish, owner: str, now: float) -> bool:
    """Saying the same twice is fine: after a failed commit nobody knows whether the first one counted."""
    if change.state not in FINAL:
        raise ValueError(f"{change.state!r} is not a final state")
    written = connection.execute(
        "UPDATE checkpoints SET state = ?, events = ?, reason = ?, updated = ?,"
        " sha256 = coalesce(nullif(?, ''), sha256)"
        " WHERE oid = ? AND epoch = ? AND owner = ? AND state IN ('open', ?)",
        (
            change.state, change.events, text_value(change.reason), now, change.sha256,
            change.oid, change.epoch, owner, change.state,
        ),
    )
    return written.rowcount == 1


def _release(connection: sqlite3.Connection, change: Release, owner: str, now: float) -> bool:
    written = connection.execute(
        "UPDATE checkpoints SET owner = '', attempts = ?, first_failed = ?, not_before = ?,"
        f" reason = ?, updated = ? {_FENCE}",
        (
            change.attempts, change.first_failed, change.not_before, text_value(change.reason), now,
            change.oid, change.epoch, owner,
        ),
    )
    return written.rowcount == 1


def _forget(connection: sqlite3.Connection, change: Forget, owner: str, now: float) -> bool:
    """Its receipts no longer speak for the object: it is wanted again, whatever was confirmed."""
    connection.execute(
        "UPDATE checkpoints SET state = 'open', \"offset\" = ?, events = 0, reason = '', attempts = 0,"
        " first_failed = 0, not_before = 0, epoch = epoch + 1, owner = '', sha256 = '', updated = ?"
        " WHERE oid = ?",
        (change.offset, now, change.oid),
    )
    connection.execute("DELETE FROM receipts_of WHERE oid = ?", (change.oid,))
    return True


def _save_receipt(connection: sqlite3.Connection, change: SaveReceipt, owner: str, now: float) -> bool:
    _drop(connection, [change.id])
    connection.execute(
        "INSERT INTO receipts (id, body) VALUES (?, ?)", (change.id, receipt_text(change.receipt))
    )
    connection.executemany(
        'INSERT INTO receipts_of (oid, id, "end") VALUES (?, ?, ?)',
        [(oid, change.id, end) for oid, end in furthest_ends(change.receipt.spans).items()],
    )
    return True


def _drop_receipts(connection: sqlite3.Connection, change: DropReceipts, owner: str, now: float) -> bool:
    for chunk in chunks(change.ids):
        _drop(connection, chunk)
    return True


def _drop(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    saved = connection.execute(
        f"SELECT id, body FROM receipts WHERE id IN ({marks(len(ids))})", ids
    ).fetchall()
    for id_, body in saved:
        connection.execute("DELETE FROM receipts WHERE id = ?", (id_,))
        connection.executemany(
            "DELETE FROM receipts_of WHERE oid = ? AND id = ?",
            [(span.oid, id_) for span in receipt(id_, body).spans],
        )


def _quarantine(connection: sqlite3.Connection, change: Quarantined, owner: str, now: float) -> bool:
    connection.execute(
        f"INSERT OR REPLACE INTO quarantine ({ENTRY_COLUMNS}) VALUES ({_marks_of(ENTRY_COLUMNS)})",
        entry_values(change),
    )
    return True


def _spool(connection: sqlite3.Connection, change: Spool, owner: str, now: float) -> bool:
    """A message received again keeps its place; its handle is the newest."""
    connection.execute(
        "INSERT INTO spool (message_id, receipt_handle, receive_count, sent_at, group_id, body)"
        f" VALUES ({marks(6)}) ON CONFLICT (message_id) DO UPDATE SET"
        " receipt_handle = excluded.receipt_handle, receive_count = excluded.receive_count,"
        " sent_at = excluded.sent_at, group_id = excluded.group_id, body = excluded.body",
        message_values(change.message),
    )
    return True


def _unspool(connection: sqlite3.Connection, change: Unspool, owner: str, now: float) -> bool:
    connection.execute("DELETE FROM spool WHERE message_id = ?", (change.message_id,))
    return True


_Writer = Callable[[sqlite3.Connection, Any, str, float], bool]
_WRITERS: Mapping[Type[Any], _Writer] = cast(
    Mapping[Type[Any], _Writer],
    {
        Advance: _advance,
        Finish: _finish,
        Release: _release,
        Forget: _forget,
        SaveReceipt: _save_receipt,
        DropReceipts: _drop_receipts,
        Quarantined: _quarantine,
        Spool: _spool,
        Unspool: _unspool,
    },
)
