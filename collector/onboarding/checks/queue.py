"""The queue: the rights to it, tried on a message that is none, and how it is set up.

    DeleteMessage of a receipt handle that is nobody's: "the handle is invalid" is for who may delete

Receiving alone cannot be tried so: it is asked for (`peek`), takes one message, and gives it back at once.
Even then not where one receive is all that the queue allows a message.
"""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Tuple

from collector.config.addresses import arn_account
from collector.config.inputs import Input
from collector.errors import CollectorError, Fatal
from collector.model import Message, Notification, ObjectRef
from collector.onboarding.checks.asked import QueueDoor
from collector.onboarding.checks.codes import (
    QUEUE,
    QUEUE_ATTRIBUTES,
    QUEUE_DELETE,
    QUEUE_RECEIVE,
    QUEUE_VISIBILITY,
    Check,
)
from collector.onboarding.checks.findings import Notes, sentence
from collector.onboarding.checks.fixes import Grant, subscription_text
from collector.onboarding.checks.queue_attributes import check_attributes, most_receives
from collector.onboarding.checks.troubles import (
    ATTRIBUTES_DENIED,
    DELETE_DENIED,
    RECEIVE_DENIED,
    TROUBLES,
    VISIBILITY_DENIED,
)
from collector.ports import Queue

__all__ = ["check_queue"]

Parse = Callable[[str], Notification]

_NOBODYS = Message("audit-s3-check", body="", receipt_handle="audit-s3-check")
#: For how long a peeked message is hidden where it may not be given back.
_HIDE_SECONDS = 1
_WAIT_SECONDS = 1


def check_queue(
    notes: Notes, found: Input, door: QueueDoor, *, peek: bool, parse: Parse, identity: str,
    is_running: Callable[[], bool],
) -> List[ObjectRef]:
    """The objects that a peeked message names."""
    asked = _Asked(notes, found, door, identity)
    try:
        queue = door.find()
    except CollectorError as error:
        asked.tell_unfound(error, "GetQueueUrl")
        return []
    attributes, unseen = _attributes(door)
    if unseen is not None and unseen.code != "queue_denied":  # no queue, or no way to it: once is enough
        notes.refused(QUEUE, unseen)
        return []
    delete = _refusal(lambda: queue.delete([_NOBODYS]))
    hide = _refusal(lambda: queue.change_visibility([_NOBODYS], timeout_seconds=0))
    if _is_no_queue(asked, delete, hide, unseen):
        return []
    notes.ok(QUEUE, f"it is there: {queue.name}")
    refs = asked.receive(queue, peek=peek, most=most_receives(attributes), parse=parse)
    asked.tell(QUEUE_DELETE, delete, DELETE_DENIED.code, "DeleteMessage")
    asked.tell(QUEUE_VISIBILITY, hide, VISIBILITY_DENIED.code, "ChangeMessageVisibility")
    asked.tell(QUEUE_ATTRIBUTES, unseen, ATTRIBUTES_DENIED.code, "GetQueueAttributes")
    if attributes:
        check_attributes(notes, found, door, attributes, url=queue.name, is_running=is_running)
    return refs


def _is_no_queue(
    asked: _Asked, delete: Optional[CollectorError], hide: Optional[CollectorError],
    unseen: Optional[CollectorError],
) -> bool:
    """Whether every question met the same refusal: then that is the one finding."""
    if delete is None or hide is None or unseen is None:
        return False
    names = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
    asked.tell_unfound(delete, *names)
    return True


def _refusal(ask: Callable[[], Mapping[str, CollectorError]]) -> Optional[CollectorError]:
    """What stands against it. A complaint about the message itself is no refusal."""
    try:
        answers = ask()
    except CollectorError as error:
        return error
    return next((error for error in answers.values() if isinstance(error, Fatal)), None)


def _attributes(door: QueueDoor) -> Tuple[Mapping[str, str], Optional[CollectorError]]:
    try:
        return door.attributes(), None
    except CollectorError as error:
        return {}, error


