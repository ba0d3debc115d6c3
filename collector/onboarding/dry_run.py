"""What a collector would forward, found out without writing or deleting anything.

    report = look(view, objects=store, queue=None, now=clock.now(), sample=10)
    for sample in report.samples:
        ...

The newest objects of a listing are opened and decoded as the engine would; the queue is touched only if it
is passed in, and then its messages are given back before anything else is done with them. No ledger is
asked or written: what was delivered before is shown all the same.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Container, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from collector.errors import CollectorError
from collector.model import Message, ObjectRef, Payload
from collector.onboarding.checks.bucket import is_of_bucket, missing_key_refusal
from collector.onboarding.sampling import SHOWN_EVENTS, Sample, View, of_object, of_payload
from collector.ports import ObjectStore, Queue

__all__ = ["Looked", "Peeked", "Report", "look"]

#: A listing is in key order, so the newest objects may be anywhere; it is not followed for ever.
MOST_LISTED = 100_000
_FIRST_POLL_SECONDS = 5
_BATCH = 10


@dataclass(frozen=True)
class Looked:
    """A listing: how many objects it held, how many of them old or filtered (and why), how many to read.

    `before_start` were written before `start_from`, and no peeked message names them: they are not fetched by
    listing. `failure` is `list_denied` only where the bucket exists and may be read.
    """

    bucket: str
    listed: int = 0
    too_old: int = 0
    before_start: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)
    wanted: int = 0
    is_whole: bool = True
    failure: Optional[CollectorError] = None


@dataclass(frozen=True)
class Peeked:
    """One message: how it is understood, and whether it went back. `receives` counts this look too.

    `senders` says of each SNS envelope in it whether SNS signed it.
    """

    message_id: str
    receives: int
    shape: str = ""
    noop: str = ""
    objects: int = 0
    payloads: int = 0
    senders: Tuple[str, ...] = ()
    failure: Optional[CollectorError] = None
    not_returned: Optional[CollectorError] = None


@dataclass(frozen=True)
class Report:
    """All that was found. `peek_failure` says why the queue could not be looked into."""

    name: str
    listings: Tuple[Looked, ...] = ()
    messages: Tuple[Peeked, ...] = ()
    samples: Tuple[Sample, ...] = ()
    peek_failure: Optional[CollectorError] = None

    @property
    def failures(self) -> List[CollectorError]:
        """Everything that went wrong, in the order in which it was found."""
        found: List[Optional[CollectorError]] = [listing.failure for listing in self.listings]
        found.append(self.peek_failure)
        for message in self.messages:
            found += [message.failure, message.not_returned]
        found += [sample.failure for sample in self.samples]
        return [failure for failure in found if failure is not None]


def look(
    view: View, *, objects: Optional[ObjectStore], queue: Optional[Queue], now: float, sample: int
) -> Report:
    """At most `sample` objects of a listing, and if there is a `queue` at most as many messages.

    Every message costs one receive of those that its queue allows. Raises nothing of ours: what went
    wrong is in the report.
    """
    peeked, followed, payloads, failure = _peek(view, queue, sample=sample)
    senders = {(ref.bucket, ref.key): said for ref, said in followed}
    listings, refs = _newest(view, objects, senders, now=now, sample=sample)
    known = {(ref.bucket, ref.key) for ref in refs}
    refs += [ref for ref, _ in followed if (ref.bucket, ref.key) not in known][:sample]
    samples = []
    for ref in refs if objects is not None else ():
        assert objects is not None
        is_named, said = (ref.bucket, ref.key) in senders, senders.get((ref.bucket, ref.key), ())
        samples.append(replace(of_object(view, objects, ref, now=now), is_named=is_named, senders=said))
    samples += [
        replace(of_payload(view, message, payload, now=now), senders=said)
        for message, payload, said in payloads
    ]
    return Report(view.name, tuple(listings), tuple(peeked), tuple(samples), failure)


# -- the listing


def _newest(
    view: View, objects: Optional[ObjectStore], named: Container[Tuple[str, str]], *, now: float, sample: int
) -> Tuple[List[Looked], List[ObjectRef]]:
    """What each bucket holds, and the newest objects of all that would be read, newest first."""
    listings: List[Looked] = []
    newest: List[Tuple[float, str, ObjectRef]] = []
    for bucket in view.buckets if objects is not None else ():
        assert objects is not None
        tally = _Tally(view, bucket, named, oldest=now - view.retention_seconds)
        try:
            for ref in tally.wanted(objects):
                heapq.heappush(newest, (ref.event_time or 0.0, ref.url, ref))
                if len(newest) > sample:
                    heapq.heappop(newest)
            listings.append(tally.looked())
        except CollectorError as error:
            listings.append(tally.looked(_reason(error, objects, bucket, view.prefix)))
    return listings, [ref for _, _, ref in sorted(newest, reverse=True)]


def _reason(error: CollectorError, objects: ObjectStore, bucket: str, prefix: str) -> CollectorError:
    """Why a bucket cannot be listed: S3 denies the listing of what does not exist, too."""
    refused = missing_key_refusal(objects, bucket, prefix) if error.code == "list_denied" else None
    if refused is None or not is_of_bucket(refused):
        return error
    if refused.code != "bucket_missing":
        refused.hint = f"You: compare bucket first, for AWS may deny what does not exist. {refused.hint}"
    return refused


class _Tally:
    """Counts one bucket's listing while it goes by."""

    def __init__(
        self, view: View, bucket: str, named: Container[Tuple[str, str]], *, oldest: float
    ) -> None:
        self._view, self._bucket, self._named, self._oldest = view, bucket, named, oldest
        self._listed = self._too_old = self._before_start = self._wanted = 0
        self._filtered: Counter[str] = Counter()
        self._is_whole = True

    def wanted(self, objects: ObjectStore) -> Iterator[ObjectRef]:
        """Every object that would be read, whenever one began, in key order."""
        for ref in self._pages(objects):
            self._listed += 1
            route = self._view.route(ref.key)
            if route.drop:
                self._filtered[route.reason] += 1
            elif (ref.event_time or 0.0) < self._oldest:
                self._too_old += 1
            else:
                is_named = (ref.bucket, ref.key) in self._named
                is_early = (ref.event_time or 0.0) < self._view.start and not is_named
                self._before_start += is_early
                self._wanted += not is_early
                yield ref

    def _pages(self, objects: ObjectStore) -> Iterator[ObjectRef]:
        token = ""
        while True:
            page = objects.list(self._bucket, prefix=self._view.prefix, token=token)
            yield from page.refs
            token = page.next_token
            if not token:
                return
            if self._listed >= MOST_LISTED:
                self._is_whole = False
                return

    def looked(self, failure: Optional[CollectorError] = None) -> Looked:
        return Looked(
            self._bucket, self._listed, self._too_old, self._before_start, dict(self._filtered),
            self._wanted, self._is_whole and failure is None, failure,
        )


