"""The searches of the app, read as far as they go: which fields each command needs and which it leaves.

    columns_of("`audit_s3_log` fate=* | stats count by fate", {"fate"}, macros)  ->  {"count", "fate"}

A command, a function, a macro or a field that is not known is refused, so that a search which ships finds
what it looks for.
"""

from __future__ import annotations

import re
from configparser import ConfigParser
from typing import Callable, Iterator, List, Mapping, Set

__all__ = ["Unsearchable", "columns_of", "expanded", "macros_in"]

#: Of eval and where.
EVAL_FUNCTIONS = frozenset(
    "case coalesce if isnull match now relative_time round strftime tostring true".split()
)
#: Of stats, streamstats and timechart.
COUNTS = frozenset("avg count dc earliest last latest max min sum values".split())
#: What every event has.
ALWAYS = frozenset("_time _raw _indextime host index source sourcetype eventtype tag".split())
_WORDS = frozenset({"AND", "OR", "NOT", "IN"})
_NAME = r"[A-Za-z_][\w.]*(?:\{\})?(?:\.[\w.]+)?"


class Unsearchable(Exception):
    """What Splunk would refuse, or answer with nothing."""


def macros_in(search: str) -> List[str]:
    """The macros of a search, `name` or `name(argument)`, as they are called."""
    return re.findall(r"`([^`]+)`", search)


def expanded(search: str, macros: ConfigParser) -> str:
    def definition(call: re.Match[str]) -> str:
        name, _, given = call[1].rstrip(")").partition("(")
        stanza = f"{name}(1)" if given else name
        if stanza not in macros:
            raise Unsearchable(f"there is no macro {stanza}")
        text = macros[stanza]["definition"]
        for argument in macros[stanza].get("args", "").split():
            text = text.replace(f"${argument}$", given)
        return expanded(text, macros)

    return re.sub(r"`([^`]+)`", definition, search)


def columns_of(search: str, fields: Set[str], macros: ConfigParser) -> Set[str]:
    """What is there after the last command. `fields` are those of the events, or of the base search."""
    left = set(fields) | ALWAYS
    first, *commands = _parted(expanded(search, macros))
    if first.strip():
        _search(first, left)
    for command in commands:
        name, _, rest = command.strip().partition(" ")
        if name not in _COMMANDS:
            raise Unsearchable(f"there is no command {name}")
        left = _COMMANDS[name](_blank(rest), left)
    return left


def _parted(search: str) -> List[str]:
    """By | outside of quotes."""
    parts = re.findall(r'(?:[^|"]|"(?:[^"\\]|\\.)*")+|(?<=\|)(?=\|)', search)
    return ["", *parts] if search.lstrip().startswith("|") else parts


def _blank(text: str) -> str:
    """Without what stands in quotes."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def _need(names: Iterator[str], left: Set[str], *, where: str) -> None:
    missing = sorted(set(names) - left)
    if missing:
        raise Unsearchable(f"{where} needs {missing}, which is not there")


def _search(text: str, left: Set[str]) -> None:
    text = re.sub(r"\([^()]*,[^()]*\)", "()", _blank(text))
    if re.search(r"index\s*=\s*\*", text):
        raise Unsearchable("it looks into every index")
    names = re.findall(rf"({_NAME})\s*(?:!?=|\bIN\b)", text)
    alone = set(re.findall(rf"(?<![\w=:*!]){_NAME}(?![\w:*.]|\s*!?=|\s+IN\b)", text)) - _WORDS
    values = set(re.findall(r"!?=\s*([^\s()]+)", text))
    if alone - values:
        raise Unsearchable(f"words without a field are slow to find: {sorted(alone - values)}")
    _need(iter(names), left, where="search")


def _reads(expression: str) -> Iterator[str]:
    for name, call in re.findall(rf"(?<![\w.'\"])({_NAME})\s*(\()?", expression):
        if call and name not in EVAL_FUNCTIONS:
            raise Unsearchable(f"there is no function {name}()")
        if not call and name not in _WORDS:
            yield name


def _eval(text: str, left: Set[str]) -> Set[str]:
    left = set(left)
    for assigned in _at_top(text):
        name, _, expression = assigned.strip().partition("=")
        if not re.fullmatch(_NAME, name):
            raise Unsearchable(f"eval {assigned}")
        _need(_reads(expression), left, where="eval")
        left.add(name)
    return left


def _at_top(text: str) -> List[str]:
    """By commas outside of parentheses."""
    parts, depth = [""], 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _where(text: str, left: Set[str]) -> Set[str]:
    _need(_reads(text), left, where="where")
    return left


def _counted(text: str, left: Set[str]) -> Set[str]:
    """stats and its kin: what they make."""
    counts, _, by = re.sub(r"\b(?:current|global|window)=\w+", "", text).partition(" by ")
    grouped = re.findall(_NAME, by)
    _need(iter(grouped), left, where="by")
    made = set(grouped)
    for function, field, name in re.findall(rf"(\w+)(?:\(({_NAME})\))?(?: AS ({_NAME}))?", counts):
        if function not in COUNTS:
            raise Unsearchable(f"there is no {function}() to count with")
        _need(iter([field] if field else []), left, where=function)
        made.add(name or (f"{function}({field})" if field else function))
    return made


def _names(text: str) -> List[str]:
    return re.findall(_NAME, re.sub(r"\w+=\S+", "", text))


def _list(text: str, left: Set[str]) -> Set[str]:
    _need(iter(_names(text)), left, where="a list of fields")
    return set(_names(text))


def _keep(text: str, left: Set[str]) -> Set[str]:
    _list(text, left)
    return left


def _rename(text: str, left: Set[str]) -> Set[str]:
    """`old AS new`; one * in each stands for the same."""
    for old, new in re.findall(r"([\w.*]+) AS ([\w.*]+)", text):
        pattern = re.compile(re.escape(old).replace(r"\*", "(.*)"))
        found = {name: pattern.fullmatch(name) for name in left}
        names = {name: new.replace("*", "".join(match.groups())) for name, match in found.items() if match}
        _need(iter([] if names else [old]), left, where="rename")
        left = {names.get(name, name) for name in left}
    return left


_COMMANDS: Mapping[str, Callable[[str, Set[str]], Set[str]]] = {
    "dedup": _keep,
    "eval": _eval,
    "fields": _list,
    "fillnull": _keep,
    "rename": _rename,
    "sort": _keep,
    "stats": _counted,
    "streamstats": lambda text, left: left | _counted(text, left),
    "table": _list,
    "timechart": lambda text, left: _counted(text, left) | {"_time"},
    "where": _where,
}
