"""Whether the queue fills faster than it is emptied, and whether it gives nothing although it has something.

Both are judged over several looks, for AWS's counts are approximate and a minute old.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
"""

from __future__ import annotations

from typing import Optional

from collector.ports import QueueDepth
from collector.retention.notice import Notice
from collector.wording import spell

__all__ = ["LOOKS", "Backlog", "Stall"]

#: What holds in so many looks in a row is no accident.
LOOKS = 3
#: Fewer messages than this are no backlog, whichever way their number goes.
FEW_MESSAGES = 100.0
#: Nor is a wait shorter than this.
SHORT_WAIT_SECONDS = 60.0
#: A queue gives nothing to long polls, and no error, while about this many messages are in flight.
MOST_IN_FLIGHT = 120_000


class Backlog:
    """Warns when more comes than is collected. `notice` stands until the backlog is half of what it was."""

    def __init__(self) -> None:
        self.notice: Optional[Notice] = None
        self._before: Optional[float] = None
        self._rises = 0
        self._peak = 0.0

    def look(self, depth: Optional[QueueDepth], *, waited_seconds: Optional[float]) -> Optional[Notice]:
        """What is news. `waited_seconds`: how long the last message waited, if receives came back full."""
        if depth is not None:
            size, few, text = float(depth.visible), FEW_MESSAGES, f"{depth.visible:,} messages wait"
        else:
            size, few = waited_seconds or 0.0, SHORT_WAIT_SECONDS
            text = f"every receive is full, and messages have waited for {spell(size)}"
        self._rises = self._rises + 1 if self._before is not None and size > self._before else 0
        self._before = size
        if self.notice is not None:
            return self._go_on(size, text)
        if self._rises < LOOKS or size < few:
            return None
        self._peak = size
        self.notice = _rising(text)
        return self.notice

    def _go_on(self, size: float, text: str) -> Optional[Notice]:
        self._peak = max(self._peak, size)
        if size > self._peak / 2:
            self.notice = _rising(text)
            return None
        self.notice = None
        return Notice(f"The backlog of the queue falls: {text}", code="backlog_rising", is_over=True)


def _rising(text: str) -> Notice:
    hint = "You: see whether the output is slow, then raise workers or processes (docs/scaling.md)"
    what = f"More comes than is collected: {text}, more at every look"
    return Notice(what, code="backlog_rising", hint=hint)


class Stall:
    """Warns when long polls come back empty although the queue has messages to give."""

    def __init__(self, *, fifo: bool) -> None:
        self.notice: Optional[Notice] = None
        self._fifo = fifo
        self._looks = 0

    def look(self, depth: Optional[QueueDepth], *, empty: bool) -> Optional[Notice]:
        """What is news. `empty`: there were polls since the last look, and none gave anything."""
        if depth is None or not depth.visible or not empty:
            was, self.notice, self._looks = self.notice, None, 0
            over = Notice("The queue gives its messages again", code="queue_stalled", is_over=True)
            return over if was is not None else None
        self._looks += 1
        if self._looks < LOOKS:
            return None
        first, self.notice = self.notice is None, self._warning(depth)
        return self.notice if first else None

    def _warning(self, depth: QueueDepth) -> Notice:
        what = (
            f"The queue says that {depth.visible:,} messages wait, and gives none to long polls; "
            f"{depth.in_flight:,} are in flight"
        )
        hint = "You: see whether another consumer takes them first; if there is none, the provider asks AWS"
        if depth.in_flight >= 0.9 * MOST_IN_FLIGHT:
            hint = (
                f"You: find who receives messages and does not delete them: a queue has at most about "
                f"{MOST_IN_FLIGHT:,} in flight, and gives none until some are deleted or come back"
            )
        elif self._fifo:
            hint = "You: a group waits for its message that another consumer has in flight: find who that is"
        return Notice(what, code="queue_stalled", hint=hint)
