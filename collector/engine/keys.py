"""KMS keys out of reach: one breaker per (bucket, key), so that one key's trouble is only its own (rule 8).

Objects under such a key stay in hand and wait for its probe, once a minute; they lose no attempt and never
go to quarantine for it. Receiving goes on as long as anything else can be read. Where nothing else was
read for an hour, it stops; then one receive is made after 1, 2, 4 ... 60 minutes, for what it brings may
be under another key.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from collector.engine.breaker import AlikeFailures, Breaker
from collector.errors import CollectorError

__all__ = ["UNTOLD", "Keys", "Lock"]

#: A bucket, and the ARN of the key that its object is encrypted with ("" for none).
Lock = Tuple[str, str]
#: Stands for the key where AWS does not say which one it refused.
UNTOLD = "?"
#: What was read this recently shows that not everything is out of reach.
SOUND_SECONDS = 3600.0
FIRST_LOOK_SECONDS = 60.0
LONGEST_LOOK_SECONDS = 3600.0


class _Key:
    def __init__(self) -> None:
        self.breaker = Breaker("keys")
        self.alike = AlikeFailures()


class Keys:
    """Every (bucket, key) that was ever refused, and what else could be read."""

    def __init__(self) -> None:
        self._refused: Dict[Lock, _Key] = {}
        self._sound: Dict[Lock, float] = {}
        self._stops = False
        self._look_at = 0.0
        self._look_after = FIRST_LOOK_SECONDS

    # -- what became of objects -----------------------------------------------------------------

    def failed(self, lock: Lock, error: CollectorError, *, which: str, now: float) -> bool:
        """An object (`which`) was refused for its key; True if that is no longer the object's own trouble."""
        key = self._refused.setdefault(lock, _Key())
        alike = key.alike.failed(error.code, which)
        if not (alike or key.breaker.is_open):
            return False
        return key.breaker.open(error, now=now)

    def succeeded(self, lock: Lock, *, now: float) -> bool:
        """An object under this lock was opened; True if its key was out of reach until now."""
        self._sound[lock] = now
        self._stops = False
        self._look_after = FIRST_LOOK_SECONDS
        opened = [lock, (lock[0], UNTOLD)] if lock[1] else []
        return sum(self.answered(one) for one in opened) > 0

    def answered(self, lock: Lock) -> bool:
        """An object that was refused under this lock was opened; True if the lock was out of reach."""
        key = self._refused.get(lock)
        if key is None:
            return False
        key.alike.succeeded()
        if not key.breaker.close():
            return False
        key.alike.reset()
        return True

    # -- what may be tried ----------------------------------------------------------------------

    def is_open(self, lock: Optional[Lock]) -> bool:
        return lock in self._refused and self._refused[lock].breaker.is_open

    def passes(self, lock: Optional[Lock], *, now: float) -> bool:
        """Whether an object that was last refused under this lock may be tried now."""
        return lock not in self._refused or self._refused[lock].breaker.passes(now=now)

    def probe_at(self, lock: Lock) -> float:
        return self._refused[lock].breaker.probe_at() if lock in self._refused else 0.0

    @property
    def errors(self) -> List[CollectorError]:
        """Why keys are out of reach, one error each."""
        return [key.breaker.error for key in self._refused.values() if key.breaker.error is not None]

    # -- receiving ------------------------------------------------------------------------------

    def stops(self, *, now: float) -> bool:
        """A key is out of reach, and nothing else was read for an hour: messages would come in vain."""
        if not self.errors:
            self._stops = False
            return False
        return not any(self._is_sound(lock, now) for lock in self._sound)

    def begins_to_stop(self, *, now: float) -> bool:
        """True the first time that `stops` is seen to hold; the look-out for other keys begins."""
        if self._stops or not self.stops(now=now):
            return False
        self._stops = True
        self._look_after = FIRST_LOOK_SECONDS
        self._look_at = now + FIRST_LOOK_SECONDS
        return True

    def look_at(self, *, in_hand: bool) -> float:
        """When one receive may be made to see whether what it brings is under another key (monotonic).

        With nothing in hand to try the key with, the look is its probe as well: once a minute.
        """
        return self._look_at if in_hand else self._look_at - self._look_after + FIRST_LOOK_SECONDS

    def looked(self, *, now: float) -> None:
        """Such a receive is being made."""
        self._look_after = min(self._look_after * 2, LONGEST_LOOK_SECONDS)
        self._look_at = now + self._look_after

    def _is_sound(self, lock: Lock, now: float) -> bool:
        return now - self._sound[lock] <= SOUND_SECONDS and not self._is_refused(lock)

    def _is_refused(self, lock: Lock) -> bool:
        """Its own key is out of reach by now, or one of its bucket that AWS did not name."""
        return self.is_open(lock) or (bool(lock[1]) and self.is_open((lock[0], UNTOLD)))
