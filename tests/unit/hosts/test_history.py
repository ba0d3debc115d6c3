"""The last hour in memory, and the sum over several processes."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import List, Tuple

import pytest

from collector.engine.watch import Watched
from collector.hosts.service.board import Board
from collector.hosts.service.history import MINUTES, History
from collector.hosts.service.observation import Observation, Problem, together
from collector.hosts.service.siblings import FOLDER, Others, _write
from collector.ports import QueueDepth
from collector.retention.clock import Oldest, Reading
from collector.retention.lag import Lag

START = 1_800_000_000.0  # a whole minute


def seen(*events: int) -> List[Tuple[int, Observation]]:
    """What each process has delivered by now."""
    pictures = (Observation("thrive", "collecting", {"events": one, "bytes": 10 * one}) for one in events)
    return list(enumerate(pictures))


def test_each_minute_has_its_own_sum_and_the_oldest_leave() -> None:
    history = History()
    for minute in range(MINUTES + 5):
        history.note(seen(minute + 1), now=START + 60.0 * minute)
    now = START + 60.0 * (MINUTES + 4)
    assert history.minutes("thrive", now=now) == [1] * MINUTES
    assert history.minutes("thrive", now=now + 120.0) == [1] * (MINUTES - 2) + [0, 0]
    assert history.minutes("unknown", now=now) == [0] * MINUTES


def test_it_never_grows() -> None:
    history = History()
    for second in range(10_000):
        history.note(seen(second), now=START + second)
    (past,) = history._pasts.values()
    assert len(past.minutes) <= MINUTES and len(past.looks) <= 60


def test_a_process_that_starts_again_takes_nothing_away() -> None:
    history = History()
    for events in ((10, 5), (10, 7), (2, 7), (4, 7)):
        history.note(seen(*events), now=START)
    assert history.minutes("thrive", now=START)[-1] == 10 + 7 + 4


def test_a_rate_is_that_of_the_last_minute() -> None:
    history = History()
    for second in range(0, 300, 2):
        history.note(seen(100 if second < 150 else 100 + 3 * (second - 150)), now=START + second)
    rate = history.rate("thrive", now=START + 298)
    assert (round(rate.events_per_second, 6), round(rate.bytes_per_second, 6)) == (3.0, 30.0)
    assert history.rate("thrive", now=START + 400).events_per_second == 0.0


def test_an_error_has_the_time_at_which_it_was_first_seen() -> None:
    history, error = History(), Problem("gone", "gone")
    for second in range(3):
        history.note([(0, Observation("thrive", last_error=error))], now=START + second)
    assert history.error_at("thrive", error) == START
    assert history.error_at("thrive", Problem("other", "other")) is None


def picture(state: str, events: int, *, p95: float = 1.0, used: float = 10.0) -> Observation:
    watched = Watched(
        deadlines={"bucket": Reading(100.0, used, Oldest("s3://b/k", 5.0))}, depth=QueueDepth(1, 2, 3, 4.0),
        lags={"aws": Lag(0.5, p95, 2, 3.0), "provider": Lag()},
    )
    return Observation(
        "thrive", state, {"events": events}, deliveries=1, objects={"new": 2}, receipts={"hec": 3},
        quarantine_bytes=7, breakers={"hec": None}, watched=watched,
        aws_calls={"s3:GetObject": events},
    )


def test_of_several_processes_counts_are_added_and_the_worst_speaks_for_the_rest() -> None:
    error = Problem("down", "down", hint="Look", owner="network")
    blocked = replace(
        picture("blocked", 5, p95=9.0, used=60.0), breakers={"hec": error}, last_error=error,
        warnings={"backlog": error},
    )
    one = together([picture("collecting", 3), blocked])
    assert (one.state, one.counters, one.deliveries, one.quarantine_bytes) == ("blocked", {"events": 8}, 2, 7)
    assert (one.objects, one.receipts) == ({"new": 4}, {"hec": 6})
    assert (one.open_breakers, one.last_error, list(one.warnings)) == ({"hec": error}, error, ["backlog"])
    assert one.watched.lags["aws"] == Lag(0.5, 9.0, 4, 6.0)
    assert one.watched.deadlines["bucket"].used_seconds == 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a board of two inputs has written its picture, as process 1."""
    board = Board(["thrive", "immuta"])
    board.own = lambda: [picture("collecting", 3), Observation("immuta")]  # type: ignore[method-assign]
    _write(tmp_path / FOLDER / "1.json", number=1, board=board)
    return tmp_path


def test_what_another_process_wrote_is_read_as_it_was(folder: Path) -> None:
    (found,) = Others(folder)().values()
    assert found[0].watched.lags["aws"] == Lag(0.5, 1.0, 2, 3.0)
    assert str(found[0]) == str(picture("collecting", 3)) and found[1] == Observation("immuta")
    assert (folder / FOLDER / "1.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change", [{"parent": 1}, {"at": 0.0}, {"inputs": [{"name": "x"}]}, {"inputs": 5}, {"number": "x"}]
)
def test_what_is_old_strange_or_of_another_service_is_not_believed(folder: Path, change: object) -> None:
    path = folder / FOLDER / "1.json"
    told = json.loads(path.read_text())
    assert told["parent"] == os.getppid() and told["at"] <= time.time()
    path.write_text(json.dumps({**told, **change}))  # type: ignore[dict-item]
    (folder / FOLDER / "2.json").write_text("{")
    assert Others(folder)() == {}


def test_an_error_that_stopped_an_input_is_over_when_all_of_its_processes_collect_again() -> None:
    history, error = History(), Problem("refused", "role_denied")

    def note(*states: str, now: float) -> None:
        history.note([(n, Observation("thrive", s, last_error=error)) for n, s in enumerate(states)], now=now)

    note("collecting", "collecting", now=START)
    assert history.again_at("thrive", error) is None, "it may be one object's own, and still be tried again"
    note("blocked", "collecting", now=START + 2)
    note("starting", "collecting", now=START + 4)
    assert history.again_at("thrive", error) is None
    note("collecting", "collecting", now=START + 6)
    note("collecting", "collecting", now=START + 8)
    assert history.again_at("thrive", error) == START + 6
    assert history.again_at("thrive", Problem("other", "other")) is None
    note("retrying", "collecting", now=START + 10)
    assert history.again_at("thrive", error) is None
