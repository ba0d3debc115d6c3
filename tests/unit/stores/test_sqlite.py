"""What only a file can do: be private, damaged, full, busy, replaced, newer, or somebody else's."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from collector.errors import Fatal, Retry
from collector.model import Message
from collector.ports import Advance, Checkpoint, FileStore, Finish, Quarantined, Spool
from collector.stores import sqlite_file, sqlite_schema
from collector.stores.sqlite import SqliteStore

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "thrive?#%20.sqlite"  # a name that a URI must quote


@pytest.fixture
def opened() -> Iterator[List[SqliteStore]]:
    stores: List[SqliteStore] = []
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def opener(path: Path, opened: List[SqliteStore]) -> Any:
    def open_store(**settings: Any) -> SqliteStore:
        defaults: Dict[str, Any] = {"input_name": "thrive", "owner": "a", "clock": FixedClock()}
        opened.append(SqliteStore(path, **{**defaults, **settings}))
        return opened[-1]

    return open_store


def wanted(oid: str = "o1") -> Checkpoint:
    url = f"s3://example-audits/{oid}"
    return Checkpoint(oid, url, NOW - 60, bucket="example-audits", key=oid, etag="e")


def fill(store: SqliteStore, count: int = 400) -> None:
    store.claim([wanted(f"o{number}") for number in range(count)])


def only_file(path: Path) -> None:
    """Nothing in the log: what is damaged is the file itself."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


# -- private


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_the_directory_and_every_file_are_the_owners_alone(opener: Any, path: Path) -> None:
    fill(opener())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_every_commit_is_flushed_to_the_disk(opener: Any, path: Path) -> None:
    connection, *_ = sqlite_file.open_writer(path, input_name="thrive", now=NOW)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


# -- damaged


def damage_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 400)


def damage_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192 : len(content) - 4096] = b"\xa5" * (len(content) - 12288)
    path.write_bytes(bytes(content))


def damage_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 3 * 4096 + 100])


def test_it_is_known_as_a_file_so_that_what_befell_it_is_said(opener: Any) -> None:
    store = opener()
    assert isinstance(store, FileStore)
    assert (store.moved_aside, store.salvage, store.replaced) == ("", None, 0)


@pytest.mark.parametrize("damage", [damage_header, damage_page, damage_length])
def test_a_damaged_store_is_moved_aside_and_a_fresh_one_begins(opener: Any, path: Path, damage: Any) -> None:
    first = opener()
    fill(first)
    first.close()
    only_file(path)
    damage(path)
    damaged = path.read_bytes()
    second = opener()
    assert second.moved_aside == f"{path}.damaged-20260921T141320Z"
    assert Path(second.moved_aside).read_bytes() == damaged
    assert second.counts() == {}
    assert second.claim([wanted()])[0].verdict == "yours"


def kept(number: int, body: bytes = b"never seen again") -> Quarantined:
    return Quarantined(f"q{number}", "body", "unknown_body", "", "sqs://q/m", NOW, body=body)


