"""SqsQueue against a client that answers what it is told to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from collector.aws.sqs import SqsQueue, queue_region, resolve_queue
from collector.errors import Fatal, Retry
from collector.model import Message

URL = "https://sqs.eu-west-1.amazonaws.com/111111111111/q"
ARN = "arn:aws:sqs:eu-west-1:111111111111:q"


class FakeSqs:
    """Answers every operation with `answer`, or raises it; remembers the last request."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.request: dict[str, Any] = {}
        self.meta = SimpleNamespace(
            region_name="eu-west-1", endpoint_url="https://sqs.eu-west-1.amazonaws.com"
        )

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            self.request = request
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return ask


def _denied() -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Op")


def _messages(count: int) -> list[Message]:
    return [Message(f"m{number}", "", f"h{number}") for number in range(count)]


def test_receive_asks_for_what_the_engine_needs_to_know() -> None:
    fake = FakeSqs({})
    assert list(SqsQueue(fake, URL, visibility_timeout_seconds=300).receive(7, wait_seconds=20)) == []
    assert fake.request == {
        "QueueUrl": URL,
        "MaxNumberOfMessages": 7,
        "WaitTimeSeconds": 20,
        "VisibilityTimeout": 300,
        "MessageSystemAttributeNames": ["SentTimestamp", "ApproximateReceiveCount", "MessageGroupId"],
    }


def test_attributes_that_are_missing_or_odd_do_not_stop_a_message() -> None:
    said = {"MessageId": "m", "ReceiptHandle": "h", "Attributes": {"SentTimestamp": "soon"}}
    (message,) = SqsQueue(FakeSqs({"Messages": [said]}), URL).receive(1, wait_seconds=0)
    assert message == Message("m", "", "h")


def test_each_entry_of_a_batch_has_its_own_fate() -> None:
    answer = {
        "Successful": [{"Id": "0"}],
        "Failed": [
            {"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": True},
            {"Id": "2", "Code": "AWS.SimpleQueueService.InternalError", "SenderFault": False},
        ],
    }
    failures = SqsQueue(FakeSqs(answer), URL).delete(_messages(4))
    assert {name: error.code for name, error in failures.items()} == {
        "m1": "lease_lost",
        "m2": "aws_unavailable",
        "m3": "not_confirmed",
    }
    assert isinstance(failures["m3"], Retry)


def test_the_same_message_twice_in_a_batch_is_two_entries() -> None:
    fake = FakeSqs({"Successful": [{"Id": "0"}, {"Id": "1"}]})
    twice = [Message("m", "", "old"), Message("m", "", "new")]
    assert SqsQueue(fake, URL).change_visibility(twice, timeout_seconds=0) == {}
    assert fake.request["Entries"] == [
        {"Id": "0", "ReceiptHandle": "old", "VisibilityTimeout": 0},
        {"Id": "1", "ReceiptHandle": "new", "VisibilityTimeout": 0},
    ]


def test_a_denied_receive_names_the_queues_arn() -> None:
    queue = SqsQueue(FakeSqs(_denied()), URL, role="arn:aws:iam::111111111111:role/r")
    with pytest.raises(Fatal) as caught:
        queue.receive(1, wait_seconds=0)
    assert f"attach sqs:ReceiveMessage on {ARN} to role" in caught.value.hint


@pytest.mark.parametrize(
    ("queue", "region"),
    [
        (URL, "eu-west-1"),
        (ARN, "eu-west-1"),
        ("arn:aws-us-gov:sqs:us-gov-west-1:111111111111:q", "us-gov-west-1"),
        ("https://sqs-fips.us-east-1.amazonaws.com/111111111111/q", "us-east-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111111111111/q", "cn-north-1"),
        ("https://eu-west-2.queue.amazonaws.com/111111111111/q", "eu-west-2"),
        ("https://vpce-1a2b-3c.sqs.ap-southeast-2.vpce.amazonaws.com/111111111111/q", "ap-southeast-2"),
        ("http://127.0.0.1:4566/111111111111/q", "default"),
        ("q", "default"),
    ],
)
def test_the_region_is_read_from_the_queue(queue: str, region: str) -> None:
    assert queue_region(queue, default="default") == region


def test_a_url_is_used_as_it_is_and_an_arn_is_looked_up_in_its_account() -> None:
    fake = FakeSqs({"QueueUrl": URL})
    assert resolve_queue(fake, "https://elsewhere/q") == "https://elsewhere/q"
    assert fake.request == {}
    assert resolve_queue(fake, ARN) == URL
    assert fake.request == {"QueueName": "q", "QueueOwnerAWSAccountId": "111111111111"}


def test_an_arn_whose_lookup_is_denied_gets_the_url_that_aws_would_give() -> None:
    assert resolve_queue(FakeSqs(_denied()), ARN) == URL
    with pytest.raises(Fatal, match="queue_denied"):
        resolve_queue(FakeSqs(_denied()), "q")
