"""The buckets: one real object, read as run would read it, and what else a provider may grant.

Without listing there is no object to name but the one of a peeked message. Then a key that is not there is
asked for: who may read gets "no such key", or a denial of s3:ListBucket; a denial of s3:GetObject means it.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from collector.config.inputs import Input
from collector.errors import CollectorError, Poison
from collector.model import ObjectRef
from collector.onboarding.checks.asked import Bucket
from collector.onboarding.checks.codes import BUCKET_REGION, KMS_KEYS, LISTING, OBJECT, VERSIONS
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.fixes import Grant, object_text
from collector.onboarding.checks.troubles import (
    BUCKET_OWNER,
    FOREIGN_KEY,
    REGION_DENIED,
    REGION_DIFFERS,
    VERSIONS_DENIED,
)
from collector.ports import ObjectStore, OpenObject

__all__ = ["check_bucket", "is_of_bucket", "missing_key_refusal"]

_NO_KEY = "audit-s3-check/a-key-that-is-not-there"
#: How many objects are tried where the first is archived, or has gone.
_MOST_TRIED = 3
_NEXT = ("archived", "gone", "superseded")


def check_bucket(
    notes: Notes, found: Input, door: Bucket, name: str, *, named: Sequence[ObjectRef], identity: str
) -> None:
    """`named` are objects that a peeked message names; `identity` is who is refused without a role."""
    _Bucket(notes, found, door, name, door.role or identity).check(named)


def missing_key_refusal(objects: ObjectStore, bucket: str, prefix: str) -> Optional[CollectorError]:
    """What stands against reading a key that is not there, but for its absence."""
    try:
        objects.open(ObjectRef(bucket, prefix + _NO_KEY)).close()
    except Poison:
        return None
    except CollectorError as error:
        return error
    return None


def is_of_bucket(error: CollectorError) -> bool:
    """Whether that says that there is no such bucket, or that s3:GetObject is denied, in AWS's words."""
    return error.code == "bucket_missing" or _names_right(error)


