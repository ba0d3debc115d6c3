"""Every check and every code that a finding of `audit-s3 check` may carry, in the order of the report.

A finding that is ok or skipped carries its check's code, one that is a warning or a failure the code of what
is wrong (`troubles`). docs/check-codes.md is written from these tables; `audit-s3 explain CODE` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

__all__ = ["CHECKS", "OWNERS", "Check", "Trouble"]

#: Who moves: the customer, who runs the collector; the provider of the audits; who runs what lies between.
OWNERS = ("you", "provider", "network")


@dataclass(frozen=True)
class Check:
    """What is tried; `owner` is whose side it is on; `hint` says what it is good for."""

    what: str
    code: str
    owner: str
    hint: str


@dataclass(frozen=True)
class Trouble:
    """What may be wrong. `status` is "failed" or "warning"; `owner` "" is decided by what was answered."""

    what: str
    code: str
    check: str
    status: str
    owner: str
    hint: str


# fmt: off
CONFIGURATION = Check("the settings", code="configuration", owner="you",
    hint="all of them are read and judged together, as run does")
NARROWING = Check("the session policy made of the settings", code="narrowing", owner="you",
    hint="it holds the assumed role to this input's queue, buckets and keys")
CHECKPOINTS = Check("the checkpoints", code="checkpoints", owner="you",
    hint="where the collector remembers what was delivered, on this host")
CHECKPOINT_TABLE = Check("the checkpoints' table in DynamoDB", code="checkpoint_table", owner="you",
    hint="each right to it is tried, on an item that is none and under a condition that cannot hold")
STATUS_PAGE = Check("the address of the status page (http_listen)", code="status_page", owner="you",
    hint="it is listened at and let go, as long as the collector does not run")
DIGEST_KEYS = Check("CloudTrail's public keys (cloudtrail:ListPublicKeys)", code="digest_keys",
    owner="provider", hint="digests are verified with them; audits flow without")
CLOCK = Check("this host's clock against AWS's", code="clock", owner="you",
    hint="signatures hold their time: AWS allows 15 minutes, KMS 5")
CREDENTIALS = Check("who AWS says we are (sts:GetCallerIdentity)", code="credentials", owner="you",
    hint="the keys of your IAM user, or what boto3 finds by itself")
ROLE = Check("the access role (sts:AssumeRole)", code="role", owner="provider",
    hint="by external id, trust policy, session name and duration")
QUEUE = Check("the queue", code="queue", owner="you", hint="it exists, where the settings say")
QUEUE_RECEIVE = Check("a message (sqs:ReceiveMessage)", code="queue_receive", owner="provider",
    hint="tried with --peek only, as it costs one message one receive; the message goes back at once")
QUEUE_DELETE = Check("deleting (sqs:DeleteMessage, of a message that is none)", code="queue_delete",
    owner="provider", hint="AWS refuses the receipt handle, not us: the right is there")
QUEUE_VISIBILITY = Check("hiding (sqs:ChangeMessageVisibility, of a message that is none)",
    code="queue_visibility", owner="provider",
    hint="it extends the lease of long work, and gives messages back at once")
QUEUE_ATTRIBUTES = Check("how the queue is set up (sqs:GetQueueAttributes)", code="queue_attributes",
    owner="provider", hint="the checks of retention, DLQ, size, policy and readers read them")
QUEUE_RETENTION = Check("how long the queue keeps messages", code="queue_retention", owner="provider",
    hint="beyond that, only listing finds what a pause of the collector missed")
QUEUE_DLQ = Check("the queue's DLQ", code="queue_dlq", owner="provider",
    hint="after how many receives a message goes there, and how long it stays")
QUEUE_MESSAGE_SIZE = Check("the largest message the queue takes", code="queue_message_size",
    owner="provider", hint="a notification of S3 has up to 64 KiB")
QUEUE_POLICY = Check("who may send to the queue", code="queue_policy", owner="provider",
    hint="whoever may send can make the collector look at what they name")
QUEUE_READERS = Check("who else reads the queue", code="queue_readers", owner="you",
    hint="messages in flight are held by somebody")
OBJECT = Check("an object (s3:GetObject, kms:Decrypt)", code="object", owner="provider",
    hint="the newest that listing shows, else the one that a peeked message names; its beginning is read")
VERSIONS = Check("an object by its version (s3:GetObjectVersion)", code="versions", owner="provider",
    hint="in a versioned bucket an object is read as notified, even if it has been overwritten since")
BUCKET_REGION = Check("where the bucket lies (s3:GetBucketLocation)", code="bucket_region", owner="you",
    hint="what is asked of another region costs a redirect")
LISTING = Check("listing (s3:ListBucket)", code="listing", owner="provider",
    hint="it finds what the queue forgot, and samples for a dry-run")
KMS_KEYS = Check("the object's KMS key against kms_key_arn", code="kms_keys", owner="you",
    hint="kms_key_arn allows keys; unset, any key is allowed")
HEC = Check("HEC's health", code="hec", owner="network", hint="name, connection, TLS, and Splunk's queues")
HEC_TOKEN = Check("the HEC token (an empty POST)", code="hec_token", owner="you",
    hint="HEC answers that there is no data, so it knows the token; nothing is indexed")
HEC_ACK = Check("indexer acknowledgement", code="hec_acknowledgement", owner="you",
    hint="with it an event has arrived when it is indexed, without when it is accepted")
HEC_STICKY = Check("whether a load balancer leads back to the same indexer", code="hec_sticky", owner="you",
    hint="an acknowledgement is known to the indexer that took the event, and to no other")
HEC_INDEX = Check("the index", code="hec_index_allowed", owner="you",
    hint="only an event can try it: a refused one shows as hec_index in the log of run, and nothing is lost")
OUTPUT = Check("the output", code="output", owner="you", hint="stdout and splunkd take what they are given")

CHECKS: Tuple[Check, ...] = (
    CONFIGURATION, NARROWING, CHECKPOINTS, STATUS_PAGE, CLOCK, CREDENTIALS, ROLE, CHECKPOINT_TABLE, QUEUE,
    QUEUE_RECEIVE, QUEUE_DELETE, QUEUE_VISIBILITY, QUEUE_ATTRIBUTES, QUEUE_RETENTION, QUEUE_DLQ,
    QUEUE_MESSAGE_SIZE, QUEUE_POLICY, QUEUE_READERS, OBJECT, VERSIONS, BUCKET_REGION, LISTING, KMS_KEYS,
    DIGEST_KEYS, HEC, HEC_TOKEN, HEC_ACK, HEC_STICKY, HEC_INDEX, OUTPUT,
)
# fmt: on
