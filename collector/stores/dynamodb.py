"""The ledger in one DynamoDB table, shared by collectors on several hosts.

The same laws as SQLite's, without its transactions: every write is one item under a condition, fenced by
owner and epoch, so a collector that was paused and taken over writes nothing. An object costs two writes
(claim, finish) and three on the index; with indexer acknowledgement one more that names its receipt.
Who holds a row is judged by the owners' own words and our clock, never by DynamoDB's lazy expiry.
"""

from __future__ import annotations

import math
import threading
from itertools import islice
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterator,
    List,
    Mapping,
    Sequence,
    Set,
    Tuple,
    Type,
)

from collector.errors import CollectorError
from collector.model import Message
from collector.ports import FINAL, Change, Checkpoint, Claim, Clock, Quarantined
from collector.stores.dynamodb_bodies import Bodies
from collector.stores.dynamodb_changes import Changes, Counts
from collector.stores.dynamodb_claims import Claims
from collector.stores.dynamodb_errors import Place
from collector.stores.dynamodb_items import (
    DAY_SECONDS,
    SHELVES,
    Item,
    Keys,
    attribute,
    checkpoint,
    entry,
    final_place,
    message,
    number,
    open_place,
    text,
)
from collector.stores.dynamodb_prune import Prune
from collector.stores.dynamodb_rights import refusals
from collector.stores.dynamodb_schema import create_command, create_table, refuse_newer
from collector.stores.dynamodb_table import ABSENT, Condition, Table
from collector.stores.owners import living, process_lives

__all__ = ["DynamoStore", "create_table"]

#: What `window` reads by one call of `rows`.
_ROWS_AT_ONCE = 500
_RETENTION_SECONDS = 30 * DAY_SECONDS
#: Rows outlive the provider's copy by this, and every claim by twice this: old objects are read too.
_GRACE_SECONDS = 7 * DAY_SECONDS
#: Splunk forgets an ackId long before.
_RECEIPT_SECONDS = 7 * DAY_SECONDS
#: A body in the entry itself is read by every listing; longer ones are read when they are asked for.
_ENTRY_INLINE_BYTES = 4096


