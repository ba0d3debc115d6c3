"""Recognisers of notifications that name objects: S3's own, and those of who stands between."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any, Mapping, Optional, Union
from urllib.parse import unquote_to_bytes

from collector.errors import Poison
from collector.model import Notification, ObjectRef
from collector.notifications.body import (
    LEAST_FETCHED_BYTES,
    Body,
    at,
    container,
    each,
    etag_or_none,
    glimpse,
    header_or_none,
    records_of,
    several,
    size_or_none,
    time_or_none,
    under,
    version_or_none,
)


def extended_client(body: Body) -> Optional[Notification]:
    """The SQS Extended Client's pointer to a body too large for SQS: [class name, {bucket, key}].

    What it points to is a body as any other: fetched, and read by the same recognisers.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-managing-large-messages.html
    """
    value = body.json
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
        return None
    bucket, key = at(value[1], "s3BucketName"), at(value[1], "s3Key")
    if not (isinstance(bucket, str) and isinstance(key, str)):
        return None
    ref = ObjectRef(bucket, key)
    if body.fetch is None:
        return Notification("extended_client", refs=(ref,))
    body.room.take(LEAST_FETCHED_BYTES)
    text = body.fetch(ref)
    body.room.take(len(text))
    return under("extended_client", body.inner(text))


def s3_test(body: Body) -> Optional[Notification]:
    """What S3 sends when notifications are set up: its time tells since when the way is open."""
    if not isinstance(body.json, dict) or body.json.get("Event") != "s3:TestEvent":
        return None
    bucket, sent = body.json.get("Bucket", "?"), body.json.get("Time", "?")
    return Notification("s3_test", noop=f"s3:TestEvent of bucket {bucket}, sent {sent}")


def s3(body: Body) -> Optional[Notification]:
    """S3 event records, also MinIO's and Ceph's.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    records = records_of(body.json)
    if not any(isinstance(at(record, "s3", "object", "key"), str) for record in records):
        return None
    found, problems = each(records, _s3_record)
    refs = tuple(one for one in found if isinstance(one, ObjectRef))
    noop = "" if refs else several([one for one in found if isinstance(one, str)])
    return Notification("s3", refs, noop=noop, problems=problems)


def _s3_record(record: Any) -> Union[ObjectRef, str]:
    """The object, or the name of an event that brings none."""
    if not isinstance(at(record, "s3", "object", "key"), str):
        raise Poison("an S3 event record without an object key", code="unknown_body")
    name = str(record.get("eventName", "")).replace("s3:", "", 1)
    if name == "ObjectRestore:Completed":
        return replace(_s3_ref(record), restored=True)
    if name.startswith("ObjectCreated:"):
        return _s3_ref(record)
    return name or "an event without a name"


def _s3_ref(record: Mapping[str, Any]) -> ObjectRef:
    version = str(record.get("eventVersion", "2.0"))
    if version.split(".")[0] != "2":
        raise Poison(
            f"S3 event records of version {version}", code="unknown_event_version",
            hint="only version 2 is known; look whether the fields still mean the same, and upgrade",
        )
    thing, bucket = record["s3"]["object"], at(record, "s3", "bucket", "name")
    if not isinstance(bucket, str) or not bucket or not thing["key"]:
        raise Poison("an S3 event record without bucket or key", code="unknown_body")
    key = _decoded_key(thing["key"])
    return ObjectRef(
        bucket=bucket,
        key=key,
        etag=etag_or_none(thing.get("eTag")),
        version_id=version_or_none(thing.get("versionId")),
        size=size_or_none(thing.get("size")),
        sequencer=header_or_none(thing.get("sequencer")),
        region=header_or_none(record.get("awsRegion")),
        event_time=time_or_none(record.get("eventTime")),
        raw_key=thing["key"] if thing["key"] != key else None,
    )


def _decoded_key(raw: str) -> str:
    """S3 form-encodes keys; decoded once. A key that is not UTF-8 then cannot be asked for."""
    try:
        return unquote_to_bytes(raw.replace("+", " ")).decode("utf-8")
    except UnicodeError as error:
        raise Poison(
            f"the object key {glimpse(raw)} is not UTF-8", code="key_undecodable",
            hint="the object cannot be named through S3's API from here; ask for it under another key",
        ) from error


