"""What stands in the way, and whose move it is: every port is asked, nothing is received or delivered.

A finding is what `audit-s3 check --format json` prints. The owner of a failure follows from its fate and
code: what the access role or the queue's policy refuses is the provider's to grant, what our own keys,
settings or output refuse is the customer's, and what never got an answer is the network's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Sequence, Tuple

from collector.errors import CollectorError, Fatal, Retry

__all__ = ["Check", "Finding", "NotTried", "preflight"]


class NotTried(str):
    """An answer that says why something was not tried: neither good nor bad."""


#: A check's code, what it tries in words, and the call that raises what it finds.
Check = Tuple[str, str, Callable[[], object]]

_PROVIDER_SCOPES = frozenset({"role", "queue", "object", "kms"})
_OURS = ("credentials", "profile", "clock", "keys", "parameter", "setting")


@dataclass(frozen=True)
class Finding:
    """One line of the report. `status`: ok, warning, failed or skipped; `owner`: you, provider, network."""

    code: str
    status: str
    owner: str
    tried: str
    answer: str
    fix: str

    def as_json(self) -> Dict[str, Any]:
        return asdict(self)


def preflight(checks: Sequence[Check]) -> List[Finding]:
    """Run every check in order; one that fails does not keep the next from being tried."""
    return [_try(code, tried, call) for code, tried, call in checks]


def _try(code: str, tried: str, call: Callable[[], object]) -> Finding:
    try:
        answer = call()
    except CollectorError as error:
        return Finding(error.code, "failed", _owner(error), tried, error.what, error.hint)
    if isinstance(answer, NotTried):
        return Finding(code, "skipped", "", tried, answer, "")
    return Finding(code, "ok", "", tried, answer if isinstance(answer, str) else "answers", "")


def _owner(error: CollectorError) -> str:
    if isinstance(error, Retry):
        return "network"
    ours = any(word in error.code for word in _OURS)
    if isinstance(error, Fatal) and error.scope in _PROVIDER_SCOPES and not ours:
        return "provider"
    return "you"
