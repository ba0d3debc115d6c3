"""Where everything stands in the table, and how nouns become items and come back.

One table, two string keys, one index:

    pk                     sk              what
    IN#object#OID          row             the checkpoint; `shelf` and `place` put it on the index
    IN#object#OID          receipt#ID      this object is named by that receipt
    IN#hash#DIGEST         OID             the sha256 of a finished content; DIGEST is that of bucket and key
    IN#receipt#ID          receipt         the receipt itself
    IN#owners              OWNER           alive_until of one process
    IN#quarantine          ID              an entry; a long body lies in parts
    IN#spool#S             MESSAGE ID      a spooled message; a long body lies in parts
    IN#body#KIND#ID        DIGEST#0000     one part of a long body
    IN#counts              DAY#S           final rows of objects of that day, by state
    IN#about               start_from      what was written at the first start
    IN#about               lead ROLE       who has a role that one owner has at a time, and until when
    audit-s3               schema          the version of all this

IN is the input's name, percent-encoded. What is written for every object, and read for every listing, has
the object's own digest as its partition key, so no partition is hot however many collectors write. The
index `ledger` spreads an input over SHELVES partitions by the same digest; a row stands on it as
"open#<not_before>" or "final#<object_time>", so what is due and what is old are ranges, never a scan.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import Any, Dict, List, Mapping, Optional, Sequence, TypeVar, Union
from urllib.parse import quote

from collector.model import Message
from collector.ports import Checkpoint, Quarantined

__all__ = [
    "DAY_SECONDS",
    "INDEX",
    "SHELVES",
    "Item",
    "Keys",
    "attribute",
    "checkpoint",
    "chunked",
    "entry",
    "entry_attributes",
    "final_place",
    "message",
    "message_attributes",
    "number",
    "open_place",
    "row_attributes",
    "text",
]

T = TypeVar("T")
#: An item in DynamoDB's own notation: {"epoch": {"N": "1"}}.
Item = Dict[str, Dict[str, Any]]

#: The one global secondary index.
INDEX = "ledger"
#: Partitions of an input on the index. Each takes 1,000 writes a second, an object makes three.
SHELVES = "0123456789abcdef"
DAY_SECONDS = 86_400
#: As wide as a place on a shelf is.
_LAST_TIME = 9_999_999_999.0

_TEXTS = ("url", "bucket", "key", "etag", "version_id", "state", "reason", "owner", "sha256")
_TIMES = ("object_time", "first_failed", "not_before", "updated")
_DEFAULTS = {field.name: field.default for field in fields(Checkpoint)}
#: Always written, because conditions compare them.
_COMPARED = frozenset({"state", "offset", "epoch", "owner", "not_before"})


class Keys:
    """The keys of one input."""

    def __init__(self, input_name: str) -> None:
        self._input = quote(input_name, safe="")

    def row(self, oid: str) -> Item:
        return _key(f"{self._input}#object#{oid}", "row")

    def hash(self, bucket: str, key: str, oid: str = "") -> Item:
        place = hashlib.sha256(f"{bucket}/{key}".encode("utf-8", "surrogatepass")).hexdigest()
        return _key(f"{self._input}#hash#{place}", oid)

    def link(self, oid: str, receipt_id: str) -> Item:
        return _key(f"{self._input}#object#{oid}", f"receipt#{receipt_id}")

    def receipt(self, id_: str) -> Item:
        return _key(f"{self._input}#receipt#{id_}", "receipt")

    def owner(self, owner: str = "") -> Item:
        return _key(f"{self._input}#owners", owner)

    def entry(self, id_: str = "") -> Item:
        return _key(f"{self._input}#quarantine", id_)

    def spooled(self, message_id: str) -> Item:
        return _key(self.spool(_shelf(message_id)), message_id)

    def spool(self, shelf: str) -> str:
        return f"{self._input}#spool#{shelf}"

    def part(self, kind: str, id_: str, digest: str, place: int) -> Item:
        return _key(f"{self._input}#body#{kind}#{id_}", f"{digest}#{place:04}")

    def counts(self, day: int = 0, owner: str = "") -> Item:
        return _key(f"{self._input}#counts", f"{day:06}#{_shelf(owner)}")

    def about(self, name: str) -> Item:
        return _key(f"{self._input}#about", name)

    def shelf(self, shelf: str) -> str:
        """The index's partition `shelf` (one of SHELVES)."""
        return f"{self._input}#{shelf}"

    def shelf_of(self, oid: str) -> str:
        return self.shelf(_shelf(oid))

    def oid(self, item: Item) -> str:
        """Whose row, or whose link, this is."""
        return str(item["pk"]["S"])[len(f"{self._input}#object#") :]


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _shelf(id_: str) -> str:
    return hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()[0]


