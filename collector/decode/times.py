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
from typing import Any, Dict, Iterable, List, Optional

__all__ = ["Remembered", "Times"]

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EARLIEST = 946684800
_DAY = 86400
_REMEMBERED = 4096
#: Longer ones are no times, and are not kept.
_END_CHARACTERS = 16
_SECONDS = {f"{second:02d}": second for second in range(60)}

_SECOND = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", re.ASCII)
_REST = re.compile(r"(?:[.,](\d+))? ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
#: Apache's, which S3's access logs use. The names of months are the C locale's, whatever ours is.
_LOGGED = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})", re.ASCII)
_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTHS = {name: f"{month:02d}" for month, name in enumerate(_NAMES, 1)}
_NUMBER = re.compile(r"\d{1,25}(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII)


class Times:
    """Reads the times of one object. Not for several threads: it remembers the minutes it has seen."""

    def __init__(self, *, now: float, zone_minutes: int = 0) -> None:
        self._latest = int(now) + _DAY
        self._naive = zone_minutes * 60
        self._seconds = _Seconds(self._latest)

    def read(self, text: str) -> Optional[str]:
        """Epoch seconds with at most six decimals, or None if `text` is no credible time."""
        if text[4:5] == "-":
            second, end = self._seconds[text[:19]], _ENDS[text[19:]]
            return self._iso(text) if second is None or end is None else second + end
        return self._logged(text) if text[2:3] == "/" else self._number(text)

    def read_all(self, raws: Iterable[Any]) -> Optional[List[Optional[str]]]:
        """The times of raw JSON values at once, if all are in UTC as nearly all are; else None."""
        seconds, ends = self._seconds, _ENDS
        try:
            # What is absent is no text, and None cannot be added to: either is a TypeError.
            texts = [str(raw, "latin-1") for raw in raws]
            return [seconds[text[1:20]] + ends[text[20:-1]] for text in texts]  # type: ignore[operator]
        except TypeError:
            return None

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


class _Seconds(Dict[str, Optional[str]]):
    """The first 19 characters of times in UTC, and the second that they are; None if it is not credible."""

    def __init__(self, latest: int) -> None:
        super().__init__()
        self._latest = latest
        self._minutes: Dict[str, int] = {}

    def __missing__(self, text: str) -> Optional[str]:
        minute, second = self._minutes.get(text[:17]), _SECONDS.get(text[17:])
        known = None if minute is None or second is None else str(minute + second)
        if len(self) >= _REMEMBERED:
            self.clear()
        found = self[text] = known or self._read(text)
        return found

    def _read(self, text: str) -> Optional[str]:
        epoch = _epoch(text)
        if epoch is None or not _EARLIEST <= epoch <= self._latest:
            return None
        self._remember(text, epoch)
        return str(epoch)

    def _remember(self, text: str, epoch: int) -> None:
        """The minute that holds `epoch`, if all of it is credible."""
        seconds = _SECONDS.get(text[17:])
        if seconds is None or not _EARLIEST <= epoch - seconds <= self._latest - 59:
            return
        if len(self._minutes) >= _REMEMBERED:
            self._minutes.clear()
        self._minutes[text[:17]] = epoch - seconds


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
    """Second 60 is read as 59, and 24:00:00 as the next midnight: both are written, rarely."""
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
