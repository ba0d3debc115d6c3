"""What the benchmarks collect: made from a seed, the same bytes each time, kept in a folder between runs.

A set is a manifest and its files. The manifest says how many events there are and what they digest to,
so that a run can be held to what should have arrived. Events are compact JSON in ASCII: a collector that
parses and prints them again, as typical ones do, sends the same bytes as one that does not.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

__all__ = ["ObjectSet", "digest_of", "ensure", "load_manifest", "ndjson_events"]

_START = 1_777_889_702
#: A piece of this size is compressed at a time.
_PIECE_EVENTS = 256

_CLOUDTRAIL = (
    '{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLEID%(user)04d:'
    'session-%(user)04d","arn":"arn:aws:sts::111111111111:assumed-role/analytics-%(user)04d/session","acco'
    'untId":"111111111111","accessKeyId":"ASIA%(hex16)s","sessionContext":{"sessionIssuer":{"type":"Role",'
    '"principalId":"AROAEXAMPLEID%(user)04d","arn":"arn:aws:iam::111111111111:role/analytics-%(user)04d","'
    'accountId":"111111111111","userName":"analytics-%(user)04d"},"attributes":{"creationDate":"2026-05-04'
    'T08:00:00Z","mfaAuthenticated":"false"}}},"eventTime":"%(second)sZ","eventSource":"s3.amazonaws.com",'
    '"eventName":"%(name)s","awsRegion":"eu-west-1","sourceIPAddress":"10.%(a)d.%(b)d.%(c)d","userAgent":"'
    '[aws-sdk-java/2.25.1 Linux/6.1 OpenJDK_64-Bit_Server_VM/17.0.11]","requestParameters":{"bucketName":"'
    'lake-%(a)03d","Host":"lake-%(a)03d.s3.eu-west-1.amazonaws.com","key":"warehouse/table-%(b)03d/part-%(n)'
    '08d.parquet"},"responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite"'
    ':"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","bytesTransferre'
    'dOut":%(size)d},"requestID":"%(hex16)s","eventID":"%(hex32)s","readOnly":true,"resources":[{"type":"A'
    'WS::S3::Object","ARN":"arn:aws:s3:::lake-%(a)03d/warehouse/part-%(n)08d.parquet"}],"eventType":"AwsAp'
    'iCall","managementEvent":false,"recipientAccountId":"111111111111","eventCategory":"Data"}'
)
_NDJSON = (
    '{"eventId":"%(hex32)s","eventTime":"%(second)s.%(milli)03dZ","eventType":"%(name)s","actor":{"id":"us'
    'er-%(user)04d","email":"user%(user)04d@example.com","ip":"10.%(a)d.%(b)d.%(c)d"},"resource":{"type":"t'
    'able","name":"warehouse.sales.table_%(b)03d","id":"%(hex16)s"},"action":"read","outcome":"ALLOWED","pol'
    'icy":{"id":%(a)d,"name":"mask personal columns"},"rows":%(size)d,"query":"SELECT id, name, amount FROM'
    ' warehouse.sales.table_%(b)03d WHERE region = \'r%(c)d\'"}'
)
_PGAUDIT = (
    "%(second)s UTC:10.%(a)d.%(b)d.%(c)d(5432):user%(user)04d@sales:[%(n)d]:LOG:  AUDIT: SESSION,%(n)d,1,READ"
    ",SELECT,TABLE,public.table_%(b)03d,\"SELECT id, name FROM table_%(b)03d WHERE id = '%(hex16)s'\",<none>"
)
_NAMES = ("GetObject", "PutObject", "HeadObject", "ListObjects", "DeleteObject")


class ObjectSet(NamedTuple):
    """`count` objects of about `raw_bytes`, in `shape`; of "pgaudit", `count` message bodies.

    `members` cuts each object into this many gzip members.
    """

    shape: str
    count: int
    raw_bytes: int = 0
    members: int = 1

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.count}x{self.raw_bytes}-{self.members}"


def digest_of(events: Iterable[bytes]) -> Tuple[int, int]:
    """How many, and a sum of their hashes: the same in any order, and not if one is changed or repeated."""
    count = total = 0
    for event in events:
        count += 1
        total += int.from_bytes(hashlib.blake2b(event, digest_size=16).digest(), "big")
    return count, total % 2**128


def ensure(folder: Path, wanted: ObjectSet) -> Path:
    """The set's own folder, made now if it is not there."""
    place = folder / wanted.name
    if (place / "manifest.json").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    manifest = _make_bodies(place, wanted) if wanted.shape == "pgaudit" else _make_objects(place, wanted)
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def load_manifest(place: Path) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads((place / "manifest.json").read_text())
    return found


def ndjson_events(count: int) -> List[bytes]:
    """Events alone, for what needs no object."""
    return [_NDJSON_EVENT(values) for values in _values("ndjson", count)]


