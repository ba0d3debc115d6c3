"""The three fates of an error: try again, set aside, or call the operator.

Adapters translate every foreign exception into one of these at their own edge, by one table each.
Anything else that reaches the engine is a bug: it is logged with its traceback and treated as Retry.
This module knows nobody.
"""

from __future__ import annotations

from typing import Optional

__all__ = ["CollectorError", "Fatal", "Poison", "Refused", "Retry"]


class CollectorError(Exception):
    """What went wrong, where, and the operator's next step.

    `code` is stable and lower_snake_case: it is what `audit-s3 explain CODE` takes, what rows and
    logs carry, and what the engine compares when it asks whether failures are alike.
    """

    def __init__(self, what: str, *, code: str, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.what} [{self.code}]"
        if self.where:
            text += f" at {self.where}"
        if self.hint:
            text += f". {self.hint.rstrip('.')}"  # whoever goes on after it adds the dot
        return text


class Retry(CollectorError):
    """Later may be better: throttling, 5xx, timeouts, resets, a busy store.

    `after_seconds` is the other side's own wish (Retry-After); None leaves it to our back-off.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str = "",
        hint: str = "",
        after_seconds: Optional[float] = None,
    ) -> None:
        super().__init__(what, code=code, where=where, hint=hint)
        self.after_seconds = after_seconds


class Poison(CollectorError):
    """The same input will always fail. It goes to quarantine, durably, before anything is deleted.

    `sightings` is how often the same answer must be seen before it is believed: a missing object may
    be lag, a cut-off gzip stream may be a broken connection.
    """

    def __init__(
        self, what: str, *, code: str, where: str = "", hint: str = "", sightings: int = 1
    ) -> None:
        super().__init__(what, code=code, where=where, hint=hint)
        self.sightings = sightings


class Refused(Poison):
    """An output refused a batch for its content.

    `accepted` counts the leading events of the batch that the output has taken for good; with indexer
    acknowledgement it is always 0, because an accepted prefix without an ackId is nobody's promise.
    `offender` is the index, in the batch, of the event blamed; None when the output did not say.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str = "",
        hint: str = "",
        accepted: int = 0,
        offender: Optional[int] = None,
    ) -> None:
        super().__init__(what, code=code, where=where, hint=hint)
        self.accepted = accepted
        self.offender = offender


class Fatal(CollectorError):
    """The operator, or the provider, must act; nothing is quarantined and nothing is deleted for it.

    `scope` names the breaker that opens: "role", "queue" and "output" stop receiving at once;
    "object" (one GetObject denied) and "kms" (one key) back off alone until failures are many and
    alike; "config" ends the program with exit code 78. `resource` is the ARN of the key, where AWS said it.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str = "",
        hint: str = "",
        scope: str = "config",
        resource: str = "",
    ) -> None:
        super().__init__(what, code=code, where=where, hint=hint)
        self.scope = scope
        self.resource = resource
