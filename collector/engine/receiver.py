"""The Receiver: takes what free Readers can start, understands it, and claims it in one store call.

One long poll at a time while the queue is quiet; more as long as receives come back full. A thread that
is not polling claims: a long poll never holds up work that is already here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, List, Optional, Sequence, Tuple, Union

from collector.engine import admission, gate, mismatch, quarantine, restored
from collector.engine.failures import hand_back, open_source
from collector.engine.items import Delivery, Item
from collector.engine.ledger import Ledger
from collector.engine.station import Wait, earliest
from collector.engine.unproven import SOON_SECONDS, Unproven
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.model import Message, Notification
from collector.ports import CheckpointStore, Claim, Queue, Spool

__all__ = ["Receiver"]

log = logging.getLogger("collector.engine")

#: One store call claims at most this many rows.
CLAIM_ROWS = 100
#: While receives come back full, this many may be under way.
MOST_POLLS = 4
#: For so long a receive waits for Readers that are about to be free: one for ten is cheaper than ten for one.
FILL_SECONDS = 0.01

Parse = Callable[[str], Notification]


@dataclass(frozen=True)
class Receive:
    """Take `count` messages at most, hidden from others for `hide_seconds`."""

    count: int
    wait_seconds: int
    hide_seconds: int


@dataclass(frozen=True)
class ClaimItems:
    """Ask the store what it knows of these, and make them ours where they are free."""

    items: Sequence[Item]


@dataclass(frozen=True)
class LookAgain:
    """The ledger is asked first whether it knows one of the buckets `in_doubt`."""

    deliveries: Sequence[Delivery]
    in_doubt: FrozenSet[str]


Meaning = Union[Notification, Poison, Retry]


class Receiver:
    """Messages in, claimed items out. Without a queue it only claims what was found otherwise."""

    name = "receiver"

    def __init__(
        self,
        queue: Optional[Queue],
        store: CheckpointStore,
        parse: Parse,
        *,
        parse_spooled: Optional[Parse] = None,
    ) -> None:
        self._queue = queue
        self._store = store
        self._parsers = {"message": parse, "spool": parse_spooled or parse}
        self._asked = 0
        self._most_polls = 1
        self._failures = 0
        self._pause_until = 0.0
        self._fills_until: Optional[float] = None
        self.unproven = Unproven()

    def take(self, ledger: Ledger) -> Union[Receive, ClaimItems, LookAgain, Wait]:
        """What is here already comes before what a poll may bring."""
        due = ledger.promote()
        here = self._take_here(ledger)
        if here is not None:
            self._fills_until = None  # who waits for room is another thread from now on
            return here
        return self._take_receive(ledger, earliest(due, *self.unproven.due))

    def _take_here(self, ledger: Ledger) -> Union[ClaimItems, LookAgain, Wait, None]:
        claims = self._take_claims(ledger) if ledger.unclaimed and not ledger.stopping else None
        if claims is not None:
            return claims
        again = self.unproven.take(ledger)
        return LookAgain(again, ledger.mismatch.in_doubt) if again else None

    def _take_receive(self, ledger: Ledger, due: Optional[float]) -> Union[Receive, Wait]:
        """A poll, if nothing stands in the way and there is room for what it brings."""
        now = ledger.clock.monotonic()
        if self._queue is None or ledger.polls >= self._most_polls or self._is_drained(ledger):
            return Wait(due)
        looks = not ledger.polls and gate.may_look(ledger)
        if looks or gate.may_receive(ledger):
            most = ledger.room() - self._asked
        else:
            most = int(gate.may_receive_probe(ledger) and not ledger.polls)
        if now < self._pause_until:
            return Wait(earliest(due, self._pause_until))
        count = min(most - self.unproven.room_taken, ledger.full_receive)
        if count < 1:
            self._fills_until = None
            return Wait(self._next_probe(ledger, due))
        if count < ledger.full_receive and ledger.reading:
            self._fills_until = self._fills_until or now + FILL_SECONDS
            if now < self._fills_until:
                return Wait(earliest(due, self._fills_until))
        if not ledger.source.passes(now=now):
            return Wait(ledger.source.probe_at())
        self._fills_until = None
        if looks:
            gate.looks(ledger)
        self._asked += count
        ledger.polls += 1
        ledger.polls_end = max(ledger.polls_end, now + ledger.limits.wait_time_seconds + 1.0)
        return Receive(count, ledger.limits.wait_time_seconds, ledger.lease_seconds)

    def _next_probe(self, ledger: Ledger, due: Optional[float]) -> Optional[float]:
        times = [breaker.probe_at() for breaker in gate.troubled(ledger)]
        times += [ledger.keys.look_at(in_hand=bool(ledger.items))] if ledger.keys.errors else []
        return earliest(due, *times)

    def is_done(self, ledger: Ledger) -> bool:
        """The last poll was empty, and none is under way."""
        return self._queue is None or (ledger.empty_polls > 0 and not ledger.polls)

    @property
    def has_queue(self) -> bool:
        return self._queue is not None

    @property
    def failed_polls(self) -> int:
        """How many polls have failed in a row, up to the last one that is over."""
        return self._failures

    def _is_drained(self, ledger: Ledger) -> bool:
        """For `--once`: a poll that is left behind would swallow the next message."""
        if not ledger.limits.once or not ledger.empty_polls:
            return False
        soon = ledger.clock.monotonic() + SOON_SECONDS
        return ledger.rests(until=soon) and self.unproven.is_quiet(until=soon)

    def _take_claims(self, ledger: Ledger) -> Union[ClaimItems, Wait, None]:
        """None if what was to be claimed has become somebody else's, or is over."""
        now = ledger.clock.monotonic()
        if not ledger.store.passes(now=now):
            return Wait(ledger.store.probe_at())
        items: List[Item] = []
        while ledger.unclaimed and len(items) < CLAIM_ROWS:
            item = ledger.unclaimed.popleft()
            if item.state == "new":
                item.state = "claiming"
                items.append(item)
        return ClaimItems(items) if items else None

    def has_more(self, ledger: Ledger) -> bool:
        if ledger.unclaimed or ledger.has_waiting or len(self.unproven):
            return True
        if self._queue is None or ledger.polls >= self._most_polls:
            return False
        if ledger.keys.errors or gate.troubled(ledger) or not ledger.reading:
            return True
        # Too little room for a full receive: one thread knows until when to wait for more.
        room = ledger.room() - self._asked - self.unproven.room_taken
        return room >= ledger.full_receive or (room > 0 and self._fills_until is None)

    def perform(self, work: Union[Receive, ClaimItems, LookAgain]) -> Any:
        if isinstance(work, ClaimItems):
            return restored.claim(self._store, work.items)
        if isinstance(work, LookAgain):
            return self._look_again(work)
        assert self._queue is not None
        messages = self._queue.receive(
            work.count, wait_seconds=work.wait_seconds, hide_seconds=work.hide_seconds
        )
        return [(message, self._understand(message, self._parsers["message"])) for message in messages]

    def _look_again(self, work: LookAgain) -> Tuple[bool, Sequence[Meaning]]:
        """Whether the ledger knows our buckets, and what each body means by now."""
        is_known = bool(work.in_doubt) and self._store.names(work.in_doubt)
        held = [(one.message, one.origin) for one in work.deliveries if one.message is not None]
        return is_known, [self._understand(message, self._parsers[origin]) for message, origin in held]

    def _understand(self, message: Message, parse: Parse) -> Meaning:
        try:
            return parse(message.body)
        except (Poison, Retry) as error:
            return error
        except Exception as error:
            # One body that trips our parser must not keep its nine neighbours: its copy is kept instead.
            log.exception("You have found a bug in the recognisers; the body goes to quarantine.")
            return Poison(f"unexpected {type(error).__name__}: {error}", code="parser_bug")

    def record(self, ledger: Ledger, work: Union[Receive, ClaimItems, LookAgain], result: Any) -> None:
        if isinstance(work, ClaimItems):
            self._record_claims(ledger, work, result)
            if ledger.handing_back:
                ledger.tell("settler")
            return
        if isinstance(work, LookAgain):
            self._record_second_look(ledger, work, result)
            return
        self._asked -= work.count
        ledger.polls -= 1
        assert self._queue is not None
        if isinstance(result, CollectorError):
            self._record_refusal(ledger, result)
            return
        self._failures = 0
        if ledger.source.close():
            log.info("The queue can be received from again.")
        self._most_polls = min(MOST_POLLS, self._most_polls + 1) if len(result) >= work.count else 1
        ledger.empty_polls = 0 if result else ledger.empty_polls + 1
        ledger.counters["receives"] += 1
        ledger.counters["full_receives"] += len(result) >= work.count
        if result:
            ledger.counters["messages"] += len(result)
            log.info("Received messages from the queue. count=%d queue=%s", len(result), self._queue.name)
        known = set(ledger.deliveries)
        for message, understood in sorted(result, key=lambda one: ledger.mismatch.suspects(one[1])):
            self._admit(ledger, message, understood)
        if ledger.stopping or (gate.is_refused(ledger) and known):
            hand_back(ledger, kept=known)

    def _record_refusal(self, ledger: Ledger, error: CollectorError) -> None:
        ledger.last_error = error
        ledger.counters["receive_errors"] += 1
        if isinstance(error, Fatal):
            open_source(ledger, error)
            return
        self._failures += 1
        wait = ledger.backoff(self._failures, asked=getattr(error, "after_seconds", None))
        self._pause_until = ledger.clock.monotonic() + wait
        name = self._queue.name if self._queue else ""
        log.warning("Receiving failed and is tried again in %.1f s: %s. queue=%s", wait, error, name)

    def resume(self, ledger: Ledger, message: Message) -> None:
        """Take up a spooled body. What it points to may have to be fetched: it stays until that can be."""
        self._admit(ledger, message, self._understand(message, self._parsers["spool"]), origin="spool")

    def _admit(
        self, ledger: Ledger, message: Message, understood: Meaning, *, origin: str = "message"
    ) -> None:
        if isinstance(understood, Retry):
            self.unproven.hold(ledger, message, understood, origin=origin)
        elif ledger.mismatch.suspects(understood):
            self.unproven.hold(ledger, message, mismatch.doubt(message), origin=origin)
        elif isinstance(understood, Poison):
            self._set_aside(ledger, message, understood, origin=origin)
        else:
            self._admit_meaning(ledger, message, understood, origin=origin)

    def _set_aside(self, ledger: Ledger, message: Message, error: Poison, *, origin: str) -> None:
        delivery = admission.hold(ledger, message, origin=origin)
        if delivery is not None:
            quarantine.keep_body(ledger, delivery, error.code, error.what)

    def _admit_meaning(
        self, ledger: Ledger, message: Message, understood: Notification, *, origin: str
    ) -> None:
        if understood.noop:
            log.info("A message needs no work: %s. message_id=%s", understood.noop, message.message_id)
        if self._queue is not None and self._queue.fifo and origin == "message":
            self._spool(ledger, message, understood)
        else:
            admission.admit(ledger, understood, origin=origin, message=message)

    def _spool(self, ledger: Ledger, message: Message, notification: Notification) -> None:
        """FIFO: the body is durable here first, then the message goes, then the work begins (rule 11)."""
        delivery = admission.hold(ledger, message)
        if delivery is None:
            return
        delivery.holds += 1

        def spooled(_: bool) -> None:
            ledger.let_go(delivery)
            admission.admit(ledger, notification, origin="spool", message=message)

        ledger.change(Spool(message), spooled)

    def _record_second_look(self, ledger: Ledger, work: LookAgain, result: Any) -> None:
        """What is understood now is admitted under the lease that it has."""
        if isinstance(result, CollectorError):
            for delivery in work.deliveries:
                self.unproven.wait_on(ledger, delivery, result)
            return
        is_known, meanings = result
        if is_known:
            ledger.saw_ours()
        elif work.in_doubt:
            ledger.mismatch.ledger_has_none()
        for delivery, understood in zip(work.deliveries, meanings):
            error = self._not_yet(ledger, understood)
            if error is not None:
                self.unproven.wait_on(ledger, delivery, error)
                continue
            message = self.unproven.proven(ledger, delivery)
            if message is None:
                continue
            self._admit(ledger, message, understood, origin=delivery.origin)
            again = ledger.by_message.get(message.message_id)
            if again is not None:
                again.received, again.extended = delivery.received, delivery.extended
                again.lease_until = delivery.lease_until

    def _not_yet(self, ledger: Ledger, understood: Meaning) -> Optional[CollectorError]:
        """Why this cannot be admitted now; a mistaken bucket stops receiving."""
        if isinstance(understood, Retry):
            return understood
        if not ledger.mismatch.suspects(understood):
            return None
        error = ledger.mismatch.blame(understood, where=self._queue.name if self._queue else "")
        if ledger.mismatch.open(error, now=ledger.clock.monotonic()):
            log.error("Receiving stops until this is put right: %s", error)
        return error

    def _record_claims(self, ledger: Ledger, work: ClaimItems, result: Any) -> None:
        if isinstance(result, CollectorError):
            ledger.store_failed(result)
            for item in work.items:
                item.state = "new"
                ledger.unclaimed.append(item)
            return
        ledger.store_works()
        claims: Sequence[Claim] = result
        for item, claim in zip(work.items, claims):
            admission.claimed(ledger, item, claim)
