"""Whether every action that the store calls is allowed, found out without changing anything.

A write is tried under a condition that no item meets: "the condition refused it" is for who may write. A
batch has no conditions, so it deletes an item that is not there.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple, Type

from collector.errors import CollectorError
from collector.stores.dynamodb_errors import ACTIONS, Place, error_code, translate
from collector.stores.dynamodb_items import INDEX, SHELVES, Item

__all__ = ["refusals"]

_NOBODYS: Item = {"pk": {"S": "audit-s3 check"}, "sk": {"S": "an item that is not there"}}
#: Deleted by itself, so that it cannot hide what another question left behind.
_NOBODYS_EITHER: Item = {**_NOBODYS, "sk": {"S": "another item that is not there"}}
_NEVER = {"ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(pk)"}
_SHELF = f"{_NOBODYS['pk']['S']}#{SHELVES[0]}"


def refusals(
    client: Any, place: Place, *, foreign: Tuple[Type[Exception], ...]
) -> Mapping[str, CollectorError]:
    """What is denied, by action. Raises what stands in the way of all of them, such as a missing table."""
    refused: Dict[str, CollectorError] = {}
    for action, (operation, request) in _questions(place.table).items():
        try:
            getattr(client, operation)(**request)
        except foreign as error:
            if error_code(error) == "ConditionalCheckFailedException":
                continue
            translated = translate(error, place)
            if translated.code != "store_denied":
                raise translated from error
            refused.setdefault(action.partition(" ")[0], translated)
    return {action: refused[action] for action in ACTIONS if action in refused}


def _questions(table: str) -> Mapping[str, Tuple[str, Dict[str, Any]]]:
    """One call an action, and one more for the index, which is a resource of its own."""
    here = {"TableName": table}
    return {
        "GetItem": ("get_item", {**here, "Key": _NOBODYS}),
        "Query": ("query", {**here, **_asked("pk", _NOBODYS["pk"]["S"])}),
        "Query of the index": ("query", {**here, "IndexName": INDEX, **_asked("shelf", _SHELF)}),
        "BatchGetItem": ("batch_get_item", {"RequestItems": {table: {"Keys": [_NOBODYS]}}}),
        "PutItem": ("put_item", {**here, "Item": _NOBODYS, **_NEVER}),
        "UpdateItem": ("update_item", {**here, "Key": _NOBODYS, **_NEVER}),
        "DeleteItem": ("delete_item", {**here, "Key": _NOBODYS, **_NEVER}),
        "BatchWriteItem": (
            "batch_write_item", {"RequestItems": {table: [{"DeleteRequest": {"Key": _NOBODYS_EITHER}}]}}
        ),
    }


def _asked(name: str, value: str) -> Dict[str, Any]:
    return {
        "KeyConditionExpression": "#name = :value", "ExpressionAttributeNames": {"#name": name},
        "ExpressionAttributeValues": {":value": {"S": value}},
    }
