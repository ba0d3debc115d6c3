"""What the checks themselves find wrong, and the one table of all that may be.

What AWS and HEC answer is in `answers`.
"""

from __future__ import annotations

from typing import Mapping, Tuple

from collector.onboarding.checks.answers import ANSWERS
from collector.onboarding.checks.codes import Trouble

__all__ = ["FOUND", "TROUBLES"]

# fmt: off
CAUTION = Trouble("a setting is allowed, and should be said aloud", code="setting_caution",
    check="configuration", status="warning", owner="you", hint="change it, or know why not")
NARROWING_LONG = Trouble("the session policy is longer than STS takes, so one is sent that names less",
    code="narrowing_too_long", check="narrowing", status="warning", owner="you",
    hint="fewer buckets or keys an input, or a shorter prefix")
CHECKPOINT_DIR = Trouble("this user may not write where checkpoints are to lie", code="checkpoint_dir",
    check="checkpoints", status="warning", owner="you",
    hint="let the service's user write there, or set checkpoint_dir")
CHECKPOINT_PLACE = Trouble("checkpoints cannot lie where they are to", code="checkpoint_dir_unusable",
    check="checkpoints", status="failed", owner="you",
    hint="set checkpoint_dir to a directory on a local disk that can be written")
CHECKPOINTS_BAD = Trouble("the checkpoints cannot be read as they are", code="checkpoints_unreadable",
    check="checkpoints", status="warning", owner="you",
    hint="a damaged file is set aside by the next start, which says what to fetch")
TABLE_MISSING = Trouble("the checkpoints' table does not exist", code="checkpoint_table_missing",
    check="checkpoint_table", status="failed", owner="you",
    hint="compare checkpoint_table and checkpoint_region, or create it")
TABLE_DENIED = Trouble("the checkpoints' table may not be used", code="checkpoint_table_denied",
    check="checkpoint_table", status="failed", owner="",
    hint="allow the collector's own credentials, not the access role, every action that it needs there")
TABLE_UNUSABLE = Trouble("the checkpoints' table cannot be used", code="checkpoint_table_unusable",
    check="checkpoint_table", status="failed", owner="",
    hint="ask again if it was busy; a table that was not made for audit-s3, or by a newer one, is no use")
DIGEST_KEYS_DENIED = Trouble("CloudTrail's digests cannot be checked for their signature",
    code="digest_keys_denied", check="digest_keys", status="warning", owner="",
    hint="allow cloudtrail:ListPublicKeys to the access role or to your own keys; audits flow without it")
CLOCK_DRIFT = Trouble("the clock differs from AWS's, not yet too much", code="clock_drift", check="clock",
    status="warning", owner="you", hint="synchronise it (chrony, timesyncd) before signatures are refused")
RECEIVE_DENIED = Trouble("messages may not be received", code="queue_receive_denied", check="queue_receive",
    status="failed", owner="", hint="the access role needs sqs:ReceiveMessage on the queue")
DELETE_DENIED = Trouble("messages may not be deleted, so each comes again until the queue gives it up",
    code="queue_delete_denied", check="queue_delete", status="failed", owner="",
    hint="the access role needs sqs:DeleteMessage on the queue")
VISIBILITY_DENIED = Trouble("leases cannot be extended, and messages come back only when theirs lapse",
    code="queue_visibility_denied", check="queue_visibility", status="warning", owner="",
    hint="ask for sqs:ChangeMessageVisibility; without it raise visibility_timeout_seconds")
ATTRIBUTES_DENIED = Trouble("how the queue is set up cannot be seen: retention, DLQ, size, policy, readers",
    code="queue_attributes_denied", check="queue_attributes", status="warning", owner="",
    hint="ask for sqs:GetQueueAttributes on the queue, or ask the provider about these")
RETENTION_SHORT = Trouble("the queue forgets messages sooner than AWS's default of 4 days",
    code="queue_retention_short", check="queue_retention", status="warning", owner="provider",
    hint="raise MessageRetentionPeriod: a pause longer than that is made up by listing alone")
