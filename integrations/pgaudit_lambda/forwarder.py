"""Forwards PostgreSQL's log from CloudWatch Logs to SQS: one message for each log event.

An AWS Lambda function, whole in this file: handler `forwarder.handler`, any Python runtime, nothing to
bundle. CloudWatch Logs calls it for a subscription filter on an RDS or Aurora log group:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html

A message's body is the log event with its log's name beside it, as JSON:

    {"id": "3195...", "timestamp": 1795236935412, "message": "2026-11-21 04:55:35 UTC:10.0.0.9(4...",
     "logGroup": "/aws/rds/instance/orders/postgresql", "logStream": "orders.0", "owner": "1111..."}

Only audit records (`AUDIT: ...`) of ignored users and databases stay behind, and only where the line's own
prefix says beyond doubt whose they are. Nothing that a statement says can hide it: no text is searched for.

What SQS does not take is sent again alone; what it still does not take fails the invocation. CloudWatch Logs
then calls again with the same events under the same ids, by which the collector knows what it has.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import os
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["Ignored", "Line", "Queue", "forward", "handler", "line_of"]

log = logging.getLogger("forwarder")
log.setLevel(logging.INFO)

#: What one request may hold (SQS API reference, SendMessageBatch).
BATCH_ENTRIES = 10
BATCH_BYTES = 1024 * 1024
#: A message's limit where the queue does not say its own: that of queues made before August 2025.
MESSAGE_BYTES = 256 * 1024
#: How often an entry is sent before the invocation fails.
ATTEMPTS = 3


@dataclass(frozen=True)
class Queue:
    """Where messages go: a boto3 SQS client, the queue's URL, and the largest body it takes."""

    client: Any
    url: str
    message_bytes: int = MESSAGE_BYTES

    @property
    def fifo(self) -> bool:
        return self.url.endswith(".fifo")


@dataclass(frozen=True)
class Ignored:
    """Names whose audit records are not wanted, compared whole and with their case."""

    users: FrozenSet[str] = frozenset()
    databases: FrozenSet[str] = frozenset()

    def leaves_out(self, message: str) -> bool:
        line = line_of(message)
        if line is None or not line.is_audit or not line.is_certain:
            return False
        return line.user in self.users or line.database in self.databases


class Line(NamedTuple):
    """What the prefix of a log line says: `%t:%r:%u@%d:[%p]:` and the severity.

    `is_certain` says that it can be read in one way only: a user may be named `a@b:[1]:LOG`.
    """

    user: str
    database: str
    severity: str
    is_audit: bool
    is_certain: bool


def handler(event: Mapping[str, Any], context: Any) -> Dict[str, int]:
    """What Lambda calls: {"awslogs": {"data": base64 of gzip of the subscription's JSON}}."""
    subscription = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    if subscription.get("messageType") != "DATA_MESSAGE":
        log.info("Nothing to forward. messageType=%s", subscription.get("messageType"))
        return {"sent": 0, "ignored": 0}
    return forward(subscription, queue=_queue(), ignored=_ignored())


def forward(subscription: Mapping[str, Any], *, queue: Queue, ignored: Ignored) -> Dict[str, int]:
    """Send every log event of one DATA_MESSAGE; raises RuntimeError if one was not taken in the end."""
    events = subscription["logEvents"]
    kept = [event for event in events if not ignored.leaves_out(_message_of(event))]
    entries = [_entry(event, subscription, queue=queue) for event in kept]
    refused = [entry for batch in _batches(entries) for entry in _send(queue, batch)]
    counts = {"sent": len(entries) - len(refused), "ignored": len(events) - len(kept)}
    log.info("Forwarded. sent=%(sent)d ignored=%(ignored)d", counts)
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(entries)} log events were not taken by {queue.url}")
    return counts


# -- one event --------------------------------------------------------------------------------------


def _message_of(event: Any) -> str:
    message = event.get("message") if isinstance(event, dict) else None
    return message if isinstance(message, str) else ""


def _entry(event: Any, subscription: Mapping[str, Any], *, queue: Queue) -> Dict[str, str]:
    """One entry of a batch; its Id is given when it is put into one.

    What is no log event as CloudWatch writes them goes as the JSON it came as.
    """
    names = {name: subscription[name] for name in ("logGroup", "logStream", "owner") if name in subscription}
    whole = {**event, **names} if isinstance(event, dict) else event
    # ASCII only: SQS refuses some characters that JSON may hold, and counts bytes.
    body = json.dumps(whole, separators=(",", ":"))
    entry = {"MessageBody": body if len(body) <= queue.message_bytes else _packed(body)}
    if queue.fifo:
        identity = event.get("id") if isinstance(event, dict) else None
        entry["MessageDeduplicationId"] = str(identity) if identity else _digest(body)
        entry["MessageGroupId"] = _group(str(subscription.get("logStream", "")))
    return entry


