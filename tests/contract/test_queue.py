"""The laws of `ports.Queue`, held by the twin and by SqsQueue on both emulators."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest

from collector.aws.lean import Lean
from collector.aws.sqs import SqsQueue, resolve_queue
from collector.errors import Fatal
from collector.model import Message
from collector.ports import Queue
from collector.testing.local_aws import CUSTOMER, LocalAws
from collector.testing.twins import ManualClock, MemoryQueue
from tests.contract.lean import lean_after

VISIBILITY_SECONDS = 2
OPERATIONS = ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")


@dataclass
class Setup:
    queue: Queue
    send: Callable[..., object]
    depth: Callable[[], int]
    pass_time: Callable[[float], None]


def _twin(fifo: bool) -> Setup:
    clock = ManualClock()
    name = "https://sqs.eu-west-1.amazonaws.com/111111111111/twin" + (".fifo" if fifo else "")
    queue = MemoryQueue(clock, name=name, visibility_timeout_seconds=VISIBILITY_SECONDS)
    return Setup(queue, queue.send, lambda: queue.depth, clock.advance)


def _real(aws: LocalAws, fifo: bool, *, lean: bool = False) -> Setup:
    from collector.testing.provider import Provider

    aws.reset()
    provider = Provider(aws, "contract", fifo=fifo, bucket=False, max_receive_count=100)
    client = provider.client("sqs")
    queue = SqsQueue(
        client, provider.queue_url, visibility_timeout_seconds=VISIBILITY_SECONDS,
        lean=_taught(client, provider) if lean else None,
    )
    return Setup(queue, provider.send_body, provider.queue_depth, time.sleep)


def _taught(client: Any, provider: Any) -> Lean:
    """boto3 has made each call once."""
    lean = lean_after(client)
    queue = SqsQueue(client, provider.queue_url, visibility_timeout_seconds=60, lean=lean)
    provider.send_body("first")
    (message,) = queue.receive(1, wait_seconds=1)
    queue.change_visibility([message], timeout_seconds=30)
    queue.delete([message])
    assert all(lean.knows(("sqs", operation)) for operation in OPERATIONS)
    return lean


@pytest.fixture(params=["twin", "ministack", "moto", "ministack lean", "moto lean"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Setup]]:
    def build(*, fifo: bool = False) -> Setup:
        if request.param == "twin":
            return _twin(fifo)
        name, _, lean = request.param.partition(" ")
        return _real(request.getfixturevalue(name), fifo, lean=bool(lean))

    yield build


def _receive(setup: Setup, wanted: int) -> list[Message]:
    """Receive until `wanted` messages have come: SQS may give fewer than it has."""
    got: list[Message] = []
    for _ in range(10):
        if len(got) < wanted:
            got += setup.queue.receive(min(10, wanted - len(got)), wait_seconds=1)
    return got


def test_a_message_arrives_as_it_was_sent(make: Callable[..., Setup]) -> None:
    setup = make()
    body = 'not json { "é": "中" }\t\n<&>'
    setup.send(body)
    (message,) = _receive(setup, 1)
    assert message.body == body
    assert message.receive_count == 1
    assert message.sent_at is not None
    assert message.message_id
    assert message.receipt_handle
    assert message.group_id is None


def test_an_empty_queue_gives_nothing(make: Callable[..., Setup]) -> None:
    assert list(make().queue.receive(10, wait_seconds=0)) == []


def test_ten_messages_at_most_are_received_and_deleted_at_once(make: Callable[..., Setup]) -> None:
    setup = make()
    for number in range(12):
        setup.send(str(number))
    assert len(setup.queue.receive(10, wait_seconds=1)) <= 10
    rest = make()
    for number in range(10):
        rest.send(str(number))
    messages = _receive(rest, 10)
    assert sorted(int(message.body) for message in messages) == list(range(10))
    assert rest.queue.delete(messages) == {}
    assert rest.depth() == 0


def test_a_message_in_flight_is_hidden_and_comes_back_when_its_visibility_ends(
    make: Callable[..., Setup],
) -> None:
    setup = make()
    setup.send("again")
    (first,) = _receive(setup, 1)
    assert list(setup.queue.receive(10, wait_seconds=0)) == []
    setup.pass_time(VISIBILITY_SECONDS + 0.2)
    (second,) = _receive(setup, 1)
    assert second.message_id == first.message_id
    assert second.receive_count == 2
    assert second.receipt_handle != first.receipt_handle


def test_a_message_returned_with_visibility_zero_can_be_received_at_once(
    make: Callable[..., Setup],
) -> None:
    setup = make()
    setup.send("back")
    messages = _receive(setup, 1)
    assert setup.queue.change_visibility(messages, timeout_seconds=0) == {}
    assert [message.body for message in _receive(setup, 1)] == ["back"]


def test_an_extended_lease_outlives_the_first_visibility(make: Callable[..., Setup]) -> None:
    setup = make()
    setup.send("slow")
    messages = _receive(setup, 1)
    assert setup.queue.change_visibility(messages, timeout_seconds=60) == {}
    setup.pass_time(VISIBILITY_SECONDS + 0.2)
    assert list(setup.queue.receive(10, wait_seconds=0)) == []
    assert setup.queue.delete(messages) == {}
    assert setup.depth() == 0


def test_one_bad_handle_in_a_batch_fails_alone(make: Callable[..., Setup]) -> None:
    setup = make()
    setup.send("good")
    (good,) = _receive(setup, 1)
    bad = Message("another-id", "", "garbage")
    for failures in (
        setup.queue.change_visibility([good, bad], timeout_seconds=30),
        setup.queue.delete([bad, good]),
    ):
        assert set(failures) == {"another-id"}
        assert failures["another-id"].code == "lease_lost"
    assert setup.depth() == 0


def test_a_stale_handle_is_lost_or_accepted_but_never_an_exception(make: Callable[..., Setup]) -> None:
    setup = make()
    setup.send("twice")
    (old,) = _receive(setup, 1)
    setup.pass_time(VISIBILITY_SECONDS + 0.2)
    (new,) = _receive(setup, 1)
    assert {error.code for error in setup.queue.delete([old]).values()} <= {"lease_lost"}
    assert setup.queue.delete([new]) == {} or setup.depth() == 0
    assert setup.depth() == 0


def test_nothing_is_asked_for_no_messages(make: Callable[..., Setup]) -> None:
    setup = make()
    assert setup.queue.delete([]) == {}
    assert setup.queue.change_visibility([], timeout_seconds=0) == {}


def test_a_fifo_group_waits_for_its_first_message_and_keeps_its_order(make: Callable[..., Setup]) -> None:
    setup = make(fifo=True)
    assert setup.queue.fifo
    for body in ("a1", "a2"):
        setup.send(body, group_id="a")
    setup.send("b1", group_id="b")
    (first,) = setup.queue.receive(1, wait_seconds=1)
    assert (first.body, first.group_id) == ("a1", "a")
    others = setup.queue.receive(10, wait_seconds=1)
    assert [message.body for message in others] == ["b1"]
    assert setup.queue.delete([first, *others]) == {}
    assert [message.body for message in _receive(setup, 1)] == ["a2"]


def test_measuring_counts_what_waits_and_what_is_in_flight_and_receives_nothing(
    make: Callable[..., Setup],
) -> None:
    setup = make()
    for body in ("one", "two", "three"):
        setup.send(body)
    _receive(setup, 1)
    depth = setup.queue.measure()
    assert depth is not None
    assert (depth.visible, depth.in_flight, depth.delayed) == (2, 1, 0)
    assert depth.retention_seconds == 4 * 86_400
    assert [message.receive_count for message in _receive(setup, 2)] == [1, 1]


# What only a real queue can get wrong.


def test_a_queue_whose_depth_may_not_be_asked_tells_none(ministack: LocalAws) -> None:
    from collector.testing.provider import Provider

    ministack.reset()
    provider = Provider(ministack, "untold", bucket=False)
    stranger = SqsQueue(ministack.client("sqs", account=CUSTOMER), provider.queue_url)
    assert stranger.measure() is None
    gone = SqsQueue(provider.client("sqs"), provider.queue_url + "-gone")
    with pytest.raises(Fatal, match="queue_missing"):
        gone.measure()


def test_a_queue_that_does_not_exist_is_the_operators_to_correct(local_aws: LocalAws) -> None:
    client = local_aws.client("sqs")
    missing = SqsQueue(client, f"{local_aws.endpoint_url}/111111111111/missing")
    for attempt in (missing.measure, lambda: missing.receive(1, wait_seconds=0)):
        with pytest.raises(Fatal) as caught:
            attempt()
        assert (caught.value.code, caught.value.scope) == ("queue_missing", "queue")
    with pytest.raises(Fatal, match="queue_missing"):
        resolve_queue(client, "missing")


def test_a_queue_is_found_by_url_arn_and_name(local_aws: LocalAws) -> None:
    from collector.testing.provider import Provider

    provider = Provider(local_aws, "named", bucket=False)
    client = provider.client("sqs")
    name = provider.queue_url.rpartition("/")[2]
    for given in (provider.queue_url, provider.queue_arn, name):
        assert resolve_queue(client, given) == provider.queue_url
