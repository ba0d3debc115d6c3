"""What an input needs from AWS and HEC, tried while an administrator waits for the form to be saved.

It is `audit-s3 check` without its report, in the few seconds that Splunk Web gives: nothing is changed, no
message is received and no event is sent.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import List, Sequence

from collector.config.inputs import Input, secrets_of
from collector.errors import Fatal, Retry
from collector.hosts.check.doors import Doors
from collector.hosts.check.report import masked
from collector.notifications import parse
from collector.onboarding.checks import Finding, examine
from collector.wording import counted

__all__ = ["try_online"]

#: Splunk Web gives up after about thirty.
WITHIN_SECONDS = 20.0


def try_online(found: Input, *, within_seconds: float = WITHIN_SECONDS) -> None:
    """Raises Fatal "online_validation" with one line for each thing that failed, Retry where time ran out."""
    findings: List[Finding] = []
    trouble: List[Exception] = []

    def ask() -> None:
        try:
            understand = partial(parse, bodies_are_audits=found.bodies)
            findings.extend(examine(found, Doors(found), parse=understand))
        except Exception as error:  # raised again below, in the thread that was asked
            trouble.append(error)

    thread = threading.Thread(target=ask, name="online-validation", daemon=True)
    thread.start()
    thread.join(within_seconds)
    if trouble:
        raise trouble[0]
    if thread.is_alive():
        raise Retry(
            f"AWS or the output did not answer within {within_seconds:.0f} seconds",
            code="online_validation_timeout", where=found.name,
            hint="is there a firewall or a proxy in between? Without validate_online it can be saved",
        )
    failed = [each for each in masked(findings, secrets_of([found])) if each.status == "failed"]
    if failed:
        raise _Refused(failed)


class _Refused(Fatal):
    """Every failed check, a line each."""

    def __init__(self, failed: Sequence[Finding]) -> None:
        super().__init__(f"{counted(len(failed), 'check')} failed", code="online_validation")
        self._failed = tuple(failed)

    def __str__(self) -> str:
        lines = (
            f"  {each.tried}: {each.answer.rstrip('.')}. {each.fix} [{each.code}]" for each in self._failed
        )
        return "\n".join([f"{self.what}:", *(" ".join(line.split()) for line in lines)])
