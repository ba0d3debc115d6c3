"""Splunk's conf grammar: text -> stanzas, each value with the line that it stands on.

    # a comment, at the start of a line only
    [audit_s3://thrive]
    routes = */CloudTrail/* sourcetype=aws:cloudtrail; \\
             *-Digest/* drop

What differs from INI as Python knows it (inputs.conf, props.conf and their kin): a repeated stanza is
merged and the later value wins; keys keep their case; only the first `=` parts key from value; `%`, `:`,
`;` and quotes are plain; a backslash at the very end of a line goes on with the next; nothing nests.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

__all__ = ["Conf", "Malformed", "Replaced", "Value", "parse"]


class Value(NamedTuple):
    """One value, stripped, and the number of the line that its key is on."""

    text: str
    line: int


class Malformed(NamedTuple):
    """A line that is not of the grammar."""

    line: int
    what: str
    hint: str


class Replaced(NamedTuple):
    """A setting that a later line of the same stanza gives another value: whoever wrote both may not know.

    `by_header` says that the stanza's header stands again between the two.
    """

    stanza: str
    key: str
    line: int
    earlier_line: int
    by_header: bool


class Conf(NamedTuple):
    """`stanzas` in the order of their first header; `lines` is where each header first stands.

    `malformed` lines are left out, so that the rest can be judged in the same run.
    """

    stanzas: Mapping[str, Mapping[str, Value]]
    lines: Mapping[str, int]
    malformed: Tuple[Malformed, ...]
    replaced: Tuple[Replaced, ...] = ()


def parse(text: str) -> Conf:
    """Read one conf file. A byte order mark and CRLF are tolerated; nothing is raised."""
    stanzas: Dict[str, Dict[str, Value]] = {}
    headers: Dict[str, int] = {}
    malformed: List[Malformed] = []
    replaced: List[Replaced] = []
    current, name, begun = None, "", 0
    for number, line in _logical_lines(text):
        if line.startswith("["):
            closed = _header(line)
            if closed is None:
                malformed.append(
                    Malformed(number, f"the stanza header {line!r} is not closed", "[audit_s3://NAME]")
                )
            name = line[1:].partition("]")[0].strip() if closed is None else closed
            headers.setdefault(name, number)
            current, begun = stanzas.setdefault(name, {}), number
            continue
        key, separator, value = line.partition("=")
        if not separator or not key.strip():
            malformed.append(
                Malformed(
                    number, f"{_shown(line)} is no setting", "write name = value, or # before a comment"
                )
            )
        elif current is None:
            malformed.append(
                Malformed(number, f"{key.strip()} stands before any stanza", "put [audit_s3://NAME] above it")
            )
        else:
            key, found = key.strip(), Value(_join(value), number)
            earlier = current.get(key, found)
            if earlier.text != found.text:
                replaced.append(Replaced(name, key, number, earlier.line, earlier.line < begun))
            current[key] = found
    return Conf(stanzas, headers, tuple(malformed), tuple(replaced))


def _logical_lines(text: str) -> Iterator[Tuple[int, str]]:
    """(number of the first line, text) of each line that says something, continuations joined by "\\n"."""
    parts: List[str] = []
    first = 0
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), start=1):
        line = line.rstrip("\r")
        if not parts:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            first = number
        goes_on = line.endswith("\\")
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            yield first, "\n".join(parts).strip()
            parts = []
    if parts:
        yield first, "\n".join(parts).strip()


def _header(line: str) -> Optional[str]:
    return line[1:-1].strip() if line.endswith("]") else None


def _join(value: str) -> str:
    """One value of a continued line: Splunk keeps its line breaks, we have no use for them."""
    return " ".join(part.strip() for part in value.split("\n")).strip()


def _shown(line: str) -> str:
    """What may be shown of a line that nobody understood: it may hold a secret."""
    word = line.split(None, 1)[0] if line else "\\"  # a backslash that goes on with nothing
    return repr(word[:24] + ("..." if len(word) > 24 else ""))
