"""A coverage report as one page that needs nothing else: no script, no font, no address is loaded.

Keys come from outside; all text passes through `html.escape`, and the page forbids itself to load anything.
"""

from __future__ import annotations

import html
from typing import Iterator, Sequence, Tuple

from collector import __version__
from collector.hosts.coverage.count import Counted
from collector.hosts.coverage.text import HEADINGS, cells, notes, title
from collector.hosts.web.assets import hash_of
from collector.retention.coverage import KINDS
from collector.wording import iso

__all__ = ["as_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --good: #1a7f4b; --bad: #c62f2f }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --good: #4cc38a; --bad: #ff7b72 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; overflow-wrap: anywhere }
.scroll { overflow-x: auto } .zero { color: var(--dim); opacity: .55 } .missing { color: var(--bad) }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .3rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
td { white-space: nowrap }
td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; min-width: 5rem }
th:nth-child(-n+2), td:nth-child(-n+2), th:last-child, td:last-child { text-align: left }
tr:last-child td { font-weight: 600 }
ul { padding-left: 1.2rem } li { overflow-wrap: anywhere }
.whole { color: var(--good) } .lacking { color: var(--bad) } .whole, .lacking, .known { font-weight: 600 }
footer, dl { color: var(--dim) } dt { font-weight: 600 } dd { margin: 0 0 .3rem 1rem }
@media print { body { max-width: none; font-size: 11px } .scroll { overflow: visible } }
"""


def as_html(answers: Sequence[Counted], *, created: float) -> str:
    return "\n".join(_lines(answers, created)) + "\n"


def _lines(answers: Sequence[Counted], created: float) -> Iterator[str]:
    policy = f"default-src 'none'; style-src {hash_of(_STYLE)}"
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Coverage of {iso(created)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>Coverage of {iso(created)}</h1>"
    for answer in answers:
        yield from _section(answer)
    yield "<h2>What the columns mean</h2>\n<dl>"
    for kind, meaning in KINDS.items():
        yield f"<dt>{kind.replace('_', ' ')}</dt><dd>{html.escape(meaning)}</dd>"
    yield f"</dl>\n<footer><p>audit-s3 {__version__}</p></footer>\n</body>\n</html>"


def _section(answer: Counted) -> Iterator[str]:
    word, verdict = _verdict(answer)
    yield f"<section>\n<h2>{html.escape(title(answer))}</h2>"
    yield f'<p class="{word}">{verdict}</p>\n<div class="scroll">\n<table>\n<thead><tr>'
    yield "".join(f"<th>{html.escape(heading)}</th>" for heading in HEADINGS)
    yield "</tr></thead>\n<tbody>"
    for row in cells(answer):
        yield "<tr>" + "".join(_cell(heading, cell) for heading, cell in zip(HEADINGS, row)) + "</tr>"
    yield "</tbody>\n</table>\n</div>\n<ul>"
    for note in notes(answer):
        yield f"<li>{html.escape(' '.join(note.split()))}</li>"
    yield "</ul>\n</section>"


def _cell(heading: str, cell: str) -> str:
    """Zeros step back, and what is missing does not."""
    mark = "zero" if cell == "0" else "missing" if heading == "missing" else ""
    return f'<td class="{mark}">{html.escape(cell)}</td>' if mark else f"<td>{html.escape(cell)}</td>"


def _verdict(answer: Counted) -> Tuple[str, str]:
    """Its class and words. Good is only what was delivered without a rest, and compared with a listing."""
    if not answer.is_whole:
        return "lacking", "Not whole"
    if answer.is_all_delivered:
        return "whole", "Whole"
    return "known", "Accounted for, not all delivered" if answer.is_left else "Accounted for"