# -- the queue

_Senders = Tuple[str, ...]
_Payloads = List[Tuple[Message, Payload, _Senders]]
_Refs = List[Tuple[ObjectRef, _Senders]]


def _peek(
    view: View, queue: Optional[Queue], *, sample: int
) -> Tuple[List[Peeked], _Refs, _Payloads, Optional[CollectorError]]:
    """What at most `sample` messages say. All are back in the queue when this returns."""
    if queue is None:
        return [], [], [], None
    messages, kept, failure = _borrow(queue, sample)
    peeked: List[Peeked] = []
    refs: _Refs = []
    payloads: _Payloads = []
    for message in messages:
        seen = Peeked(
            message.message_id, message.receive_count, not_returned=kept.get(message.message_id)
        )
        try:
            said = view.parse(message.body)
        except CollectorError as error:
            error.where = error.where or view.payload_url(message)
            peeked.append(replace(seen, senders=tuple(view.senders()), failure=error))
            continue
        senders = tuple(view.senders())
        refs += [(ref, senders) for ref in said.refs if not view.route(ref.key).drop]
        payloads += [(message, payload, senders) for payload in said.payloads[:SHOWN_EVENTS]]
        peeked.append(
            replace(
                seen,
                shape=said.shape,
                noop=said.noop,
                objects=len(said.refs),
                payloads=len(said.payloads),
                senders=senders,
            )
        )
    return peeked, refs, payloads, failure


def _borrow(
    queue: Queue, count: int
) -> Tuple[List[Message], Mapping[str, CollectorError], Optional[CollectorError]]:
    """Up to `count` messages, each received once and given back; those that would not go back, and why.

    They are held until the last receive, for a message given back between two would come, and count,
    a second time.
    """
    messages: List[Message] = []
    seen: Set[str] = set()
    kept: Mapping[str, CollectorError] = {}
    failure: Optional[CollectorError] = None
    try:
        while len(messages) < count:
            wait = 0 if messages else _FIRST_POLL_SECONDS
            got = queue.receive(min(_BATCH, count - len(messages)), wait_seconds=wait)
            if not got:
                break
            messages += [message for message in got if message.message_id not in seen]
            seen.update(message.message_id for message in got)
    except CollectorError as error:
        failure = error
    finally:
        kept = _give_back(queue, messages)
    return messages, kept, failure


def _give_back(queue: Queue, messages: Sequence[Message]) -> Mapping[str, CollectorError]:
    kept: Dict[str, CollectorError] = {}
    for start in range(0, len(messages), _BATCH):
        part = messages[start : start + _BATCH]
        try:
            kept.update(queue.change_visibility(part, timeout_seconds=0))
        except CollectorError as error:
            kept.update({message.message_id: error for message in part})
    return kept
