"""One commit for all who wait, and one failure only for whom it concerns."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Sequence, cast

import pytest

from collector.errors import Retry
from collector.stores.group_commit import GROUP_MAX_ROWS, GroupCommit, Work

WAIT_SECONDS = 20


class Disk:
    """Counts commits; the first waits until `release` is set, so that others queue behind it."""

    def __init__(self) -> None:
        self.groups: List[int] = []
        self.first_began = threading.Event()
        self.release = threading.Event()
        self.failure: Exception = Retry("full", code="disk_full")
        self.fails_at = 0

    def commit(self, works: Sequence[Work]) -> Sequence[Any]:
        self.groups.append(len(works))
        if len(self.groups) == 1:
            self.first_began.set()
            assert self.release.wait(WAIT_SECONDS)
        if len(self.groups) == self.fails_at:
            raise self.failure
        return [work(cast(Any, None)) for work in works]


def outcomes(disk: Disk, works: Sequence[Callable[[Any], Any]], *, rows: int = 1) -> List[Any]:
    """What each of `works` came to, all queued behind a first commit of their own."""
    commits = GroupCommit(disk.commit)
    results: List[Any] = [None] * len(works)

    def call(index: int, work: Callable[[Any], Any]) -> None:
        try:
            results[index] = commits.run(work, rows=rows)
        except Exception as error:
            results[index] = error

    def lead() -> None:
        commits.run(lambda _: None)

    threads = [threading.Thread(target=lead)]
    threads[0].start()
    assert disk.first_began.wait(WAIT_SECONDS)
    for index, work in enumerate(works):
        threads.append(threading.Thread(target=call, args=[index, work]))
        threads[-1].start()
        while commits.waiting <= index:
            pass  # until it has queued
    disk.release.set()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    return results


def answer(number: int) -> Callable[[Any], int]:
    return lambda _: number


def guilty(_: Any) -> None:
    raise ValueError("a bug")


def test_who_waits_for_a_commit_shares_the_next_one() -> None:
    disk = Disk()
    assert outcomes(disk, [answer(number) for number in range(7)]) == list(range(7))
    assert disk.groups == [1, 7]


def test_a_group_closes_at_its_rows() -> None:
    disk = Disk()
    assert outcomes(disk, [answer(number) for number in range(5)], rows=40) == list(range(5))
    assert disk.groups == [1, 2, 2, 1]


def test_a_call_larger_than_a_group_stands_alone() -> None:
    disk = Disk()
    assert outcomes(disk, [answer(1), answer(2)], rows=GROUP_MAX_ROWS + 1) == [1, 2]
    assert disk.groups == [1, 1, 1]


def test_alone_nobody_waits_for_company() -> None:
    disk = Disk()
    disk.release.set()
    assert GroupCommit(disk.commit).run(answer(3)) == 3
    assert disk.groups == [1]


def test_a_failed_commit_fails_everybody_in_it() -> None:
    disk = Disk()
    disk.fails_at = 2
    results = outcomes(disk, [answer(1), answer(2)])
    assert [getattr(result, "code", None) for result in results] == ["disk_full", "disk_full"]


def test_a_bug_fails_only_whose_it_is() -> None:
    disk = Disk()
    first, second, third = outcomes(disk, [answer(1), guilty, answer(3)])
    assert (first, third) == (1, 3)
    assert isinstance(second, ValueError)
    assert disk.groups == [1, 3, 1, 1, 1]


def test_after_a_failure_the_next_call_commits() -> None:
    disk = Disk()
    disk.release.set()
    disk.fails_at = 1
    commits = GroupCommit(disk.commit)
    with pytest.raises(Retry):
        commits.run(answer(1))
    assert commits.run(answer(2)) == 2


def test_an_interrupted_leader_leaves_nobody_waiting() -> None:
    def interrupted(_: Sequence[Work]) -> Sequence[Any]:
        raise KeyboardInterrupt

    commits = GroupCommit(interrupted)
    for _ in range(2):  # the second would wait for ever for the first to stop leading
        with pytest.raises(KeyboardInterrupt):
            commits.run(answer(1))