class DynamoStore:
    """ports.CheckpointStore on a DynamoDB table, for one input and one owner. Safe in several threads.

    `client` is a boto3 client "dynamodb" with the customer's own credentials. The table is looked at with
    the first call. Retry "store_busy" is throttling; Fatal "store_no_table" and "store_denied" carry the
    command and the action that are missing. `threads` calls run at once. With `read_only` writing is
    Fatal, and start_from() answers without remembering. `process_lives` says whether a pid of this host
    runs.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        *,
        input_name: str,
        owner: str,
        clock: Clock,
        retention_seconds: float = _RETENTION_SECONDS,
        read_only: bool = False,
        process_lives: Callable[[str], bool] = process_lives,
        threads: int = 8,
    ) -> None:
        self.owner = owner
        self._client = client
        self._clock = clock
        self._retention_seconds = retention_seconds
        self._read_only = read_only
        self._process_lives = process_lives
        self._keys = keys = Keys(input_name)
        region = str(client.meta.region_name or "")
        place = Place(table, region, create_command(table, region))
        self._door = Table(
            client, place, foreign=_foreign_errors(), threads=threads, read_only=read_only
        )
        self._opening = threading.Lock()
        self._opened = False
        self._receipts = Bodies(self._door, keys, "receipt")
        self._entries = Bodies(self._door, keys, "entry", inline_bytes=_ENTRY_INLINE_BYTES)
        self._spool = Bodies(self._door, keys, "message")
        self._counts = counts = Counts(self._door, keys, owner=owner, expires=self._expires)
        self._claims = Claims(self._door, keys, self._receipts, owner, self._expires)
        self._changes = Changes(
            self._door, keys, owner=owner, counts=counts, receipts=self._receipts, entries=self._entries,
            spool=self._spool, receipt_expires=lambda now: int(now + _RECEIPT_SECONDS),
        )

    def start_from(self, proposed: float) -> float:
        key = self._keys.about("start_from")
        if not self._read_only:
            self._table.put({**key, "value": attribute(repr(proposed))}, where=[ABSENT])
        held = self._table.get(key)
        return proposed if held is None else float(text(held, "value"))

    def claim(self, wanted: Sequence[Checkpoint]) -> Sequence[Claim]:
        if not wanted:
            return []
        self._look_at_version()
        return self._claims.claim(wanted, now=self._clock.now(), living=_once(self._living))

    def apply(self, changes: Sequence[Change]) -> Sequence[bool]:
        if not changes:
            return []
        self._look_at_version()
        return self._changes.apply(changes, now=self._clock.now())

    def missing(self, oids: Sequence[str]) -> Sequence[str]:
        keys = [self._keys.row(oid) for oid in dict.fromkeys(oids)]
        found = self._table.get_many(keys, only=["state"])
        final = {self._keys.oid(item) for item in found if text(item, "state") in FINAL}
        return [oid for oid in oids if oid not in final]

    def rows(self, oids: Sequence[str]) -> Mapping[str, Checkpoint]:
        items = self._table.get_many([self._keys.row(oid) for oid in dict.fromkeys(oids)])
        return {self._keys.oid(item): checkpoint(self._keys.oid(item), item) for item in items}

    def window(self, since: float, until: float) -> Iterator[Checkpoint]:
        """By the index, a shelf after the other: open rows before final ones, as that is how they go.

        A row changed within the last second may be overlooked.
        """
        was_open: Set[str] = set()
        for place in (self._keys.shelf(shelf) for shelf in SHELVES):
            for item in self._table.shelf(place, low="open#", high="open#~"):
                if since <= number(item, "object_time") < until:
                    was_open.add(self._keys.oid(item))
            yield from self._some_rows(iter(sorted(was_open)), since, until)
            final = self._table.shelf(place, low=final_place(since), high=final_place(until))
            oids = (self._keys.oid(item) for item in final)
            yield from self._some_rows((oid for oid in oids if oid not in was_open), since, until)
            was_open.clear()

    def _some_rows(self, oids: Iterator[str], since: float, until: float) -> Iterator[Checkpoint]:
        while True:
            some = list(islice(oids, _ROWS_AT_ONCE))
            for row in self.rows(some).values():
                if since <= row.object_time < until:
                    yield row
            if len(some) < _ROWS_AT_ONCE:
                return

    def names(self, buckets: Collection[str]) -> bool:
        return any(row.bucket in buckets for row in self.window(0.0, math.inf))

    def hashes(self, bucket: str, keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        wanted = list(dict.fromkeys(keys))
        found = self._table.together([self._hashes_work(bucket, key) for key in wanted])
        return {key: some for key, some in zip(wanted, found) if some}

    def unfinished(self, *, limit: int = 1000) -> Sequence[Checkpoint]:
        """Longest due first. A row changed within the last second may be overlooked: it comes next time."""
        now, holders = self._clock.now(), self._living()
        table = self._table
        due = table.together([self._due_work(shelf, now, holders, limit) for shelf in SHELVES])
        oids = [oid for _, oid in sorted(one for some in due for one in some)[:limit]]
        rows = [
            checkpoint(self._keys.oid(item), item)
            for item in table.get_many([self._keys.row(oid) for oid in oids])
        ]
        free = [
            row for row in rows if row.state == "open" and row.not_before <= now and row.owner not in holders
        ]
        return sorted(free, key=lambda row: (row.not_before, row.oid))

    def spooled(self) -> Sequence[Message]:
        table = self._table
        shelves = table.together([self._spool_work(shelf) for shelf in SHELVES])
        items = sorted((item for items in shelves for item in items), key=lambda item: text(item, "since"))
        found: List[Message] = []
        for item in items:
            body = self._spool.read(text(item, "sk"), item)
            if body is not None:
                found.append(message(item, body))
        return found

    def quarantine(self, *, id: str = "") -> Iterator[Quarantined]:
        """All but long bodies are read first: what is removed meanwhile may or may not be seen."""
        if id:
            held = self._table.get(self._keys.entry(id))
            items = [] if held is None else [held]
        else:
            items = list(self._table.query(text(self._keys.entry(), "pk")))
            items.sort(key=lambda item: (number(item, "created"), text(item, "sk")))
        for item in items:
            body = self._entries.read(text(item, "sk"), item)
            if body is not None:
                yield entry(item, body)

    def unquarantine(self, ids: Sequence[str]) -> int:
        return sum(self._table.together([self._remove_work(id_) for id_ in dict.fromkeys(ids)]))

    def quarantine_bytes(self) -> int:
        items = self._table.query(text(self._keys.entry(), "pk"), only=["bytes"])
        return int(sum(number(item, "bytes") for item in items))

    def counts(self) -> Mapping[str, int]:
        """Final rows are counted as they become final, open ones on the index: both about right."""
        table, found = self._table, dict.fromkeys(sorted(FINAL), 0)
        for item in table.query(text(self._keys.counts(), "pk")):
            if number(item, "expires") > self._clock.now():
                for state in FINAL:
                    found[state] += int(number(item, state))
        counted = table.together([self._count_work(shelf) for shelf in SHELVES])
        found["open"] = sum(counted)
        return {state: count for state, count in found.items() if count > 0}

    def alive(self, until: float) -> None:
        expires = attribute(int(until + DAY_SECONDS))
        self._table.put({**self._keys.owner(self.owner), "alive_until": attribute(until), "expires": expires})

    def leave(self) -> None:
        self._table.delete(self._keys.owner(self.owner))

    def others(self) -> Sequence[str]:
        self._look_at_version()
        return sorted(self._living() - {self.owner})

    def lead(self, role: str, until: float) -> bool:
        key = self._keys.about(f"lead {role}")
        held = self._table.get(key)
        as_read: List[Condition] = [ABSENT]
        if held is not None:
            owner, held_until = text(held, "owner"), number(held, "until")
            if owner != self.owner and held_until >= self._clock.now() and owner in self._living():
                return False
            as_read = [("owner", "=", owner), ("until", "=", held_until)]
        ours = {**key, "owner": attribute(self.owner), "until": attribute(until)}
        return self._table.put(ours, where=as_read) is not None

    def prune(self, *, object_time_before: float) -> int:
        """What DynamoDB's own expiry has not got to yet, and what was abandoned."""
        prune = Prune(self._table, self._keys, self._counts)
        return prune.rows(object_time_before, self._living(), self._owners())

    def check(self) -> None:
        """Write, and read the index: what is wrong with the table shows in these two."""
        table = self._table
        table.put({**self._keys.about("checked"), "value": attribute(repr(self._clock.now()))})
        table.shelf_count(self._keys.shelf(SHELVES[0]), low="open#", high=open_place(0.0))

    def refusals(self) -> Mapping[str, CollectorError]:
        """Each action that is denied, by name, and why; tried without changing anything, read-only or not."""
        return refusals(self._client, self._door.place, foreign=_foreign_errors())

    def close(self) -> None:
        """Wait for calls under way; what comes later is Retry "store_closed"."""
        self._door.close()

    # -- parts of the above

    @property
    def _table(self) -> Table:
        """The table, once its version has been looked at."""
        self._look_at_version()
        return self._door

    def _look_at_version(self) -> None:
        """Once, and not while building the store: that makes no call."""
        with self._opening:
            if not self._opened:
                refuse_newer(self._door, read_only=self._read_only)
                self._opened = True

    def _expires(self, object_time: float) -> int:
        """When the row of an object of that time may go, in epoch seconds; not while it is worked on."""
        kept = object_time + self._retention_seconds + _GRACE_SECONDS
        return int(max(kept, self._clock.now() + 2 * _GRACE_SECONDS))

    def _owners(self) -> Dict[str, float]:
        items = self._table.query(text(self._keys.owner(), "pk"))
        return {text(item, "sk"): number(item, "alive_until") for item in items}

    def _living(self) -> FrozenSet[str]:
        return living(self._owners(), me=self.owner, now=self._clock.now(), lives=self._process_lives)

    def _due_work(
        self, shelf: str, now: float, holders: FrozenSet[str], limit: int
    ) -> Callable[[], List[Tuple[float, str]]]:
        def work() -> List[Tuple[float, str]]:
            due: List[Tuple[float, str]] = []
            for item in self._door.shelf(self._keys.shelf(shelf), low="open#", high=open_place(now)):
                if len(due) == limit:
                    break
                if text(item, "owner") not in holders:
                    due.append((number(item, "not_before"), self._keys.oid(item)))
            return due

        return work

    def _hashes_work(self, bucket: str, key: str) -> Callable[[], List[str]]:
        pk = text(self._keys.hash(bucket, key), "pk")
        return lambda: sorted(text(item, "sha256") for item in self._door.query(pk))

    def _spool_work(self, shelf: str) -> Callable[[], List[Item]]:
        return lambda: list(self._door.query(self._keys.spool(shelf)))

    def _count_work(self, shelf: str) -> Callable[[], int]:
        return lambda: self._door.shelf_count(self._keys.shelf(shelf), low="open#", high="open#~")

    def _remove_work(self, id_: str) -> Callable[[], bool]:
        return lambda: self._entries.delete(id_, self._keys.entry(id_))


def _once(ask: Callable[[], FrozenSet[str]]) -> Callable[[], FrozenSet[str]]:
    """`ask`, asked at most once."""
    answers: List[FrozenSet[str]] = []

    def answer() -> FrozenSet[str]:
        if not answers:
            answers.append(ask())
        return answers[0]

    return answer


def _foreign_errors() -> Tuple[Type[Exception], ...]:
    """What a boto3 client may raise."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    return BotoCoreError, ClientError, HTTPError, OSError
