"""What a damaged ledger still holds that exists nowhere else: quarantine, and the spool of FIFO queues.

Their messages are deleted, so they are taken over as far as they can be read. Doing so can repeat an audit
but not skip one, which is why nothing else of a damaged file is believed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from collector.ports import Salvage

__all__ = ["salvage"]

#: Tables whose rows are the only copy of something.
_TABLES = ("quarantine", "spool")
_DAMAGED = re.compile(r"\.damaged-\d{8}T\d{6}Z(\.\d+)?")


def salvage(connection: sqlite3.Connection, path: Path) -> Optional[Salvage]:
    """Take over what the newest damaged file beside `path` holds, once; None if there is nothing new.

    In one transaction of `connection`, so that a kill in the middle means that the next start does it.
    """
    damaged = _newest(path)
    if damaged is None:
        return None
    note = f"salvaged {damaged.name}"
    if connection.execute("SELECT 1 FROM about WHERE name = ?", (note,)).fetchone():
        return None
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _take_over(connection, damaged)
        connection.execute("INSERT INTO about (name, value) VALUES (?, '')", (note,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def _newest(path: Path) -> Optional[Path]:
    beside = [
        one for one in path.parent.glob(f"{path.name}.damaged-*")
        if _DAMAGED.fullmatch(one.name[len(path.name):])
    ]
    return max(beside, key=lambda one: (os.stat(one).st_mtime, one.name), default=None)


def _take_over(connection: sqlite3.Connection, damaged: Path) -> Salvage:
    last_used = os.stat(damaged).st_mtime
    taken = dict.fromkeys(_TABLES, 0)
    is_whole = True
    with contextlib.closing(_opened(damaged)) as source:
        for table in _TABLES:
            columns = _columns(connection, table)
            for rows in _readable(source, table, columns):
                if rows is None:
                    is_whole = False
                    continue
                names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
                done = connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", rows)
                taken[table] += done.rowcount
        with contextlib.suppress(sqlite3.Error, TypeError, ValueError):
            (value,) = source.execute("SELECT value FROM about WHERE name = 'checked'").fetchone()
            last_used = float(value)
    return Salvage(taken["quarantine"], taken["spool"], is_whole, last_used)


def _opened(damaged: Path) -> sqlite3.Connection:
    """Its log is read with it; nothing is written into either, so that the file stays as it was found."""
    return sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _columns(connection: sqlite3.Connection, table: str) -> List[str]:
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    return [name for name in columns if name != "place"]  # its order in the new spool is a new one


def _readable(
    source: sqlite3.Connection, table: str, columns: List[str]
) -> Iterator[Optional[Tuple[object, ...]]]:
    """Every row that can be read, and None where some cannot: from the front, then from the back."""
    last = -1
    names = ", ".join(f'"{name}"' for name in columns)
    try:
        for rowid, *row in source.execute(f"SELECT rowid, {names} FROM {table} ORDER BY rowid"):
            last = rowid
            yield tuple(row)
        return
    except sqlite3.DatabaseError:
        yield None
    with contextlib.suppress(sqlite3.DatabaseError):
        behind = f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid DESC"
        for _, *row in source.execute(behind, (last,)):
            yield tuple(row)
