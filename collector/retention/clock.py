"""The retention clock: how long until something that was not collected is lost, and who loses it.

There are two cliffs. The bucket deletes an object `retention_days` after it was written; from then on its
events are gone for good. The queue forgets a message when its own retention is over, counted from when the
message was sent; objects are then found by listing, if the role may list, and audits that were in the message
itself are gone. An operator is warned when half of a window is over for what would be lost first, when four
fifths are, and when all of it is: once each, until what was late has been collected.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from collector.retention.moves import mover
from collector.retention.notice import Notice
from collector.wording import spell

__all__ = ["BUCKET", "MARKS", "QUEUE", "Cliff", "Oldest", "Reading"]

BUCKET, QUEUE = "bucket", "queue"
#: The shares of a window at which somebody is told.
MARKS = (0.5, 0.8, 1.0)
#: A mark is left behind only when the share has fallen this far below it: a backlog whose oldest is collected
#: as fast as the next one ages is one warning.
SLACK = 0.05
_MOVE = "You: raise workers or processes, and see in `audit-s3 status` what stands in the way"


@dataclass(frozen=True)
class Oldest:
    """What would be lost first. `since` is epoch seconds, `reason` what it waits for, `move` what to do.

    `code` is that of the error which holds it up, "" if none does.
    """

    what: str
    since: float
    reason: str = ""
    move: str = ""
    code: str = ""


@dataclass(frozen=True)
class Reading:
    """What one cliff's clock shows. Nothing uncollected: the whole window is left. None: not known."""

    window_seconds: Optional[float] = None
    used_seconds: float = 0.0
    oldest: Optional[Oldest] = None

    @property
    def left_seconds(self) -> Optional[float]:
        """Below zero: that is for how long it may be lost already."""
        return None if self.window_seconds is None else self.window_seconds - self.used_seconds

    @property
    def share(self) -> Optional[float]:
        return self.used_seconds / self.window_seconds if self.window_seconds else None

    def __str__(self) -> str:
        left = self.left_seconds
        if left is None or self.window_seconds is None:
            return "unknown" + (f": {self.oldest.what}" if self.oldest is not None else "")
        if self.oldest is None:
            return f"nothing waits; kept for {spell(self.window_seconds)}"
        when = f"{spell(left)} left" if left > 0 else f"over for {spell(-left)}"
        return f"{when} of {spell(self.window_seconds)}: {self.oldest.what}"


class Cliff:
    """One of the two. `notice` is the warning that stands, None if none does."""

    def __init__(self, name: str, *, can_list: bool = True) -> None:
        self.name = name
        self.reading = Reading()
        self.notice: Optional[Notice] = None
        self._can_list = can_list
        self._mark = 0.0

    def look(
        self, oldest: Optional[Oldest], *, window_seconds: Optional[float], now: float
    ) -> Optional[Notice]:
        """Read the clock; what is news, if anything. `now` is epoch seconds."""
        used = max(0.0, now - oldest.since) if oldest is not None else 0.0
        self.reading = Reading(window_seconds, used, oldest)
        share = self.reading.share or 0.0
        told, self._mark = self._mark, _mark(share, self._mark)
        if not self._mark:
            self.notice = None
            return self._over() if told else None
        self.notice = self._warning()
        return self.notice if self._mark > told else None

    def _over(self) -> Notice:
        what = f"Nothing is about to be lost from the {self.name} any more: {self.reading}"
        return Notice(what, code=f"{self.name}_deadline", is_over=True)

    def _warning(self) -> Notice:
        oldest, window, left = self.reading.oldest, self.reading.window_seconds, self.reading.left_seconds
        assert oldest is not None and window is not None and left is not None
        share = f"{min(100, int(100 * (self.reading.share or 0.0)))} % of the {spell(window)}"
        reason = f"; it waits: {oldest.reason}" if oldest.reason else ""
        move = oldest.move or _MOVE
        owner = mover(oldest.code, move)
        if self.name == BUCKET:
            end = f"S3 deletes it in {spell(left)}" if left > 0 else "S3 may delete it at any moment, or has"
            what = f"{share} that the bucket keeps an object are over for one that is not collected: {end}"
            what += reason
            return Notice(what, code="bucket_deadline", where=oldest.what, hint=move, owner=owner)
        end = f"is forgotten in {spell(left)}" if left > 0 else "may be forgotten at any moment, or is"
        after = "its objects are found by listing" if self._can_list else "what it told of is lost then"
        what = f"{share} that the queue keeps a message are over for one in hand: it {end}; {after}{reason}"
        return Notice(what, code="queue_deadline", where=oldest.what, hint=move, owner=owner)


def _mark(share: float, before: float) -> float:
    """The highest mark that is passed, or was and is not left far enough behind."""
    passed = (mark for mark in MARKS if share >= mark or (mark <= before and share >= mark - SLACK))
    return max(passed, default=0.0)