REDRIVE_LOW = Trouble("the queue gives a message up after very few receives", code="queue_redrive_low",
    check="queue_dlq", status="warning", owner="provider",
    hint="raise maxReceiveCount to 5 at least: a restart or a retry costs a receive each")
DLQ_RETENTION = Trouble("the DLQ keeps messages no longer than the queue, counted from the same moment",
    code="dlq_retention_short", check="queue_dlq", status="warning", owner="provider",
    hint="raise the DLQ's MessageRetentionPeriod to 14 days")
MESSAGE_SIZE_SMALL = Trouble("the queue refuses messages that S3 may send: those notifications are lost",
    code="queue_message_size_small", check="queue_message_size", status="failed", owner="provider",
    hint="raise MaximumMessageSize to 65536 at least")
QUEUE_OPEN = Trouble("the queue's policy lets anybody send to it", code="queue_open", check="queue_policy",
    status="warning", owner="provider", hint="allow the bucket or the topic alone, by aws:SourceArn")
OTHER_READER = Trouble("messages are in flight while nobody here should hold any", code="queue_other_reader",
    check="queue_readers", status="warning", owner="you",
    hint="if the collector runs, it is that; another host of yours has to share its checkpoints "
    "(docs/scaling.md); else somebody else takes messages, as an input of Splunk's add-on does: stop it, or "
    "have a queue of your own, for one queue has one reader")
BUCKET_OWNER = Trouble("the bucket belongs to another account than expected_bucket_owner",
    code="bucket_owner", check="object", status="failed", owner="you",
    hint="ask the provider whose bucket it is, and set expected_bucket_owner to that")
VERSIONS_DENIED = Trouble("an object that was overwritten before it was read cannot be read as it was",
    code="versions_denied", check="versions", status="warning", owner="",
    hint="ask for s3:GetObjectVersion on the bucket's objects")
REGION_DENIED = Trouble("the bucket's region cannot be asked for: it is learnt from redirects",
    code="bucket_region_denied", check="bucket_region", status="warning", owner="",
    hint="ask for s3:GetBucketLocation, or set bucket_region to what the provider says")
REGION_DIFFERS = Trouble("the bucket lies in another region than bucket_region says",
    code="bucket_region_differs", check="bucket_region", status="warning", owner="you",
    hint="set bucket_region to what S3 says")
FOREIGN_KEY = Trouble("the object is encrypted with a key that kms_key_arn does not allow",
    code="foreign_kms_key", check="kms_keys", status="failed", owner="you",
    hint="if the provider confirms the key, add it to kms_key_arn")
NOT_STICKY = Trouble("several indexers share the URL, and nothing leads an acknowledgement's question back",
    code="hec_not_sticky", check="hec_sticky", status="warning", owner="you",
    hint="turn on the load balancer's cookies, or list each indexer in hec_url")

FOUND: Tuple[Trouble, ...] = (
    CAUTION, NARROWING_LONG, CHECKPOINT_DIR, CHECKPOINT_PLACE, CHECKPOINTS_BAD, TABLE_MISSING,
    TABLE_DENIED, TABLE_UNUSABLE, DIGEST_KEYS_DENIED, CLOCK_DRIFT, RECEIVE_DENIED, DELETE_DENIED,
    VISIBILITY_DENIED, ATTRIBUTES_DENIED, RETENTION_SHORT, REDRIVE_LOW, DLQ_RETENTION, MESSAGE_SIZE_SMALL,
    QUEUE_OPEN, OTHER_READER, BUCKET_OWNER, VERSIONS_DENIED, REGION_DENIED, REGION_DIFFERS, FOREIGN_KEY,
    NOT_STICKY,
)
# fmt: on

#: By code.
TROUBLES: Mapping[str, Trouble] = {trouble.code: trouble for trouble in (*FOUND, *ANSWERS)}
