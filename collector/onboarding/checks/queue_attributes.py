"""How a queue is set up, read from its attributes.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

from collector.config.inputs import Input
from collector.errors import CollectorError
from collector.onboarding.checks.asked import QueueDoor
from collector.onboarding.checks.codes import (
    QUEUE_DLQ,
    QUEUE_MESSAGE_SIZE,
    QUEUE_POLICY,
    QUEUE_READERS,
    QUEUE_RETENTION,
)
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.fixes import sender_text, setting_text
from collector.onboarding.checks.troubles import (
    DLQ_RETENTION,
    MESSAGE_SIZE_SMALL,
    OTHER_READER,
    QUEUE_OPEN,
    REDRIVE_LOW,
    RETENTION_SHORT,
)
from collector.wording import counted

__all__ = ["check_attributes", "is_open", "most_receives"]

_DAY = 86_400
_UNITS = ((_DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
#: AWS's default, and long enough for a weekend.
_LEAST_RETENTION_SECONDS = 4 * _DAY
_MOST_RETENTION_SECONDS = 14 * _DAY
_LEAST_RECEIVES = 3
#: What a notification of S3 may have.
_NOTIFICATION_BYTES = 65_536
#: Conditions that keep strangers out.
_GUARDS = frozenset(
    "aws:sourcearn aws:sourceaccount aws:sourceowner aws:sourceorgid aws:sourceorgpaths aws:sourcevpc "
    "aws:sourcevpce aws:sourceip aws:vpcsourceip aws:principalarn aws:principalaccount aws:principalorgid "
    "aws:principalorgpaths aws:userid".split()
)


def check_attributes(
    notes: Notes, found: Input, door: QueueDoor, attributes: Mapping[str, str], *, url: str,
    is_running: Callable[[], bool],
) -> None:
    _check_retention(notes, found, attributes, url=url)
    _check_dlq(notes, door, attributes, url=url)
    _check_size(notes, found, attributes, url=url)
    _check_policy(notes, found, attributes)
    _check_readers(notes, attributes, is_running)


def most_receives(attributes: Mapping[str, str]) -> int:
    """After how many receives a message goes to the DLQ; 0 if it never does, or nobody says."""
    return _whole(_object(attributes.get("RedrivePolicy", "")).get("maxReceiveCount"))


def _check_retention(notes: Notes, found: Input, attributes: Mapping[str, str], *, url: str) -> None:
    kept = _whole(attributes.get("MessageRetentionPeriod"))
    days = _span(kept)
    bucket_seconds = found.settings.retention_days * _DAY
    if kept < min(_LEAST_RETENTION_SECONDS, bucket_seconds):
        what = f"please let the queue keep messages for {_MOST_RETENTION_SECONDS // _DAY} days"
        fix = setting_text(
            what, attribute="MessageRetentionPeriod", value=_MOST_RETENTION_SECONDS, queue=url
        )
        notes.found(QUEUE_RETENTION, RETENTION_SHORT, f"{days}, and the bucket {_bucket(found)}", fix=fix)
    elif not found.settings.bucket:
        notes.ok(QUEUE_RETENTION, f"{days}: there is no bucket, what is older than that is lost")
    else:
        notes.ok(QUEUE_RETENTION, f"{days}, and the bucket {_bucket(found)}: what lies between is listed")


def _bucket(found: Input) -> str:
    return f"{found.settings.retention_days} days" if found.settings.bucket else "is none"


def _check_dlq(notes: Notes, door: QueueDoor, attributes: Mapping[str, str], *, url: str) -> None:
    redrive = _object(attributes.get("RedrivePolicy", ""))
    if not redrive:
        notes.ok(QUEUE_DLQ, "it has none: a message stays until it is done, or forgotten")
        return
    most, arn = most_receives(attributes), str(redrive.get("deadLetterTargetArn", ""))
    if most < _LEAST_RECEIVES:
        redrive["maxReceiveCount"] = 5
        notes.found(
            QUEUE_DLQ, REDRIVE_LOW, f"after {counted(most, 'receive')} a message goes to {arn}",
            fix=f"Send to the provider: please set the queue's RedrivePolicy to {json.dumps(redrive)}",
        )
        return
    try:
        kept = _whole(door.dlq_attributes(arn).get("MessageRetentionPeriod"))
    except CollectorError as error:
        why = f"{arn} after {counted(most, 'receive')}; its retention may not be asked: {error.what}"
        notes.skipped(QUEUE_DLQ, why)
        return
    own = _whole(attributes.get("MessageRetentionPeriod"))
    if attributes.get("FifoQueue") != "true" and kept <= own < _MOST_RETENTION_SECONDS:
        # A message of a standard queue keeps the time of its first sending there.
        dlq_url = f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"
        what = "please let the DLQ keep messages longer than the queue"
        fix = setting_text(
            what, attribute="MessageRetentionPeriod", value=_MOST_RETENTION_SECONDS, queue=dlq_url
        )
        answer = f"the DLQ keeps them {_span(kept)}, the queue {_span(own)}"
        notes.found(QUEUE_DLQ, DLQ_RETENTION, answer, fix=fix)
    else:
        notes.ok(QUEUE_DLQ, f"{arn} after {counted(most, 'receive')}, kept {_span(kept)}")


def _check_size(notes: Notes, found: Input, attributes: Mapping[str, str], *, url: str) -> None:
    most = _whole(attributes.get("MaximumMessageSize"))
    if most < _NOTIFICATION_BYTES and found.settings.bucket:
        what = "please let the queue take the notifications of S3, which may have 64 KiB"
        fix = setting_text(what, attribute="MaximumMessageSize", value=262_144, queue=url)
        notes.found(QUEUE_MESSAGE_SIZE, MESSAGE_SIZE_SMALL, f"{most} bytes", fix=fix)
    else:
        notes.ok(QUEUE_MESSAGE_SIZE, f"{most} bytes")


def _check_policy(notes: Notes, found: Input, attributes: Mapping[str, str]) -> None:
    policy = _object(attributes.get("Policy", ""))
    if is_open(policy):
        bucket = found.settings.bucket[0] if found.settings.bucket else ""
        fix = sender_text(queue_arn=attributes.get("QueueArn", ""), bucket=bucket)
        notes.found(QUEUE_POLICY, QUEUE_OPEN, "a statement allows everybody, on no condition", fix=fix)
    else:
        notes.ok(QUEUE_POLICY, "nobody whom it does not name" if policy else "its own account alone")


def _check_readers(notes: Notes, attributes: Mapping[str, str], is_running: Callable[[], bool]) -> None:
    held = _whole(attributes.get("ApproximateNumberOfMessagesNotVisible"))
    in_flight = f"{counted(held, 'message')} {'is' if held == 1 else 'are'} in flight"
    if held and is_running():
        notes.ok(QUEUE_READERS, f"{in_flight}, and a collector of this input is running")
    elif held:
        notes.found(QUEUE_READERS, OTHER_READER, in_flight)
    else:
        notes.ok(QUEUE_READERS, "nobody holds a message")


def is_open(policy: Mapping[str, Any]) -> bool:
    """Whether a statement lets everybody send, with no condition that keeps strangers out."""
    return any(
        statement.get("Effect") == "Allow"
        and _is_everybody(statement.get("Principal"))
        and any(_sends(action) for action in _list(statement.get("Action")))
        and not any(_guards(statement.get("Condition")))
        for statement in _list(policy.get("Statement"))
        if isinstance(statement, dict)
    )


def _is_everybody(principal: object) -> bool:
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return "*" in _list(named)


def _sends(action: object) -> bool:
    name = str(action).lower()
    return name in ("*", "sqs:*", "sqs:sendmessage") or (name.endswith("*") and name.startswith("sqs:send"))


def _guards(condition: object) -> Iterator[str]:
    for tests in condition.values() if isinstance(condition, dict) else ():
        for key, values in tests.items() if isinstance(tests, dict) else ():
            if key.lower() in _GUARDS and "*" not in _list(values):
                yield key


def _span(seconds: int) -> str:
    """As people say it: 4 days, 36 hours, 1 minute."""
    size, unit = next(each for each in _UNITS if seconds >= 2 * each[0] or seconds % each[0] == 0)
    count = seconds / size
    return f"{count:.3g} {unit}" + ("" if count == 1 else "s")


def _object(text: str) -> Dict[str, Any]:
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _list(value: object) -> Sequence[Any]:
    found: List[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return found


def _whole(value: object) -> int:
    return int(str(value)) if str(value).isdigit() else 0
