"""Rule 8 for KMS: one key's trouble is its own; receiving stops only when nothing else can be read."""

from __future__ import annotations

from typing import Any, List

import pytest

from collector.engine import gate
from collector.errors import Fatal, Poison
from collector.model import ObjectRef

LOST = "arn:aws:kms:eu-west-1:111111111111:key/lost"
SOUND = "arn:aws:kms:eu-west-1:111111111111:key/sound"


def _denied(arn: str = LOST) -> Fatal:
    return Fatal("kms:Decrypt denied", code="kms_denied", scope="kms", resource=arn)


def _publish(bench: Any, key: str, *, arn: str, denied: bool = False) -> ObjectRef:
    ref: ObjectRef = bench.bucket.put(key, f"{key}\n".encode(), kms_key_arn=arn)
    bench.bucket.refuse(key, _denied() if denied else None)
    bench.notify(ref)
    return ref


def _lost(bench: Any, count: int, *, prefix: str = "lost") -> List[ObjectRef]:
    return [_publish(bench, f"{prefix}{n}", arn=LOST, denied=True) for n in range(count)]


def _allow(bench: Any, refs: List[ObjectRef]) -> None:
    for ref in refs:
        bench.bucket.refuse(ref.key, None)


def test_objects_under_another_key_flow_on_while_one_key_is_out_of_reach(bench: Any) -> None:
    _publish(bench, "before", arn=SOUND)
    bench.run(5)
    refs = _lost(bench, 15)
    bench.run(60)
    assert bench.ledger.keys.errors
    for number in range(40):
        _publish(bench, f"good{number}", arn=SOUND)
        bench.run(30)
        assert bench.delivered()[-1] == f"good{number}"
    assert {bench.state(ref) for ref in refs} == {"open"}


@pytest.mark.once
def test_a_key_out_of_reach_is_seen_behind_the_successes_of_another(bench: Any) -> None:
    """One in six is denied: too few to be everybody's, but all that there is of this key."""
    refs = []
    for number in range(12):
        refs += _lost(bench, 1, prefix=f"lost{number}-")
        for good in range(5):
            _publish(bench, f"good{number}-{good}", arn=SOUND)
        bench.run(10)
    assert [error.resource for error in bench.ledger.keys.errors] == [LOST]
    assert gate.may_receive(bench.ledger)
    bench.run(3 * 86400)
    assert bench.quarantined() == []
    assert {bench.state(ref) for ref in refs} == {"open"}


def test_of_all_that_wait_for_a_key_one_is_tried_a_minute(bench: Any) -> None:
    _publish(bench, "before", arn=SOUND)
    bench.run(5)
    _lost(bench, 30)
    bench.run(120)
    errors = bench.ledger.counters["object_errors"]
    bench.run(600)
    assert 9 <= bench.ledger.counters["object_errors"] - errors <= 11


def test_all_that_waited_is_read_within_a_minute_once_the_key_answers(bench: Any) -> None:
    _publish(bench, "before", arn=SOUND)
    bench.run(5)
    refs = _lost(bench, 30)
    bench.run(1800)
    _allow(bench, refs)
    bench.run(70)
    assert {bench.state(ref) for ref in refs} == {"done"}
    assert bench.queue.depth == 0
    assert not bench.ledger.keys.errors
    assert sum(bench.queue.receives) == 31, "one was received twice"


def test_where_nothing_else_can_be_read_all_but_one_go_back_and_receiving_stops(bench: Any) -> None:
    refs = _lost(bench, 14)
    bench.run(30)
    assert not gate.may_receive(bench.ledger)
    assert len(bench.ledger.deliveries) == 1
    received = len(bench.queue.receives)
    bench.run(20 * 60)
    assert len(bench.queue.receives) - received <= 4, "a look after 1, 2, 4 and 8 minutes"
    assert bench.queue.depth == 14
    assert bench.queue.deletes == []
    _allow(bench, refs)
    bench.run(70)
    assert {bench.state(ref) for ref in refs} == {"done"}


def test_what_was_read_long_ago_does_not_keep_receiving_alive(bench: Any) -> None:
    _publish(bench, "before", arn=SOUND)
    bench.run(5)
    _lost(bench, 14)
    bench.run(1800)
    assert gate.may_receive(bench.ledger)
    assert len(bench.ledger.deliveries) == 14
    bench.run(1900)
    assert not gate.may_receive(bench.ledger)
    assert len(bench.ledger.deliveries) <= 11, "all but one went back, and a look brings ten at most"


def test_a_look_finds_objects_under_another_key_behind_those_that_are_denied(bench: Any) -> None:
    lost = _lost(bench, 12)
    bench.run(30)
    good = [_publish(bench, f"good{number}", arn=SOUND) for number in range(6)]
    bench.run(10 * 60)
    assert {bench.state(ref) for ref in good} == {"done"}
    assert {bench.state(ref) for ref in lost} == {"open"}


def test_one_object_denied_for_its_key_ends_as_forbidden_after_a_day_if_the_key_is_sound(bench: Any) -> None:
    ref = _publish(bench, "odd", arn=LOST, denied=True)
    for number in range(26):
        _publish(bench, f"good{number}", arn=LOST)
        bench.run(3600)
    assert bench.state(ref) == "quarantined"
    assert [one.reason for one in bench.quarantined()] == ["forbidden"]


@pytest.mark.once
def test_a_day_without_the_key_counts_against_no_object(bench: Any) -> None:
    refs = _lost(bench, 12)
    bench.run(2 * 86400)
    _allow(bench, refs[1:])
    bench.run(4 * 3600)
    assert {bench.state(ref) for ref in refs[1:]} == {"done"}
    assert bench.state(refs[0]) == "open", "its own day begins when the key answers"
    assert bench.quarantined() == []


def test_where_aws_does_not_name_the_key_any_key_of_that_bucket_shows_that_it_answers(bench: Any) -> None:
    refs = [_publish(bench, f"k{number}", arn=LOST) for number in range(12)]
    for ref in refs:
        bench.bucket.refuse(ref.key, _denied(arn=""))
    bench.run(30)
    assert not gate.may_receive(bench.ledger)
    _allow(bench, refs)
    bench.run(130)
    assert {bench.state(ref) for ref in refs} == {"done"}


def test_a_key_that_answers_with_another_error_is_not_out_of_reach(bench: Any) -> None:
    refs = _lost(bench, 12)
    bench.run(30)
    for ref in refs:
        bench.bucket.refuse(ref.key, Poison("archived", code="archived", where=ref.url))
    bench.run(6 * 3600)
    assert {bench.state(ref) for ref in refs} == {"quarantined"}


@pytest.mark.once
@pytest.mark.parametrize("hours", [13, 60])
def test_a_long_outage_of_a_key_gives_no_message_up(make_bench: Any, hours: int) -> None:
    bench = make_bench(max_receive_count=8)
    refs = _lost(bench, 14)
    bench.run(hours * 3600)
    _allow(bench, refs)
    bench.run(3700)
    assert bench.queue.dead == []
    assert {bench.state(ref) for ref in refs} == {"done"}
