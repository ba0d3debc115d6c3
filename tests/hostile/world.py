"""The whole engine between twins, as the composition root wires it: the real parse, decode, routes and Plan.

    world = World()
    ref = world.announce("audits/a.gz", stored_bytes)
    world.run(60)
    world.bodies(), world.state(ref), world.reasons(), world.queue.depth

`S3Answers` stands in for boto3's client where S3's own errors are wanted: `World(s3=...)` reads through the
real S3Store.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from collector.aws.s3 import S3Store
from collector.config.inputs import Input
from collector.config.load import load
from collector.model import Event, ObjectRef
from collector.notifications.body import unverified
from collector.notifications.pointers import follow
from collector.ports import ObjectStore, OpenObject
from collector.runtime.plan import plan_of
from collector.testing.twins import ManualClock, MemoryBucket
from tests.unit.engine.conftest import BUCKET, Bench

__all__ = ["BUCKET", "GOLDEN", "S3Answers", "World", "event_record", "gz", "lines_of", "refusal"]

GOLDEN = Path(__file__).parents[1] / "golden" / "objects"

_CONF = """
[audit_s3://thrive]
provider = {provider}
bucket = audit-logs
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/twin
hec_url = https://splunk.example.com:8088
hec_token = 00000000-0000-0000-0000-000000000000
"""


class World(Bench):
    """One input, `settings` as in its stanza.

    `objects` makes, of the bucket `kept`, what is read through; `s3` is a client for a real S3Store instead.
    """

    def __init__(
        self,
        *,
        s3: Optional[S3Answers] = None,
        provider: str = "custom",
        settings: str = "",
        verify: Callable[[Mapping[str, Any]], None] = unverified,
        objects: Optional[Callable[[MemoryBucket], ObjectStore]] = None,
        read_bytes: int = 262144,
        **bench: Any,
    ) -> None:
        clock = bench.pop("clock", None) or ManualClock()
        self.kept = bench.pop("bucket", None)
        self.kept = self.kept or WatchedBucket(clock, BUCKET, versioned=True, read_bytes=read_bytes)
        reads: ObjectStore = objects(self.kept) if objects else self.kept
        if s3 is not None:
            reads = S3Store(s3.in_region, [BUCKET], region="eu-west-1")
        plan = plan_of(
            an_input(_CONF.format(provider=provider) + settings), once=False, verify=verify,
            fetch=follow(reads), digests=None,
        )
        super().__init__(clock=clock, bucket=reads, plan=plan, **bench)

    # -- what comes in

    def upload(self, key: str, body: bytes, **how: Any) -> ObjectRef:
        ref: ObjectRef = self.kept.put(key, body, **how)
        return ref

    def announce(self, key: str, body: bytes, **how: Any) -> ObjectRef:
        """An object, and S3's own message about it."""
        ref = self.upload(key, body, **how)
        self.tell(ref)
        return ref

    def tell(self, *refs: ObjectRef, **changes: Any) -> str:
        """One message with a record for each of these; `changes` are made to all records."""
        records = [{**event_record(ref), **changes} for ref in refs]
        return self.queue.send(json.dumps({"Records": records}))

    def send(self, body: Any) -> str:
        return self.queue.send(body if isinstance(body, str) else json.dumps(body))

    # -- what came of it

    def bodies(self) -> List[bytes]:
        bodies: List[bytes] = self.sink.bodies()
        return bodies

    def events(self) -> List[Event]:
        return [event for _, event in self.sink.delivered]

    def notes(self) -> List[str]:
        return [event.note for event in self.events()]

    def reasons(self) -> List[str]:
        return [entry.reason for entry in self.quarantined()]

    def is_over(self) -> bool:
        """No message is left, and nothing in hand."""
        return self.queue.depth == 0 and not self.ledger.in_hand()

    def outcome(self, ref: ObjectRef) -> Tuple[List[bytes], str, List[str], bool]:
        """What was delivered, the object's final state, the reasons in quarantine, and `is_over`."""
        return self.bodies(), self.state(ref), self.reasons(), self.is_over()


@functools.cache
def an_input(text: str) -> Input:
    (found,) = load(config_path="audit-s3.conf", read=lambda path: text, environ={})
    return found


def event_record(ref: ObjectRef) -> Dict[str, Any]:
    """S3's record of an object, its key form-encoded as AWS does it."""
    entity = {"key": quote_plus(ref.key, safe="/"), "size": ref.size, "eTag": ref.etag,
              "versionId": ref.version_id, "sequencer": "0055AED6DCD90281E5"}
    moment = datetime.fromtimestamp(ref.event_time or 0.0, timezone.utc)
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": ref.bucket},
            "object": {name: value for name, value in entity.items() if value is not None},
        },
    }


