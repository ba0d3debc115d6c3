"""How the values of a table are spelt in JSON: one spelling for each, so that a replay gives the same bytes.

A null field is left out (a table has all columns in every row), a null in a list stays null. Whole
numbers and decimals keep all their digits, a float is the shortest text of the same double, and
what JSON lacks ("NaN", "Infinity", "-Infinity") is a string. Bytes are base64. An instant is ISO 8601 with
as many decimals as its unit has, and Z if the table says that it is in UTC.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Iterable, Optional, Tuple

__all__ = [
    "lines", "quoted", "spelt_base64", "spelt_clock", "spelt_day", "spelt_decimal", "spelt_float",
    "spelt_instant", "spelt_list", "spelt_object", "spelt_text",
]

_EPOCH = datetime(1970, 1, 1)

#: A str as a JSON string. Bytes that are no UTF-8 travel as surrogates, and `lines` restores them.
quoted = json.JSONEncoder(ensure_ascii=False).encode


def lines(rows: Iterable[str]) -> bytes:
    """Rows as NDJSON, each closed by a newline."""
    return "".join([f"{row}\n" for row in rows]).encode("utf-8", "surrogateescape")


def spelt_object(members: Iterable[Tuple[str, Optional[str]]]) -> str:
    """Members are a quoted name and a spelt value; those without a value are left out."""
    inside = ",".join([f"{name}:{value}" for name, value in members if value is not None])
    return f"{{{inside}}}"


def spelt_list(items: Iterable[str]) -> str:
    return f"[{','.join(items)}]"


def spelt_text(value: bytes) -> str:
    return quoted(value.decode("utf-8", "surrogateescape"))


def spelt_base64(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode("ascii")}"'


def spelt_float(value: Any) -> str:
    number = float(value)
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"Infinity"' if number > 0 else '"-Infinity"'


def spelt_decimal(value: Decimal) -> str:
    return f"{value:f}"


def spelt_instant(count: int, *, places: int, zone: str) -> str:
    """`count` units of 10 ** -places seconds since 1970; beyond the year 9999 it stays a number."""
    seconds, fraction = divmod(count, 10**places)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return str(count)
    return f'"{moment.isoformat()}{_decimals(fraction, places)}{zone}"'


def spelt_day(days: int) -> str:
    try:
        return f'"{(_EPOCH + timedelta(days=days)).date().isoformat()}"'
    except OverflowError:
        return str(days)


def spelt_clock(count: int, *, places: int) -> str:
    """A time of day; more than a day of it stays a number."""
    seconds, fraction = divmod(count, 10**places)
    if not 0 <= seconds < 86400:
        return str(count)
    return f'"{(_EPOCH + timedelta(seconds=seconds)).time().isoformat()}{_decimals(fraction, places)}"'


def _decimals(fraction: int, places: int) -> str:
    return f".{fraction:0{places}d}" if places else ""
