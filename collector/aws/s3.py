"""The buckets an input may read: GetObject as stored bytes, ListObjectsV2, and nothing outside the list.

    store = S3Store(lambda region: session.client("s3", region=region), ["audit-logs"], region="eu-west-1")
    opened = store.open(ref)

A message is not trusted: a bucket that is not on the list is refused without a call. What the network
does to a body is mended here, by asking again from the byte where it stopped, under the same etag; what
S3 says for good becomes one of the three fates in `errors`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Set

from collector.aws.client_side import ClientSide
from collector.aws.client_side_envelope import is_marked
from collector.aws.errors import Call, translated
from collector.aws.signed_get import SignedGet
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.model import ObjectRef
from collector.ports import OpenObject, Page

__all__ = ["S3Store"]

#: How much one read asks for. The engine counts progress by reads.
READ_BYTES = 256 * 1024
#: How often a body is asked for again without one new byte in between.
RESUMES = 5
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}")


class S3Store:
    """`ports.ObjectStore` on boto3 S3 clients, one per region, from `client_for_region`.

    `buckets` is the allow-list. `region` is where they are thought to be; S3 corrects it, once per bucket.
    With `expected_bucket_owner` (an account id) S3 itself refuses a bucket that changed hands. `role` is
    the ARN that the clients act as, for hints. With `signed_get`, which watches those clients, boto3 is asked
    only where that has no answer. `client_side` decrypts what its writer encrypted; without it such objects
    are Fatal "client_side_encrypted" (scope object).
    """

    def __init__(
        self,
        client_for_region: Callable[[str], Any],
        buckets: Sequence[str],
        *,
        region: str = "",
        expected_bucket_owner: str = "",
        role: str = "",
        page_size: int = 1000,
        client_side: Optional[ClientSide] = None,
        signed_get: Optional[SignedGet] = None,
    ) -> None:
        self._client_for_region = client_for_region
        self._signed_get = signed_get
        self._buckets = tuple(buckets)
        self._region = region
        self._owner = {"ExpectedBucketOwner": expected_bucket_owner} if expected_bucket_owner else {}
        self._role = role
        self._page_size = page_size
        self._client_side = client_side
        self._regions: Dict[str, str] = {}
        self._without_versions: Set[str] = set()

    def open(self, ref: ObjectRef) -> OpenObject:
        self._admit(ref.bucket, ref.url)
        try:
            return self._open(ref)
        except Poison as error:
            if error.code != "gone" or ref.raw_key is None or ref.raw_key == ref.key:
                raise
            return self._open(replace(ref, key=ref.raw_key, raw_key=None))

    def foresee(self, refs: Sequence[ObjectRef]) -> None:
        if self._signed_get is not None:
            ours = (ref for ref in refs if ref.bucket in self._buckets)
            self._signed_get.foresee((ref.bucket, ref.key, ref.etag, self._version_of(ref)) for ref in ours)

    def current(self, ref: ObjectRef) -> ObjectRef:
        self._admit(ref.bucket, ref.url)
        answer = self._ask("head_object", self._object_call(ref), Bucket=ref.bucket, Key=ref.key)
        return replace(
            _answered(ref, answer),
            version_id=answer.get("VersionId"),
            sequencer=None,
            event_time=answer["LastModified"].timestamp(),
        )

    def list(self, bucket: str, *, prefix: str = "", start_after: str = "", token: str = "") -> Page:
        self._admit(bucket, f"s3://{bucket}/{prefix}")
        request: Dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": self._page_size}
        if token:
            request["ContinuationToken"] = token
        elif start_after:
            request["StartAfter"] = start_after
        answer = self._ask("list_objects_v2", self._list_call(bucket, prefix), **request)
        refs = [_listed(bucket, item) for item in answer.get("Contents", ())]
        return Page(refs, answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else "")

    def _open(self, ref: ObjectRef) -> OpenObject:
        stored = self._open_stored(ref)
        if not is_marked(stored.metadata):
            return stored
        if self._client_side is None:
            stored.close()
            what = "The object was encrypted by its writer, and nothing here decrypts it"
            raise Fatal(what, code="client_side_encrypted", where=ref.url, scope="object")
        return self._client_side.open(stored, again=self._open_stored)

    def _open_stored(self, ref: ObjectRef) -> OpenObject:
        answer = self._get(ref)
        opened = _OpenS3Object(self, _answered(ref, answer), answer)
        try:
            _refuse_short(opened.ref, ref)
        except CollectorError:
            opened.close()
            raise
        return opened

    def _get(self, ref: ObjectRef) -> Dict[str, Any]:
        if self._signed_get is None:
            return self._get_by_boto3(ref)
        version_id = self._version_of(ref)
        answer = self._signed_get.get(ref.bucket, ref.key, etag=ref.etag, version_id=version_id)
        if answer is None:
            answer = self._get_by_boto3(ref)
            self._signed_get.learn(ref.bucket, ref.key)
        return answer

    def _version_of(self, ref: ObjectRef) -> str:
        """The version to ask for, "" where there is none or none may be named."""
        return "" if ref.bucket in self._without_versions else ref.version_id or ""

    def _get_by_boto3(self, ref: ObjectRef) -> Dict[str, Any]:
        """GetObject by version and etag; by etag alone where GetObjectVersion is not granted."""
        request: Dict[str, Any] = {"Bucket": ref.bucket, "Key": ref.key}
        if ref.etag is not None:
            request["IfMatch"] = f'"{ref.etag}"'
        call = self._object_call(ref)
        if ref.version_id is None or ref.bucket in self._without_versions:
            return self._ask("get_object", call, **request)
        try:
            return self._ask("get_object", call, **request, VersionId=ref.version_id)
        except Fatal as denied:
            if denied.code != "object_denied":
                raise
            try:
                answer = self._ask("get_object", call, **request)
            except CollectorError:
                raise denied from None
            self._without_versions.add(ref.bucket)
            return answer

    def get_from(self, ref: ObjectRef, start: int) -> Any:
        """The rest of the same object from byte `start`, as a body. For an object that is open."""
        request = {"Bucket": ref.bucket, "Key": ref.key, "IfMatch": f'"{ref.etag}"'}
        if ref.version_id is not None and ref.bucket not in self._without_versions:
            request["VersionId"] = ref.version_id
        answer = self._ask("get_object", self._object_call(ref), **request, Range=f"bytes={start}-")
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise Retry("S3 did not answer with the range asked for", code="truncated", where=ref.url)
        return answer["Body"]

    def _ask(self, operation: str, call: Call, **request: Any) -> Dict[str, Any]:
        """One call, in the bucket's region; where S3 names another region, once more in that."""
        bucket = request["Bucket"]
        region = self._regions.get(bucket, self._region)
        try:
            return self._once(operation, call, region, request)
        except Fatal as error:
            told = _told_region(error)
            if error.code != "wrong_region" or told in ("", region):
                raise
            self._regions[bucket] = told
            return self._once(operation, call, told, request)

    def _once(self, operation: str, call: Call, region: str, request: Dict[str, Any]) -> Dict[str, Any]:
        client = self._client_for_region(region)
        with translated(call):
            answer: Dict[str, Any] = getattr(client, operation)(**request, **self._owner)
            return answer

    def _admit(self, bucket: str, url: str) -> None:
        if bucket not in self._buckets:
            hint = "No call was made. If the provider moved, add the bucket to the bucket setting"
            raise Poison(
                f"{bucket} is not a bucket of this input", code="foreign_bucket", where=url, hint=hint
            )

    def _object_call(self, ref: ObjectRef) -> Call:
        return Call("s3:GetObject", ref.url, f"arn:aws:s3:::{ref.bucket}/*", scope="object", role=self._role)

    def _list_call(self, bucket: str, prefix: str) -> Call:
        where = f"s3://{bucket}/{prefix}"
        return Call("s3:ListBucket", where, f"arn:aws:s3:::{bucket}", scope="object", role=self._role)


