"""Threads that take turns quickly share a core; others, and other times, are the kernel's to place."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Iterator, List, Set

import pytest

from collector.runtime.core import LOOK_SECONDS, QUICK, STAY_SECONDS, OneCore

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1

pytestmark = pytest.mark.skipif(CORES < 2, reason="this machine has one core, or no affinity")


class _Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class _Players:
    """Two threads that hand a ball to each other when they are told to."""

    def __init__(self) -> None:
        self._turn = [threading.Semaphore(0), threading.Semaphore(0)]
        self._left = 0
        self._done = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self._play, args=(one,), daemon=True) for one in (0, 1)]
        for thread in self.threads:
            thread.start()

    def play(self, turns: int) -> None:
        self._left = turns
        self._turn[0].release()
        self._done.acquire()

    def end(self) -> None:
        self._left = -1
        for turn in self._turn:
            turn.release()
        for thread in self.threads:
            thread.join()

    def _play(self, one: int) -> None:
        while True:
            self._turn[one].acquire()
            if self._left < 0:
                return
            self._left -= 1
            (self._turn[1 - one] if self._left else self._done).release()

    @property
    def cores(self) -> List[Set[int]]:
        return [os.sched_getaffinity(thread.native_id or 0) for thread in self.threads]


@pytest.fixture
def players() -> Iterator[_Players]:
    allowed = os.sched_getaffinity(0)
    made = _Players()
    yield made
    made.end()
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # another test's thread, which has just ended
            os.sched_setaffinity(int(name), allowed)


@pytest.fixture
def time() -> _Time:
    return _Time()


def _looked(core: OneCore, time: _Time) -> None:
    time.now += LOOK_SECONDS
    core.turn()


def test_threads_that_take_turns_quickly_are_held_on_one_core(players: _Players, time: _Time) -> None:
    core, allowed = OneCore(monotonic=time), os.sched_getaffinity(0)
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    first, second = players.cores
    assert first == second
    assert len(first) == 1
    assert first < allowed


def test_a_thread_that_is_made_later_is_held_too(players: _Players, time: _Time) -> None:
    core = OneCore(monotonic=time)
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    later: List[Set[int]] = []
    thread = threading.Thread(target=lambda: later.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    assert later == players.cores[:1]


def test_after_a_while_the_kernel_may_choose_anew(players: _Players, time: _Time) -> None:
    core, allowed = OneCore(monotonic=time), os.sched_getaffinity(0)
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    time.now += STAY_SECONDS - 0.01
    core.turn()
    assert len(players.cores[0]) == 1
    time.now += 0.02
    core.turn()
    assert players.cores == [allowed, allowed]
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    assert len(players.cores[0]) == 1


def test_threads_that_take_turns_seldom_are_let_be(players: _Players, time: _Time) -> None:
    core, allowed = OneCore(monotonic=time), os.sched_getaffinity(0)
    for _ in range(3):
        players.play(int(0.1 * QUICK * LOOK_SECONDS))
        _looked(core, time)
    assert players.cores == [allowed, allowed]


def test_at_the_end_they_may_go_anywhere(players: _Players, time: _Time) -> None:
    allowed = os.sched_getaffinity(0)
    with OneCore(monotonic=time) as core:
        players.play(int(2 * QUICK * LOOK_SECONDS))
        _looked(core, time)
        assert len(players.cores[0]) == 1
    assert players.cores == [allowed, allowed]


def test_where_one_core_was_given_nothing_is_touched(players: _Players, time: _Time) -> None:
    only = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(0, only)
    core = OneCore(monotonic=time)
    before = players.cores
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    assert players.cores == before


def test_what_somebody_else_has_chosen_meanwhile_stays(players: _Players, time: _Time) -> None:
    core, allowed = OneCore(monotonic=time), os.sched_getaffinity(0)
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    (held,) = os.sched_getaffinity(0)
    theirs = {(allowed - {held}).pop()}
    for name in os.listdir("/proc/self/task"):  # taskset --all-tasks
        os.sched_setaffinity(int(name), theirs)
    time.now += STAY_SECONDS
    for _ in range(3):
        core.turn()
        players.play(int(2 * QUICK * LOOK_SECONDS))
        _looked(core, time)
    core.leave()
    assert players.cores == [theirs, theirs]


@pytest.mark.parametrize("refused", ["sched_setaffinity", "sched_getaffinity"])
def test_where_a_sandbox_refuses_it_nothing_is_held_and_nothing_fails(
    players: _Players, time: _Time, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    before = players.cores

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as sandbox:
        sandbox.setattr(os, refused, refuse)
        with OneCore(monotonic=time) as core:
            for _ in range(2):
                players.play(int(2 * QUICK * LOOK_SECONDS))
                _looked(core, time)
    assert players.cores == before


def test_no_thread_that_is_made_meanwhile_stays_behind(
    players: _Players, time: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is still held makes it, when all have just been listed."""
    allowed, over, list_of = os.sched_getaffinity(0), threading.Event(), os.listdir
    made: List[threading.Thread] = []

    def listed(path: str) -> List[str]:
        found = list_of(path)
        if not made:
            made.append(threading.Thread(target=over.wait))
            made[0].start()
        return found

    core = OneCore(monotonic=time)
    players.play(int(2 * QUICK * LOOK_SECONDS))
    _looked(core, time)
    with monkeypatch.context() as unlucky:
        unlucky.setattr(os, "listdir", listed)
        core.leave()
    there = os.sched_getaffinity(made[0].native_id or 0)
    over.set()
    made[0].join()
    assert there == allowed
