"""The tables of one input's ledger, and how an older file becomes today's."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Tuple

from collector.errors import Fatal

__all__ = ["MIGRATIONS", "migrate", "refuse_unreadable", "schema_version"]

_FIRST = (
    # Facts about the ledger itself: input, start_from, checked, and who leads in what.
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # url is NULL where bucket and key say it; text that UTF-8 cannot carry is kept as a blob.
    """CREATE TABLE checkpoints (
        oid TEXT PRIMARY KEY,
        url TEXT,
        object_time REAL NOT NULL,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        etag TEXT NOT NULL,
        version_id TEXT NOT NULL,
        size INTEGER,
        state TEXT NOT NULL,
        "offset" INTEGER NOT NULL,
        events INTEGER NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        first_failed REAL NOT NULL,
        not_before REAL NOT NULL,
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        updated REAL NOT NULL
    ) WITHOUT ROWID""",
    # Open rows are few among millions of finished ones.
    "CREATE INDEX open_checkpoints ON checkpoints (not_before) WHERE state = 'open'",
    "CREATE TABLE owners (owner TEXT PRIMARY KEY, alive_until REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE receipts (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    # "end" is the highest end of the receipt's spans of that object.
    """CREATE TABLE receipts_of (
        oid TEXT NOT NULL,
        id TEXT NOT NULL,
        "end" INTEGER NOT NULL,
        PRIMARY KEY (oid, id)
    ) WITHOUT ROWID""",
    # Bodies are large, so these two keep their rowid: a b-tree of keys should not carry them.
    """CREATE TABLE quarantine (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        url TEXT NOT NULL,
        created REAL NOT NULL,
        oid TEXT NOT NULL,
        ordinal INTEGER,
        "row" TEXT,
        size INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    "CREATE INDEX quarantine_by_age ON quarantine (created, id, size)",
    """CREATE TABLE spool (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL UNIQUE,
        receipt_handle TEXT NOT NULL,
        receive_count INTEGER NOT NULL,
        sent_at REAL,
        group_id TEXT,
        body TEXT NOT NULL
    )""",
)

_CONTENT_HASHES = (
    "ALTER TABLE checkpoints ADD COLUMN sha256 TEXT NOT NULL DEFAULT ''",
    # Only inputs that verify digests fill it: for all others the index stays empty.
    "CREATE INDEX hashed_checkpoints ON checkpoints (key, bucket, sha256) WHERE sha256 <> ''",
)

#: Statement lists in order; a file of version n has had the first n. Append, never edit.
MIGRATIONS: Tuple[Tuple[str, ...], ...] = (_FIRST, _CONTENT_HASHES)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has had; 0 for an empty one."""
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).fetchone()
    if known is None:
        return 0
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return int(row[0] or 0)


def migrate(connection: sqlite3.Connection, *, path: Path, input_name: str) -> None:
    """Bring the file to today's schema in one transaction, or leave it as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = schema_version(connection)
        _refuse_newer(version, path)
        _apply_from(connection, version)
        _refuse_another_input(connection, path, input_name)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_unreadable(connection: sqlite3.Connection, path: Path) -> None:
    """For a read-only opening, which may not migrate: Fatal unless the schema is today's."""
    version = schema_version(connection)
    _refuse_newer(version, path)
    if version < len(MIGRATIONS):
        raise Fatal(
            f"The store has schema {version}, this program reads {len(MIGRATIONS)}",
            code="store_older",
            where=str(path),
            hint="Start the collector once: it brings the store up to date.",
        )


def _apply_from(connection: sqlite3.Connection, version: int) -> None:
    if version == len(MIGRATIONS):
        return
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    connection.execute("DELETE FROM schema_version")
    connection.execute("INSERT INTO schema_version (version) VALUES (?)", (len(MIGRATIONS),))


def _refuse_newer(version: int, path: Path) -> None:
    if version > len(MIGRATIONS):
        raise Fatal(
            f"The store has schema {version}, this program knows up to {len(MIGRATIONS)}",
            code="store_newer",
            where=str(path),
            hint="Run the newer version of audit-s3 that wrote it, or name another checkpoint_dir.",
        )


def _refuse_another_input(connection: sqlite3.Connection, path: Path, input_name: str) -> None:
    connection.execute("INSERT OR IGNORE INTO about (name, value) VALUES ('input', ?)", (input_name,))
    (written,) = connection.execute("SELECT value FROM about WHERE name = 'input'").fetchone()
    if written != input_name:
        raise Fatal(
            f"The store belongs to the input {written!r}, not to {input_name!r}",
            code="store_of_another_input",
            where=str(path),
            hint="Give each input its own file, or restore the input's old name.",
        )
