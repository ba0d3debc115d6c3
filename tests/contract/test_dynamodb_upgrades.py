"""A DynamoDB table of every version there ever was is read, and is what today's program writes.

tests/golden/stores/dynamodb-1.json has the items of one input, written by the version that had that schema;
a new SCHEMA_VERSION needs such a file of its own.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from collector.ports import Checkpoint, Finish
from collector.stores.dynamodb import DynamoStore, create_table
from collector.stores.dynamodb_schema import SCHEMA_VERSION
from collector.testing.local_aws import CUSTOMER
from tests.contract.test_checkpoint_store import NOW, HandClock, wanted

STORES = Path(__file__).resolve().parents[1] / "golden" / "stores"
VERSIONS = range(1, SCHEMA_VERSION + 1)


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(each) for each in value]
    if isinstance(value, dict):
        if "base64" in value:
            return base64.b64decode(value["base64"])
        return {name: _bytes(each) for name, each in value.items()}
    return value


def _items(version: int) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = _bytes(json.loads((STORES / f"dynamodb-{version}.json").read_text()))
    return found


def _shapes(items: List[Dict[str, Any]]) -> Set[str]:
    """What attributes the rows of objects have, and of what types."""
    rows = [item for item in items if "etag" in item]
    return {f"{name}:{next(iter(row[name]))}" for row in rows for name in row}


@pytest.fixture
def table(ministack: Any) -> Any:
    client = ministack.client("dynamodb", account=CUSTOMER)
    name = "upgrades"
    create_table(client, name)
    yield client, name
    client.delete_table(TableName=name)


def test_every_schema_has_a_table_that_was_written_with_it():
    assert sorted(path.name for path in STORES.glob("dynamodb-*.json")) == [
        f"dynamodb-{version}.json" for version in VERSIONS
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_table_says_what_it_said(table, version):
    client, name = table
    for item in _items(version):
        client.put_item(TableName=name, Item=item)
    store = DynamoStore(client, name, input_name="thrive", owner="host-b/boot/9/two", clock=HandClock())
    assert store.start_from(0.0) == 1_790_000_000.0 - 86_400
    assert store.counts() == {"done": 1, "gone": 1, "open": 2, "quarantined": 1}
    rows = store.rows(["done", "half", "waits"])
    assert (rows["done"].events, rows["half"].offset, rows["waits"].attempts) == (12, 500, 3)
    assert [(message.message_id, message.body) for message in store.spooled()] == [("m1", '{"a": 1}')]
    found = {entry.id: entry for entry in store.quarantine()}
    assert found["q-event"].body == b"\x00\xffraw"
    assert found["q-object"].row is not None
    assert store.missing(["done", "half", "new"]) == ["half", "new"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_receipt_is_still_asked_about(table, version):
    client, name = table
    for item in _items(version):
        client.put_item(TableName=name, Item=item)
    clock = HandClock()
    clock.time = max(NOW, 1_790_000_000.0) + 3600  # its owner has long been silent
    store = DynamoStore(client, name, input_name="thrive", owner="host-b/boot/9/two", clock=clock)
    (claim,) = store.claim([Checkpoint("half", "s3://thrive-audit-logs/k/half", 1_789_996_400.0)])
    assert (claim.verdict, claim.row.offset) == ("yours", 500)
    assert [receipt.ack_id for receipt in claim.receipts] == [42]


def test_todays_rows_have_the_shape_of_the_newest_kept_table(table):
    """A new attribute or another type is a new SCHEMA_VERSION, or the older program would misread it."""
    client, name = table
    store = DynamoStore(client, name, input_name="thrive", owner="a", clock=HandClock())
    claims = store.claim([wanted("open"), wanted("done")])
    store.apply([Finish("done", claims[1].row.epoch, "done", events=1, sha256="a" * 64)])
    items = client.scan(TableName=name)["Items"]
    assert _shapes(items) <= _shapes(_items(SCHEMA_VERSION))
