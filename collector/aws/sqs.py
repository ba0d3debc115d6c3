"""One SQS queue: long polls, and deletes and leases ten at a time.

    queue = SqsQueue(session.client("sqs", region=queue_region(url)), url)

A batch call answers per entry, and so do `delete` and `change_visibility`: what is not in their answer
succeeded. Bodies are passed on as they are.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from collector.aws.errors import Call, translate_code, translated
from collector.aws.lean import Lean
from collector.aws.signed_sqs import SqsCalls
from collector.errors import CollectorError, Fatal, Retry
from collector.model import Message
from collector.ports import QueueDepth

__all__ = ["SqsQueue", "queue_region", "resolve_queue"]

_ATTRIBUTES = ["SentTimestamp", "ApproximateReceiveCount", "MessageGroupId"]
#: What `measure` asks for: visible, in flight, delayed, and the queue's retention.
_DEPTH = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
          "ApproximateNumberOfMessagesDelayed", "MessageRetentionPeriod"]


class SqsQueue:
    """`ports.Queue` on a boto3 SQS client, asked where `lean` has no answer.

    `role` is the ARN that the client acts as, for hints.
    """

    def __init__(
        self, client: Any, url: str, *, visibility_timeout_seconds: int = 300, role: str = "",
        lean: Optional[Lean] = None,
    ) -> None:
        self.name = url
        self.fifo = url.endswith(".fifo")
        self._client = client
        self._calls = SqsCalls(client, lean)
        self._visibility_timeout_seconds = visibility_timeout_seconds
        self._role = role
        self._arn = _queue_arn(url, default_region=client.meta.region_name)

    def receive(
        self, count: int, *, wait_seconds: int, hide_seconds: Optional[int] = None
    ) -> Sequence[Message]:
        with translated(self._call("sqs:ReceiveMessage")):
            answer = self._calls.ask(
                "ReceiveMessage",
                QueueUrl=self.name,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=hide_seconds or self._visibility_timeout_seconds,
                MessageSystemAttributeNames=_ATTRIBUTES,
            )
        return [_message(said) for said in answer.get("Messages", ())]

    def delete(self, messages: Sequence[Message]) -> Mapping[str, CollectorError]:
        call = self._call("sqs:DeleteMessage")
        entries = _entries(messages)
        return self._batch("DeleteMessageBatch", messages, entries=entries, call=call)

    def change_visibility(
        self, messages: Sequence[Message], *, timeout_seconds: int
    ) -> Mapping[str, CollectorError]:
        call = self._call("sqs:ChangeMessageVisibility")
        entries = _entries(messages, VisibilityTimeout=timeout_seconds)
        return self._batch("ChangeMessageVisibilityBatch", messages, entries=entries, call=call)

    def measure(self) -> Optional[QueueDepth]:
        try:
            with translated(self._call("sqs:GetQueueAttributes")):
                answer = self._client.get_queue_attributes(QueueUrl=self.name, AttributeNames=_DEPTH)
        except Fatal as error:
            if error.code != "queue_denied":
                raise
            return None  # a role that may not ask can receive all the same
        said = answer.get("Attributes", {})
        visible, in_flight, delayed, retention = (_number(said.get(name)) or 0 for name in _DEPTH)
        return QueueDepth(visible, in_flight, delayed, float(retention))

    def _batch(
        self, operation: str, messages: Sequence[Message], *, entries: List[Dict[str, Any]], call: Call
    ) -> Mapping[str, CollectorError]:
        """The failures by message id. An entry that AWS is silent about has not succeeded."""
        if not messages:
            return {}
        with translated(call):
            answer = self._calls.ask(operation, QueueUrl=self.name, Entries=entries)
        succeeded = {entry["Id"] for entry in answer.get("Successful", ())}
        failed = {entry["Id"]: entry for entry in answer.get("Failed", ())}
        return {
            message.message_id: _failure(failed.get(str(position)), call)
            for position, message in enumerate(messages)
            if str(position) not in succeeded
        }

    def _call(self, action: str) -> Call:
        return Call(action, where=self.name, resource=self._arn, scope="queue", role=self._role)


def _entries(messages: Sequence[Message], **also: Any) -> List[Dict[str, Any]]:
    """Entry ids are positions: a message id may be repeated, and SQS wants them distinct."""
    return [
        {"Id": str(position), "ReceiptHandle": message.receipt_handle, **also}
        for position, message in enumerate(messages)
    ]


def _failure(entry: Optional[Mapping[str, Any]], call: Call) -> CollectorError:
    if entry is None:
        return Retry(f"{call.action} was not confirmed", code="not_confirmed", where=call.where)
    return translate_code(str(entry.get("Code", "")), str(entry.get("Message", "")), call)


def _message(said: Mapping[str, Any]) -> Message:
    attributes = said.get("Attributes", {})
    sent = _number(attributes.get("SentTimestamp"))
    return Message(
        message_id=said["MessageId"],
        body=said.get("Body", ""),
        receipt_handle=said["ReceiptHandle"],
        receive_count=_number(attributes.get("ApproximateReceiveCount")) or 1,
        sent_at=None if sent is None else sent / 1000,
        group_id=attributes.get("MessageGroupId"),
    )


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and text.isdigit() else None


# Names of queues: a URL, an ARN, or just the name.

_ARN = re.compile(r"arn:(?P<partition>[\w-]+):sqs:(?P<region>[\w-]+):(?P<account>\d{12}):(?P<name>[\w.-]+)")
#: sqs.REGION.amazonaws.com, its FIPS, dual-stack, VPC endpoint and legacy forms.
_HOST = re.compile(
    r"https?://(?:[\w-]+\.)*?(?:sqs(?:-fips)?\.(?P<region>[a-z]{2}[\w-]*-\d)\.|(?P<legacy>[a-z]{2}[\w-]*-\d)\.queue\.)"
)
_PATH = re.compile(r"https?://[^/]+/(?:.*/)?(?P<account>\d{12})/(?P<name>[\w.-]+)/?$")


def queue_region(queue: str, *, default: str = "") -> str:
    """The region that a queue's URL or ARN names, else `default`."""
    arn, host = _ARN.fullmatch(queue), _HOST.match(queue)
    if arn:
        return arn["region"]
    return (host["region"] or host["legacy"]) if host else default


def resolve_queue(client: Any, queue: str, *, role: str = "") -> str:
    """The URL of a queue given by URL (used as it is), ARN or name.

    An ARN whose GetQueueUrl is denied gets the URL that AWS would give it: the permission to look a
    name up is not needed for receiving. A name alone is looked up in the client's own account.
    """
    if queue.startswith(("https://", "http://")):
        return queue
    arn = _ARN.fullmatch(queue)
    request = {"QueueName": arn["name"] if arn else queue}
    if arn:
        request["QueueOwnerAWSAccountId"] = arn["account"]
    call = Call("sqs:GetQueueUrl", where=queue, resource=queue, scope="queue", role=role)
    try:
        with translated(call):
            return str(client.get_queue_url(**request)["QueueUrl"])
    except Fatal as error:
        if arn is None or error.code != "queue_denied":
            raise
    return f"{client.meta.endpoint_url.rstrip('/')}/{arn['account']}/{arn['name']}"


def _queue_arn(url: str, *, default_region: str) -> str:
    path = _PATH.match(url)
    if path is None:
        return url
    region = queue_region(url, default=default_region)
    return f"arn:{_partition(region)}:sqs:{region}:{path['account']}:{path['name']}"


def _partition(region: str) -> str:
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"
