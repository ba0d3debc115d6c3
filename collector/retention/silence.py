"""What a silence means: a provider that has nothing to say, one who is not heard, or one we may not hear.

A provider writes at an interval whenever there is activity. After a longer silence one look into the bucket,
one page of a listing and at most one an interval, tells

    quiet                  nothing new in the bucket: nobody's move
    notifications_broken   new objects that no message told of: the provider's; listing fetches them meanwhile
    access_broken          we are refused where we were not before: who has to move says the refusal
    unknown                no listing: only that it is silent can be said

apart. Of a partition with more keys than a page holds, the next look goes on where the last one ended: until
its end nothing is said that was not said before. "notifications_broken" stands until a message comes, for
nothing else shows that they come again.
Silence is time in which the queue was listened to; what others who share the checkpoints collect breaks it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Deque, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from collector.errors import CollectorError, Retry
from collector.model import ObjectRef
from collector.retention.moves import NOBODY, PROVIDER, mover
from collector.retention.notice import Notice
from collector.retention.partitions import dated
from collector.wording import spell

__all__ = ["STATES", "Finding", "Probe", "Silence", "Trail"]

#: What each state means, for status and docs.
STATES: Mapping[str, str] = {
    "off": "No interval is expected, so no silence is noticed.",
    "listening": "No message came yet, and not for longer than expected.",
    "hearing": "Messages come as often as expected.",
    "silent": "Nothing for longer than expected; why is looked at.",
    "quiet": "Nothing for longer than expected, and nothing new in the bucket.",
    "notifications_broken": "New objects in the bucket that no message told of.",
    "access_broken": "The queue or the bucket refuses us.",
    "unknown": "Nothing for longer than expected; why cannot be told.",
}
#: Nothing is amiss.
_CALM = ("listening", "hearing")
#: In which a notification that is under way has come: S3 says seconds, at times a minute or longer.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
ANNOUNCED_SECONDS = 300.0
#: Partitions that are remembered.
MOST_HEADS = 100


class Probe(NamedTuple):
    """One page to list."""

    bucket: str
    prefix: str
    after: str = ""


class Trail:
    """Where keys were seen lately, and so where the next are to be expected."""

    def __init__(self, buckets: Sequence[str], prefix: str) -> None:
        self._buckets = tuple(buckets)
        self._prefix = prefix
        self._seen: Deque[Tuple[str, str]] = deque(maxlen=MOST_HEADS)
        self._newest: OrderedDict[Tuple[str, str], str] = OrderedDict()
        self._next = 0
        self._last: Optional[Probe] = None
        self._reached: Dict[Probe, str] = {}

    def saw(self, bucket: str, key: str) -> None:
        """For every object: what it means is thought about at the next probe."""
        self._seen.append((bucket, key))

    def begin(self) -> None:
        """The next probe is the first of a silence."""
        self._next = 0
        self._reached.clear()

    def probe(self) -> Optional[Probe]:
        """The next page to list: where a key was seen last first, and other places in turn."""
        self._think()
        probes = self._probes()
        if not probes:
            return None
        self._next += 1
        self._last = last = probes[(self._next - 1) % len(probes)]
        return last._replace(after=self._reached.get(last, last.after))

    def reached(self, key: str) -> None:
        """How far the last probe came: when it is its turn again it goes on there; "" if that was the end."""
        if self._last is not None:
            self._reached.pop(self._last, None)
            if key and len(self._reached) < 2 * MOST_HEADS:
                self._reached[self._last] = key

    def _think(self) -> None:
        while self._seen:
            bucket, key = self._seen.popleft()
            found = dated(key)
            head = found[0].head if found is not None else _folder(key)
            self._newest[bucket, head] = key
            self._newest.move_to_end((bucket, head))
            while len(self._newest) > MOST_HEADS:
                self._newest.popitem(last=False)

    def _probes(self) -> List[Probe]:
        """After the newest key of a dated head, for the next days sort behind it; and its own partition from
        the beginning, for what is written within a day may sort anywhere."""
        probes: List[Probe] = []
        for (bucket, head), key in reversed(self._newest.items()):
            if dated(key) is not None:
                probes.append(Probe(bucket, self._within(head), key))
            probes.append(Probe(bucket, self._within(_folder(key))))
        return probes or [Probe(bucket, self._prefix) for bucket in self._buckets]

    def _within(self, prefix: str) -> str:
        """Never wider than the input's own prefix."""
        return prefix if prefix.startswith(self._prefix) else self._prefix


@dataclass(frozen=True)
class Finding:
    """What a look into the bucket found, of objects written since the last message.

    `unannounced`: those that are nowhere in the ledger; `others`: those that are. `young`: some are so new
    that their message may be under way. `reached`: the last key of the page, "" if no page comes after it.
    `error`: the look failed.
    """

    unannounced: Sequence[ObjectRef] = ()
    others: Sequence[ObjectRef] = ()
    young: bool = False
    reached: str = ""
    error: Optional[CollectorError] = None