def gz(*lines: bytes) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


class WatchedBucket(MemoryBucket):
    """Counts the bytes that are read."""

    read_so_far = 0

    def open(self, ref: ObjectRef) -> OpenObject:
        opened: Any = super().open(ref)
        inner = opened.read

        def read() -> bytes:
            chunk: bytes = inner()
            self.read_so_far += len(chunk)
            return chunk

        opened.read = read
        return opened


def refusal(code: str, status: int, message: str = "", **headers: str) -> ClientError:
    """AWS's answer as botocore raises it; `headers` are spelt with underscores."""
    spelt = {name.replace("_", "-"): value for name, value in headers.items()}
    meta = {"HTTPStatusCode": status, "HTTPHeaders": spelt}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}, "GetObject")


class S3Answers:
    """boto3's S3 client, as far as S3Store asks it: objects in memory, and what `refuse` says instead.

    `breaks` are errors that bodies end with, one for each that is opened, after half of what is left.
    """

    def __init__(self) -> None:
        self.objects: Dict[str, Tuple[bytes, Dict[str, Any]]] = {}
        self.refusals: Dict[str, Exception] = {}
        self.breaks: List[Exception] = []
        self.requests: List[Dict[str, Any]] = []
        self.regions: List[str] = []
        self.home = "eu-west-1"

    def in_region(self, region: str) -> S3Answers:
        self.regions.append(region)
        return self

    def put(self, key: str, body: bytes, **answer: Any) -> ObjectRef:
        self.objects[key] = (body, answer)
        return ObjectRef(BUCKET, key, etag=hashlib.md5(body).hexdigest(), size=len(body),
                         event_time=1_777_889_000.0)

    def get_object(self, **request: Any) -> Dict[str, Any]:
        self.requests.append(request)
        self._refuse(request)
        body, answer = self.objects[request["Key"]]
        etag = hashlib.md5(body).hexdigest()
        if request.get("IfMatch", f'"{etag}"') != f'"{etag}"':
            raise refusal("PreconditionFailed", 412)
        start = int(request["Range"][6:-1]) if "Range" in request else 0
        broken = self.breaks.pop(0) if self.breaks else None
        span = {"ContentRange": f"bytes {start}-{len(body) - 1}/{len(body)}"} if "Range" in request else {}
        return {
            "Body": _Body(body[start:], broken), "ContentLength": len(body) - start, "ETag": f'"{etag}"',
            "LastModified": datetime.fromtimestamp(1_777_889_000, timezone.utc),
            **span, **answer,
        }

    def _refuse(self, request: Mapping[str, Any]) -> None:
        if self.regions[-1] != self.home:
            raise refusal("PermanentRedirect", 301, x_amz_bucket_region=self.home)
        error = self.refusals.get(request["Key"]) or self.refusals.get("*")
        if error is not None:
            raise error
        if request["Key"] not in self.objects:
            raise refusal("NoSuchKey", 404)


class _Body(io.BytesIO):
    def __init__(self, body: bytes, broken: Optional[Exception]) -> None:
        super().__init__(body[: len(body) // 2] if broken else body)
        self.broken = broken

    def read(self, size: Any = -1) -> bytes:
        chunk = super().read(size)
        if not chunk and self.broken is not None:
            raise self.broken
        return chunk


def lines_of(bodies: Sequence[bytes]) -> bytes:
    return b"".join(body + b"\n" for body in bodies)
