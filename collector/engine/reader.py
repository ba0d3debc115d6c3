"""The Reader: one read of an open object at a time, or of a few small ones, decoded and cut into Slices.

A thread that reads never waits for an output: when the window of unsent bytes is full it takes nothing,
and the object stays open where it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, Deque, List, Optional, Sequence, Tuple, Union

from collector.engine import admission
from collector.engine.failures import failed
from collector.engine.items import Item, Outgoing, Reading
from collector.engine.keys import UNTOLD
from collector.engine.ledger import Ledger
from collector.engine.opener import Opener
from collector.engine.station import Wait, safely
from collector.errors import CollectorError, Poison
from collector.model import DIGEST, SLICE_MAX_BYTES, Ignores, ObjectRef, Slice

__all__ = ["Reader"]

log = logging.getLogger("collector.engine")

#: What is counted under which result of a digest.
_DIGESTS = {name: f"digests_{name}" for name in ("valid", "invalid", "gap", "unsigned")}
#: A large object is read so far before others have their turn.
READ_BYTES = 3 * SLICE_MAX_BYTES
#: As many small objects, and stored bytes of them, are read in one go: one turn of a thread costs as much as
#: reading a small object does, and their requests are under way together.
TOGETHER_MOST = 10
TOGETHER_BYTES = 256 * 1024


@dataclass(frozen=True)
class Read:
    """One read of `item`; it goes on with `reading`, or opens the object."""

    item: Item
    reading: Optional[Reading]
    identified: bool


@dataclass(frozen=True)
class Piece:
    """What one read gave. `failure` comes after the slices that were sound."""

    reading: Optional[Reading]
    slices: Tuple[Slice, ...] = ()
    ended: bool = False
    failure: Optional[CollectorError] = None
    ref: Optional[ObjectRef] = None
    sha256: str = ""
    #: The two of an object that this read opened.
    kms_key_arn: Optional[str] = None
    last_modified: Optional[float] = None


class Reader:
    """Items in, slices out."""

    name = "reader"

    def __init__(self, opener: Opener, ignores: Optional[Ignores] = None) -> None:
        self._opener = opener
        self._ignores = ignores

    # -- take -----------------------------------------------------------------------------------

    def take(self, ledger: Ledger) -> Union[List[Read], Wait]:
        """One that is open is read on; else the next is opened, with the small ones behind a small one."""
        due = ledger.promote()
        if ledger.stopping or ledger.held_bytes >= ledger.limits.held_bytes:
            return Wait(due)
        if not (ledger.continuing or ledger.readable):
            return Wait(due)
        now = ledger.clock.monotonic()
        item = _next(ledger.continuing)
        if item is None:
            item = self._next_to_open(ledger, now)
            # The breaker asks about opening; what has been opened is read on, and its end closes it.
            if item is not None and not ledger.objects.passes(now=now):
                ledger.readable.appendleft(item)
                return Wait(ledger.objects.probe_at())
        if item is None:
            return Wait(ledger.promote())  # what was passed over waits for its key
        items = [item]
        if item.reading is None and not ledger.objects.is_open:
            items += _small_ones(ledger.readable, beside=item)
        for one in items:
            one.state, one.busy_since, one.late = "reading", now, []
        ledger.reading += len(items)
        return [Read(one, one.reading, one.is_identified) for one in items]

    def _next_to_open(self, ledger: Ledger, now: float) -> Optional[Item]:
        """The next object whose KMS key is not known to be out of reach, or is to be tried again."""
        while True:
            item = _next(ledger.readable)
            if item is None or item.lock is None or ledger.keys.passes(item.lock, now=now):
                return item
            ledger.wait(item, ledger.keys.probe_at(item.lock))

    def has_more(self, ledger: Ledger) -> bool:
        if ledger.held_bytes < ledger.limits.held_bytes and (ledger.continuing or ledger.readable):
            return True
        return ledger.has_waiting

    # -- perform --------------------------------------------------------------------------------

    def perform(self, work: Sequence[Read]) -> Sequence[Union[Piece, CollectorError]]:
        """What came of each: what one raises is its own."""
        if len(work) > 1:
            self._opener.foresee([read.item for read in work])
        return [safely(self.name, self._read, read) for read in work]

    def _read(self, read: Read) -> Piece:
        if read.reading is not None:
            return self._read_on(read.item, read.reading)
        reading = self._opener.open(read.item)
        opened = reading.opened
        if read.identified:
            piece = self._read_on(read.item, reading)
        else:
            assert opened is not None
            piece = Piece(reading, ref=opened.ref)
        if opened is None:
            return piece
        return replace(piece, kms_key_arn=opened.kms_key_arn, last_modified=opened.last_modified)

    def _read_on(self, item: Item, reading: Reading) -> Piece:
        slices: List[Slice] = []
        size = 0
        try:
            while size < READ_BYTES:
                piece = next(reading.slices, None)
                if piece is None:
                    reading.close()
                    # Said here and not under the lock: a line is written out before it is over.
                    log.info("Read an object to its end. events=%d url=%s", reading.events, item.url)
                    sha256 = reading.content.sha256 if reading.content else ""
                    return Piece(None, tuple(slices), ended=True, sha256=sha256)
                reading.events = piece.end
                if not piece.blocks:
                    break  # a sign of life: others have their turn
                slices.append(piece.without(self._ignores) if self._ignores else piece)
                size += piece.size_bytes
        except CollectorError as error:
            error.where = error.where or item.url
            reading.close()
            return Piece(None, tuple(slices), failure=error)
        return Piece(reading, tuple(slices))

    # -- record ---------------------------------------------------------------------------------

    def record(self, ledger: Ledger, work: Sequence[Read], result: Any) -> None:
        results = [result] * len(work) if isinstance(result, CollectorError) else result
        for read, one in zip(work, results):
            piece = Piece(None, failure=one) if isinstance(one, CollectorError) else one
            self._record(ledger, read.item, piece)
        if ledger.upstream_is_idle():
            ledger.tell(*ledger.senders())

    def _record(self, ledger: Ledger, item: Item, piece: Piece) -> None:
        ledger.reading -= 1
        item.busy_since = None
        if piece.reading is None or piece.ref is not None:
            ledger.tell_of_room()
        if ledger.handing_back:
            ledger.tell("settler")
        item.reading = piece.reading
        gathers = piece.reading is not None and piece.reading.gathers
        if not gathers:
            ledger.let_gather(item)
        if piece.kms_key_arn is not None:
            self._record_opened(ledger, item, piece.kms_key_arn)
            item.written = piece.last_modified
        if item.state == "final":
            ledger.drop_reading(item)
            return
        if piece.ref is not None:
            self._record_identity(ledger, item, piece.ref)
            return
        if piece.slices and not _is_in_doubt(item, piece.failure):
            self._queue(ledger, item, piece.slices)
        if isinstance(piece.failure, Poison) and item.late:
            ledger.make_readable(item)  # what it failed on may be older than a word that came meanwhile
        elif piece.failure is not None:
            failed(ledger, item, piece.failure)
        elif piece.ended:
            self._record_end(ledger, item, piece.sha256)
        else:
            ledger.read_on(item, gathers=gathers)

    def _record_opened(self, ledger: Ledger, item: Item, kms_key_arn: str) -> None:
        """S3 has decrypted it: its KMS key is not out of reach, nor is the one that refused it before."""
        assert item.ref is not None
        lock, refused = (item.ref.bucket, kms_key_arn), item.lock
        item.lock = None
        answers = ledger.keys.succeeded(lock, now=ledger.clock.monotonic())
        if refused is not None:
            answers = ledger.keys.answered(refused) or answers
        if answers:
            log.info("A KMS key can be used again. bucket=%s key=%s", *lock)
            for one in {lock, (item.ref.bucket, UNTOLD), refused or lock}:
                ledger.wake_locked(one)
            ledger.tell("receiver")

    def _record_identity(self, ledger: Ledger, item: Item, ref: ObjectRef) -> None:
        goes_on = admission.identify(ledger, item, ref)
        if goes_on is None:
            item.state = "final"
            ledger.drop_reading(item)

    def _record_end(self, ledger: Ledger, item: Item, sha256: str) -> None:
        item.total = item.cut_end
        item.sha256 = sha256
        item.state = "sent"
        ledger.alike.succeeded()
        if ledger.objects.close():
            log.info("Objects can be read again.")
            ledger.alike.reset()
        ledger.counters["objects"] += 1
        ledger.look_again(item)

    def _queue(self, ledger: Ledger, item: Item, slices: Tuple[Slice, ...]) -> None:
        now = ledger.clock.monotonic()
        for piece in slices:
            if piece.end > item.cut_end:
                item.cut_end = piece.end
                if piece.end > item.committed:
                    item.boundaries.append(piece.end)
                    ledger.counters["filtered_events"] += piece.end - piece.first - piece.count
                    untimed = sum(block.times.count(None) for block in piece.blocks)
                    ledger.counters["untimed_events"] += untimed
                if not piece.first and piece.blocks:
                    item.first_event = piece.blocks[0].times[0]
                if item.route.decoder == DIGEST and piece.blocks[0].note in _DIGESTS:
                    ledger.counters[_DIGESTS[piece.blocks[0].note]] += 1
            for output in ledger.outputs.values():
                gaps = item.outputs[output.name].missing(piece.first, piece.end)
                outgoing = [Outgoing(item, _narrowed(piece, low, high), now) for low, high in gaps]
                for one in outgoing:
                    if not one.piece.blocks:  # all of it is ignored
                        item.outputs[output.name].accept(one.piece.first, one.piece.end)
                ledger.queue_slices(item, [one for one in outgoing if one.piece.blocks], output)
        if item.commit_point() > item.committed:
            ledger.mark_dirty(item)


def _next(waiting: Deque[Item]) -> Optional[Item]:
    """The first that is still to be read; what was decided meanwhile is passed over."""
    while waiting:
        item = waiting.popleft()
        if item.state == "ready":
            return item
    return None


def _small_ones(readable: Deque[Item], *, beside: Item) -> List[Item]:
    """The small objects that are next in line, to be read in one go with `beside` if that is small too."""
    size = _small(beside)
    items: List[Item] = []
    while size is not None and readable and len(items) < TOGETHER_MOST - 1:
        more = _small(readable[0])
        if more is None or size + more > TOGETHER_BYTES:
            break
        items.append(readable.popleft())
        size += more
    return items


def _small(item: Item) -> Optional[int]:
    """Its stored bytes; None if it is to be read by itself: not known to be small, or not to be usual."""
    if item.state != "ready" or item.lock is not None or not item.is_identified:
        return None
    return len(item.payload.body) if item.payload is not None else item.ref.size if item.ref else None


def _is_in_doubt(item: Item, failure: Optional[CollectorError]) -> bool:
    """Whether what came before a failure may not be what S3 holds: it is read again before it is believed."""
    if isinstance(failure, Poison):
        return item.sightings.get(failure.code, 0) + 1 < failure.sightings
    return failure is not None and failure.code == "checksum_mismatch"


def _narrowed(piece: Slice, first: int, end: int) -> Slice:
    return piece if (first, end) == (piece.first, piece.end) else piece.part(first, end)