def cloudtrail(body: Body) -> Optional[Notification]:
    """CloudTrail's own SNS message names a list of keys; AWS Config's names one. Neither encodes them."""
    value = body.json
    if not isinstance(value, dict):
        return None
    bucket, keys = value.get("s3Bucket"), value.get("s3ObjectKey")
    keys = [keys] if isinstance(keys, str) else keys
    if not isinstance(bucket, str) or not isinstance(keys, list):
        return None
    shape = "config" if "messageType" in value else "cloudtrail"
    refs, problems = each(keys, partial(_plain_ref, bucket))
    return Notification(shape, tuple(refs), noop="" if refs else "an empty list of keys", problems=problems)


def _plain_ref(bucket: str, key: Any, size: Any = None) -> ObjectRef:
    if not isinstance(key, str) or not key:
        raise Poison("an object without a key", code="unknown_body")
    return ObjectRef(bucket, key, size=size_or_none(size))


def cloudtrail_validation(body: Body) -> Optional[Notification]:
    if body.text.strip() == "CloudTrail validation message.":
        return Notification("cloudtrail", noop="CloudTrail validation message")
    return None


def config(body: Body) -> Optional[Notification]:
    """AWS Config's other messages: a pointer, the item itself, or only news of a delivery."""
    location = _oversized_location(body)
    if location is not None:
        bucket, _, key = location.partition("/")
        return Notification("config", refs=(ObjectRef(bucket, key),))
    kind = at(body.json, "messageType")
    if not isinstance(kind, str) or not kind.startswith(("Configuration", "Compliance")):
        return None
    if kind.endswith(("DeliveryStarted", "DeliveryFailed", "DeliveryCompleted")):
        return Notification("config", noop=kind)
    return Notification("config", payloads=(container(body.text),))


_BUCKET_LOCATION = re.compile(r'"s3BucketLocation"\s*:\s*"([^"\\\x00-\x1f]*)"')


def _oversized_location(body: Body) -> Optional[str]:
    """"bucket/key" of an item too large for SNS; a text in plain English may stand before the JSON."""
    if '"OversizedConfigurationItemChangeNotification"' not in body.text:
        return None
    match = _BUCKET_LOCATION.search(body.text)
    return match.group(1) if match and "/" in match.group(1)[1:-1] else None


def eventbridge(body: Body) -> Optional[Notification]:
    """Amazon EventBridge, also Security Lake, whose transformer drops `detail-type`. Keys are not encoded.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    value = body.json
    bucket, thing = at(value, "detail", "bucket", "name"), at(value, "detail", "object")
    if not isinstance(bucket, str) or not isinstance(at(thing, "key"), str) or not thing["key"]:
        return None
    kind = value.get("detail-type", "Object Created")
    if kind not in ("Object Created", "Object Restore Completed"):
        return Notification("eventbridge", noop=str(kind) or "an event without a type")
    ref = ObjectRef(
        bucket=bucket,
        key=thing["key"],
        etag=etag_or_none(thing.get("etag")),
        version_id=version_or_none(thing.get("version-id")),
        size=size_or_none(thing.get("size")),
        sequencer=header_or_none(thing.get("sequencer")),
        region=header_or_none(value.get("region")),
        event_time=time_or_none(value.get("time")),
        restored=kind != "Object Created",
    )
    return Notification("eventbridge", refs=(ref,))


_WRITES = ("PutObject", "CopyObject", "CompleteMultipartUpload", "PostObject")


def eventbridge_api_call(body: Body) -> Optional[Notification]:
    """The older way: CloudTrail's record of the PutObject call, through EventBridge."""
    value = body.json
    bucket = at(value, "detail", "requestParameters", "bucketName")
    key = at(value, "detail", "requestParameters", "key")
    if "detail-type" not in (value if isinstance(value, dict) else ()) or not isinstance(bucket, str):
        return None
    call = str(at(value, "detail", "eventName")) or "a call without a name"
    if call not in _WRITES or not isinstance(key, str) or at(value, "detail", "errorCode"):
        return Notification("eventbridge_api_call", noop=call)
    region, moment = header_or_none(value.get("region")), time_or_none(value.get("time"))
    ref = ObjectRef(bucket, key, region=region, event_time=moment)
    return Notification("eventbridge_api_call", refs=(ref,))


def file_list(body: Body) -> Optional[Notification]:
    """A replicator's list of files: {"bucket", "files": [{"path", "size", "checksum"}]}."""
    value = body.json
    bucket, files = at(value, "bucket"), at(value, "files")
    if not isinstance(bucket, str) or not isinstance(files, list):
        return None
    if files and not any(isinstance(at(entry, "path"), str) for entry in files):
        return None
    refs, problems = each(files, lambda entry: _plain_ref(bucket, at(entry, "path"), at(entry, "size")))
    noop = "" if refs else "an empty list of files"
    return Notification("file_list", tuple(refs), noop=noop, problems=problems)