def _packed(body: str) -> str:
    """gzip in base64, which the collector opens by itself: nothing is ever cut off."""
    return base64.b64encode(gzip.compress(body.encode("ascii"), mtime=0)).decode("ascii")


_GROUP = re.compile(r"[!-~]{1,128}")


def _group(stream: str) -> str:
    """The log stream: the order within one instance is kept, and one instance never waits for another."""
    return stream if _GROUP.fullmatch(stream) else _digest(stream)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# -- the prefix -------------------------------------------------------------------------------------

#: The client is `host(port)`, `[local]`, or nothing for the server's own processes. Names have at most 63
#: bytes and may hold every character; of several readings the first counts, and of several @ the last.
_PREFIX = re.compile(
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )?"
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+:/_-]{1,32}?:"
    r"(?:\[local\]|[^\s()\[\]]{1,255}\(\d+\)|):"
    r"(?P<user>[^\n]{0,63}?)@(?P<database>[^@\n]{0,63}?):\[\d+\]:"
    r"(?P<severity>[A-Z]+[1-5]?): +(?P<audit>AUDIT: )?"
)
_PREFIX_END = re.compile(r":\[\d+\]:[A-Z]+[1-5]?: ")


def line_of(message: str) -> Optional[Line]:
    """The prefix of a log line, or None if it has none such."""
    found = _PREFIX.match(message)
    if found is None:
        return None
    first_line = message.split("\n", 1)[0]
    certain = "@" not in found["user"] and len(_PREFIX_END.findall(first_line)) == 1
    return Line(found["user"], found["database"], found["severity"], bool(found["audit"]), certain)


# -- sending ----------------------------------------------------------------------------------------


def _batches(entries: Sequence[Dict[str, str]]) -> Iterator[List[Dict[str, str]]]:
    """In order, as many together as one request takes."""
    batch: List[Dict[str, str]] = []
    size = 0
    for entry in entries:
        length = len(entry["MessageBody"])
        if batch and (len(batch) == BATCH_ENTRIES or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"Id": str(len(batch)), **entry})
        size += length
    if batch:
        yield batch


def _send(queue: Queue, batch: Sequence[Dict[str, str]]) -> List[Dict[str, str]]:
    """Send a batch, then what was not taken of it, each alone: one that SQS refuses holds up no other.

    Returns what was not taken in the end.
    """
    left = _send_once(queue, batch)
    for attempt in range(1, ATTEMPTS):
        if left:
            time.sleep(0.2 * 2**attempt)
            left = [entry for single in left for entry in _send_once(queue, [single])]
    return left


def _send_once(queue: Queue, batch: Sequence[Dict[str, str]]) -> List[Dict[str, str]]:
    """One request; returns the entries that were not taken, and logs SQS's words."""
    try:
        answer = queue.client.send_message_batch(QueueUrl=queue.url, Entries=list(batch))
        refused = answer.get("Failed", ())
        failed = {each["Id"]: f"{each.get('Code')}: {each.get('Message')}" for each in refused}
    except (BotoCoreError, ClientError) as error:
        failed = {entry["Id"]: str(error) for entry in batch}
    if failed:
        words = ", ".join(sorted(set(failed.values())))
        log.warning("SQS did not take everything. entries=%d of=%d why=%s", len(failed), len(batch), words)
    return [entry for entry in batch if entry["Id"] in failed]


# -- settings ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _queue() -> Queue:
    """The queue that the environment names. Kept while Lambda keeps this process."""
    client = boto3.client(
        "sqs",
        region_name=os.environ.get("REGION") or None,
        config=Config(retries={"mode": "standard", "total_max_attempts": 4}, read_timeout=10),
    )
    url = os.environ.get("SQS_QUEUE_URL") or ""
    if not url:
        name = os.environ.get("SQS_QUEUE_NAME") or ""
        if not name:
            raise RuntimeError("set SQS_QUEUE_URL, or SQS_QUEUE_NAME, in the function's environment")
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    return Queue(client, url, _message_bytes(client, url))


def _message_bytes(client: Any, url: str) -> int:
    """The queue's own limit; the right to ask for it is not worth failing over."""
    name = "MaximumMessageSize"
    try:
        return int(client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
    except (ClientError, KeyError) as error:
        log.warning("The queue's %s is not known, so %d is kept to. why=%s", name, MESSAGE_BYTES, error)
        return MESSAGE_BYTES


def _ignored() -> Ignored:
    return Ignored(users=_names("IGNORE_USERS"), databases=_names("IGNORE_DATABASE"))


def _names(variable: str) -> FrozenSet[str]:
    """Comma-separated; spaces around a name do not belong to it."""
    return frozenset(name.strip() for name in os.environ.get(variable, "").split(",") if name.strip())
