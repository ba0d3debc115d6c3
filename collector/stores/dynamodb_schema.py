"""The table as DynamoDB is told of it: keys, index, expiry, and the version of what lies inside.

On-demand by default: audits come in waves, and a throttled write is a repeated one. Rows of objects are
gone a week after the provider's own copy (attribute `expires`), at no cost, whenever DynamoDB gets to it;
nothing here relies on the moment.
"""

from __future__ import annotations

import shlex
from typing import Any, Dict, List

from collector.errors import Fatal
from collector.stores.dynamodb_items import INDEX, Item
from collector.stores.dynamodb_table import ABSENT, Table

__all__ = ["SCHEMA_VERSION", "create_command", "create_table", "refuse_newer"]

SCHEMA_VERSION = 1
_SCHEMA: Item = {"pk": {"S": "audit-s3"}, "sk": {"S": "schema"}}
#: What the index holds besides the keys: enough to judge a row without reading it.
_INDEXED = ("owner", "object_time", "not_before")
_EXPIRY = "Enabled=true,AttributeName=expires"


def create_command(table: str, region: str = "") -> str:
    """The shell commands that make the table."""
    base = f"--table-name {shlex.quote(table)}" + (f" --region {shlex.quote(region)}" if region else "")
    attributes = " ".join(f"AttributeName={name},AttributeType=S" for name in ("pk", "sk", "shelf", "place"))
    index = (
        f"IndexName={INDEX},KeySchema=[{{AttributeName=shelf,KeyType=HASH}},{{AttributeName=place,"
        f"KeyType=RANGE}}],Projection={{ProjectionType=INCLUDE,NonKeyAttributes=[{','.join(_INDEXED)}]}}"
    )
    return (
        f"aws dynamodb create-table {base} --billing-mode PAY_PER_REQUEST"
        f" --attribute-definitions {attributes}"
        " --key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE"
        f" --global-secondary-indexes '{index}'"
        f" && aws dynamodb wait table-exists {base}"
        f" && aws dynamodb update-time-to-live {base} --time-to-live-specification {_EXPIRY}"
    )


def create_table(client: Any, table: str) -> None:
    """Make the table and wait until it is there; does nothing to one that exists. For tests and the demo.

    Raises botocore's own errors.
    """
    try:
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "shelf", "place")
            ],
            KeySchema=_key_schema("pk", "sk"),
            GlobalSecondaryIndexes=[_index()],
        )
    except client.exceptions.ResourceInUseException:
        return
    client.get_waiter("table_exists").wait(TableName=table)
    client.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )


def refuse_newer(table: Table, *, read_only: bool) -> None:
    """Note our version in a new table; Fatal "store_newer" for a table of a later one."""
    held = table.get(_SCHEMA)
    if held is None and not read_only:
        table.put({**_SCHEMA, "version": {"N": str(SCHEMA_VERSION)}}, where=[ABSENT])
        held = table.get(_SCHEMA)
    version = int(held["version"]["N"]) if held else SCHEMA_VERSION
    if version > SCHEMA_VERSION:
        raise Fatal(
            f"The store has schema {version}, this program knows up to {SCHEMA_VERSION}",
            code="store_newer",
            where=str(table.place),
            hint="Run the newer version of audit-s3 that wrote it, or name another checkpoint_table.",
        )


def _index() -> Dict[str, Any]:
    return {
        "IndexName": INDEX,
        "KeySchema": _key_schema("shelf", "place"),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(_INDEXED)},
    }


def _key_schema(partition: str, order: str) -> List[Dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": order, "KeyType": "RANGE"},
    ]