def damage_the_middle_of_quarantine(path: Path) -> None:
    """Overwrite the page that holds the body of one entry."""
    content = bytearray(path.read_bytes())
    at = content.index(b"entry 50 ") // 4096 * 4096
    content[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(bytes(content))


def test_what_is_nowhere_else_is_taken_over_from_a_damaged_store(opener: Any, path: Path) -> None:
    first = opener()
    fill(first)
    first.apply([kept(number) for number in range(3)])
    first.apply([Spool(Message("m1", "a body whose message is deleted", "h"))])
    first.close()
    only_file(path)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"o123") // 4096 * 4096  # a page of checkpoints
    content[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(bytes(content))
    second = opener()
    assert [entry.id for entry in second.quarantine()] == ["q0", "q1", "q2"]
    assert [message.body for message in second.spooled()] == ["a body whose message is deleted"]
    assert second.counts() == {}, "of rows nothing is believed"
    assert second.salvage[:3] == (3, 1, True)


def test_what_lies_before_and_behind_a_damaged_entry_is_taken_over(opener: Any, path: Path) -> None:
    first = opener()
    bodies = [b"entry %d " % number + b"x" * 3000 for number in range(100)]
    first.apply([kept(number, body) for number, body in enumerate(bodies)])
    first.close()
    only_file(path)
    damage_the_middle_of_quarantine(path)
    second = opener()
    assert second.moved_aside
    left = {entry.id for entry in second.quarantine()}
    assert {"q0", "q99"} < left and len(left) >= 90
    assert not second.salvage.is_whole


def test_it_is_taken_over_once_and_by_the_next_start_after_a_kill(opener: Any, path: Path) -> None:
    first = opener()
    first.apply([kept(1)])
    first.close()
    only_file(path)
    os.replace(path, f"{path}.damaged-20260921T141320Z")  # and killed right after that
    second = opener()
    assert [entry.id for entry in second.quarantine()] == ["q1"]
    second.unquarantine(["q1"])
    second.close()
    third = opener()
    assert (third.salvage, list(third.quarantine())) == (None, [])


def test_the_log_of_a_damaged_store_goes_with_it(opener: Any, path: Path) -> None:
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_bytes(b"x" * 5000)
    moved = opener().moved_aside
    assert Path(f"{moved}-wal").read_bytes() == b"x" * 5000


def test_a_second_damage_in_the_same_second_does_not_hide_the_first(opener: Any, path: Path) -> None:
    path.parent.mkdir()
    moved = []
    for content in (b"one" * 2000, b"two" * 2000):
        path.write_bytes(content)
        store = opener()
        moved.append(store.moved_aside)
        store.close()
    assert [Path(name).read_bytes()[:3] for name in moved] == [b"one", b"two"]


def test_of_two_who_find_the_damage_one_moves_it(path: Path, opener: Any) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    stores: List[SqliteStore] = []
    threads = [
        threading.Thread(target=lambda owner=owner: stores.append(opener(owner=owner))) for owner in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(store.moved_aside) for store in stores) == [False, False, False, True]
    stores[0].claim([wanted()])
    assert stores[1].counts() == {"open": 1}


def test_a_sound_store_stays_where_it_is(opener: Any) -> None:
    first = opener()
    fill(first)
    first.close()
    second = opener()
    assert second.moved_aside == ""
    assert second.counts() == {"open": 400}


def test_an_empty_file_is_a_fresh_store(opener: Any, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = opener()
    assert (store.moved_aside, store.counts()) == ("", {})


# -- versions and names


def test_a_newer_store_is_refused_and_left_alone(opener: Any, path: Path, monkeypatch: Any) -> None:
    opener().close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = version + 1")
    connection.commit()
    connection.close()
    for read_only in (False, True):
        with pytest.raises(Fatal) as caught:
            opener(read_only=read_only)
        assert (caught.value.code, caught.value.scope) == ("store_newer", "config")
        assert caught.value.hint
    assert [name for name in os.listdir(path.parent) if "damaged" in name] == []


def test_an_older_store_is_brought_forward_with_its_rows(opener: Any, monkeypatch: Any) -> None:
    first = opener()
    fill(first, 5)
    first.close()
    later = (*sqlite_schema.MIGRATIONS, ("ALTER TABLE about ADD COLUMN note TEXT",))
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", later)
    with pytest.raises(Fatal) as caught:
        opener(read_only=True)
    assert caught.value.code == "store_older"
    assert opener().counts() == {"open": 5}
    assert opener(read_only=True).counts() == {"open": 5}


def test_a_file_from_before_content_hashes_is_brought_forward(opener: Any, path: Path) -> None:
    """With its rows, finished and open, and room for hashes from then on."""
    path.parent.mkdir()
    first = sqlite3.connect(path)
    for statement in sqlite_schema.MIGRATIONS[0]:
        first.execute(statement)
    first.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
    first.execute("INSERT INTO schema_version VALUES (1)")
    for oid, state in (("o1", "done"), ("o2", "open")):
        values = (oid, 1.0, "b", f"k/{oid}", "e", "", state, 0, 0, "", 0, 0.0, 0.0, 1, "a", 1.0)
        first.execute(
            'INSERT INTO checkpoints (oid, object_time, bucket, key, etag, version_id, state, "offset",'
            " events, reason, attempts, first_failed, not_before, epoch, owner, updated)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values,
        )
    first.commit()
    first.close()
    store = opener(owner="a")
    assert store.counts() == {"done": 1, "open": 1}
    assert store.hashes("b", ["k/o1", "k/o2"]) == {}
    assert store.apply([Finish("o2", 1, "done", sha256="f" * 64)]) == [True]
    assert store.hashes("b", ["k/o1", "k/o2"]) == {"k/o2": ["f" * 64]}


def test_hashes_are_looked_up_by_their_index_and_not_by_reading_every_row(opener: Any, path: Path) -> None:
    opener()
    plan = sqlite3.connect(path).execute(
        "EXPLAIN QUERY PLAN SELECT key, sha256 FROM checkpoints WHERE key IN (?,?) AND bucket = ?"
        " AND sha256 <> '' ORDER BY sha256", ["a", "b", "c"],
    ).fetchall()
    assert "USING COVERING INDEX hashed_checkpoints" in plan[0][3]


def test_a_migration_that_fails_changes_nothing(opener: Any, monkeypatch: Any) -> None:
    opener().close()
    today = sqlite_schema.MIGRATIONS
    broken = (*today, ("CREATE TABLE half (a)", "CREATE TABLE about (a)"))
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        opener()
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*today, ("CREATE TABLE half (a)",)))
    opener()


def test_the_store_of_another_input_is_refused(opener: Any) -> None:
    opener().close()
    with pytest.raises(Fatal) as caught:
        opener(input_name="immuta")
    assert caught.value.code == "store_of_another_input"


def test_a_place_that_cannot_hold_a_store_is_the_operators_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fatal) as caught:
        SqliteStore(tmp_path / "file" / "s.sqlite", input_name="x", owner="a", clock=FixedClock())
    assert (caught.value.code, caught.value.scope) == ("store_unwritable", "config")


# -- reading only


