"""A trail that writes log files and signs digests as CloudTrail does: one RSA key, one chain.

The text that is signed is made here anew, from AWS's page on custom validation, and not by our code.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = ["FakeCloudTrail", "Listing", "LogFile", "Signed", "Trail", "new_key"]

ACCOUNT = "111111111111"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class LogFile:
    """A log file: where it lies, what S3 stores, and what is inside."""

    key: str
    body: bytes
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Signed:
    """A digest file: where it lies, what S3 stores beside its metadata, and what is inside."""

    key: str
    body: bytes
    metadata: Mapping[str, str]
    document: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.document).hexdigest()


class Trail:
    """Digests come in the order in which `digest` is called, each an hour after the one before."""

    def __init__(
        self, bucket: str, *, region: str = "eu-west-1", key: Optional[rsa.RSAPrivateKey] = None
    ) -> None:
        self.bucket, self.region = bucket, region
        self.signing = key or new_key()
        self.previous: Optional[Signed] = None
        self._end = datetime(2026, 5, 4, 10, 1, 31, tzinfo=timezone.utc)
        self._logs = 0

    @property
    def der(self) -> bytes:
        """The public key as ListPublicKeys gives it: bare PKCS #1."""
        form = serialization.PublicFormat.PKCS1
        return self.signing.public_key().public_bytes(serialization.Encoding.DER, form)

    @property
    def fingerprint(self) -> str:
        return hashlib.md5(self.der, usedforsecurity=False).hexdigest()

    def log(self, count: int = 2) -> LogFile:
        """A log file of `count` records."""
        self._logs += 1
        name = f"{ACCOUNT}_CloudTrail_{self.region}_20260504T1000Z_{self._logs:016d}.json.gz"
        records = [
            {"eventVersion": "1.11", "eventTime": "2026-05-04T10:00:02Z", "eventID": f"{self._logs}-{index}"}
            for index in range(count)
        ]
        content = json.dumps({"Records": records}, separators=(",", ":")).encode()
        key = f"AWSLogs/{ACCOUNT}/CloudTrail/{self.region}/2026/05/04/{name}"
        return LogFile(key, gzip.compress(content, mtime=0), content)

    def digest(self, logs: Sequence[LogFile] = (), *, backfill: bool = False, **fields: Any) -> Signed:
        """The next digest; `fields` replace what would stand in it, before it is signed."""
        start, self._end = self._end, self._end + timedelta(hours=1)
        stamp = self._end.strftime("%Y%m%dT%H%M%SZ") + ("_backfill" if backfill else "")
        name = f"{ACCOUNT}_CloudTrail-Digest_{self.region}_audit-trail_{self.region}_{stamp}.json.gz"
        key = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{self.region}/2026/05/04/{name}"
        document = {**self._document(key, logs, start), **fields}
        content = json.dumps(document, separators=(",", ":")).encode()
        signature = self.signature(document, content)
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        if backfill:
            metadata["backfill-generation-timestamp"] = _text(self._end)
        self.previous = Signed(key, gzip.compress(content, mtime=0), metadata, content)
        return self.previous

    def signature(self, document: Mapping[str, Any], content: bytes) -> str:
        """Hex, over four lines: end time, path, hash of the digest, signature of the one before or "null"."""
        lines = [
            document["digestEndTime"],
            f"{document['digestS3Bucket']}/{document['digestS3Object']}",
            hashlib.sha256(content).hexdigest(),
            document["previousDigestSignature"] or "null",
        ]
        return self.signing.sign("\n".join(lines).encode(), padding.PKCS1v15(), hashes.SHA256()).hex()

    def _document(self, key: str, logs: Sequence[LogFile], start: datetime) -> Dict[str, Any]:
        before = self.previous
        times = ("2026-05-04T10:00:02Z",) * 2 if logs else (None, None)
        return {
            "awsAccountId": ACCOUNT,
            "digestStartTime": _text(start),
            "digestEndTime": _text(self._end),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": self.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": times[0],
            "oldestEventTime": times[1],
            "previousDigestS3Bucket": self.bucket if before else None,
            "previousDigestS3Object": before.key if before else None,
            "previousDigestHashValue": before.sha256 if before else None,
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before.metadata["signature"] if before else None,
            "logFiles": [
                {
                    "s3Bucket": self.bucket, "s3Object": log.key, "hashValue": log.sha256,
                    "hashAlgorithm": "SHA-256", "newestEventTime": times[0], "oldestEventTime": times[1],
                }
                for log in logs
            ],
        }


@dataclass
class Listing:
    """A boto3 client "cloudtrail" as far as ListPublicKeys goes; `asked` has the times it was asked for."""

    ders: Sequence[bytes] = ()
    error: Optional[Exception] = None

    def __post_init__(self) -> None:
        self.asked: List[Tuple[datetime, datetime]] = []

    def get_paginator(self, operation: str) -> Listing:
        assert operation == "list_public_keys"
        return self

    def paginate(self, *, StartTime: datetime, EndTime: datetime) -> Any:
        self.asked.append((StartTime, EndTime))
        if self.error is not None:
            raise self.error
        for der in self.ders:  # a key a page
            yield {"PublicKeyList": [{"Value": der, "Fingerprint": "not what we go by"}]}


class FakeCloudTrail:
    """Answers ListPublicKeys on loopback for the regions of `ders`; refused for all others."""

    def __init__(self, ders: Mapping[str, bytes]) -> None:
        self.asked: List[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                region = self.headers["Authorization"].split("/")[2]
                assert self.headers["X-Amz-Target"].endswith(".ListPublicKeys")
                fake.asked.append(region)
                known = ders.get(region)
                listed = [{"Value": base64.b64encode(known).decode()}] if known else []
                refused = {"__type": "AccessDeniedException", "message": "not authorized"}
                answer = json.dumps({"PublicKeyList": listed} if known else refused).encode()
                self.send_response(200 if known else 400)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """stderr belongs to the tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeCloudTrail:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
