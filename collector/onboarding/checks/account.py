"""The clock, the credentials and the role: without them nothing else can be asked.

One call tells two things: AWS's answer to GetCallerIdentity, which no policy can deny, is dated.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from collector.config.addresses import without_session
from collector.config.settings import Settings
from collector.errors import CollectorError, Retry
from collector.onboarding.checks.asked import Account
from collector.onboarding.checks.codes import CLOCK, CREDENTIALS, ROLE
from collector.onboarding.checks.findings import Notes, sentence
from collector.onboarding.checks.fixes import OWN, Grant, assume_text
from collector.onboarding.checks.troubles import CLOCK_DRIFT, TROUBLES

__all__ = ["Known", "check_account", "check_role"]

#: Answers carry whole seconds, and take some to come.
_DRIFT_SECONDS = 60
#: AWS does not say that a role does not exist, and a right to a typo mends nothing.
_COMPARE_ROLE = (
    "First compare role_arn, letter by letter, with what was handed over: whose policy names one role is "
    "refused every other. If {} is right: "
)


class Known(NamedTuple):
    """Who we are: the collector's own user or role, whom a policy has to name, and what can be asked as whom.

    `can_ask` is of the access role where there is one, `has_credentials` of the collector's own.
    """

    can_ask: bool
    identity: str
    own: str
    has_credentials: bool = True


def check_account(notes: Notes, account: Account, settings: Settings) -> Known:
    own, caller = OWN, None
    try:
        caller = account.base()
    except CollectorError as error:
        if not _goes_without(notes, account, error):
            return Known(False, account.role, own, has_credentials=False)
    else:
        _check_clock(notes, caller.ahead_seconds)
        notes.ok(CREDENTIALS, caller.arn)
        own = without_session(caller.arn)
    can_ask = check_role(notes, account, settings, user=own if caller else "")
    return Known(can_ask, account.role or own, own)


def check_role(
    notes: Notes, account: Account, settings: Settings, *, user: str = "", of: str = ""
) -> bool:
    if not account.role:
        notes.skipped(ROLE, "there is none: the credentials themselves are used", of=of)
        return True
    try:
        notes.ok(ROLE, account.assumed().arn, of=of)
        return True
    except CollectorError as error:
        _refused_role(notes, account, error, user=user, settings=settings, of=of)
        return False


def _goes_without(notes: Notes, account: Account, error: CollectorError) -> bool:
    """Without a role nobody needs STS: it may be out of reach while the queue is not."""
    if error.code == "clock_skew":
        notes.refused(CLOCK, error)
        notes.skipped(CREDENTIALS, "nothing is believed of signatures of another time")
        return False
    notes.skipped(CLOCK, "no answer of AWS told the time")
    if error.code == "credentials_expired":
        notes.refused(CREDENTIALS, error, fix=sentence(TROUBLES[error.code].hint))
        return False
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
        is_ours = error.code == "role_denied" and "no identity-based policy" in error.what
        first = _COMPARE_ROLE.format(account.role) if is_ours else ""
        notes.refused(ROLE, error, grant=grant, of=of, first=first)
        return
    fix = assume_text(
        user=user, role=account.role, session_name=settings.role_session_name,
        has_external_id=bool(settings.external_id),
    )
    notes.refused(ROLE, error, fix=fix, of=of)
