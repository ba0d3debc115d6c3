"""The clock, the credentials and the role: without them nothing else can be asked.

One call tells two things: AWS's answer to GetCallerIdentity, which no policy can deny, is dated.
"""

from __future__ import annotations

from typing import Optional, Tuple

from collector.config.settings import Settings
from collector.errors import CollectorError, Retry
from collector.onboarding.checks.asked import Account, Caller
from collector.onboarding.checks.codes import CLOCK, CREDENTIALS, ROLE
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.fixes import Grant, assume_text
from collector.onboarding.checks.troubles import CLOCK_DRIFT

__all__ = ["check_account"]

#: Answers carry whole seconds, and take some to come.
_DRIFT_SECONDS = 60


def check_account(notes: Notes, account: Account, settings: Settings) -> Tuple[bool, str]:
    """Whether there is somebody to ask as, and whom a policy has to name for that."""
    caller: Optional[Caller] = None
    try:
        caller = account.base()
    except CollectorError as error:
        if not _goes_without(notes, account, error):
            return False, account.role
    else:
        _check_clock(notes, caller.ahead_seconds)
        notes.ok(CREDENTIALS, caller.arn)
    own = caller.arn if caller else "the collector's own credentials"
    return check_role(notes, account, settings, caller=caller), account.role or own


def check_role(
    notes: Notes, account: Account, settings: Settings, *, caller: Optional[Caller] = None, of: str = ""
) -> bool:
    if not account.role:
        notes.skipped(ROLE, "there is none: the credentials themselves are used", of=of)
        return True
    try:
        notes.ok(ROLE, account.assumed().arn, of=of)
        return True
    except CollectorError as error:
        _refused_role(notes, account, error, user=caller.arn if caller else "", settings=settings, of=of)
        return False


def _goes_without(notes: Notes, account: Account, error: CollectorError) -> bool:
    """Without a role nobody needs STS: it may be out of reach while the queue is not."""
    if error.code == "clock_skew":
        notes.refused(CLOCK, error)
        notes.skipped(CREDENTIALS, "nothing is believed of signatures of another time")
        return False
    notes.skipped(CLOCK, "no answer of AWS told the time")
    if isinstance(error, Retry) and not account.role and error.code != "credentials_unavailable":
        notes.skipped(CREDENTIALS, f"without a role STS is not needed, and it is out of reach: {error.what}")
        return True
    notes.refused(CREDENTIALS, error)
    return False


def _check_clock(notes: Notes, ahead_seconds: Optional[float]) -> None:
    if ahead_seconds is None:
        notes.skipped(CLOCK, "AWS's answer has no date")
    elif abs(ahead_seconds) > _DRIFT_SECONDS:
        notes.found(CLOCK, CLOCK_DRIFT, f"it is off by {ahead_seconds:+.0f} s; AWS allows 900, KMS 300")
    else:
        notes.ok(CLOCK, f"they agree within {_DRIFT_SECONDS} s")


def _refused_role(
    notes: Notes, account: Account, error: CollectorError, *, user: str, settings: Settings, of: str
) -> None:
    """Where AWS names a policy, it is that; across accounts it names none, and both sides have to look.

    A wrong external id and a trust policy that names somebody else are answered in the same words.
    """
    user = user or "the collector's user"
    grant = Grant(["sts:AssumeRole"], account.role, user)
    is_trust_or_unexplained = error.code == "role_denied" and "external_id" in error.hint
    if not is_trust_or_unexplained:
        notes.refused(ROLE, error, grant=grant, of=of)
        return
    fix = assume_text(
        user=user, role=account.role, session_name=settings.role_session_name,
        has_external_id=bool(settings.external_id),
    )
    notes.refused(ROLE, error, fix=fix, of=of)
