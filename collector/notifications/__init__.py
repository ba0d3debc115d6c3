"""What the body of an SQS message means: ObjectRefs, payloads, or a known reason to do nothing.

One recogniser per shape, in one ordered tuple; the first that knows the body answers. A wrapper (an SNS
envelope, a JSON string, base64 gzip, a list) gives its inside back to the same tuple, at most five deep,
so that any producer may stand behind any transport. No setting chooses a shape. No URL is visited here;
whether an SNS envelope is signed only the caller's `verify` can tell, and what lies behind a pointer only
its `fetch`. Of a body with many parts the sound ones mean what they say, the others are its `problems`.

A body that nobody knows is Poison "unknown_body", unless the input says that its bodies are audits.
Payload bodies are the bytes of the message, never a re-serialisation of what was parsed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Callable, Optional, Tuple

from collector.errors import Poison
from collector.model import Notification, ObjectRef
from collector.notifications.body import Body, Fetch, Room, Verify, glimpse, loaded, unverified
from collector.notifications.objects import (
    cloudtrail,
    cloudtrail_validation,
    config,
    eventbridge,
    eventbridge_api_call,
    extended_client,
    file_list,
    s3,
    s3_test,
)
from collector.notifications.payloads import (
    audits,
    cloudtrail_events,
    host_of,
    json_list,
    log_event,
    logs_subscription,
    several_values,
)
from collector.notifications.transports import (
    base64_gzip,
    empty,
    json_string,
    logs_event,
    sns,
    wrapped_records,
)

__all__ = ["host_of", "parse"]

#: What an editor of Windows puts before a text; as in objects, it is no part of it.
BYTE_ORDER_MARK = "\ufeff"
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_KEY_MAX_BYTES = 1024
#: The order decides where shapes overlap: `Records` may be S3's, Lambda's or CloudTrail's own, and a
#: log subscription is an object with a `messageType`, like AWS Config's.
_RECOGNISERS: Tuple[Callable[[Body], Optional[Notification]], ...] = (
    empty,
    extended_client,
    cloudtrail_validation,
    base64_gzip,
    json_string,
    sns,
    s3_test,
    cloudtrail,
    eventbridge,
    eventbridge_api_call,
    s3,
    wrapped_records,
    cloudtrail_events,
    logs_subscription,
    logs_event,
    config,
    log_event,
    file_list,
    json_list,
    several_values,
    audits,
)


def parse(
    body: str,
    *,
    bodies_are_audits: bool = False,
    verify: Verify = unverified,
    fetch: Optional[Fetch] = None,
) -> Notification:
    """What `body` means. Its `shape` names every layer, outermost first ("sns > s3").

    `bodies_are_audits` makes a payload of a body that is in no known shape. `verify` is shown each SNS
    envelope before it is opened. `fetch` reads a body that was too large for SQS; without it the pointer
    itself is the one ref. What the two raise is raised here, Poison only if no other part is sound.
    Poison: "empty_body", "unknown_body", "key_undecodable", "unknown_event_version", "nested_too_deep",
    "bomb", "sns_unconfirmed", "sns_unsubscribed".
    """
    found = _read(body, depth=0, audits=bodies_are_audits, room=Room(), verify=verify, fetch=fetch)
    return found if all(map(_can_be, found.refs)) else _without_impossible(found)


def _can_be(ref: ObjectRef) -> bool:
    return len(ref.key) <= _KEY_MAX_BYTES // 4 or len(ref.key.encode("utf-8", "replace")) <= _KEY_MAX_BYTES


def _without_impossible(found: Notification) -> Notification:
    """S3 has no such key, and a store would have to hold it."""
    refs = tuple(filter(_can_be, found.refs))
    problem = Poison(
        f"an object key of more than {_KEY_MAX_BYTES:,} bytes, which S3 does not have", code="unknown_body",
        hint="see it with `audit-s3 quarantine show`, and ask who writes to the queue",
    )
    if not refs and not found.payloads:
        raise problem
    return replace(found, refs=refs, problems=(*found.problems, problem))


def _read(
    text: str, *, depth: int, audits: bool, room: Room, verify: Verify, fetch: Optional[Fetch]
) -> Notification:
    read = partial(_read, room=room, verify=verify, fetch=fetch)
    text = text[1:] if text.startswith(BYTE_ORDER_MARK) else text
    body = Body(text, loaded(text), depth, audits, read, room, verify, fetch)
    for recogniser in _RECOGNISERS:
        found = recogniser(body)
        if found is not None:
            return found
    raise Poison(
        f"the body is in no known shape: {glimpse(text)}",
        code="unknown_body",
        hint="see it with `audit-s3 quarantine show`; if such bodies are audits, choose a provider for them",
    )
