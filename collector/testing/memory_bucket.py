"""S3 in memory: one bucket or several, with versions or without."""

from __future__ import annotations

import hashlib
import math
import threading
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from collector.errors import CollectorError, Poison
from collector.model import ObjectRef
from collector.ports import Clock, OpenObject, Page

__all__ = ["MemoryBucket"]


@dataclass(frozen=True)
class _Stored:
    body: bytes
    etag: str
    version_id: Optional[str]
    last_modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    kms_key_arn: str = ""


class MemoryBucket:
    """`ports.ObjectStore` over one or several buckets; the first name is where `put` puts.

    `refuse` makes the next opens of a key fail, `opened` lists the URLs that were opened, in order.
    """

    def __init__(
        self,
        clock: Clock,
        *names: str,
        versioned: bool = False,
        page_size: int = 1000,
        read_bytes: int = 262144,
    ) -> None:
        self.names = names or ("audit-logs",)
        self.opened: List[str] = []
        self._clock = clock
        self._versioned = versioned
        self._page_size = page_size
        self._read_bytes = read_bytes
        self._stored: Dict[Tuple[str, str], List[_Stored]] = {}
        self._refusals: Dict[Tuple[str, str], CollectorError] = {}
        self._lock = threading.Lock()

    def put(
        self,
        key: str,
        body: bytes,
        *,
        bucket: str = "",
        metadata: Optional[Mapping[str, str]] = None,
        kms_key_arn: str = "",
    ) -> ObjectRef:
        """Store an object over what the key held; returns what a notification would say of it."""
        bucket = bucket or self.names[0]
        with self._lock:
            versions = self._stored.setdefault((bucket, key), [])
            version_id = f"v{len(versions) + 1}" if self._versioned else None
            etag = hashlib.md5(body).hexdigest()
            written = float(math.floor(self._clock.now()))  # S3 tells of whole seconds
            stored = _Stored(body, etag, version_id, written, metadata or {}, kms_key_arn)
            if not self._versioned:
                versions.clear()
            versions.append(stored)
        return ObjectRef(
            bucket, key, etag=etag, version_id=version_id, size=len(body), event_time=stored.last_modified
        )

    def remove(self, key: str, *, bucket: str = "") -> None:
        """Delete every version of an object; what is open stays readable."""
        with self._lock:
            self._stored.pop((bucket or self.names[0], key), None)

    def refuse(self, key: str, error: Optional[CollectorError], *, bucket: str = "") -> None:
        """Let `open` and `current` of a key raise `error`, until it is None."""
        place = (bucket or self.names[0], key)
        with self._lock:
            if error is None:
                self._refusals.pop(place, None)
            else:
                self._refusals[place] = error

    def open(self, ref: ObjectRef) -> OpenObject:
        self._admit(ref.bucket, ref.url)
        try:
            stored = self._find(ref)
        except Poison as error:
            if error.code != "gone" or ref.raw_key is None:
                raise
            ref = replace(ref, key=ref.raw_key, raw_key=None)
            stored = self._find(ref)
        if ref.etag is not None and ref.etag != stored.etag:
            raise Poison("The key holds another object", code="superseded", where=ref.url)
        self.opened.append(ref.url)
        return _OpenMemory(_described(ref, stored), stored, read_bytes=self._read_bytes)

    def foresee(self, refs: Sequence[ObjectRef]) -> None:
        """Memory has nothing to prepare."""

    def current(self, ref: ObjectRef) -> ObjectRef:
        self._admit(ref.bucket, ref.url)
        stored = self._find(replace(ref, version_id=None))
        return replace(_described(ref, stored), sequencer=None, event_time=stored.last_modified)

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        self._admit(bucket, f"s3://{bucket}/{prefix}")
        after = token or start_after
        with self._lock:
            keys = sorted(
                key for name, key in self._stored if name == bucket and key.startswith(prefix) and key > after
            )
            refs = [self._listed(bucket, key) for key in keys[: self._page_size]]
        return Page(refs, refs[-1].key if len(keys) > self._page_size else "")

    def _listed(self, bucket: str, key: str) -> ObjectRef:
        newest = self._stored[(bucket, key)][-1]
        return ObjectRef(
            bucket, key, etag=newest.etag, size=len(newest.body), event_time=newest.last_modified
        )

    def _find(self, ref: ObjectRef) -> _Stored:
        with self._lock:
            refusal = self._refusals.get((ref.bucket, ref.key))
            versions = self._stored.get((ref.bucket, ref.key), [])
        if refusal is not None:
            raise refusal
        for stored in reversed(versions):
            if ref.version_id is None or stored.version_id == ref.version_id:
                return stored
        raise Poison("No such object", code="gone", where=ref.url, sightings=3)

    def _admit(self, bucket: str, url: str) -> None:
        if bucket not in self.names:
            raise Poison(f"{bucket} is not a bucket of this input", code="foreign_bucket", where=url)


def _described(ref: ObjectRef, stored: _Stored) -> ObjectRef:
    return replace(ref, etag=stored.etag, version_id=stored.version_id, size=len(stored.body))


class _OpenMemory:
    def __init__(self, ref: ObjectRef, stored: _Stored, *, read_bytes: int) -> None:
        self.ref = ref
        self.last_modified = stored.last_modified
        self.metadata = stored.metadata
        self.kms_key_arn = stored.kms_key_arn
        self._body = stored.body
        self._at = 0
        self._read_bytes = read_bytes

    def prepare(self) -> bool:
        return False

    def read(self) -> bytes:
        chunk = self._body[self._at : self._at + self._read_bytes]
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Memory has nothing to give back."""