class _Asked:
    """What the questions to one queue share."""

    def __init__(self, notes: Notes, found: Input, door: QueueDoor, identity: str) -> None:
        self._notes, self._found = notes, found
        self._identity = door.role or identity
        self._arn = door.arn or _arn_of(found, self._identity)

    def grant(self, *names: str) -> Grant:
        return Grant([f"sqs:{name}" for name in names], self._arn, self._identity)

    def tell(self, check: Check, error: Optional[CollectorError], denied: str, name: str) -> None:
        if error is None:
            self._notes.ok(check, "allowed")
        else:
            trouble = TROUBLES[denied] if error.code == "queue_denied" else None
            grant = self.grant(name)
            if error.code == "kms_denied":
                key = getattr(error, "resource", "") or "the queue's KMS key"
                grant = Grant(["kms:Decrypt"], key, self._identity)
            self._notes.refused(check, error, trouble=trouble, grant=grant)

    def tell_unfound(self, error: CollectorError, *names: str) -> None:
        """Nothing was allowed. AWS denies what does not exist, too, and a right to a typo mends nothing."""
        is_missing_right = error.code == "queue_denied" and error.hint.partition(": ")[2].startswith("attach")
        if not is_missing_right:
            self._notes.refused(QUEUE, error, grant=self.grant(*names))
            return
        first = (
            "First compare queue_url and queue_region, letter by letter, with what was handed over: AWS "
            f"denies a queue that does not exist, too. If {self._arn} is right: "
        )
        self._notes.refused(QUEUE, error, grant=self.grant(*names), first=first, owner="you")

    def receive(self, queue: Queue, *, peek: bool, most: int, parse: Parse) -> List[ObjectRef]:
        if not peek:
            why = "receiving costs one message one of its receives: ask for it with --peek"
            self._notes.skipped(QUEUE_RECEIVE, why)
            return []
        if most == 1:
            why = "maxReceiveCount is 1: the message would go to the DLQ at its next receive"
            self._notes.skipped(QUEUE_RECEIVE, why)
            return []
        try:
            messages = list(queue.receive(1, wait_seconds=_WAIT_SECONDS, hide_seconds=_HIDE_SECONDS))
        except CollectorError as error:
            self.tell(QUEUE_RECEIVE, error, RECEIVE_DENIED.code, "ReceiveMessage")
            return []
        back = _refusal(lambda: queue.change_visibility(messages, timeout_seconds=0)) if messages else None
        returned = "given back" if back is None else f"it comes back by itself in {_HIDE_SECONDS} s"
        return self._understood(messages, returned, parse) if messages else self._empty()

    def _empty(self) -> List[ObjectRef]:
        self._notes.ok(QUEUE_RECEIVE, "allowed; the queue gave no message")
        return []

    def _understood(self, messages: List[Message], returned: str, parse: Parse) -> List[ObjectRef]:
        try:
            said = parse(messages[0].body)
        except CollectorError as error:
            self._not_understood(error)
            return []
        foreign = [ref for ref in said.refs if ref.bucket not in self._found.settings.bucket]
        if foreign:
            self._notes.found(
                QUEUE_RECEIVE, TROUBLES["foreign_bucket"],
                f"one message, {returned}; it names {foreign[0].url}",
                fix=f"If the provider confirms it, set bucket = {foreign[0].bucket}",
            )
            return []
        meaning = said.shape + (f": {said.noop}" if said.noop else "")
        self._notes.ok(QUEUE_RECEIVE, f"one message, {returned}; understood as {meaning}")
        return [ref for ref in said.refs if not self._found.route(ref.key).drop]

    def _not_understood(self, error: CollectorError) -> None:
        trouble = TROUBLES.get(error.code, TROUBLES["unknown_body"])
        fix = subscription_text(error.code, topic=error.where, queue=self._arn)
        self._notes.refused(QUEUE_RECEIVE, error, trouble=trouble, fix=fix or sentence(trouble.hint))


def _arn_of(found: Input, identity: str) -> str:
    """Of a queue of which only the name is known: AWS looks in the account of whoever asks."""
    settings, account = found.settings, found.settings.account or arn_account(identity) or "*"
    partition = identity.split(":")[1] if identity.startswith("arn:") else "aws"
    return f"arn:{partition}:sqs:{settings.queue_region or settings.region}:{account}:{settings.queue_url}"
