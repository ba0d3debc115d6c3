"""What systemd hears, and when it hears nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from collector.engine.watch import Watched
from collector.hosts.service.observation import Observation, Problem
from collector.hosts.service.systemd import Notifier, Service, journal_caution, status_of
from collector.ports import QueueDepth
from collector.retention.lag import Lag

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no AF_UNIX")


class Ear:
    """The other end of a notification socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> List[Dict[str, str]]:
        """Every datagram since the last call."""
        found: List[Dict[str, str]] = []
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return found
            pairs = (line.partition("=") for line in text.splitlines())
            found.append({name: value for name, _, value in pairs})

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: Any) -> Iterator[Ear]:
    monkeypatch.chdir(tmp_path)  # a socket's address may have 107 bytes
    made = Ear("notify")
    yield made
    made.close()


class Picture:
    """What a Board shows."""

    def __init__(self, *seen: Observation) -> None:
        self.seen = list(seen)
        self.stuck: List[str] = []

    def observe(self) -> List[Observation]:
        return self.seen

    def standstill(self) -> List[str]:
        return self.stuck


class Hand:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def _service(seconds: float = 30.0) -> tuple[Service, Hand, Picture]:
    hand, picture = Hand(), Picture(Observation("thrive", "collecting"))
    notifier = Notifier("notify", watchdog_seconds=seconds)
    return Service(notifier, picture, monotonic=hand), hand, picture  # type: ignore[arg-type]


def test_it_is_ready_once_every_input_has_been_tried_and_asks_for_time_until_then(ear: Ear) -> None:
    service, _, _ = _service()
    service.turn(decided=False)
    (first,) = ear.heard()
    assert "READY" not in first
    assert int(first["EXTEND_TIMEOUT_USEC"]) == 30_000_000
    service.turn(decided=True)
    service.turn(decided=True)
    assert [said.get("READY") for said in ear.heard()] == ["1"]


def test_the_watchdog_is_fed_three_times_in_its_time_and_no_more_often_than_that(ear: Ear) -> None:
    service, hand, _ = _service(seconds=6.0)
    service.turn(decided=True)
    ear.heard()
    for _ in range(60):
        hand.time += 0.1
        service.turn(decided=True)
    assert [said["WATCHDOG"] for said in ear.heard()] in (["1"] * 2, ["1"] * 3)


def test_an_input_that_stands_still_leaves_the_watchdog_hungry_until_it_moves(ear: Ear, caplog: Any) -> None:
    service, hand, picture = _service()
    service.turn(decided=True)
    assert len(ear.heard()) == 1
    picture.stuck = ["thrive: its lock has not been given back for 10 s"]
    for _ in range(3):
        hand.time += 20
        service.turn(decided=True)
    assert ear.heard() == []
    assert caplog.text.count("stands still") == 1
    picture.stuck = []
    hand.time += 20
    service.turn(decided=True)
    assert len(ear.heard()) == 1


def test_a_reload_ends_with_being_ready_again(ear: Ear) -> None:
    service, _, _ = _service()
    service.turn(decided=True)
    service.reloading()
    service.turn(decided=True)
    said = ear.heard()
    assert [name for each in said for name in ("READY", "RELOADING") if name in each] == [
        "READY", "RELOADING", "READY",
    ]
    assert int(said[1]["MONOTONIC_USEC"]) > 0


def test_the_status_line_says_rate_lag_backlog_quarantine_and_who_does_not_collect() -> None:
    seen = [
        Observation(
            "thrive", "collecting", quarantine_bytes=2048,
            watched=Watched(depth=QueueDepth(340, 2, 0, 1.0), lags={"collector": Lag(1.0, 12.0, count=9)}),
        ),
        Observation("immuta", "blocked", breakers={"source": Problem("refused", "role_denied")}),
    ]
    assert status_of(seen, rate=812.4) == (
        "1 of 2 inputs collect, 812 events/s, lag 12.0 s, backlog 340 messages, quarantine 2,048 bytes, "
        "immuta blocked [role_denied]"
    )


def test_the_rate_is_that_of_the_time_since_the_last_line(ear: Ear) -> None:
    service, hand, picture = _service()
    for events in (1000, 1500):
        picture.seen = [Observation("thrive", "collecting", counters={"events": events})]
        service.turn(decided=True)
        hand.time += 10
    assert "50 events/s" in ear.heard()[-1]["STATUS"]


def test_nobody_listening_is_nobodys_trouble(tmp_path: Path) -> None:
    Notifier("").send(READY=1)
    Notifier(str(tmp_path / "absent")).send(READY=1)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="only Linux has abstract addresses")
def test_an_address_may_be_abstract() -> None:
    name = f"audit-s3-test-{os.getpid()}"
    ear = Ear(f"\0{name}")
    Notifier(f"@{name}").send(READY=1, STATUS="a line")
    assert ear.heard() == [{"READY": "1", "STATUS": "a line"}]
    ear.close()


def test_what_we_start_ourselves_does_not_speak_in_our_name() -> None:
    environ = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1", "HOME": "/"}
    notifier = Notifier.from_environment(environ)
    assert (bool(notifier), notifier.say_every_seconds) == (True, 1.0)
    assert environ == {"HOME": "/"}


def test_events_that_go_to_the_journal_are_warned_of() -> None:
    stat = os.fstat(1)
    assert "StandardOutput=append:" in journal_caution({"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    assert journal_caution({"JOURNAL_STREAM": "1:2"}) == ""
    assert journal_caution({}) == ""
