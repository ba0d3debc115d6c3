"""The one kind of search that is asked of a search head, answered over events in memory as Splunk does.

    | tstats count dc(s3_seq) AS events where (index="a" OR index=*) s3_oid IN ("...", "...") by s3_oid

Terms beside each other are joined by AND; `*` in a value stands for anything; without an index only "main"
is searched, and `index=*` leaves out the internal ones. A field is an indexed one, or index, source,
sourcetype or host. Events without the field that is grouped by are in no row. Whatever else a search says is
refused.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Callable, Dict, Iterable, List, Mapping, Set, Tuple

__all__ = ["Event", "Unsearchable", "tstats"]

#: What HEC got: `index`, `source`, `sourcetype`, `host`, `time`, and `fields`.
Event = Mapping[str, Any]
Test = Callable[[Event], bool]

_SEARCH = re.compile(r"\|\s*tstats\s+(?P<counts>.*?)\s+where\s+(?P<where>.*)\s+by\s+(?P<by>\w+)", re.DOTALL)
_COUNTS = re.compile(r"(?:count|dc\((\w+)\)\s+AS\s+(\w+))(?:\s+|$)")
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([()=,])|([^\s()=,"]+))')


class Unsearchable(Exception):
    """What Splunk would answer 400 to."""


def tstats(search: str, events: Iterable[Event]) -> List[Dict[str, str]]:
    """The rows of the answer, in the order of the field that is grouped by."""
    found = _SEARCH.fullmatch(search.strip())
    if found is None:
        raise Unsearchable("Error in 'SearchParser': it is no search that is understood here")
    distinct = _distinct(found["counts"])
    where, names_index = _where(found["where"])
    rows: Dict[str, Tuple[int, Dict[str, Set[str]]]] = {}
    for event in events:
        value = _value(event, found["by"])
        if value and where(event) and (names_index or _value(event, "index") == "main"):
            count, values = rows.get(value, (0, {}))
            for name, field in distinct.items():
                values.setdefault(name, set()).add(_value(event, field))
            rows[value] = (count + 1, values)
    answer = []
    for value, (count, values) in sorted(rows.items()):
        others = {name: str(len(values[name] - {""})) for name in distinct}
        answer.append({found["by"]: value, "count": str(count), **others})
    return answer


def _distinct(counts: str) -> Dict[str, str]:
    """Which fields are counted distinct, by the name of their count."""
    if not re.fullmatch(rf"(?:{_COUNTS.pattern})+", counts):
        raise Unsearchable(f"Error in 'TsidxStats': invalid functions: {counts}")
    return {name: field for field, name in _COUNTS.findall(counts) if name}


def _where(text: str) -> Tuple[Test, bool]:
    tokens = [
        ("text", quoted.replace('\\"', '"').replace("\\\\", "\\")) if quoted else ("mark", mark) if mark
        else ("word", word)
        for quoted, mark, word in _TOKEN.findall(text)
    ]
    names_index = ("word", "index") in tokens
    test = _either(tokens)
    if tokens:
        raise Unsearchable(f"Error in 'TsidxStats': unexpected {tokens[0][1]}")
    return test, names_index


def _either(tokens: List[Tuple[str, str]]) -> Test:
    tests = [_all(tokens)]
    while tokens and tokens[0] == ("word", "OR"):
        tokens.pop(0)
        tests.append(_all(tokens))
    return lambda event: any(test(event) for test in tests)


def _all(tokens: List[Tuple[str, str]]) -> Test:
    tests: List[Test] = []
    while tokens and tokens[0] not in (("word", "OR"), ("mark", ")")):
        if tokens[0] == ("mark", "("):
            tokens.pop(0)
            tests.append(_either(tokens))
            _expect(tokens, ")")
        else:
            tests.append(_term(tokens))
    return lambda event: all(test(event) for test in tests)


def _term(tokens: List[Tuple[str, str]]) -> Test:
    kind, field = tokens.pop(0)
    if kind != "word" or not tokens:
        raise Unsearchable("Error in 'TsidxStats': a field was expected")
    _, operator = tokens.pop(0)
    if operator == "=":
        values = [_pattern(tokens)]
    elif operator == "IN":
        _expect(tokens, "(")
        values = [_pattern(tokens)]
        while tokens and tokens[0] == ("mark", ","):
            tokens.pop(0)
            values.append(_pattern(tokens))
        _expect(tokens, ")")
    else:
        raise Unsearchable(f"Error in 'TsidxStats': unexpected {operator}")
    return lambda event: any(_matches(event, field, value) for value in values)


def _pattern(tokens: List[Tuple[str, str]]) -> str:
    if not tokens or tokens[0][0] == "mark":
        raise Unsearchable("Error in 'TsidxStats': a value was expected")
    return tokens.pop(0)[1]


def _expect(tokens: List[Tuple[str, str]], mark: str) -> None:
    if not tokens or tokens.pop(0) != ("mark", mark):
        raise Unsearchable(f"Error in 'TsidxStats': {mark} was expected")


def _matches(event: Event, field: str, pattern: str) -> bool:
    value = _value(event, field)
    if field == "index" and value.startswith("_") and not pattern.startswith("_"):
        return False
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    return bool(value) and fnmatchcase(value.lower(), literal.lower())


def _value(event: Event, field: str) -> str:
    if field in ("index", "source", "sourcetype", "host"):
        return str(event.get(field) or ("main" if field == "index" else ""))
    value = event.get("fields", {}).get(field)
    return "" if value is None else str(value)
