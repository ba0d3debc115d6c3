"""What stands in the way, and whose move it is: `audit-s3 check`, without its adapters and its report.

    findings = examine(found, asked, peek=False, parse=parse)

In order: this host, the clock, the credentials, the role, the queue, each bucket, each endpoint of HEC. What
an earlier answer makes pointless is not asked. Nothing is changed: rights are tried on a message and a key
that are none, objects come from listing, and the queue is peeked into only if that is asked for.

A collector runs on ReceiveMessage and DeleteMessage, and GetObject and Decrypt where there is a bucket. Each
further right that is missing is one warning, which names what is off without it.
"""

from __future__ import annotations

from typing import Callable, List

from collector.config.inputs import Input
from collector.errors import CollectorError
from collector.model import Notification, ObjectRef
from collector.onboarding.checks.account import check_account, check_role
from collector.onboarding.checks.asked import Asked
from collector.onboarding.checks.bucket import check_bucket
from collector.onboarding.checks.codes import (
    CHECKPOINT_TABLE,
    CHECKS,
    CREDENTIALS,
    DIGEST_KEYS,
    HEC,
    OBJECT,
    QUEUE,
)
from collector.onboarding.checks.findings import Finding, Notes
from collector.onboarding.checks.hec import check_output
from collector.onboarding.checks.local import check_local
from collector.onboarding.checks.queue import check_queue
from collector.onboarding.checks.table import check_table
from collector.onboarding.checks.troubles import DIGEST_KEYS_DENIED, TROUBLES

__all__ = ["CHECKS", "TROUBLES", "Asked", "Finding", "examine"]


def examine(
    found: Input, asked: Asked, *, peek: bool = False, offline: bool = False,
    parse: Callable[[str], Notification],
) -> List[Finding]:
    """Everything about one input; raises nothing of ours."""
    notes = Notes(found.name, asked.issuer)
    check_local(notes, found, asked)
    if offline:
        _skip_the_network(notes, found)
        return notes.findings
    _check_aws(notes, found, asked, peek=peek, parse=parse)
    try:
        check_output(notes, found.settings, asked.hec)
    except CollectorError as error:  # the settings of HEC cannot be used together
        notes.refused(HEC, error)
    return notes.findings


def _skip_the_network(notes: Notes, found: Input) -> None:
    settings = found.settings
    needs = {
        CREDENTIALS: True, CHECKPOINT_TABLE: settings.checkpoint_store == "dynamodb", QUEUE: found.queue,
        OBJECT: settings.bucket, HEC: "hec" in settings.output,
    }
    for check in (check for check, is_there in needs.items() if is_there):
        notes.skipped(check, "--offline: it needs the network")


def _check_aws(
    notes: Notes, found: Input, asked: Asked, *, peek: bool, parse: Callable[[str], Notification]
) -> None:
    known = check_account(notes, asked.account, found.settings)
    can_ask = can_ask_queue = known.can_ask
    identity = known.identity
    if found.settings.checkpoint_store == "dynamodb" and known.has_credentials:
        check_table(notes, found.settings, asked, own=known.own)
    if asked.queue_account is not None:
        can_ask_queue = check_role(notes, asked.queue_account, found.settings, of="of the queue")
    refs: List[ObjectRef] = []
    if asked.queue_door is not None and can_ask_queue:
        refs = check_queue(
            notes, found, asked.queue_door, peek=peek, parse=parse, identity=identity,
            is_running=asked.is_running,
        )
    elif asked.queue_door is not None:
        notes.skipped(QUEUE, "there is nobody to ask as")
    for name in found.settings.bucket:
        if asked.bucket is not None and can_ask:
            check_bucket(notes, found, asked.bucket, name, named=refs, identity=identity)
        else:
            notes.skipped(OBJECT, "there is nobody to ask as", of=name)
    if found.verifies_digests and can_ask:
        _check_digest_keys(notes, found, asked)


def _check_digest_keys(notes: Notes, found: Input, asked: Asked) -> None:
    region = found.settings.bucket_region or found.settings.region
    try:
        asked.ask_digest_keys(region)
    except CollectorError as error:
        notes.refused(DIGEST_KEYS, error, trouble=DIGEST_KEYS_DENIED, of=region)
    else:
        notes.ok(DIGEST_KEYS, "the keys may be asked for", of=region)