class _Bucket:
    """One bucket of the input."""

    def __init__(self, notes: Notes, found: Input, door: Bucket, name: str, identity: str) -> None:
        self._notes, self._found, self._door = notes, found, door
        self._name, self._identity = name, identity
        self._prefix = found.settings.prefix
        self._region = found.settings.bucket_region or found.settings.region

    def check(self, named: Sequence[ObjectRef]) -> None:
        listed, unlisted = self._list(self._door.objects)
        if unlisted is not None and self._is_somebody_elses(unlisted):
            return
        if unlisted is not None and unlisted.code != "list_denied":
            self._notes.refused(OBJECT, unlisted, of=self._name)
            return
        if unlisted is not None and not named and self._is_no_bucket():
            return
        region = self._check_region()
        refs = listed or [ref for ref in named if ref.bucket == self._name]
        opened = self._check_object(refs, is_listed=unlisted is None)
        if opened is not None:
            self._check_version(opened.ref, region)
        self._check_listing(unlisted, len(listed))
        if opened is not None:
            self._check_key(opened.kms_key_arn)

    def _list(self, objects: ObjectStore) -> Tuple[List[ObjectRef], Optional[CollectorError]]:
        """What would be read of the first page, newest first."""
        try:
            refs = objects.list(self._name, prefix=self._prefix).refs
        except CollectorError as error:
            return [], error
        wanted = [ref for ref in refs if ref.size and not self._found.route(ref.key).drop]
        return sorted(wanted, key=lambda ref: ref.event_time or 0.0, reverse=True), None

    def _is_somebody_elses(self, error: CollectorError) -> bool:
        """Whether it is expected_bucket_owner alone that is refused: S3's words do not tell."""
        if error.code != "list_denied" or self._door.of_any_owner is self._door.objects:
            return False
        if self._list(self._door.of_any_owner)[1] is not None:
            return False
        self._somebody_elses(error)
        return True

    def _is_the_owners(self, ref: ObjectRef, error: CollectorError) -> bool:
        """The same for one object, where nobody may list."""
        if error.code != "object_denied" or self._door.of_any_owner is self._door.objects:
            return False
        try:
            self._door.of_any_owner.open(ref).close()
        except CollectorError:
            return False
        self._somebody_elses(error)
        return True

    def _somebody_elses(self, error: CollectorError) -> None:
        owner = self._found.settings.expected_bucket_owner
        answer = f"S3 refuses it for the owner {owner}, and allows it without: {error.what}"
        self._notes.found(OBJECT, BUCKET_OWNER, answer, of=self._name)

    def _is_no_bucket(self) -> bool:
        """Whether there is no such bucket, or nothing at all is granted: then that is the one finding."""
        refused = self._refusal_without_object()
        if refused is None or not is_of_bucket(refused):
            return False
        if refused.code == "bucket_missing":
            self._notes.refused(OBJECT, refused, of=self._name)
            return True
        try:
            self._door.region_of(self._name)
            return False
        except CollectorError as error:
            if error.code != "object_denied":
                return False
        first = "Compare bucket with what was handed over: AWS may deny what does not exist. "
        grant = self._grant("s3:GetObject", f"/{self._prefix}*")
        self._notes.refused(OBJECT, refused, grant=grant, first=first, of=self._name)
        return True

    def _check_region(self) -> str:
        """Where the bucket is, as far as can be known."""
        try:
            region = self._door.region_of(self._name)
        except CollectorError as error:
            trouble = REGION_DENIED if error.code == "object_denied" else None
            grant = self._grant("s3:GetBucketLocation", "")
            self._notes.refused(BUCKET_REGION, error, trouble=trouble, grant=grant, of=self._name)
            return self._region
        if self._region and region != self._region:
            answer = f"it lies in {region}, and {self._region} is set"
            fix = f"Set bucket_region = {region}"
            self._notes.found(BUCKET_REGION, REGION_DIFFERS, answer, fix=fix, of=self._name)
        else:
            self._notes.ok(BUCKET_REGION, region, of=self._name)
        return region

    def _check_object(self, refs: Sequence[ObjectRef], *, is_listed: bool) -> Optional[OpenObject]:
        """The object that was read, closed."""
        refused: Optional[CollectorError] = None
        for ref in refs[:_MOST_TRIED]:
            try:
                opened = self._read(ref)
            except CollectorError as error:
                refused = error
                if self._is_the_owners(ref, error):
                    return None
                if error.code not in _NEXT:
                    break
            else:
                self._notes.ok(OBJECT, f"read {opened.ref.url}", of=self._name)
                return opened
        if refused is None:
            self._try_without_object(is_listed=is_listed)
        else:
            self._refused_object(refused)
        return None

    def _read(self, ref: ObjectRef) -> OpenObject:
        opened = self._door.objects.open(ref)
        try:
            opened.read()
        finally:
            opened.close()
        return opened

    def _try_without_object(self, *, is_listed: bool) -> None:
        why = "there is none to read" if is_listed else "none is known without listing, nor by --peek"
        refused = self._refusal_without_object()
        if refused is None:
            why += "; s3:GetObject is granted, kms:Decrypt is untried"
            self._notes.skipped(OBJECT, why, of=self._name)
        elif refused.code == "object_denied" and not _names_right(refused):
            why += f"; a missing key is answered by: {refused.what}"
            self._notes.skipped(OBJECT, why, of=self._name)
        else:
            self._refused_object(refused)

    def _refusal_without_object(self) -> Optional[CollectorError]:
        return missing_key_refusal(self._door.objects, self._name, self._prefix)

    def _refused_object(self, error: CollectorError) -> None:
        if error.code == "kms_denied":
            named, allowed = getattr(error, "resource", ""), self._found.settings.kms_key_arn
            key = named or (allowed[0] if len(allowed) == 1 else allowed) or "the bucket's KMS key"
            grant = Grant(["kms:Decrypt"], key, self._identity)
        else:
            grant = self._grant("s3:GetObject", f"/{self._prefix}*")
        fix = object_text(
            error.code, url=error.where, key=getattr(error, "resource", ""),
            days=self._found.settings.retention_days,
        )
        self._notes.refused(OBJECT, error, grant=grant, fix=fix, of=self._name)

    def _check_version(self, ref: ObjectRef, region: str) -> None:
        if not ref.version_id or ref.version_id == "null":
            self._notes.skipped(VERSIONS, "the bucket keeps no versions: nobody needs it", of=self._name)
            return
        try:
            self._door.read_version(ref, region=region)
            self._notes.ok(VERSIONS, "read by its version", of=self._name)
        except CollectorError as error:
            trouble = VERSIONS_DENIED if error.code == "object_denied" else None
            grant = self._grant("s3:GetObjectVersion", f"/{self._prefix}*")
            self._notes.refused(VERSIONS, error, trouble=trouble, grant=grant, of=self._name)

    def _check_listing(self, error: Optional[CollectorError], count: int) -> None:
        if error is not None:
            self._notes.refused(LISTING, error, grant=self._grant("s3:ListBucket", ""), of=self._name)
        elif not self._found.settings.reconcile_interval_seconds:
            self._notes.ok(LISTING, "allowed, and not used: reconcile_interval_seconds = 0", of=self._name)
        else:
            answer = f"{count or 'no'} {'object' if count == 1 else 'objects'} to read on the first page"
            if self._found.settings.checkpoint_store == "sqlite":
                answer += "; another host of this queue would list as missing what is delivered here"
                answer += ": share the checkpoints (docs/scaling.md)"
            self._notes.ok(LISTING, answer, of=self._name)

    def _check_key(self, key: str) -> None:
        allowed = self._found.settings.kms_key_arn
        if not key:
            self._notes.ok(KMS_KEYS, "the object is not encrypted with a KMS key", of=self._name)
        elif not allowed:
            self._notes.ok(KMS_KEYS, f"{key}; kms_key_arn is not set and allows any", of=self._name)
        elif key in allowed:
            self._notes.ok(KMS_KEYS, f"{key} is allowed", of=self._name)
        else:
            fix = f"If the provider confirms it, set kms_key_arn = {', '.join((*allowed, key))}"
            self._notes.found(KMS_KEYS, FOREIGN_KEY, f"it is encrypted with {key}", fix=fix, of=self._name)

    def _grant(self, action: str, path: str) -> Grant:
        return Grant([action], f"arn:aws:s3:::{self._name}{path}", self._identity)


def _names_right(error: CollectorError) -> bool:
    """Whether it is s3:GetObject that is denied, in AWS's words; a bare denial may mean no such key."""
    return error.code == "object_denied" and "perform: s3:GetObject" in error.what
