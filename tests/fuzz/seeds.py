"""What mutation begins with: the golden bodies and objects, and a few texts of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, Iterator, List

from collector.config.settings import SETTINGS

__all__ = ["FOUND", "seeds_of"]

ROOT = Path(__file__).parents[1]
FOUND = Path(__file__).parent / "found"
_MOST_BYTES = 16_384
_OBJECTS = ROOT / "golden" / "objects"


def seeds_of(name: str) -> Iterator[bytes]:
    """The seeds of one target, then what was found with it."""
    yield from _SEEDS[name]()
    yield from (path.read_bytes() for path in sorted(FOUND.glob(f"{name}/*")))


def _bodies() -> List[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "golden" / "notifications").glob("*/body.txt"))]


def _envelopes_of_sns() -> List[bytes]:
    return [body for body in _bodies() if b"SigningCert" in body]


def _objects() -> List[bytes]:
    paths = [path for path in sorted(_OBJECTS.glob("*/object")) if path.stat().st_size < _MOST_BYTES]
    return [path.read_bytes() for path in paths]


def _begin(magic: bytes) -> Callable[[], List[bytes]]:
    return lambda: [found for found in _objects() if found.startswith(magic)] or [magic]


def _tars() -> List[bytes]:
    return [found for found in _objects() if found[257:262] == b"ustar"]


def _chosen() -> List[bytes]:
    """Each small object as each decoder."""
    small = [found for found in _objects() if len(found) < 600]
    return [bytes([number]) + found for number, found in enumerate(small)]


def _configurations() -> List[bytes]:
    paths = [*(ROOT.parent / "packaging").rglob("*.conf"), *(ROOT.parent / "default").glob("*.conf")]
    return [path.read_bytes() for path in sorted(paths)] + [
        b"[audit_s3]\nhec_url = https://h:8088\n[audit_s3://a]\nbucket = b\nhec_token = c4n4ry\n"
        b"queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q\n",
        b'{"bucket": "audits", "region": "eu-west-1", "queue": "q"}',
        b"[a\nb = c \\\n d\n[audit_s3://x]\nroutes = * drop\nprocesses = 9\n",
    ]


def _values() -> List[bytes]:
    texts = [
        b"arn:aws:iam::111111111111:role/a", b"https://h:8088", b"yes", b"12", b"1h", b"retention", b"a, b",
        b"2024-05-04T10:15:02Z", b"127.0.0.1:9090", b"env:X", b"*/a/* drop", b"http://[::1]:1",
    ]
    return [bytes([number % 256]) + text for number in range(len(SETTINGS)) for text in texts]


def _rules() -> List[bytes]:
    return [b"*/CloudTrail/* sourcetype=aws:cloudtrail index=aws; *-Digest/* drop", b"*a*a*a*a*a*b drop",
            b"[!a]?* decoder=json index=default"]


def _digests() -> List[bytes]:
    listed = {"s3Bucket": "b", "s3Object": "k", "hashAlgorithm": "SHA-256", "hashValue": "0f"}
    digest = {
        "digestStartTime": "2024-05-04T10:15:02Z", "digestEndTime": "2024-05-04T11:15:02Z",
        "awsAccountId": "1", "digestS3Bucket": "b", "digestS3Object": "k",
        "digestPublicKeyFingerprint": "f", "previousDigestS3Bucket": "b", "previousDigestS3Object": "p",
        "previousDigestHashAlgorithm": "SHA-256",
        "previousDigestHashValue": "0f", "previousDigestSignature": "0f", "logFiles": [listed],
    }
    return [json.dumps(digest).encode()]


def _metadata() -> List[bytes]:
    zeros = b"A" * 38 + b"=="
    v3 = [b"x-amz-3: AAAA", b"x-amz-c: 115", b"x-amz-w: 12", b'x-amz-t: {"aws:x-amz-cek-alg": "115"}',
          b"x-amz-d: " + zeros, b"x-amz-i: " + zeros]
    v2 = [b"x-amz-key-v2: AAAA", b"x-amz-wrap-alg: kms+context", b"x-amz-cek-alg: AES/GCM/NoPadding",
          b"x-amz-tag-len: 128", b"x-amz-iv: AAAAAAAAAAAAAAAA",
          b'x-amz-matdesc: {"aws:x-amz-cek-alg": "AES/GCM/NoPadding"}']
    v1 = [b"x-amz-key: AAAA", b"x-amz-iv: " + b"A" * 22 + b"==", b"x-amz-matdesc: {}", b"x-amz-wrap-alg: kms"]
    return [b"\n".join(lines) for lines in (v3, v2, v1)]


def _replies() -> List[bytes]:
    bodies = [b'{"text":"Success","code":0,"ackId":7}', b'{"text":"Invalid data format","code":6,'
              b'"invalid-event-number":1}', b'{"acks":{"0":true}}', b"<html>502</html>", b"12"]
    return [bytes([number]) + body for number in (50, 100, 125) for body in bodies]


def _heads() -> List[bytes]:
    return [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"x\"\r\n\r\nabc", b"HTTP/1.1 404\r\n\r\n"]


def _reports() -> List[bytes]:
    entry = {"kind": "head", "input": "a", "number": 1, "hash": "0f", "previous": ""}
    return [json.dumps({"format": "audit-s3 coverage 1", "entries": [entry, entry]}).encode()]


def _definitions() -> List[bytes]:
    about = (
        b"<server_host>h</server_host><server_uri>https://127.0.0.1:8089</server_uri>"
        b"<session_key>k</session_key><checkpoint_dir>/c</checkpoint_dir>"
    )
    return [
        b'<input>%b<configuration><stanza name="audit_s3://a"><param name="bucket">b</param>'
        b'<param_list name="x"><value>1</value></param_list></stanza></configuration></input>' % about,
        b'<items>%b<item name="a"><param name="bucket">b</param></item></items>' % about,
        b'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY e "e">]><input/>',
    ]


_SEEDS: Dict[str, Callable[[], List[bytes]]] = {
    "notifications": _bodies, "sns": _envelopes_of_sns,
    "objects": _objects, "small_events": _objects, "containers": _chosen,
    "gzip": _begin(b"\x1f\x8b"), "bzip2": _begin(b"BZh"), "xz": _begin(b"\xfd7zXZ"),
    "zstd": _begin(b"\x28\xb5\x2f\xfd"), "zips": _begin(b"PK"), "avro": _begin(b"Obj\x01"),
    "parquet": _begin(b"PAR1"), "tar": _tars,
    "pgaudit_lines": lambda: [line for line in b"\n".join(_objects()).split(b"\n") if b"AUDIT:" in line],
    "digests": _digests, "envelopes": _metadata, "hec_answers": _replies, "http_heads": _heads,
    "configurations": _configurations, "values": _values, "routes": _rules, "reports": _reports,
    "splunkd_input": _definitions,
}
