"""The program does its work under the restrictions of its unit, as far as this machine can play them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from collector.testing.fake_hec import FakeHec
from collector.testing.provider import Provider
from tests.e2e.collector_process import environment, ndjson, wait_for
from tests.packaging.confined import can_confine, command
from tests.packaging.units import ROOT, UNIT

WHY_NOT = can_confine()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

#: What each restriction must refuse, and what must be possible all the same.
TRIED = """
import ctypes, json, mmap, os, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def unshare():
    if libc.unshare(0x20000):
        raise OSError(ctypes.get_errno(), "unshare")
def thread():
    one = threading.Thread(target=int)
    one.start()
    one.join()
tries = {
    "write /etc": lambda: open("/etc/audit-s3-proof", "w"),
    "write /usr": lambda: open("/usr/audit-s3-proof", "w"),
    "write beside the state": lambda: open(sys.argv[1] + "/../proof", "w"),
    "write and execute": lambda: mmap.mmap(-1, 4096, prot=7),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "chroot": lambda: os.chroot("/"),
    "namespace": unshare,
    "set-user-id": lambda: os.chmod(sys.argv[1], 0o4700),
    "write the state": lambda: open(sys.argv[1] + "/proof", "w"),
    "socket": lambda: socket.socket(),
    "thread": thread,
    "share a core": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "nice": lambda: os.nice(1),
}
def can(do):
    try:
        do()
    except OSError:
        return False
    return True
bound = open("/proc/self/status").read().split("CapBnd:")[1].split()[0]
print(json.dumps({"can": [name for name, do in tries.items() if can(do)], "bound": int(bound, 16)}))
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def _popen(state: Path, *program: str, **streams: Any) -> subprocess.Popen[bytes]:
    more: Dict[str, str] = {"STATE_DIRECTORY": str(state), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command(UNIT, state, [sys.executable, *program]), env={**environment(), **more}, cwd=ROOT, **streams
    )


def test_the_restrictions_that_are_played_restrict(state):
    probe = _popen(state, "-c", TRIED, str(state), stdout=subprocess.PIPE)
    answer = json.loads(probe.communicate(timeout=60)[0])
    assert answer == {"can": ["write the state", "socket", "thread", "share a core"], "bound": 0}


def test_the_collector_does_its_work_in_there_and_stops_in_order(ministack, state, tmp_path):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 1500))
    with FakeHec(acks=True, tls=True) as hec:
        settings = {**provider.handover(), "start_from": "retention", "wait_time_seconds": 1,
                    "hec_url": hec.url, "hec_token": hec.token, "hec_ca_file": hec.ca_file,
                    "http_listen": "127.0.0.1:0"}
        lines = ["[audit_s3://thrive]", *(f"{name} = {value}" for name, value in settings.items())]
        config = tmp_path / "audit-s3.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (tmp_path / "log").open("wb") as log:
            process = _popen(state, "-m", "collector", "run", "--config", str(config), stderr=log)
            try:
                wait_for(lambda: len(hec.events) == 1500 and provider.queue_depth() == 0)
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            finally:
                process.kill()
                process.wait()
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert process.returncode == 0, said
    assert "Status page and metrics are served." in said
    assert "Traceback" not in said
    assert (state / "thrive.sqlite3").stat().st_mode & 0o077 == 0
