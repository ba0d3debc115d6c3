"""HEC, endpoint by endpoint, without an event: what only an event can try is said to be untried."""

from __future__ import annotations

from typing import Sequence

from collector.config.settings import Settings
from collector.errors import CollectorError
from collector.onboarding.checks.asked import Hec
from collector.onboarding.checks.codes import (
    HEC,
    HEC_ACK,
    HEC_INDEX,
    HEC_STICKY,
    HEC_TOKEN,
    OUTPUT,
    Check,
)
from collector.onboarding.checks.findings import Notes, sentence
from collector.onboarding.checks.troubles import NOT_STICKY, TROUBLES

__all__ = ["check_output"]


def check_output(notes: Notes, settings: Settings, endpoints: Sequence[Hec]) -> None:
    for name in settings.output:
        if name != "hec":
            notes.ok(OUTPUT, f"{name} takes what it is given")
    for hec in endpoints:
        _check_endpoint(notes, settings, hec)


def _check_endpoint(notes: Notes, settings: Settings, hec: Hec) -> None:
    try:
        notes.ok(HEC, hec.health(), of=hec.url)
    except CollectorError as error:
        _refused(notes, HEC, error, of=hec.url)
        return
    try:
        hec.token()
        notes.ok(HEC_TOKEN, "HEC knows the token", of=hec.url)
    except CollectorError as error:
        _refused(notes, HEC_TOKEN, error, of=hec.url)
        return
    try:
        _check_acknowledgement(notes, settings, hec)
    except CollectorError as error:
        _refused(notes, HEC_ACK, error, of=hec.url)
    what = f"index = {settings.index}" if settings.index else "the token's own index"
    notes.skipped(HEC_INDEX, f"{what}: only an event that is indexed could try it, and none is sent")


def _refused(notes: Notes, check: Check, error: CollectorError, *, of: str) -> None:
    """Where the hint is about events that were on their way: here there are none."""
    fix = sentence(TROUBLES[error.code].hint) if error.code in ("hec_timeout", "hec_connection_lost") else ""
    notes.refused(check, error, fix=fix, of=of)


def _check_acknowledgement(notes: Notes, settings: Settings, hec: Hec) -> None:
    if settings.hec_ack == "off":
        notes.skipped(HEC_ACK, "hec_ack = off: an event has arrived when HEC has accepted it", of=hec.url)
        return
    if hec.acknowledges(must=settings.hec_ack == "on"):
        notes.ok(HEC_ACK, "the token has it: an event has arrived when it is indexed", of=hec.url)
        _check_stickiness(notes, hec)
    else:
        notes.ok(HEC_ACK, "the token has none: an event has arrived when HEC has accepted it", of=hec.url)


def _check_stickiness(notes: Notes, hec: Hec) -> None:
    first, again = hec.cookies()
    changed = [name for name, value in again.items() if first.get(name, value) != value]
    addresses = hec.addresses()
    if changed:
        answer = f"the cookie {', '.join(changed)} changes although it is sent back"
        notes.found(HEC_STICKY, NOT_STICKY, answer, of=hec.url)
    elif first:
        notes.ok(HEC_STICKY, f"the cookie {', '.join(first)} leads back", of=hec.url)
    elif len(addresses) > 1:
        answer = f"the name leads to {len(addresses)} addresses, and no cookie leads back to one of them"
        notes.found(HEC_STICKY, NOT_STICKY, answer, of=hec.url)
    else:
        why = "one address and no cookie: if several indexers are behind it, only events would show it"
        notes.skipped(HEC_STICKY, why, of=hec.url)
