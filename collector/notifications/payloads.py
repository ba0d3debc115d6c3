"""Recognisers of audits that arrived in the body itself, alone or many at once."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any, Mapping, Optional, Sequence, Union

from collector.errors import Poison
from collector.model import Notification, Payload
from collector.notifications.body import (
    NOT_JSON,
    Body,
    at,
    container,
    digest,
    each,
    element_texts,
    glued_texts,
    records_of,
    together,
    under,
    utf8,
)


def cloudtrail_events(body: Body) -> Optional[Notification]:
    """{"Records": [...]} that are CloudTrail events: the same outer shape as S3's notifications."""
    if any(map(_is_cloudtrail_event, records_of(body.json))):
        return Notification("cloudtrail_events", payloads=(container(body.text),))
    return None


def _is_cloudtrail_event(record: Any) -> bool:
    """Insight events name no source of their own."""
    if str(at(record, "eventSource")).endswith(".amazonaws.com"):
        return True
    return at(record, "eventID") is not None and at(record, "eventCategory") is not None


def logs_subscription(body: Body) -> Optional[Notification]:
    """A CloudWatch Logs subscription message: one payload for each log event.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    value = body.json
    if not isinstance(value, dict) or not isinstance(value.get("logEvents"), list):
        return None
    if value.get("messageType") == "CONTROL_MESSAGE":
        return Notification("logs_subscription", noop="CloudWatch Logs CONTROL_MESSAGE")
    if value.get("messageType") != "DATA_MESSAGE":
        return None
    payloads, problems = each(value["logEvents"], partial(_subscribed_event, origin=_log_origin(value)))
    noop = "" if payloads else "no log events"
    return Notification("logs_subscription", payloads=tuple(payloads), noop=noop, problems=problems)


def _subscribed_event(event: Any, *, origin: str) -> Payload:
    if not _is_log_event(event):
        raise Poison("a log event without id, timestamp or message", code="unknown_body")
    return _log_payload(event, origin)


_LOG_EVENT_KEYS = frozenset(
    ["id", "timestamp", "message", "ingestionTime", "extractedFields", "logGroup", "logStream", "owner"]
)


def log_event(body: Body) -> Optional[Notification]:
    """One CloudWatch log event, as a forwarding Lambda sends it.

    A fourth field of another name makes it somebody's audit, which is delivered as a whole.
    """
    value = body.json
    if not _is_log_event(value) or not _LOG_EVENT_KEYS.issuperset(value):
        return None
    return Notification("log_event", payloads=(_log_payload(value, _log_origin(value)),))


def _is_log_event(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        return False
    stamp = value.get("timestamp")
    return isinstance(value.get("id"), str) and isinstance(stamp, int) and not isinstance(stamp, bool)


def _log_origin(value: Mapping[str, Any]) -> str:
    """"group:stream", as far as the envelope says it."""
    return ":".join(str(value[name]) for name in ("logGroup", "logStream") if value.get(name))


def _log_payload(event: Mapping[str, Any], origin: str) -> Payload:
    """The message alone is the event; the id is CloudWatch's, the time its milliseconds."""
    seconds, milliseconds = divmod(event["timestamp"], 1000)
    text = utf8(event["message"])
    time = f"{seconds}.{milliseconds:03d}" if 0 < seconds < _YEAR_10000 else None
    return Payload(event["id"] or digest(text), text, whole=True, time=time, origin=origin)


_YEAR_10000 = 253_402_300_800
_RDS_LOG_GROUP = re.compile(r"/aws/rds/(?:instance|cluster)/([^/:]+)/")


def host_of(origin: str) -> str:
    """The database that a Payload's `origin` is a log of, or "".

    An RDS instance logs to /aws/rds/instance/NAME/postgresql, all of an Aurora cluster to
    /aws/rds/cluster/NAME/postgresql, where the stream tells its instances apart.
    """
    found = _RDS_LOG_GROUP.match(origin)
    return found.group(1) if found else ""


def json_list(body: Body) -> Optional[Notification]:
    """Each element on its own; a list of nothing but unknown objects stays one container."""
    if not isinstance(body.json, list):
        return None
    if not body.json:
        return Notification("list", noop="an empty list")
    return _each(body, "list", element_texts(body.text), audits=body.audits)


def several_values(body: Body) -> Optional[Notification]:
    """NDJSON, or JSON values glued together. Nobody but a producer of audits writes unknown ones."""
    if body.json is not NOT_JSON or body.text.lstrip()[:1] not in ("{", "["):
        return None
    texts = list(glued_texts(body.text))
    return _each(body, "several", texts, audits=True) if len(texts) > 1 else None


def _each(body: Body, shape: str, texts: Sequence[str], *, audits: bool) -> Notification:
    # A number or a word is nobody's notification, and of these a body may hold half a million.
    scalar = Poison("a part that is no object, no list and no text", code="unknown_body")
    known = [_known(body, text) if text[:1] in '{["' else scalar for text in texts]
    if audits and all(map(_is_strange, known)):
        return Notification(shape, payloads=(container(body.text),))

    def meaning(index: int) -> Notification:
        found = known[index]
        if audits and _is_strange(found):
            return Notification("audits", payloads=(container(texts[index]),))
        if isinstance(found, Poison):
            raise found.with_traceback(None)
        return found

    return under(shape, together(*each(range(len(texts)), meaning)))


def _known(body: Body, text: str) -> Union[Notification, Poison]:
    """What a part means without the input's own word that it is an audit."""
    try:
        return replace(body, audits=False).inner(text)
    except Poison as error:
        return error.with_traceback(None)


def _is_strange(found: Union[Notification, Poison]) -> bool:
    return isinstance(found, Poison) and found.code in ("unknown_body", "empty_body")


def audits(body: Body) -> Optional[Notification]:
    """Any other body, where the input says that its bodies are audits. Plain text is one event."""
    if not body.audits:
        return None
    if body.json is NOT_JSON:
        text = utf8(body.text)
        return Notification("audits", payloads=(Payload(digest(text), text, whole=True),))
    return Notification("audits", payloads=(container(body.text),))
