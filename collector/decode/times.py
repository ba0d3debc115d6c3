"""Event times: what providers write, as exact decimal text of epoch seconds.

No float is ever made: "2026-05-04T10:15:02.412Z" becomes "1777889702.412", 1777889702412345678
(nanoseconds) becomes "1777889702.412345". Digits beyond microseconds are cut, not rounded. A time
before the year 2000 or more than a day ahead of `now` is not believed: it is somebody's other number.
`datetime.fromisoformat` is not used because it refuses "Z" before Python 3.11.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any, Dict, List, Optional

__all__ = ["Remembered", "Times"]

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EARLIEST = 946684800
_DAY = 86400
_REMEMBERED = 4096
#: Longer ones are no times, and are not kept.
_END_CHARACTERS = 16
#: `"2026-05-04T10:15:02Z"`
_WHOLE_CHARACTERS = 22
#: Second 60 is written, rarely, and read as 59.
_SECONDS = {**{f"{second:02d}": second for second in range(60)}, "60": 59}

_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", re.ASCII)
_REST = re.compile(r"(?:[.,](\d+))? ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
#: Apache's, which S3's access logs use. The names of months are the C locale's, whatever ours is.
_LOGGED = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})", re.ASCII)
_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTHS = {name: f"{month:02d}" for month, name in enumerate(_NAMES, 1)}
_NUMBER = re.compile(r"\d{1,25}(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
#: Many numbers, a newline between them.
_EPOCHS = re.compile(r"[1-9]\d{9}(?:\.\d{1,6})?(?:\n[1-9]\d{9}(?:\.\d{1,6})?)*", re.ASCII)
_MILLISECONDS = re.compile(r"[1-9]\d{12}(?:\n[1-9]\d{12})*", re.ASCII)


class Times:
    """Reads the times of one object. Not for several threads: it remembers the minutes it has seen."""

    def __init__(self, *, now: float, zone_minutes: int = 0) -> None:
        self._latest = int(now) + _DAY
        self._naive = zone_minutes * 60
        self._minutes = _Minutes(self._latest)

    def read(self, text: str) -> Optional[str]:
        """Epoch seconds with at most six decimals, or None if `text` is no credible time."""
        if text[4:5] == "-":
            end = _ENDS[text[19:]]
            try:
                second = self._minutes[text[:17]] + _SECONDS[text[17:19]]
            except KeyError:
                return self._iso(text)
            return self._iso(text) if end is None else f"{second}{end}"
        return self._logged(text) if text[2:3] == "/" else self._number(text)

    def read_all(self, raws: List[Any]) -> Optional[List[Optional[str]]]:
        """The times of raw JSON values at once, if all are alike as nearly all are; else None.

        Alike: in UTC to the second or finer, or epoch seconds, or epoch milliseconds.
        """
        try:
            # What is absent cannot be joined, and None cannot be added to: either is a TypeError.
            joined = str(b"\n".join(raws), "latin-1")
            texts = joined.split("\n")
            if len(texts) != len(raws):
                return None
            if joined[:1].isdigit():
                return self._epochs(joined, texts)
            if len(texts[0]) == _WHOLE_CHARACTERS:
                distinct = [*{*texts}]  # busy accounts have hundreds of records a second
                if 2 * len(distinct) <= len(texts):
                    known = dict(zip(distinct, self._alike(distinct)))
                    return [*map(known.__getitem__, texts)]
            return self._alike(texts)
        except (TypeError, KeyError):
            return None

    def _alike(self, texts: List[str]) -> List[Optional[str]]:
        """TypeError or KeyError where one is not in UTC, or not credible."""
        minutes, seconds, ends = self._minutes, _SECONDS, _ENDS
        return [
            str(minutes[text[1:18]] + seconds[text[18:20]]) + ends[text[20:-1]]  # type: ignore[operator]
            for text in texts
        ]

    def _epochs(self, joined: str, texts: List[str]) -> Optional[List[Optional[str]]]:
        """What `_number` says of each, where all are spelt alike. Ten digits lie after the year 2000."""
        whole = _EPOCHS.fullmatch(joined) is not None
        if not (whole or _MILLISECONDS.fullmatch(joined)) or int(max(texts)[:10]) > self._latest:
            return None
        return [*texts] if whole else [f"{text[:10]}.{text[10:]}" for text in texts]

    def _iso(self, text: str) -> Optional[str]:
        rest = _REST.fullmatch(text, 19)
        second = _epoch(text[:19]) if rest else None
        if rest is None or second is None:
            return None
        zone = rest.group(2)
        epoch = second - (self._naive if zone is None else _offset_seconds(zone))
        fraction = rest.group(1)
        if not _EARLIEST <= epoch <= self._latest:
            return None
        return f"{epoch}.{fraction[:6]}" if fraction else str(epoch)

    def _logged(self, text: str) -> Optional[str]:
        """ "06/Feb/2019:00:00:38 +0000" """
        match = _LOGGED.fullmatch(text)
        if match is None or match.group(2) not in _MONTHS:
            return None
        day, month, year, clock, zone = match.groups()
        return self._iso(f"{year}-{_MONTHS[month]}-{day} {clock}{zone}")

    def _number(self, text: str) -> Optional[str]:
        """Seconds, milliseconds, microseconds or nanoseconds, told apart by their size."""
        if text.isdigit() and text.isascii() and text[0] != "0":
            places = 0 if len(text) < 12 else 3 if len(text) < 15 else 6 if len(text) < 18 else 9
            whole, fraction = text[: len(text) - places], text[len(text) - places :][:6]
            if len(whole) > 11 or not _EARLIEST <= int(whole) <= self._latest:
                return None
            return f"{whole}.{fraction}" if fraction else whole
        whole, _, fraction = text.partition(".")
        if len(whole) == 10 and text.isascii() and whole.isdigit() and fraction.isdigit():
            return f"{whole}.{fraction[:6]}" if _EARLIEST <= int(whole) <= self._latest else None
        if not _NUMBER.fullmatch(text):
            return None
        value = Decimal(text)
        places = 0 if value < 10**11 else 3 if value < 10**14 else 6 if value < 10**17 else 9
        value = value.scaleb(-places)
        if not _EARLIEST <= value <= self._latest:
            return None
        whole, _, fraction = f"{value:f}".partition(".")
        return f"{whole}.{fraction[:6]}" if fraction else whole


class _Minutes(Dict[str, int]):
    """The minutes of times in UTC that are credible as a whole, by what is written before their seconds.

    KeyError for any other: `_iso` can say of each second what it is.
    """

    def __init__(self, latest: int) -> None:
        super().__init__()
        self._latest = latest

    def __missing__(self, text: str) -> int:
        epoch = _epoch(f"{text}00")
        if epoch is None or text[11:13] == "24" or not _EARLIEST <= epoch <= self._latest - 59:
            raise KeyError(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = epoch
        return epoch


class _Ends(Dict[str, Optional[str]]):
    """What follows the second, in UTC: the fraction that it stands for; None if it is anything else."""

    def __missing__(self, text: str) -> Optional[str]:
        fraction = text[1:-1]
        plain = text[:1] == "." and text[-1:] == "Z" and fraction.isdigit() and fraction.isascii()
        found = "" if text == "Z" else f".{fraction[:6]}" if plain else None
        if len(self) >= _REMEMBERED:
            self.clear()
        if len(text) <= _END_CHARACTERS:
            self[text] = found
        return found


#: Of all objects: what a fraction stands for depends on nothing else.
_ENDS = _Ends()


class Remembered(Dict[bytes, Optional[str]]):
    """The times of raw texts, read once: thousands of rows share a second."""

    def __init__(self, times: Times) -> None:
        super().__init__()
        self._read = times.read

    def __missing__(self, raw: bytes) -> Optional[str]:
        if len(self) >= _REMEMBERED:
            self.clear()
        time = self[raw] = self._read(raw.decode("latin-1"))
        return time


def _epoch(text: str) -> Optional[int]:
    """Second 60 is read as 59, and 24:00:00 as the next midnight."""
    match = _SECOND.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return days * _DAY + hour * 3600 + minute * 60 + min(second, 59)


def _offset_seconds(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
