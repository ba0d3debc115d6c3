"""The store of every version there ever was opens, migrates, and says what it said.

tests/golden/stores has one file as text per schema, with every table filled, written by the version that had
it. A new migration needs such a file of its own: `iterdump` of a store that today's program has filled.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from collector.errors import Fatal
from collector.ports import Advance, Checkpoint, Finish
from collector.stores import sqlite_schema
from collector.stores.sqlite import SqliteStore

STORES = Path(__file__).resolve().parents[2] / "golden" / "stores"
TODAY = len(sqlite_schema.MIGRATIONS)
VERSIONS = range(1, TODAY + 1)
NOW = 1_790_000_000.0
HEC = "https://splunk.example.com:8088"


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW


def _written(version: int) -> str:
    return (STORES / f"sqlite-{version}.sql").read_text(encoding="utf-8")


def _schema(connection: sqlite3.Connection) -> Dict[str, str]:
    """Every table and index as SQL, white space aside."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows if not name.startswith("sqlite_")}


def _migrated(version: int) -> Dict[str, str]:
    """What the first `version` migrations make of nothing."""
    connection = sqlite3.connect(":memory:")
    for statements in sqlite_schema.MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
    return _schema(connection)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    stores: List[SqliteStore] = []

    def open_version(version: int) -> SqliteStore:
        path = tmp_path / "thrive.sqlite3"
        connection = sqlite3.connect(path)
        connection.executescript(_written(version))
        connection.close()
        # The one who wrote it is another host: what it held is free once it has been silent for long enough.
        stores.append(SqliteStore(path, input_name="thrive", owner="host-b/boot/9/two", clock=FixedClock()))
        return stores[-1]

    yield open_version
    for store in stores:
        store.close()


def test_every_schema_has_a_store_that_was_written_with_it() -> None:
    assert sorted(path.name for path in STORES.glob("sqlite-*.sql")) == [f"sqlite-{n}.sql" for n in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migration_that_was_released_is_never_edited(version: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_written(version))
    assert connection.execute("SELECT version FROM schema_version").fetchall() == [(version,)]
    assert _schema(connection) == _migrated(version)


def test_the_program_writes_the_schema_of_its_newest_migration(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    SqliteStore(path, input_name="thrive", owner="a", clock=FixedClock()).close()
    assert _schema(sqlite3.connect(path)) == _migrated(TODAY)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_store_says_what_it_said(opened: Any, version: int) -> None:
    store = opened(version)
    assert store.start_from(0.0) == NOW - 86400
    assert store.counts() == {"done": 1, "gone": 1, "open": 2, "quarantined": 1}
    rows = store.rows(["done", "half", "waits"])
    assert (rows["done"].events, rows["half"].offset) == (12, 500)
    waits = rows["waits"]
    assert (waits.attempts, waits.not_before, waits.reason) == (3, NOW + 60, "forbidden")
    assert [(m.message_id, m.body, m.group_id) for m in store.spooled()] == [("m1", '{"a": 1}', "g")]
    assert store.missing(["done", "gone", "half", "new"]) == ["half", "new"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_quarantine_can_still_be_delivered(opened: Any, version: int) -> None:
    found = {entry.id: entry for entry in opened(version).quarantine()}
    assert found["q-object"].row.key == "k/bad"
    assert (found["q-event"].body, found["q-event"].ordinal) == (b"\x00\xffraw", 7)
    assert found["q-body"].body.decode() == "caf\u00e9"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_receipt_is_still_asked_about_and_work_goes_on_from_there(opened: Any, version: int) -> None:
    store = opened(version)
    wanted = Checkpoint("half", "s3://thrive-audit-logs/k/half", NOW - 3600, bucket="thrive-audit-logs")
    (held,) = store.claim([wanted])
    assert held.verdict == "held", "its owner may still live"
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE owners SET alive_until = ?", (NOW - 3600,))
    connection.commit()
    connection.close()
    (claim,) = store.claim([wanted])
    assert (claim.verdict, claim.row.offset) == ("yours", 500)
    (receipt,) = claim.receipts
    assert (receipt.endpoint, receipt.ack_id, receipt.cookies) == (HEC, 42, {"cookie": "c"})
    assert [(span.first, span.end) for span in receipt.spans] == [(500, 900)]
    epoch = claim.row.epoch
    changes = [Advance("half", epoch, 900), Finish("half", epoch, "done", events=900)]
    assert store.apply(changes) == [True, True]
    assert store.counts()["done"] == 2


def test_a_store_of_a_later_version_is_refused_with_a_hint(opened: Any, tmp_path: Path) -> None:
    opened(TODAY).close()
    connection = sqlite3.connect(tmp_path / "thrive.sqlite3")
    connection.execute("UPDATE schema_version SET version = version + 1")
    connection.commit()
    connection.close()
    with pytest.raises(Fatal) as caught:
        SqliteStore(tmp_path / "thrive.sqlite3", input_name="thrive", owner="a", clock=FixedClock())
    assert caught.value.code == "store_newer"
    assert "newer version" in caught.value.hint
