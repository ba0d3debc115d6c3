"""When the queue tells of buckets that are not this input's: a mistake in `bucket`, or a stranger's message.

As long as nothing of a configured bucket was ever in hand, nor in the ledger, it is taken for the mistake:
such messages are kept under their leases, so that none is received in vain again and again, and nothing of
them is quarantined or deleted (rule 8). Receiving stops; after 1, 2, 4 ... 60 minutes one receive is made
into the room that is left, for what it brings may name ours. From the first object of ours on, what names
others is poison, for good.
"""

from __future__ import annotations

from typing import FrozenSet, Iterable, List, Union

from collector.engine.breaker import PROBE_SECONDS, Breaker
from collector.errors import Fatal, Poison, Retry
from collector.model import Message, Notification

__all__ = ["Mismatch", "doubt"]

LONGEST_LOOK_SECONDS = 3600.0


def doubt(message: Message) -> Retry:
    """Why a message that is suspected waits: the ledger is asked first."""
    what = "it names no bucket of this input, and it is not known yet whether that is a mistake of ours"
    return Retry(what, code="wrong_bucket", where=f"message {message.message_id}", after_seconds=0.0)


class Mismatch:
    """`breaker` is open while the queue tells of other buckets only."""

    def __init__(self, buckets: FrozenSet[str]) -> None:
        self.buckets = buckets
        self.breaker = Breaker("bucket")
        self._is_settled = not buckets
        self._is_asked = False
        self._look_after = PROBE_SECONDS

    def is_foreign(self, bucket: str) -> bool:
        return bool(self.buckets) and bucket not in self.buckets

    @property
    def in_doubt(self) -> FrozenSet[str]:
        """Our buckets, as long as nothing of them was ever seen and the ledger is to be asked for them.

        That may read all of it, so after a no it is asked again with the next look only.
        """
        return frozenset() if self._is_settled or self._is_asked else self.buckets

    def ledger_has_none(self) -> None:
        self._is_asked = True

    def suspects(self, meaning: Union[Notification, Poison, Retry]) -> bool:
        """Whether this names other buckets and nothing of ours, and none of ours was ever seen."""
        if self._is_settled:
            return False
        if isinstance(meaning, Notification):
            buckets = [ref.bucket for ref in meaning.refs]
            return bool(buckets) and not meaning.payloads and all(map(self.is_foreign, buckets))
        return meaning.code == "foreign_bucket"

    def blame(self, meaning: Union[Notification, Poison, Retry], *, where: str) -> Fatal:
        """What to tell the operator of a message that is suspected."""
        ours = _names(sorted(self.buckets))
        if isinstance(meaning, Notification):
            told = _names(sorted({ref.bucket for ref in meaning.refs}))
            what = f"The queue tells of objects in {told}, and of none in {ours}, which bucket names"
        else:
            told = "where that is"
            what = f"The queue tells of nothing in {ours}, which bucket names: {meaning.what}"
        return Fatal(
            what, code="wrong_bucket", where=where,
            hint=f"Compare bucket with what was handed over: if {told} is your provider's, write it there; "
            "if not, another input's messages come into this queue: ask the provider",
        )

    def open(self, error: Fatal, *, now: float) -> bool:
        """Such a message is kept; True if it is the first."""
        return not self.breaker.is_open and self.breaker.open(error, now=now, probe_after=self._look_after)

    def looks(self, *, now: float) -> None:
        """One receive is being made for what it may bring; the next is twice as far away."""
        self._look_after = min(self._look_after * 2, LONGEST_LOOK_SECONDS)
        self._is_asked = False
        if self.breaker.error is not None:
            self.breaker.open(self.breaker.error, now=now, probe_after=self._look_after)

    def saw_ours(self) -> bool:
        """An object of ours was named: the setting is right. True if it was doubted until now."""
        self._is_settled = True
        return self.breaker.close()


def _names(buckets: Iterable[str]) -> str:
    names: List[str] = list(buckets)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
