"""Splunk's eval expressions, as far as default/props.conf uses them; anything else is refused.

A value is None (null), a text, a boolean, or a list of texts (a field of several values). Where Splunk's
documents do not say what null makes of a result, the expression is refused too: what ships must not depend
on it. https://docs.splunk.com/Documentation/Splunk/latest/SearchReference/CommonEvalFunctions
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

__all__ = ["Unknown", "evaluate", "names_in", "pcre"]

Fields = Mapping[str, Sequence[str]]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|'(?P<quoted>[^']+)'|(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>==|!=|[().,]))""",
    re.VERBOSE | re.DOTALL,
)


class Unknown(Exception):
    """What the subset does not have."""


@cache
def pcre(pattern: str) -> re.Pattern[str]:
    """Splunk's regular expression as Python's. Both agree on everything else that is used."""
    return re.compile(re.sub(r"\(\?<([A-Za-z_]\w*)>", r"(?P<\1>", pattern))


def evaluate(expression: str, fields: Fields) -> Any:
    return _Reader(expression, fields).whole()


def names_in(expression: str) -> List[str]:
    """The fields that an expression reads."""
    found: List[str] = []
    _Reader(expression, {}, seen=found).whole()
    return found


class _Reader:
    """A recursive descent: or, and, not, comparison, joining with a dot, one value."""

    def __init__(self, expression: str, fields: Fields, *, seen: Any = None) -> None:
        self._tokens = _tokens(expression)
        self._at = 0
        self._fields = fields
        self._seen = seen

    def whole(self) -> Any:
        value = self._either()
        if self._at != len(self._tokens):
            raise Unknown(f"what follows is not understood: {self._tokens[self._at :]}")
        return value

    def _peek(self) -> Tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _takes(self, kind: str, *words: str) -> bool:
        if self._peek()[0] == kind and self._peek()[1] in words:
            self._at += 1
            return True
        return False

    def _either(self) -> Any:
        value = self._both()
        while self._takes("name", "OR"):
            value = _or(value, self._both())
        return value

    def _both(self) -> Any:
        value = self._negated()
        while self._takes("name", "AND"):
            value = _and(value, self._negated())
        return value

    def _negated(self) -> Any:
        if not self._takes("name", "NOT"):
            return self._compared()
        value = self._negated()
        if self._seen is None and not isinstance(value, bool):
            raise Unknown("NOT of what is neither true nor false")
        return not value

    def _compared(self) -> Any:
        left = self._joined()
        for sign in ("==", "!="):
            if self._takes("sign", sign):
                right = self._joined()
                if left is None or right is None:
                    return None
                return (_single(left) == _single(right)) is (sign == "==")
        return left

    def _joined(self) -> Any:
        value = self._value()
        while self._takes("sign", "."):
            right = self._value()
            value = None if value is None or right is None else _single(value) + _single(right)
        return value

    def _value(self) -> Any:
        kind, word = self._peek()
        self._at += 1
        if kind == "text":
            return re.sub(r'\\(["\\])', r"\1", word[1:-1])
        if kind == "number":
            return int(word)
        if kind == "quoted":
            return self._field(word)
        if kind == "sign" and word == "(":
            value = self._either()
            self._must_close()
            return value
        if kind == "name" and self._takes("sign", "("):
            return self._call(word)
        if kind == "name" and word not in ("AND", "OR", "NOT"):
            return self._field(word)
        raise Unknown(f"{word!r} where a value should stand")

    def _must_close(self) -> None:
        if not self._takes("sign", ")"):
            raise Unknown("a parenthesis is not closed")

    def _call(self, name: str) -> Any:
        given: List[Any] = []
        while not self._takes("sign", ")"):
            given.append(self._either())
            if not self._takes("sign", ","):
                self._must_close()
                break
        if name not in _FUNCTIONS:
            raise Unknown(f"there is no function {name}()")
        return None if self._seen is not None else _FUNCTIONS[name](*given)

    def _field(self, name: str) -> Any:
        if self._seen is not None:
            self._seen.append(name)
            return None
        values = self._fields.get(name)
        if not values:
            return None
        return values[0] if len(values) == 1 else list(values)


@cache
def _tokens(expression: str) -> List[Tuple[str, str]]:
    found, at = [], 0
    expression = expression.rstrip()
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise Unknown(f"not understood: {expression[at : at + 40]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return found


def _or(left: Any, right: Any) -> Any:
    if (left is None and right is True) or (left is True and right is None):
        raise Unknown("OR of null and true")
    return None if left is None or right is None else left or right


def _and(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return False if left is False or right is False else None
    return left and right


def _single(value: Any) -> str:
    if isinstance(value, (list, bool)):
        raise Unknown("a single text is needed here")
    return str(value)


def _case(*given: Any) -> Any:
    for condition, value in zip(given[::2], given[1::2]):
        if condition is True:
            return value
    return None


def _match(value: Any, pattern: str) -> Any:
    return None if value is None else pcre(pattern).search(_single(value)) is not None


def _replace(value: Any, pattern: str, by: str) -> Any:
    return None if value is None else pcre(pattern).sub(by.replace("\\", r"\\"), _single(value))


def _split(value: Any, by: str) -> Any:
    return None if value is None else _single(value).split(by)


def _index(values: Any, at: int) -> Any:
    values = [values] if isinstance(values, str) else values or []
    return values[at] if at < len(values) else None


_FUNCTIONS: Dict[str, Callable[..., Any]] = {
    "case": _case,
    "coalesce": lambda *given: next((one for one in given if one is not None), None),
    "if": lambda condition, yes, no: yes if condition is True else no,
    "isnotnull": lambda value: value is not None,
    "isnull": lambda value: value is None,
    "lower": lambda value: None if value is None else _single(value).lower(),
    "match": _match,
    "mvindex": _index,
    "null": lambda: None,
    "replace": _replace,
    "split": _split,
    "true": lambda: True,
}