def test_a_reader_sees_what_is_committed_while_another_writes(opener: Any, path: Path) -> None:
    writer = opener()
    writer.start_from(5.0)
    reader = opener(owner="status", read_only=True)
    fill(writer, 3)
    assert reader.counts() == {"open": 3}
    assert reader.start_from(9.0) == 5.0
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert reader.counts() == {"open": 3}
    other.close()


def test_a_reader_works_after_the_writer_has_gone(opener: Any) -> None:
    writer = opener()
    fill(writer, 3)
    writer.close()
    assert opener(read_only=True).counts() == {"open": 3}


def test_a_reader_creates_nothing(opener: Any, path: Path) -> None:
    with pytest.raises(Fatal) as caught:
        opener(read_only=True)
    assert caught.value.code == "store_missing"
    assert not path.parent.exists()


def test_a_reader_writes_nothing(opener: Any) -> None:
    writer = opener()
    reader = opener(read_only=True)
    assert reader.start_from(9.0) == 9.0
    for write in (lambda: reader.claim([wanted()]), lambda: reader.alive(NOW), reader.check):
        with pytest.raises(Fatal) as caught:
            write()
        assert caught.value.code == "store_read_only"
    assert writer.counts() == {}
    assert writer.start_from(5.0) == 5.0


# -- busy, full, gone


def test_a_busy_store_is_tried_again(opener: Any, path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.01)
    store = opener()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retry) as caught:
        store.claim([wanted()])
    assert (caught.value.code, caught.value.where) == ("store_busy", str(path))
    other.execute("ROLLBACK")
    other.close()
    assert store.claim([wanted()])[0].verdict == "yours"


def test_a_full_disk_loses_the_whole_transaction_and_nothing_else(opener: Any, monkeypatch: Any) -> None:
    pragmas = (*sqlite_file._WRITER_PRAGMAS, "PRAGMA max_page_count = 40")
    monkeypatch.setattr(sqlite_file, "_WRITER_PRAGMAS", pragmas)
    store = opener()
    store.claim([wanted()])
    large = Quarantined("q", "message", "x", "", "", NOW, b"x" * 500_000)
    with pytest.raises(Retry) as caught:
        store.apply([Finish("o1", 1, "done"), large])
    assert caught.value.code == "disk_full"
    assert caught.value.hint
    assert store.counts() == {"open": 1}
    assert store.apply([Finish("o1", 1, "done")]) == [True]


def test_a_disk_below_its_floor_fails_the_check(opener: Any) -> None:
    with pytest.raises(Retry) as caught:
        opener(floor_bytes=2**62).check()
    assert caught.value.code == "disk_low"


def test_a_closed_store_says_so(opener: Any) -> None:
    store = opener()
    store.close()
    store.close()
    for use in (lambda: store.claim([wanted()]), store.counts):
        with pytest.raises(Retry) as caught:
            use()
        assert caught.value.code == "store_closed"


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed there")
def test_a_store_removed_under_us_begins_anew_and_refuses_what_was_in_hand(opener: Any, path: Path) -> None:
    store = opener()
    store.claim([wanted()])
    for file in path.parent.iterdir():
        file.unlink()
    assert store.apply([Advance("o1", 1, 5)]) == [False]
    assert store.claim([wanted("o2")])[0].verdict == "yours"
    assert store.replaced == 1, "so that somebody can say so"
    store.close()
    assert opener().counts() == {"open": 1}


def test_a_value_that_sqlite_cannot_hold_is_a_bug_and_says_so(opener: Any) -> None:
    store = opener()
    store.claim([wanted()])
    with pytest.raises(OverflowError):
        store.apply([Advance("o1", 1, 2**70)])
    assert store.apply([Advance("o1", 1, 5)]) == [True]


# -- owners of this host


def test_a_row_of_a_dead_process_of_this_host_is_free_at_once(opener: Any) -> None:
    old = opener(owner="h/b/7/x")
    old.alive(NOW + 60)
    old.claim([wanted()])
    assert opener(owner="h/b/8/y", process_lives=lambda _: True).claim([wanted()])[0].verdict == "held"
    new = opener(owner="h/b/8/y", process_lives=lambda process: process != "7")
    assert [row.oid for row in new.unfinished()] == ["o1"]
    assert new.claim([wanted()])[0].verdict == "yours"


# -- many threads


def test_threads_that_share_commits_each_get_their_own_answers(opener: Any) -> None:
    store = opener()
    failures: List[str] = []

    def work(name: int) -> None:
        for turn in range(15):
            oids = [f"{name}-{turn}-{number}" for number in range(5)]
            claims = store.claim([wanted(oid) for oid in oids])
            if [claim.row.oid for claim in claims] != oids:
                failures.append(f"claims of {name}")
            changes = [Finish(oid, 1, "done") for oid in oids] + [Advance(f"{name}-absent", 1, 1)]
            if list(store.apply(changes)) != [True] * 5 + [False]:
                failures.append(f"changes of {name}")

    threads = [threading.Thread(target=work, args=[name]) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.counts() == {"done": 8 * 15 * 5}