def _values(seed: str, count: int) -> Iterator[Dict[str, Any]]:
    chance = random.Random(seed)
    for number in range(count):
        bits = chance.getrandbits(128)
        yield {
            "n": number, "hex32": f"{bits:032x}", "hex16": f"{bits >> 64:016X}", "user": bits % 500,
            "a": bits >> 8 & 127, "b": bits >> 16 & 127, "c": bits >> 24 & 127, "size": bits >> 32 & 0xFFFFF,
            "name": _NAMES[bits % 5], "milli": bits % 1000,
            "second": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(_START + number // 40)),
        }


def _CLOUDTRAIL_EVENT(values: Dict[str, Any]) -> bytes:
    return (_CLOUDTRAIL % values).encode()


def _NDJSON_EVENT(values: Dict[str, Any]) -> bytes:
    return (_NDJSON % values).encode()


def _long_event(values: Dict[str, Any]) -> bytes:
    """One event as large as its object."""
    return b'{"eventTime":"2026-05-04T10:15:02Z","text":"%s"}' % (values["hex32"].encode() * values["repeat"])


def _nested_event(values: Dict[str, Any]) -> bytes:
    """A record that holds what parts records, in its strings and in an array of its own."""
    inner = b",".join([b'{"eventVersion":"1.09","n":%d}' % n for n in range(40)])
    text = b'},{\\"eventVersion\\":\\"1.09\\"' * 10
    return b'{"eventVersion":"1.09","eventTime":"%s","id":"%s","inner":[%s],"text":"%s"}' % (
        values["second"].encode() + b"Z", values["hex32"].encode(), inner, text
    )


#: How an event is made, its usual size, and what stands before, between and after the events of an object.
_SHAPES: Dict[str, Tuple[Callable[[Dict[str, Any]], bytes], int, bytes, bytes, bytes]] = {
    "cloudtrail": (_CLOUDTRAIL_EVENT, 1392, b'{"Records":[', b",", b"]}"),
    "ndjson": (_NDJSON_EVENT, 462, b"", b"\n", b"\n"),
    "long": (_long_event, 0, b"", b"\n", b"\n"),
    "nested": (_nested_event, 1750, b'{"Records":[', b",", b"]}"),
}


def _make_objects(place: Path, wanted: ObjectSet) -> Dict[str, Any]:
    objects, count, total, raw, plain = [], 0, 0, 0, hashlib.sha256()
    for number in range(wanted.count):
        path = place / f"{number:06d}"
        with path.open("wb") as file:
            for piece, packed, found in _pieces(wanted, number):
                plain.update(piece)
                raw += len(piece)
                file.write(packed)
                count, total = count + found[0], (total + found[1]) % 2**128
        objects.append({"file": path.name, "size": path.stat().st_size, "etag": f"{number + 1:032x}"})
    return {
        "objects": objects, "bodies": 0, "events": count, "digest": total, "raw_bytes": raw,
        "plain_sha256": plain.hexdigest(), "suffix": ".json.gz",
    }


def _pieces(wanted: ObjectSet, number: int) -> Iterator[Tuple[bytes, bytes, Tuple[int, int]]]:
    """Plain bytes, the same compressed, and what the events in them come to."""
    make, size, before, between, after = _SHAPES[wanted.shape]
    count = max(1, wanted.raw_bytes // size) if size else 1
    each_member = max(1, count // wanted.members)
    packer, open_with, held = _packer(), before, 0
    events: List[bytes] = []
    for values in _values(f"{wanted.shape}-{number}", count):
        values["repeat"] = wanted.raw_bytes // 32
        events.append(make(values))
        held += 1
        over = held == each_member and wanted.members > 1
        if len(events) == _PIECE_EVENTS or over:
            piece = open_with + between.join(events)
            yield piece, packer.compress(piece) + (packer.flush() if over else b""), digest_of(events)
            open_with, events = between, []
            packer, held = (_packer(), 0) if over else (packer, held)
    piece = (open_with + between.join(events) if events else b"") + after
    yield piece, packer.compress(piece) + packer.flush(), digest_of(events)


def _packer() -> Any:
    return zlib.compressobj(6, zlib.DEFLATED, 31)


def _make_bodies(place: Path, wanted: ObjectSet) -> Dict[str, Any]:
    """CloudWatch log events, one a message, as a forwarding Lambda sends them."""
    bodies, events = [], []
    for values in _values("pgaudit", wanted.count):
        text = _PGAUDIT % {**values, "second": values["second"].replace("T", " ")}
        stamp = (_START + values["n"] // 40) * 1000 + values["milli"]
        bodies.append(json.dumps({"id": values["hex32"], "timestamp": stamp, "message": text}))
        events.append(text.encode())
    (place / "bodies").write_text("\n".join(bodies))
    count, total = digest_of(events)
    return {
        "objects": [], "bodies": len(bodies), "events": count, "digest": total,
        "raw_bytes": sum(map(len, events)), "plain_sha256": "", "suffix": "",
    }
