"""Logs whose events may go on over several lines: PostgreSQL's, and the export tasks of CloudWatch Logs.

PostgreSQL puts a TAB before every further line of a message, so a line that begins with one belongs to
the event before it; what stands inside an SQL statement cannot pass for a line of the log. An export task
writes each event behind its time, and further lines without: they belong to the event before. What
precedes the first time is one event a line. An event keeps its line ends as they are, and is cut into
parts where it is longer than an event may be.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3Export.html
"""

from __future__ import annotations

import re
from typing import Iterable, List, Tuple

from collector.decode.blocks import Run, text_runs
from collector.decode.lines import whole_lines
from collector.decode.times import Remembered, Times

__all__ = ["EXPORTED", "STAMP", "Stanzas", "exported", "postgres"]

#: The time before an event of an export task; a space follows.
STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
EXPORTED = re.compile(rb"(%b) " % STAMP)
_POSTGRES = re.compile(rb"(%b) |(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Z]{1,5}):" % STAMP)


class Stanzas:
    """The grammar of events that begin behind a joint.

    `joint` matches the newline before an event, and by looking ahead the event's first bytes: `ahead` is as
    many, and two. `stamp` finds the time at an event's start, as the only group that matches. With
    `needs_stamp`, text that does not begin with one is lines.
    """

    def __init__(
        self, times: Times, *, max_bytes: int, joint: bytes, stamp: re.Pattern[bytes], ahead: int,
        needs_stamp: bool = False,
    ) -> None:
        self.ahead = ahead
        self._seen = Remembered(times)
        self._max_bytes = max_bytes
        self._joint = re.compile(joint)
        self._stamp = stamp
        self._needs_stamp = needs_stamp

    def read(self, text: bytes, *, whole: bool) -> Tuple[int, Iterable[Run]]:
        if self._needs_stamp and not self._stamp.match(text):
            return self._before_the_first(text, whole)
        cut = len(text) if whole else self._last_joint(text)
        if not cut:
            return 0, ()
        text = text[:cut]
        events = self._joint.split(text)
        if events[-1].endswith(b"\n"):
            events[-1] = events[-1][:-1]
        if b"\r" in text:
            events = [event[:-1] if event.endswith(b"\r") else event for event in events]
        return cut, self._runs([event for event in events if event.strip(b" \t\r\n")], text)

    def first_end(self, text: bytes) -> int:
        match = self._joint.search(text)
        return match.start() + 1 if match else -1

    def _last_joint(self, text: bytes) -> int:
        """The offset of the last event that begins in sight."""
        end = len(text)
        while True:
            end = text.rfind(b"\n", 0, end)
            if end < 0 or self._joint.match(text, end):
                return end + 1

    def _before_the_first(self, text: bytes, whole: bool) -> Tuple[int, Iterable[Run]]:
        if len(text) < self.ahead and not whole:
            return 0, ()
        match = self._joint.search(text)
        cut = match.start() + 1 if match else len(text) if whole else text.rfind(b"\n") + 1
        return cut, self._runs(whole_lines(text[:cut]), text[:cut])

    def _runs(self, events: List[bytes], text: bytes) -> Iterable[Run]:
        seen = self._seen
        found = map(self._stamp.match, events)
        times = [seen[match[match.lastindex or 0]] if match else None for match in found]
        return text_runs(events, times, text=text, max_bytes=self._max_bytes)


def exported(times: Times, *, max_bytes: int) -> Stanzas:
    """What an export task of CloudWatch Logs has written."""
    joint = rb"\n(?=%b )" % STAMP
    return Stanzas(times, max_bytes=max_bytes, joint=joint, stamp=EXPORTED, ahead=27, needs_stamp=True)


def postgres(times: Times, *, max_bytes: int) -> Stanzas:
    """A log of PostgreSQL with RDS's prefix, with or without an export task's times before it."""
    return Stanzas(times, max_bytes=max_bytes, joint=rb"\n(?=[^\t])", stamp=_POSTGRES, ahead=3)
