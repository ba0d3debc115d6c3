"""The findings of `audit-s3 check` as text to read, JSON to process, and one HTML file for a change ticket.

Nothing secret is in any of them: what the settings keep secret is masked in every word, whoever said it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from html import escape
from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from collector import __version__
from collector.config.secret import longest_first, mask_userinfo, starred
from collector.onboarding.checks import Finding
from collector.wording import plain

__all__ = ["FORMATS", "masked", "render"]


def masked(findings: Iterable[Finding], secrets: Iterable[str]) -> List[Finding]:
    """The same without any of `secrets`, and without the user of any URL; control characters are escaped."""
    hidden = longest_first(secrets)

    def clean(text: str) -> str:
        return plain(mask_userinfo(starred(text, hidden)))

    return [
        replace(each, tried=clean(each.tried), answer=clean(each.answer), fix=clean(each.fix))
        for each in findings
    ]


def render(findings: Sequence[Finding], form: str, *, at: float) -> str:
    """The report in one of FORMATS. `at` is epoch seconds."""
    return FORMATS[form](findings, at)


def _text(findings: Sequence[Finding], at: float) -> str:
    """A block for each thing that is wrong, nothing cut, for a ticket; of the rest the codes."""
    lines: List[str] = []
    for each in _troubles(findings):
        lines += [f"{each.status:8}{each.code:26}{each.tried}", f"{'':8}{each.answer}"]
        ours, sent, theirs = each.fix.partition(" Send to the provider: ")
        lines.append(f"{'':8}whose move: {each.owner}. {ours}")
        lines += [f"{'':8}{sent.strip()} {theirs}"] if sent else []  # a line of its own, to be copied whole
    lines += [f"{status:8}{said}" for status, said in _rest(findings)]
    return "\n".join([*lines, _summary(findings)])


def _troubles(findings: Iterable[Finding]) -> List[Finding]:
    """What is wrong, failures first."""
    wrong = [each for each in findings if each.status in ("failed", "warning")]
    return sorted(wrong, key=lambda each: each.status != "failed")


def _rest(findings: Sequence[Finding]) -> Iterator[Tuple[str, str]]:
    """What is ok, then what was skipped and why; inputs of which the same is to be said share a line."""
    for status in ("ok", "skipped"):
        lines: Dict[Tuple[str, str], Dict[str, None]] = {}
        for each in findings:
            if each.status == status:
                why = each.answer if status == "skipped" else ""
                lines.setdefault((_input_of(each), why), {})[each.code] = None
        alike: Dict[Tuple[str, str], List[str]] = {}
        for (name, why), codes in lines.items():
            alike.setdefault((", ".join(codes), why), []).append(name)
        for (said, why), names in alike.items():
            yield status, f"{', '.join(names)}: {said}" + (f": {why}" if why else "")


def _input_of(each: Finding) -> str:
    """The name that stands before what was tried."""
    return each.tried.partition(": ")[0]


def _json(findings: Sequence[Finding], at: float) -> str:
    return json.dumps({"findings": [each.as_json() for each in findings]}, indent=2)


def _html(findings: Sequence[Finding], at: float) -> str:
    when = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    troubles = _troubles(findings)
    return _PAGE.format(
        summary=escape(_summary(findings)), when=when, version=escape(__version__),
        troubles=_table(troubles) if troubles else "<p>Nothing that was tried is wrong.</p>",
        rest=_folded(findings) if len(troubles) < len(findings) else "",
    )


def _folded(findings: Sequence[Finding]) -> str:
    """What is not wrong: a line an input, and every answer to unfold."""
    lines = "\n".join(f"<li><b>{status}</b> {_broken(said)}</li>" for status, said in _rest(findings))
    every = _table(each for each in findings if each.status in ("ok", "skipped"))
    return f"<ul>\n{lines}\n</ul>\n<details>\n<summary>What each answered</summary>\n{every}\n</details>"


def _table(findings: Iterable[Finding]) -> str:
    return _TABLE.format(rows="\n".join(_row(each) for each in findings))


def _row(each: Finding) -> str:
    moves = each.status in ("failed", "warning")
    cells = (each.status, each.code, each.tried, each.answer, each.owner if moves else "", each.fix)
    inner = "".join(f"<td>{_broken(cell)}</td>" for cell in cells)
    return f'<tr class="{each.status}">{inner}</tr>'


def _broken(text: str) -> str:
    """Policy statements as code."""
    return re.sub(r"(\{.*?\})(?=[ .]|$)", r"<code>\1</code>", escape(text, quote=False))


def _summary(findings: Sequence[Finding]) -> str:
    counts: Dict[str, int] = Counter(each.status for each in findings)
    said = [f"{counts[name]} {name}" for name in ("failed", "warning", "skipped", "ok") if counts[name]]
    owners = sorted({each.owner for each in findings if each.status == "failed"})
    moves = f"; whose move: {', '.join(owners)}" if owners else ""
    return f"{', '.join(said) or 'nothing was tried'}{moves}"


FORMATS: Dict[str, Callable[[Sequence[Finding], float], str]] = {
    "text": _text,
    "json": _json,
    "html": _html,
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>audit-s3 check</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border: 1px solid #ccc; padding: .4em .6em; text-align: left; vertical-align: top }}
td, li {{ overflow-wrap: anywhere }}
td:nth-child(-n+2), td:nth-child(5) {{ white-space: nowrap }}
td:nth-child(3) {{ width: 18% }} td:nth-child(4), td:nth-child(6) {{ width: 30% }}
li {{ margin: .4em 0; max-width: 110em }}
@media (max-width: 50em) {{
  body {{ margin: 1em }}
  thead {{ display: none }}
  tr, td, tbody, table {{ display: block }}
  td:nth-child(n) {{ width: auto; white-space: normal }}
  td:nth-child(5):not(:empty)::before {{ content: "whose move: " }}
  td:empty {{ display: none }}
  tr {{ margin-bottom: 1em }}
}}
code {{ font-size: 12px; overflow-wrap: anywhere }}
.failed td:first-child {{ background: #c62828; color: #fff }}
.warning td:first-child {{ background: #f9a825 }}
.ok td:first-child {{ background: #2e7d32; color: #fff }}
.skipped td:first-child {{ background: #ddd }}
</style>
</head>
<body>
<h1>audit-s3 check</h1>
<p>{summary}</p>
<p>{when}, audit-s3 {version}. Nothing was changed by it.</p>
{troubles}
{rest}
</body>
</html>"""

_TABLE = """<table>
<thead><tr><th>status</th><th>code</th><th>tried</th><th>answer</th><th>whose move</th><th>fix</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>"""