class _OpenS3Object:
    """`ports.OpenObject` on a botocore body, which is read undecoded whatever its Content-Encoding.

    `ref.size` is what must come. It is None only behind a proxy that answers in chunks, for a ref that
    nobody gave a size; then the last chunk is the end, and urllib3 raises if that is missing.
    """

    def __init__(self, store: S3Store, ref: ObjectRef, answer: Dict[str, Any]) -> None:
        self.ref = ref
        self.last_modified: float = answer["LastModified"].timestamp()
        self.metadata: Mapping[str, str] = {
            name.lower(): value for name, value in answer.get("Metadata", {}).items()
        }
        self.kms_key_arn = str(answer.get("SSEKMSKeyId", ""))
        self._store = store
        self._call = store._object_call(ref)
        self._body = answer["Body"]
        self._length = ref.size
        self._taken = 0

    def prepare(self) -> bool:
        return False

    def read(self) -> bytes:
        failure: Optional[CollectorError] = None
        for _ in range(RESUMES + 1):
            if failure is not None:
                self._resume(failure)
            try:
                chunk = self._read_once()
            except Retry as error:
                failure = error
                if self._taken == self._length and error.code != "checksum_mismatch":
                    return b""  # the connection broke after the last byte: there is nothing to ask for
                continue
            self._taken += len(chunk)
            return chunk
        assert failure is not None
        raise failure

    def close(self) -> None:
        self._body.close()

    def _read_once(self) -> bytes:
        """The next chunk. The end counts only when every byte has come, whole by S3's own checksum."""
        with translated(self._call):
            chunk = bytes(self._body.read(READ_BYTES))
        if not chunk and self._length is not None and self._taken < self._length:
            what = f"The body ended after {self._taken} of {self._length} bytes"
            raise Retry(what, code="truncated", where=self.ref.url)
        return chunk

    def _resume(self, failure: CollectorError) -> None:
        """Ask for the rest. Not after a wrong checksum: then what has been read is in doubt too."""
        if failure.code == "checksum_mismatch" or self.ref.etag is None:
            raise failure
        self._body.close()
        self._body = self._store.get_from(self.ref, self._taken)


