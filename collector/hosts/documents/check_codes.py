"""docs/check-codes.md, written from the tables of checks and troubles."""

from __future__ import annotations

from typing import Iterator, List

from collector.onboarding.checks import CHECKS, TROUBLES
from collector.onboarding.checks.codes import Check, Trouble

__all__ = ["PATH", "page"]

PATH = "docs/check-codes.md"

_HEAD = """# What `audit-s3 check` says

Written by `python -m collector.hosts.documents` from `collector/onboarding/checks`.

`check` tries, in this order, whatever the collector will need, and changes nothing. A finding that is `ok` or
`skipped` (not tried, and why) carries the code of its check; one that is a `warning` or has `failed` the code
of what is wrong. `owner` is whose move it is: `you` run the collector, the `provider` writes the audits, the
`network` is run by whoever runs proxies, DNS and endpoints between. `fix` is a policy statement with the real
ARNs, a setting, or a text to send. `audit-s3 explain CODE` says the same of each code.

Exit code: 0 if nothing failed, 78 if the configuration cannot be used, else 1. A collector runs on
`sqs:ReceiveMessage` and `sqs:DeleteMessage`, and on `s3:GetObject` and `kms:Decrypt` where there is a bucket:
every other right that is missing is one warning, which names what is off without it.

`--peek` receives one message as well, which costs it one of its receives; it goes back at once. `--offline`
does only what needs no network. What failed is said first, then warnings; what is ok is one line an input,
and what was skipped one an input and reason. `--format html` writes one self-contained file, for a change
ticket; every answer is there, and in `--format json`.

At the end are [the broken set-ups](#the-broken-set-ups-that-are-tried) on which all this is tried.
"""


def page() -> str:
    """The whole file."""
    lines = [_HEAD]
    for check in CHECKS:
        lines += [f"## `{check.code}`", "", _sentence(f"{check.what}: {check.hint}"), "", *_table(check)]
    return "\n".join(lines).rstrip() + "\n"


def _table(check: Check) -> Iterator[str]:
    troubles = [each for each in TROUBLES.values() if each.check == check.code]
    if troubles:
        yield "| code | status | whose move | what is wrong | what to do |"
        yield "|---|---|---|---|---|"
        yield from (_row(each) for each in troubles)
        yield ""


def _row(trouble: Trouble) -> str:
    owner = trouble.owner or "as AWS words it"
    cells: List[str] = [f"`{trouble.code}`", trouble.status, owner, trouble.what, trouble.hint]
    return "| " + " | ".join(cells) + " |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
