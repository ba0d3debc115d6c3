"""Opening the file: private, sound, of today's schema; and what SQLite's complaints mean.

A damaged file is moved aside, never repaired and never believed: an empty ledger repeats events, a
wrong one could skip them. Only what exists nowhere else is taken over (`sqlite_salvage`). Openings take
turns by a lock on the directory, so that of two processes that find the damage only one moves the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Iterator, Optional, Tuple, Type, Union

from collector.errors import CollectorError, Fatal, Retry
from collector.ports import Salvage
from collector.stores.sqlite_salvage import salvage
from collector.stores.sqlite_schema import migrate, refuse_unreadable

if sys.platform != "win32":
    import fcntl

__all__ = ["open_reader", "open_writer", "translated"]

_BUSY_SECONDS = 5.0
_WRITER_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # a commit that returned survives a power cut
    "PRAGMA fullfsync = ON",  # and does so on macOS
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 67108864",
)

_RESTART = "Restart: the damaged store is moved aside and a fresh one begins."

#: SQLite's words (Python 3.9 has no error codes) -> fate, code, hint. First match wins.
_FATES: Tuple[Tuple[str, Union[Type[Retry], Type[Fatal]], str, str], ...] = (
    ("is locked", Retry, "store_busy", "Another process is writing; it is tried again."),
    ("disk is full", Retry, "disk_full", "Free space on the disk of checkpoint_dir."),
    ("disk i/o error", Retry, "store_io", "Look at the disk of checkpoint_dir and at the kernel log."),
    ("unable to open", Retry, "store_io", "Look at checkpoint_dir: does it exist, may we write to it?"),
    ("malformed", Retry, "store_damaged", _RESTART),
    ("not a database", Retry, "store_damaged", _RESTART),
    ("readonly", Fatal, "store_unwritable", "Give the collector's user write access to checkpoint_dir."),
    ("closed database", Retry, "store_closed", ""),
)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's complaints into Retry and Fatal; what is left is a bug."""
    try:
        yield
    except sqlite3.Error as error:
        fate = _fate(error, path)
        if fate is None:
            raise
        raise fate from error
    except OSError as error:
        raise _system_fate(error, path) from error


def open_writer(
    path: Path, *, input_name: str, now: float
) -> Tuple[sqlite3.Connection, str, Optional[Salvage]]:
    """A connection to a sound store of today's schema, where a damaged one went ("" if none), what was saved.

    Creates the directory (0700) and the file (0600). `now` (epoch seconds) names what is moved aside.
    """
    with translated(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _one_opening_at_a_time(path.parent):
            connection, moved_aside = _connect_soundly(path, now)
            with _closed_on_failure(connection):
                _make_durable(connection, path)
                migrate(connection, path=path, input_name=input_name)
                saved = salvage(connection, path)
    return connection, moved_aside, saved


def open_reader(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection that only reads. With `read_only` nothing is created, migrated or repaired."""
    if read_only and not path.exists():
        raise Fatal(
            "There is no store yet",
            code="store_missing",
            where=str(path),
            hint="Nothing has run here yet, or checkpoint_dir names another place.",
        )
    with translated(path):
        connection = _connect(path, mode="ro" if read_only else "rw")
        with _closed_on_failure(connection):
            connection.execute("PRAGMA query_only = ON")
            refuse_unreadable(connection, path)
    return connection


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _connect_soundly(path: Path, now: float) -> Tuple[sqlite3.Connection, str]:
    _create_private(path)
    connection = _connect(path, mode="rw")
    with _closed_on_failure(connection):
        if not _damage(connection):
            return connection, ""
        if os.name == "nt":
            connection.close()  # an open file cannot be renamed there
        moved_aside = _move_aside(path, now)
    connection.close()  # only now: SQLite deletes the log of what it closes
    _create_private(path)
    return _connect(path, mode="rw"), moved_aside


def _damage(connection: sqlite3.Connection) -> str:
    """What is wrong with the file; "" if it is sound. Reads all of it."""
    try:
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return str(error)
    return "" if finding == "ok" else str(finding)


def _make_durable(connection: sqlite3.Connection, path: Path) -> None:
    (journal_mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal_mode != "wal":
        raise Fatal(
            "The file system cannot hold a write-ahead log",
            code="store_needs_local_disk",
            where=str(path),
            hint="Put checkpoint_dir on a local disk, not on a network file system.",
        )
    for pragma in _WRITER_PRAGMAS:
        connection.execute(pragma)


def _create_private(path: Path) -> None:
    """SQLite gives -wal and -shm the permissions of the file itself."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    if os.name == "posix":
        with _directory(path.parent) as descriptor:
            os.fsync(descriptor)  # else the name itself may not survive a power cut


def _move_aside(path: Path, now: float) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}.{number}")
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{target}{suffix}")
    return str(target)


@contextlib.contextmanager
def _one_opening_at_a_time(directory: Path) -> Iterator[None]:
    if sys.platform == "win32":  # no flock there, and Splunk runs one process per input
        yield
    else:
        with _directory(directory) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # freed by close, or by our death
            yield


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _is_damage(error: sqlite3.Error) -> bool:
    fate = _fate(error, Path())
    return fate is not None and fate.code == "store_damaged"


def _fate(error: sqlite3.Error, path: Path) -> Optional[CollectorError]:
    text = str(error).lower()
    for words, fate, code, hint in _FATES:
        if words in text:
            return fate(f"SQLite says: {error}", code=code, where=str(path), hint=hint)
    return None


def _system_fate(error: OSError, path: Path) -> CollectorError:
    what = f"The store cannot be opened: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free space on the disk of checkpoint_dir."
        return Retry(what, code="disk_full", where=str(path), hint=hint)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        hint = "Make checkpoint_dir a directory that the collector's user may write to."
        return Fatal(what, code="store_unwritable", where=str(path), hint=hint)
    hint = "Look at the disk of checkpoint_dir and at the kernel log."
    return Retry(what, code="store_io", where=str(path), hint=hint)
