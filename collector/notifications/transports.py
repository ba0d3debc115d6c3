"""Recognisers of what only wraps something else: they unwrap it and ask again."""

from __future__ import annotations

import base64
import zlib
from functools import partial
from typing import Any, Optional

from collector.errors import Poison
from collector.model import Notification
from collector.notifications.body import NOT_JSON, Body, Room, at, each, records_of, together, under


def empty(body: Body) -> Optional[Notification]:
    if body.text.strip():
        return None
    raise Poison("the body is empty", code="empty_body", hint="ask who writes to the queue")


def base64_gzip(body: Body) -> Optional[Notification]:
    """Base64 of gzip always begins with these four letters."""
    if body.json is not NOT_JSON or not body.text.lstrip().startswith("H4sI"):
        return None
    text = _unpacked(body.text, body.room)
    return None if text is None else under("base64_gzip", body.inner(text))


def _unpacked(text: str, room: Room) -> Optional[str]:
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
        reader = zlib.decompressobj(31)
        plain = reader.decompress(packed, max(room.left, 0) + 1)
        room.take(len(plain))
        return plain.decode("utf-8") if reader.eof else None
    except (ValueError, zlib.error):  # a letter that is not ASCII, base64 that is none, no UTF-8
        return None


def json_string(body: Body) -> Optional[Notification]:
    return under("string", body.inner(body.json)) if isinstance(body.json, str) else None


def sns(body: Body) -> Optional[Notification]:
    """An SNS envelope, when raw message delivery is off.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
    """
    value = body.json
    if not (isinstance(value, dict) and isinstance(value.get("Type"), str) and "TopicArn" in value):
        return None
    kind, message = value["Type"], value.get("Message")
    confirms = kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation")
    if not confirms and not isinstance(message, str):
        return None
    body.verify(value)
    if confirms:
        raise (_unconfirmed if kind == "SubscriptionConfirmation" else _ended)(str(value["TopicArn"])[:300])
    return under("sns", body.inner(str(message)))


def _unconfirmed(topic: str) -> Poison:
    """SNS asks this only of a queue that another account has subscribed; the token is in no other place."""
    return Poison(
        f"the subscription of this queue to {topic} is not confirmed: nothing comes through it until the "
        "provider confirms it with the token in this body, within 3 days, or subscribes the queue again",
        code="sns_unconfirmed", where=topic,
        hint="Provider: aws sns confirm-subscription with the token that `audit-s3 quarantine show` "
        "shows, or subscribe the queue again. SubscribeURL is never visited from here",
    )


def _ended(topic: str) -> Poison:
    """SNS says so where somebody without AWS credentials has followed an UnsubscribeURL."""
    return Poison(
        f"the subscription of this queue to {topic} was ended: nothing more comes through it",
        code="sns_unsubscribed", where=topic,
        hint="Provider: subscribe the queue again if nobody meant to end it; the token that `audit-s3 "
        "quarantine show` shows does so within 3 days. SubscribeURL is never visited from here",
    )


def wrapped_records(body: Body) -> Optional[Notification]:
    """What Lambda makes of SQS (`body`, `messageId`) and SNS (`Sns.Message`), one record or several."""
    value = body.json
    records = records_of(value) if records_of(value) else [value] if isinstance(value, dict) else []
    if not any(isinstance(_lambda_text(record), str) for record in records):
        return None
    return under("lambda", together(*each(records, partial(_lambda_record, body))))


def _lambda_record(body: Body, record: Any) -> Notification:
    text = _lambda_text(record)
    if not isinstance(text, str):
        raise Poison("a record that holds no message", code="unknown_body")
    if isinstance(record.get("Sns"), dict):
        body.verify(record["Sns"])
    return body.inner(text)


def _lambda_text(record: Any) -> Any:
    if not isinstance(record, dict):
        return None
    if "messageId" in record and "body" in record:
        return record["body"]
    envelope = record.get("Sns")
    return envelope.get("Message") if isinstance(envelope, dict) else None


def logs_event(body: Body) -> Optional[Notification]:
    """CloudWatch Logs as Lambda gets it: {"awslogs": {"data": base64 gzip}}."""
    packed = at(body.json, "awslogs", "data")
    return under("awslogs", body.inner(packed)) if isinstance(packed, str) else None