def _answered(ref: ObjectRef, answer: Dict[str, Any]) -> ObjectRef:
    """What S3 answered with. Behind a proxy that answers in chunks, an etag has the size it had."""
    etag = str(answer.get("ETag", "")).strip('"') or None
    size: Optional[int] = ref.size if ref.etag is not None and etag == ref.etag else None
    size = int(answer["ContentLength"]) if "ContentLength" in answer else size
    version_id = answer.get("VersionId")
    if (etag, version_id, size) == (ref.etag, ref.version_id, ref.size):
        return ref
    return replace(ref, etag=etag, version_id=version_id, size=size)


def _refuse_short(answered: ObjectRef, asked: ObjectRef) -> None:
    """A proxy may cut a body and correct its length; the same etag with fewer bytes gives it away."""
    same = asked.etag is not None and asked.etag == answered.etag
    if same and asked.size is not None and answered.size is not None and answered.size < asked.size:
        what = f"S3 offers {answered.size} bytes of an object of {asked.size}"
        hint = "Something between S3 and here (a proxy) cuts bodies"
        raise Retry(what, code="truncated", where=asked.url, hint=hint)


def _listed(bucket: str, item: Dict[str, Any]) -> ObjectRef:
    return ObjectRef(
        bucket=bucket,
        key=item["Key"],
        etag=str(item["ETag"]).strip('"'),
        size=int(item["Size"]),
        event_time=item["LastModified"].timestamp(),
    )


def _told_region(error: CollectorError) -> str:
    """The region in S3's own answer; only one that could be a region becomes part of a host name."""
    response = getattr(error.__cause__, "response", {})
    told = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    return told if _REGION.fullmatch(told) else ""
