"""Dates in keys: which part of a listing is too old to be listed again.

Many writers put a date into the key, padded with zeros (`AWSLogs/.../2026/05/04/`, `dt=2026-05-04/`,
`eventDay=20260504/`), so that S3's order of keys is the order of days. A listing that looks for what is new
may then jump over the old days: from a key of an old day to the first day of its window, under the same
head (what stands before the date).

A jump is right as long as keys do not lie: an object is written at most two days after the midnight (UTC)
that its key names. Every key that goes by is held to that, dated or not, by the dates that were seen under
the heads it begins with; under a head where one lied no jump is made any more. Dates without zeros
(2026/5/4) need no care: they sort behind the padded ones of the same day, so no jump passes over a newer one.
A jump over the end of a year lands on the new year, for other spellings of its days may come first.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import List, NamedTuple, Optional, Set, Tuple

__all__ = ["DAY_SECONDS", "TRUTH_SECONDS", "Dated", "Partitions", "dated"]

DAY_SECONDS = 86400.0
#: An object is written within this of the midnight that its key names: a day, and a day of delay.
TRUTH_SECONDS = 2 * DAY_SECONDS
#: Beyond so many heads that lied none is trusted: memory stays bounded.
MOST_LYING = 10_000

_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)(/month=|/m=|[-/_.]?)(0[1-9]|1[0-2])(/day=|/d=|[-/_.]?)"
    r"(0[1-9]|[12]\d|3[01])(?!\d)",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()


class Dated(NamedTuple):
    """How keys under one head are dated: what stands before the year, before the month, before the day."""

    head: str
    before_month: str
    before_day: str

    def year_of(self, day: int) -> str:
        """Where the keys of a day's year begin; days are counted from 1970."""
        return self.head + _date(day)[0]

    def first_of(self, day: int) -> str:
        """Where the keys of a day begin."""
        year, month, day_of_month = _date(day)
        return f"{self.head}{year}{self.before_month}{month}{self.before_day}{day_of_month}"

    def may_be_passed(self, key: str, day: int) -> bool:
        """Whether a jump to this day may pass over this key of the same head."""
        year = self.year_of(day)
        return key <= year or (key <= self.first_of(day) and key.startswith(year + self.before_month))


class Partitions:
    """The dates of one bucket's keys, as they went by in a listing. Keys come in S3's order."""

    def __init__(self, *, most_lying: int = MOST_LYING) -> None:
        self._open: List[Dated] = []
        self._lying: Set[str] = set()
        self._most_lying = most_lying

    def begin(self) -> None:
        """A listing starts from its first key."""
        self._open = []

    def saw(self, key: str, modified: float) -> None:
        """One listed key; `modified` is its LastModified, in epoch seconds."""
        self._open = [one for one in self._open if key.startswith(one.head)]
        found = dated(key)
        if found is not None:
            one, day = found
            if one not in self._open:
                self._open.append(one)
            if modified >= day * DAY_SECONDS + TRUTH_SECONDS:
                self._distrust(one.head)
        last_true_day = _day(modified - TRUTH_SECONDS)
        for one in self._open:
            if one.may_be_passed(key, last_true_day):
                self._distrust(one.head)

    def _distrust(self, head: str) -> None:
        if len(self._lying) <= self._most_lying:
            self._lying.add(head)

    def after(self, key: str, *, since: float) -> str:
        """The key after which a listing goes on that looks for objects written at or after
        `since` + TRUTH_SECONDS: `key` itself, or one further on."""
        found = dated(key)
        if found is None or len(self._lying) > self._most_lying or found[0].head in self._lying:
            return key
        one, day = found
        first_day = _day(since)
        is_this_year = _date(day)[0] == _date(first_day)[0]
        return max(key, one.first_of(first_day) if is_this_year else one.year_of(first_day))


def dated(key: str) -> Optional[Tuple[Dated, int]]:
    """The first zero-padded date in a key, and its day counted from 1970; None if there is none."""
    found = _DATE.search(key)
    if found is None:
        return None
    year, before_month, month, before_day, day = found.groups()
    try:
        ordinal = date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None  # 31 February is no date
    return Dated(key[: found.start()], before_month, before_day), ordinal - _EPOCH


def _day(moment: float) -> int:
    return int(moment // DAY_SECONDS)


@lru_cache(maxsize=4096)
def _date(day: int) -> Tuple[str, str, str]:
    moment = datetime.fromtimestamp(max(0, day) * DAY_SECONDS, timezone.utc)
    return f"{moment.year:04}", f"{moment.month:02}", f"{moment.day:02}"