def attribute(value: Union[str, bytes, int, float]) -> Dict[str, Any]:
    """`value` as DynamoDB holds it; text that UTF-8 cannot carry (lone surrogates) goes as bytes."""
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return {"B": value.encode("utf-8", "surrogatepass")}
        return {"S": value}
    return {"N": repr(value)}


def text(item: Item, name: str) -> str:
    """The text under `name`, "" where there is none."""
    held = item.get(name)
    if held is None:
        return ""
    return str(held["S"]) if "S" in held else bytes(held["B"]).decode("utf-8", "surrogatepass")


def number(item: Item, name: str) -> float:
    """The number under `name`, 0.0 where there is none."""
    return float(item[name]["N"]) if name in item else 0.0


def open_place(not_before: float) -> str:
    return f"open#{max(0.0, not_before):017.6f}"


def final_place(object_time: float) -> str:
    """In the order of times, up to that of a window without an end."""
    return f"final#{min(max(0.0, object_time), _LAST_TIME):017.6f}"


def row_attributes(row: Checkpoint) -> Item:
    """All but the keys; what is at its default, and a url that bucket and key already say, is left out."""
    derived = bool(row.bucket) and row.url == f"s3://{row.bucket}/{row.key}"
    return {
        name: attribute(value)
        for name, value in vars(row).items()
        if name != "oid"
        and not (name == "url" and derived)
        and (name in _COMPARED or value != _DEFAULTS[name])
    }


def checkpoint(oid: str, item: Item) -> Checkpoint:
    held: Dict[str, Any] = {"oid": oid, "url": ""}
    for name, value in item.items():
        if name in _TEXTS:
            held[name] = text(item, name)
        elif name in _TIMES:
            held[name] = float(value["N"])
        elif name in _DEFAULTS:
            held[name] = int(float(value["N"]))
    if "url" not in item:
        held["url"] = f"s3://{held['bucket']}/{held.get('key', '')}"
    return Checkpoint(**held)


def entry_attributes(entry: Quarantined) -> Item:
    """All but the keys and the body."""
    item = {
        name: attribute(getattr(entry, name))
        for name in ("kind", "reason", "detail", "url", "created", "oid")
    }
    if entry.ordinal is not None:
        item["ordinal"] = attribute(entry.ordinal)
    if entry.row is not None:
        item["row"] = attribute(json.dumps(asdict(entry.row)))
    return item


def entry(item: Item, body: bytes) -> Quarantined:
    row: Optional[Checkpoint] = Checkpoint(**json.loads(text(item, "row"))) if "row" in item else None
    return Quarantined(
        id=text(item, "sk"), kind=text(item, "kind"), reason=text(item, "reason"),
        detail=text(item, "detail"), url=text(item, "url"), created=number(item, "created"), body=body,
        oid=text(item, "oid"), ordinal=int(number(item, "ordinal")) if "ordinal" in item else None, row=row,
    )


def message_attributes(message: Message) -> Item:
    """All but the keys and the body."""
    held: Mapping[str, Any] = {
        "receipt_handle": message.receipt_handle,
        "receive_count": message.receive_count,
        "sent_at": message.sent_at,
        "group_id": message.group_id,
    }
    return {name: attribute(value) for name, value in held.items() if value is not None}


def message(item: Item, body: bytes) -> Message:
    return Message(
        message_id=text(item, "sk"), body=body.decode("utf-8", "surrogatepass"),
        receipt_handle=text(item, "receipt_handle"), receive_count=int(number(item, "receive_count")),
        sent_at=number(item, "sent_at") if "sent_at" in item else None,
        group_id=text(item, "group_id") if "group_id" in item else None,
    )


def chunked(values: Sequence[T], size: int) -> List[Sequence[T]]:
    """`values` in runs of at most `size`."""
    return [values[start : start + size] for start in range(0, len(values), size)]
