"""Who is alive, and when there is doubt."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import pytest

from collector.stores.owners import living, new_owner, process_lives

NOW = 1_790_000_000.0
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def alive(_: str) -> bool:
    return True


def dead(_: str) -> bool:
    return False


def test_an_owner_is_host_boot_process_and_chance() -> None:
    host, _, process, chance = new_owner(Random(1)).split("/")
    assert host
    assert process.split(".")[0] == str(os.getpid())
    assert chance != new_owner(Random(2)).split("/")[3]


def test_the_same_chance_gives_the_same_owner() -> None:
    assert new_owner(Random(1)) == new_owner(Random(1))


def test_this_process_lives() -> None:
    assert process_lives(new_owner(Random(1)).split("/")[2])
    assert process_lives(str(os.getpid()))


@pytest.mark.skipif(os.name != "posix", reason="pids are only asked on POSIX")
def test_a_process_that_has_ended_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not process_lives(str(child.pid))


@linux
def test_a_killed_process_that_nobody_has_buried_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    assert process_lives(str(child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
    assert not process_lives(str(child.pid))
    child.wait()


@linux
def test_a_reused_pid_is_not_its_predecessor() -> None:
    pid, started = new_owner(Random(1)).split("/")[2].split(".")
    assert not process_lives(f"{pid}.{int(started) - 1}")


@pytest.mark.parametrize("process", ["", "x", "-1", "1.", f"{2**80}"])
def test_what_cannot_be_asked_is_taken_for_alive(process: str) -> None:
    assert process_lives(process)


def test_an_owner_lives_until_ten_seconds_after_its_word() -> None:
    owners = {"exact": NOW - 10, "late": NOW - 10.1, "early": NOW + 60}
    assert living(owners, me="me", now=NOW, lives=alive) == {"exact", "early", "me"}


def test_i_am_alive_whatever_my_row_says() -> None:
    assert living({"h/b/1/x": NOW - 999}, me="h/b/1/x", now=NOW, lives=dead) == {"h/b/1/x"}


def test_a_dead_process_of_this_boot_of_this_host_is_dead_at_once() -> None:
    owners = dict.fromkeys(["h/b/7/x", "h/other-boot/7/x", "other-host/b/7/x", "free text"], NOW + 60)
    asked = []

    def lives(process: str) -> bool:
        asked.append(process)
        return False

    assert living(owners, me="h/b/1/x", now=NOW, lives=lives) == set(owners) - {"h/b/7/x"} | {"h/b/1/x"}
    assert asked == ["7"]


def test_without_a_boot_id_no_pid_is_believed() -> None:
    assert "h/-/7/x" in living({"h/-/7/x": NOW + 60}, me="h/-/1/x", now=NOW, lives=dead)