class Silence:
    """One input's ear. `state` is one of STATES; `notice` stands while a silence is told of.

    `seconds` is for how long nothing came while the queue was listened to; `newest` (epoch seconds, AWS's
    clock) when the last message was sent, or when we began. `now` is monotonic.
    """

    def __init__(self, interval_seconds: float, *, now: float, began: float, fetches: bool = True) -> None:
        self.interval_seconds = interval_seconds
        #: Whether a listing feeds what no message tells of.
        self.fetches = fetches
        self.state = "listening" if interval_seconds else "off"
        self.notice: Optional[Notice] = None
        self.seconds = 0.0
        self.newest = began
        self._last_sent = float("-inf")
        self._counted = now
        self._looked = float("-inf")
        self._fed = 0.0
        self._could_list = False

    # -- what comes -----------------------------------------------------------------------------

    def heard(self, sent: float, *, now: float) -> Optional[Notice]:
        """A message with work came that was sent then; the news that a silence is over, if it was told."""
        if sent <= self._last_sent:
            return None  # one that came back: it says nothing of notifications today
        self._last_sent, self.newest = sent, max(self.newest, sent)
        return self._ends("Messages come again", now)

    def fed(self, written: float) -> None:
        """A listing fed an object that was written then."""
        self._fed = max(self._fed, written)

    def listed(self) -> None:
        """A bucket let itself be listed."""
        self._could_list = True

    def _ends(self, what: str, now: float) -> Optional[Notice]:
        told, lasted = self.notice, self.seconds
        self.seconds, self._counted, self.notice = 0.0, now, None
        if self.interval_seconds:
            self.state = "hearing"
        if told is None:
            return None
        return Notice(f"{what} after a silence of {spell(lasted)}", code=told.code, is_over=True)

    # -- looks ----------------------------------------------------------------------------------

    def is_due(self, *, listening: bool, now: float) -> bool:
        """Count the time since the last call, if the queue was listened to; whether a look is due."""
        if listening:
            self.seconds += now - self._counted
        self._counted = now
        if not self.interval_seconds or self.seconds < self.interval_seconds:
            return False
        if self.state in _CALM:
            self.state = "silent"
        return now - self._looked >= self.interval_seconds

    def looks(self, *, now: float) -> None:
        """A look begins: the next one is an interval away."""
        self._looked = now

    def refused(self, error: CollectorError) -> Optional[Notice]:
        """The queue itself refuses us; what is news."""
        return self._tell("access_broken", self._denied(error))

    def found(self, finding: Optional[Finding], *, now: float) -> Optional[Notice]:
        """What is news after a look; None is that of an input without a bucket."""
        if self.state in ("off", *_CALM):
            return None  # a message came while we looked
        if finding is None:
            return self._tell("unknown", self._untold("there is no bucket to look into", "ask the provider"))
        if finding.error is not None:
            return self._failed(finding.error)
        self.listed()
        if finding.unannounced or self._fed > self.newest:
            return self._tell("notifications_broken", self._unannounced(finding.unannounced))
        if self.state == "notifications_broken":
            return None
        if finding.others:
            self.newest = max([self.newest, *(ref.event_time or 0.0 for ref in finding.others)])
            return self._ends("Another collector of these checkpoints receives the messages", now)
        if finding.young or finding.reached:
            return None  # the next look knows more
        return self._tell("quiet", self._quiet())

    def _failed(self, error: CollectorError) -> Optional[Notice]:
        if isinstance(error, Retry):
            return None
        if error.code == "list_denied" and not self._could_list:
            why = "the bucket may not be listed"
            owner = mover(error.code, error.hint)
            return self._tell("unknown", self._untold(why, error.hint, owner=owner))
        return self._tell("access_broken", self._denied(error))

    def _tell(self, state: str, notice: Notice) -> Optional[Notice]:
        news = state != self.state
        self.state, self.notice = state, notice
        return notice if news else None

    # -- what is said ---------------------------------------------------------------------------

    @property
    def _nothing(self) -> str:
        expected = spell(self.interval_seconds)
        return f"No message for {spell(self.seconds)}, where one is expected every {expected}"

    def _quiet(self) -> Notice:
        hint = "Nobody has to move; if you know of activity meanwhile, ask the provider"
        return Notice(
            f"{self._nothing}, and nothing new in the bucket", code="provider_quiet", hint=hint, owner=NOBODY
        )

    def _unannounced(self, refs: Sequence[ObjectRef]) -> Notice:
        count = f"{len(refs):,} new objects" if len(refs) > 1 else "a new object" if refs else "objects"
        hint = (
            "Provider: look at the bucket's event notification for s3:ObjectCreated:*, and at what lies "
            "between it and the queue (topic, subscription, queue policy). You: make sure that nobody else "
            "receives from this queue"
        )
        what = f"{self._nothing}, but {count} came into the bucket that no message told of"
        what += "; listing fetches them" if self.fetches else "; nothing fetches them, as reconciling is off"
        where = max(refs, key=lambda ref: ref.event_time or 0.0).url if refs else ""
        return Notice(what, code="notifications_broken", where=where, hint=hint, owner=PROVIDER)

    def _denied(self, error: CollectorError) -> Notice:
        what = f"{self._nothing}, and we are refused: {error.what}"
        owner = mover(error.code, error.hint)
        return Notice(what, code="access_broken", where=error.where, hint=error.hint, owner=owner)

    def _untold(self, why: str, hint: str, *, owner: str = PROVIDER) -> Notice:
        what = f"{self._nothing}; why cannot be told, as {why}"
        return Notice(what, code="silent", hint=hint, owner=owner)


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]
