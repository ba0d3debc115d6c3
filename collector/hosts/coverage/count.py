"""Counting the coverage of one input: its buckets are listed, its ledger is read, and neither is changed."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, Mapping, Optional, Sequence

from collector.config import Input
from collector.errors import CollectorError, Fatal, Retry
from collector.hosts.coverage.splunk import Search, compare_with_splunk
from collector.hosts.stores import begun_at, opened
from collector.ports import Checkpoint, CheckpointStore, ObjectStore, Page
from collector.retention.coverage import Coverage, Question, Tally
from collector.retention.splunk_counts import Comparison
from collector.runtime.adapters import Adapters

__all__ = ["Counted", "count", "pages_of"]

log = logging.getLogger("collector")

#: Rows that nobody works on, named one by one; beyond them age decides.
MOST_FREE = 20_000
#: A page of a listing that failed is asked for again after these.
_WAITS_SECONDS = (1.0, 5.0, 20.0)
_TOLD_EVERY_PAGES = 200


@dataclass(frozen=True)
class Counted:
    """`is_started` says that there is a ledger here; `splunk` is None where Splunk was not asked.

    `bodies` are messages in quarantine that could not be understood: no row stands for what they announced.
    """

    coverage: Coverage
    is_started: bool
    splunk: Optional[Comparison] = None
    bodies: int = 0

    @property
    def is_whole(self) -> bool:
        """Nothing is missing, unknown or different in Splunk: what is known not to be delivered may be."""
        return self.coverage.is_whole and not (self.splunk and self.splunk.differing)

    @property
    def undelivered(self) -> Mapping[str, int]:
        """How many objects ended undelivered, by kind; without kinds of which there are none."""
        counts = self.coverage.total.counts
        return {kind: counts[kind] for kind in ("quarantined", "gone", "expired") if counts[kind]}

    @property
    def is_left(self) -> bool:
        """Something is known not to be delivered: for good, in quarantine, or yet."""
        return bool(self.undelivered or self.bodies or self.coverage.total.counts["late"])

    @property
    def is_all_delivered(self) -> bool:
        """Everything that was due, as a listing shows: of messages alone nobody knows."""
        return self.is_whole and bool(self.coverage.question.buckets) and not self.is_left


def count(
    found: Input,
    *,
    since: Optional[float],
    until: Optional[float],
    search: Optional[Search] = None,
) -> Counted:
    """Count what [since, until) holds; without bounds what retention has left, until now.

    `search` asks a search head. Raises what the ledger raises; a bucket that cannot be listed is part of the
    answer.
    """
    with opened(found) as store:
        question = _question(found, store, since=since, until=until)
        free = () if store is None else store.unfinished(limit=MOST_FREE)
        with Tally(
            question,
            rows=_no_rows if store is None else store.rows,
            free=frozenset(row.oid for row in free),
            free_is_all=len(free) < MOST_FREE,
            drops=lambda key: found.route(key).drop,
        ) as tally:
            tally.unlisted(_list(found, question, tally))
            for row in () if store is None else store.window(question.since, question.until):
                tally.row(row)
            coverage = tally.coverage()
        if store is None:
            return Counted(coverage, False)
        bodies = sum(1 for one in store.quarantine() if one.kind == "body")
        if search is None:
            return Counted(coverage, True, bodies=bodies)
        compared = compare_with_splunk(found, question, store=store, search=search)
        return Counted(coverage, True, compared, bodies)


def _question(
    found: Input, store: Optional[CheckpointStore], *, since: Optional[float], until: Optional[float]
) -> Question:
    settings, now = found.settings, time.time()
    return Question(
        found.name, settings.bucket, settings.prefix,
        since=now - settings.retention_seconds if since is None else since,
        until=now if until is None else until,
        start_from=begun_at(found, store), now=now, grace_seconds=float(settings.reconcile_grace_seconds),
    )


def _no_rows(oids: Sequence[str]) -> Mapping[str, Checkpoint]:
    return {}


def _list(found: Input, question: Question, tally: Tally) -> Dict[str, str]:
    """Feed the listing of every bucket; returns, by bucket, why it could not be listed to its end."""
    unlisted: Dict[str, str] = {}
    if not question.buckets:
        return unlisted
    stdout = sys.stdout.buffer
    adapters = Adapters(found, stdout=stdout, read_only=True, queue=False)
    assert adapters.objects is not None
    for bucket in question.buckets:
        try:
            for page in pages_of(adapters.objects, bucket, question.prefix):
                tally.listed(page.refs)
        except CollectorError as error:
            if (isinstance(error, Fatal) and error.scope == "config") or error.code.startswith("store_"):
                raise
            unlisted[bucket] = str(error)
    return unlisted


def pages_of(
    objects: ObjectStore, bucket: str, prefix: str, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Page]:
    """All pages of a listing. One that fails is asked for again; what it says the fourth time is raised."""
    token, pages, listed = "", 0, 0
    while True:
        page = _page(objects, bucket, prefix, token, sleep=sleep)
        yield page
        token, pages, listed = page.next_token, pages + 1, listed + len(page.refs)
        if pages % _TOLD_EVERY_PAGES == 0:
            log.info("Listing. bucket=%s objects=%d", bucket, listed)
        if not token:
            return


def _page(
    objects: ObjectStore, bucket: str, prefix: str, token: str, *, sleep: Callable[[float], None]
) -> Page:
    for wait in _WAITS_SECONDS:
        try:
            return objects.list(bucket, prefix=prefix, token=token)
        except Retry as error:
            log.info("Listing is tried again: %s", error)
            sleep(wait)
    return objects.list(bucket, prefix=prefix, token=token)
