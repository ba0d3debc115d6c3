"""The threads that drive the stations of one engine: their news, whether they move, and their end."""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, List, Mapping, Tuple

from collector.engine.engine import Engine
from collector.engine.outputs import sender_of
from collector.engine.receiver import MOST_POLLS
from collector.engine.station import Driver, Place, Station

__all__ = ["Threads"]

#: A poll is over after 20 s, or 60 s after its connection has died.
LAST_POLL_SECONDS = 75.0
HAND_BACK_SECONDS = 10.0
#: The lock is held for moments; who does not get it for so long never will.
LOCK_SECONDS = 10.0
#: The longest that all threads of a station may be in their calls: boto3's three attempts take four minutes.
CALL_SECONDS = 900.0
#: A reader of our stdout that takes nothing holds us back; it does not mean that we hang.
PATIENT = (sender_of("stdout"), sender_of("splunkd"))


class Threads:
    """One or several for each station, all under one lock: that of the engine."""

    def __init__(self, input_name: str, engine: Engine, *, workers: int) -> None:
        self.lock = threading.RLock()
        self._name = input_name
        self._engine = engine
        self._workers = workers
        self._stopped, self._settled = threading.Event(), threading.Event()
        self._places: Dict[str, Place] = {}
        self._threads: List[Tuple[threading.Thread, Driver[Any]]] = []

    def start(self) -> None:
        """Let the stations run."""
        for station in self._engine.stations():
            self._places[station.name] = Place(station, threading.Condition(self.lock))
        counts = self._counts()
        for station in self._engine.stations():
            for number in range(counts.get(station.name, 1)):
                self._spawn(station, number)

    def _counts(self) -> Mapping[str, int]:
        """How many threads each station has that has several."""
        senders = {output.sender: len(output.lanes) for output in self._engine.ledger.outputs.values()}
        # While the receiver polls, one of its threads claims; while the settler commits, two delete.
        return {**senders, "reader": self._workers, "receiver": MOST_POLLS + 1, "settler": 3}

    def _spawn(self, station: Station[Any], number: int) -> None:
        driver: Driver[Any] = Driver(station, self._engine.ledger, self._places)
        name = f"{self._name}/{station.name}-{number}"
        until = self._settled if station is self._engine.settler else self._stopped
        thread = threading.Thread(target=driver.run, args=(until,), name=name, daemon=True)
        thread.start()
        self._threads.append((thread, driver))

    def wake(self) -> None:
        """Under the lock: wake the stations that the ledger has news for."""
        for name in self._engine.ledger.take_news():
            self._places[name].wake(self._engine.ledger)

    def standstill(self) -> str:
        """What of this input no longer moves, "" if all does. Takes up to LOCK_SECONDS to say so."""
        if not self.lock.acquire(timeout=LOCK_SECONDS):
            return f"its lock has not been given back for {LOCK_SECONDS:.0f} s"
        self.lock.release()
        turned: Dict[str, float] = {}
        for thread, driver in self._threads:
            if not thread.is_alive() and not self._stopped.is_set():
                return f"the thread {thread.name} died"
            name = driver.station.name
            turned[name] = max(driver.turned_at, turned.get(name, 0.0))
        now = self._engine.ledger.clock.monotonic()
        late = [name for name, at in turned.items() if now - at > CALL_SECONDS and name not in PATIENT]
        return f"no call of {late[0]} has come back for {CALL_SECONDS:.0f} s" if late else ""

    def drain(self, deadline: float) -> bool:
        """Wait until nothing is in hand any more, at most until `deadline` (monotonic); whether it is so."""
        while time.monotonic() < deadline:
            with self.lock:
                if not self._engine.ledger.in_hand():
                    return True
                self._wake_all()
            time.sleep(0.02)
        return False

    def end(self) -> None:
        """Let them end after the calls that they are in; if the process goes on, polls are outlasted."""
        with self.lock:
            is_empty = not self._engine.ledger.in_hand()
        if is_empty:
            name = f"{self._name}/last-polls"
            threading.Thread(target=self._outlast_polls, name=name, daemon=True).start()
        else:
            self._settled.set()
        self._stopped.set()
        with self.lock:
            self._wake_all()

    def _outlast_polls(self) -> None:
        """Hand back what a poll still brings that began before the end; else it would be hidden for long."""
        for thread, driver in self._threads:
            if driver.station is self._engine.receiver:
                thread.join(LAST_POLL_SECONDS)
        deadline = time.monotonic() + HAND_BACK_SECONDS
        while time.monotonic() < deadline:
            with self.lock:
                if not self._engine.ledger.in_hand():
                    break
            time.sleep(0.1)
        self._settled.set()
        with self.lock:
            self._wake_all()

    def _wake_all(self) -> None:
        for place in self._places.values():
            place.condition.notify_all()
