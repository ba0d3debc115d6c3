"""Bodies longer than an item may be: in parts, durable before the item that names them.

An item of DynamoDB's holds 400 KB, an SQS body 1 MiB and a quarantined event more. A long body is written
as parts of PART_BYTES under its digest; the item that names the digest comes last, so nobody ever sees a
body without its end. Replaced and removed items give up the parts that they named, and only those.
"""

from __future__ import annotations

import hashlib
from typing import List, Optional

from collector.errors import Fatal
from collector.stores.dynamodb_items import Item, Keys, attribute, number, text
from collector.stores.dynamodb_table import Table

__all__ = ["PART_BYTES", "Bodies"]

PART_BYTES = 300 * 1024


class Bodies:
    """The bodies of one kind of item. Up to `inline_bytes` a body stands in the item itself."""

    def __init__(self, table: Table, keys: Keys, kind: str, *, inline_bytes: int = PART_BYTES) -> None:
        self._table = table
        self._keys = keys
        self._kind = kind
        self._inline_bytes = inline_bytes

    def put(self, id_: str, item: Item, body: bytes) -> None:
        """Write `item`, its body first; whatever stood under its key is replaced, parts and all."""
        named = self._named(id_, body)
        old = self._table.put({**item, **named})
        if old and text(old, "digest") != text(named, "digest"):
            self._drop(id_, old)

    def delete(self, id_: str, key: Item) -> bool:
        """Whether there was one."""
        old = self._table.delete(key)
        if old:
            self._drop(id_, old)
        return bool(old)

    def read(self, id_: str, item: Item) -> Optional[bytes]:
        """The body that `item` names; None if the item was removed or replaced since it was read."""
        digest = text(item, "digest")
        if not digest:
            return bytes(item["body"]["B"])
        found = self._table.get_many(self._part_keys(id_, item))
        body = b"".join(part["body"]["B"] for part in sorted(found, key=lambda part: text(part, "sk")))
        if hashlib.sha256(body).hexdigest() == digest:
            return body
        still = self._table.get({"pk": item["pk"], "sk": item["sk"]})
        if still is None or text(still, "digest") != digest:
            return None
        raise Fatal(
            f"A part of the body of {self._kind} {id_} is missing", code="store_damaged",
            where=str(self._table.place), hint="Somebody else deletes items of this table; let it be.",
        )

    def _named(self, id_: str, body: bytes) -> Item:
        """What the item says of its body; the parts, if there are any, are durable now."""
        if len(body) <= self._inline_bytes:
            return {"body": attribute(body)}
        pieces = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
        named = {"digest": attribute(hashlib.sha256(body).hexdigest()), "parts": attribute(len(pieces))}
        keys = self._part_keys(id_, named)
        self._table.put_many([{**key, "body": attribute(piece)} for key, piece in zip(keys, pieces)])
        return named

    def _drop(self, id_: str, old: Item) -> None:
        self._table.delete_many(self._part_keys(id_, old))

    def _part_keys(self, id_: str, item: Item) -> List[Item]:
        digest, parts = text(item, "digest"), int(number(item, "parts"))
        return [self._keys.part(self._kind, id_, digest, place) for place in range(parts)]
