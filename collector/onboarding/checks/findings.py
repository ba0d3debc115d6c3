"""One line of the report, and who collects them.

    notes.ok(ROLE, "arn:aws:sts::...")
    notes.refused(OBJECT, error, grant=Grant("s3:GetObject", arn, identity))

The owner of a failure is what the log says too: see retention.moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional

from collector.errors import CollectorError, Fatal
from collector.onboarding.checks.codes import OWNERS, Check, Trouble
from collector.onboarding.checks.fixes import OWN, Grant, sent
from collector.onboarding.checks.troubles import TROUBLES
from collector.retention.moves import mover

__all__ = ["Finding", "Notes", "sentence"]


@dataclass(frozen=True)
class Finding:
    """`status`: ok, warning, failed, skipped; `owner`: you, provider, network, whose side it is on.

    `is_configuration` says that the settings themselves cannot be used, whatever the others do.
    """

    code: str
    status: str
    owner: str
    tried: str
    answer: str
    fix: str
    is_configuration: bool = False

    def as_json(self) -> Dict[str, str]:
        names = ("code", "status", "owner", "tried", "answer", "fix")
        return {name: getattr(self, name) for name in names}


@dataclass
class Notes:
    """The findings of one input, in order. `issuer` tells who signed the certificate that a URL shows."""

    name: str
    issuer: Callable[[str], str]
    findings: List[Finding] = field(default_factory=list)

    def ok(self, check: Check, answer: str, *, of: str = "") -> None:
        self._add(check, check.code, "ok", check.owner, answer, "", of)

    def skipped(self, check: Check, why: str, *, of: str = "") -> None:
        """It was not tried: neither good nor bad."""
        self._add(check, check.code, "skipped", check.owner, why, "", of)

    def found(
        self, check: Check, trouble: Trouble, answer: str, *, fix: str = "", of: str = "", owner: str = ""
    ) -> None:
        """A trouble that the check itself found."""
        owner = owner or trouble.owner or check.owner
        self._add(check, trouble.code, trouble.status, owner, answer, fix or sentence(trouble.hint), of)

    def refused(
        self, check: Check, error: CollectorError, *, trouble: Optional[Trouble] = None,
        grant: Optional[Grant] = None, fix: str = "", of: str = "", owner: str = "",
        first: str = "",
    ) -> None:
        """A trouble that somebody's answer says, under the name of `trouble` if that is more exact.

        `first` is what to look at before the fix; `owner` is whose move that is, if another's.
        """
        known = trouble or TROUBLES.get(error.code)
        answers_for_it = mover(error.code, error.hint)
        owner, step = owner or answers_for_it, _step(error, known, answers_for_it)
        if grant is not None and error.hint.partition(": ")[2].startswith("attach"):
            besides = error.hint.partition(", without ")[2]
            step = grant.text(answers_for_it, kind_of_policy=error.what)
            step += f" Without {besides}" if besides else ""
        elif grant is not None:  # whoever is to read it knows us by our ARN
            step = step.replace(OWN, grant.identity)
        code = known.code if known else error.code
        status = known.status if known else "failed"
        is_configuration = isinstance(error, Fatal) and error.scope == "config"
        answer = error.what + self._certificate(error)
        self._add(check, code, status, owner, answer, first + (fix or step), of, is_configuration)

    def _certificate(self, error: CollectorError) -> str:
        if error.code not in ("tls_untrusted", "hec_tls"):
            return ""
        issuer = self.issuer(f"{error.what} {error.where}")
        return f" The certificate shown there was issued by: {issuer}" if issuer else ""

    def _add(
        self, check: Check, code: str, status: str, owner: str, answer: str, fix: str, of: str,
        is_configuration: bool = False,
    ) -> None:
        tried = f"{self.name}: {check.what}" + (f", {of}" if of else "")
        self.findings.append(Finding(code, status, owner, tried, answer, fix, is_configuration))


def _step(error: CollectorError, known: Optional[Trouble], owner: str) -> str:
    """The next step, without the word that says whose it is; ready to be sent if it is the provider's."""
    first, _, rest = error.hint.partition(": ")
    step = rest if first.lower() in OWNERS else error.hint
    step = step or (known.hint if known else "ask again; `audit-s3 explain` knows the code")
    return sent(step) if owner == "provider" else sentence(step)


def sentence(text: str) -> str:
    """With a capital, unless it begins with the name of a setting."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
