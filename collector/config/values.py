"""Text -> value: one reading per type of setting, used alike for flags, environment, files and splunkd."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Mapping, Tuple

from collector.config.rules import parse_rules
from collector.config.secret import Secret
from collector.config.table import Invalid, Setting

__all__ = ["nearest", "parse", "start_time", "starts"]

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


def parse(row: Setting, text: str) -> Any:
    """The value that `text` means for this setting; empty text is the default, "" where that is text.

    Raises Invalid. A secret's text never gets into the error.
    """
    text = text.strip()
    if not text:
        return "" if row.type == "text" else row.default
    return _READERS[row.type](row, text)


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name that `word` was probably meant to be, or ""."""
    import difflib  # only needed when something is wrong

    plain = re.sub(r"[^a-z0-9]+", "_", word.lower())
    found = difflib.get_close_matches(plain, list(known), n=1, cutoff=cutoff)
    return found[0] if found else ""


def start_time(start_from: str, *, now: float, retention_days: int) -> float:
    """The epoch seconds that a `start_from` setting means when the ledger is first started at `now`."""
    if start_from == "now":
        return now
    if start_from == "retention":
        return now - retention_days * 86_400
    return _iso(start_from).timestamp()


def starts(text: str) -> str:
    """The shape of `start_from`."""
    if text.lower() in ("now", "retention"):
        return text.lower()
    try:
        _iso(text)
    except ValueError:
        raise Invalid(
            "it is no time", "now, retention, or an ISO time such as 2026-05-04T00:00:00Z"
        ) from None
    return text


def _iso(text: str) -> datetime:
    """An ISO 8601 time; UTC where it names no zone. Python 3.9 does not read the Z itself."""
    time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _text(row: Setting, text: str) -> str:
    return row.shape(text) if row.shape else text


def _secret(row: Setting, text: str) -> Secret:
    return Secret(text)


def _list(row: Setting, text: str) -> Tuple[str, ...]:
    """The elements in order, each once."""
    elements = [part.strip() for part in text.split(",") if part.strip()]
    if row.choices:
        elements = [_choice(row, element) for element in elements]
    if row.shape:
        elements = [row.shape(element) for element in elements]
    return tuple(dict.fromkeys(elements))


def _choice(row: Setting, text: str) -> str:
    word = text.lower()
    if word not in row.choices and {"on", "off"} <= {*row.choices}:
        word = "on" if word in _TRUE else "off" if word in _FALSE else word
    if word not in row.choices:
        meant = nearest(word, row.choices)
        hint = f"did you mean {meant}?" if meant else "write one of these"
        raise Invalid(f"{text!r} is not one of {', '.join(row.choices)}", hint)
    return word


def _truth(row: Setting, text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise Invalid("it is neither true nor false", "write true or false")
    return word in _TRUE


def _whole(row: Setting, text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise Invalid("it is not a whole number", _range(row))
    return int(_within(row, int(text)))


def _number(row: Setting, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Invalid("it is not a number", _range(row)) from None
    if not math.isfinite(value):
        raise Invalid("it is not a number", _range(row))
    return _within(row, value)


def _within(row: Setting, value: float) -> float:
    low, high = row.minimum, row.maximum
    if low is not None and value < low:
        raise Invalid("it is too small", _range(row))
    if high is not None and value > high:
        raise Invalid("it is too large", _range(row))
    return value


def _range(row: Setting) -> str:
    """ "900 to 43200 seconds", "at least 1": what a number may be, in words."""
    unit = f" {row.unit}" if row.unit else ""
    if row.minimum is not None and row.maximum is not None:
        return f"write {row.minimum:g} to {row.maximum:.15g}{unit}"
    return f"write at least {row.minimum:g}{unit}" if row.minimum is not None else f"write a number{unit}"


_READERS: Mapping[str, Callable[[Setting, str], Any]] = {
    "text": _text,
    "choice": _choice,
    "whole number": _whole,
    "number": _number,
    "true or false": _truth,
    "secret": _secret,
    "list": _list,
    "rules": lambda row, text: parse_rules(text),
}
