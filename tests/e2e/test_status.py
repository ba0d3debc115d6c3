"""`audit-s3 status` as it stands on a terminal, in a pipe, as JSON, and when it goes on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, environment, ndjson

LONG = "provider-with-a-name-that-is-longer-than-its-column"
STATES = ["done", "open", "filtered", "gone", "expired", "quarantined"]


@pytest.fixture(scope="module")
def drained(ministack: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Collector:
    """Two objects done, one body in quarantine; a second input was never started."""
    ministack.reset()
    provider = Provider(ministack, "thrive")
    for name in ("one", "two"):
        provider.upload(f"k/{name}", ndjson(name, 3))
    provider.send_body("nobody knows this")
    found = Collector(tmp_path_factory.mktemp("status"), provider.handover(), name=LONG)
    found.once(code=1)
    with found.config.open("a") as file:
        file.write(f"[audit_s3://other]\nqueue_url = {provider.queue_url}\n")
    return found


class Terminal:
    """The program on a terminal of its own, 80 columns wide."""

    def __init__(self, collector: Collector, *words: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [sys.executable, "-m", "collector", "status", "--config", str(collector.config), *words]
        self.process = subprocess.Popen(
            command, env={**environment(), "TERM": "xterm"}, stdin=slave, stdout=slave,
            stderr=subprocess.DEVNULL, preexec_fn=own_terminal,
        )
        os.close(slave)
        self.text = ""

    def read_until(self, wanted: Any, *, seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not wanted(self.text):
            assert time.monotonic() < deadline, self.text
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self._master, 65536).decode("utf-8", "replace")
                except OSError:  # the other side is closed
                    assert wanted(self.text), self.text
                    return

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def close(self) -> None:
        os.close(self._master)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def terminals(drained: Collector) -> Iterator[List[Terminal]]:
    opened: List[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_on_eighty_columns_nothing_is_cut_and_no_line_is_longer(
    drained: Collector, terminals: List[Terminal]
) -> None:
    terminal = Terminal(drained)
    terminals.append(terminal)
    terminal.read_until(lambda text: "http_listen is not set" in text)
    terminal.process.wait(60)
    lines = terminal.text.replace("\r", "").split("\n")
    assert [line for line in lines if len(line) > 80 or "…" in line] == []
    assert lines[0].split() == ["input", "state", *STATES]
    assert LONG in lines, "a name that would make the table too wide has a line of its own"
    assert lines[lines.index(LONG) + 1].split() == ["not", "seen", "2", "0", "0", "0", "0", "1"]
    assert any(line.split()[:3] == ["other", "never", "run"] for line in lines)
    assert terminal.process.returncode == 1, "there is something in quarantine"


def test_in_a_pipe_every_value_is_one_whole_line(drained: Collector) -> None:
    said = drained.verb("status", code=1).stdout.decode().splitlines()
    assert f"  quarantine    1 to be looked at: audit-s3 quarantine list --input {LONG}" in said
    assert not any("…" in line or "\x1b" in line for line in said)


def test_as_json_it_has_the_same(drained: Collector) -> None:
    told = json.loads(drained.verb("status", "--format", "json", code=1).stdout)
    first, second = told["inputs"]
    assert told["troubled"] is True
    assert (first["name"], first["objects"]["done"], first["quarantine_entries"]) == (LONG, 2, 1)
    assert (second["state"], second["objects"], second["running"]) == ("never run", None, None)


def test_watching_draws_again_and_again_until_ctrl_c_and_leaves_the_terminal_as_it_was(
    drained: Collector, terminals: List[Terminal]
) -> None:
    terminal = Terminal(drained, "--watch", "--every", "0.2")
    terminals.append(terminal)
    terminal.read_until(lambda text: text.count("Ctrl-C leaves") >= 3 and LONG in text)
    terminal.type(b"\x03")
    terminal.read_until(lambda text: "\x1b[?1049l" in text)
    assert terminal.process.wait(60) == 0
    assert "Traceback" not in terminal.text
    assert "\x1b[?25h" in terminal.text, "the cursor is shown again"


def test_watched_through_a_pipe_there_is_one_report_after_the_other(drained: Collector) -> None:
    command = [sys.executable, "-m", "collector", "status", "--watch", "--every", "0.1", "--format", "json"]
    with subprocess.Popen(
        [*command, "--config", str(drained.config)], env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        reports = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdout.close()  # as `| head` does
        assert process.wait(60) == 0
    assert [report["inputs"][0]["objects"]["done"] for report in reports] == [2, 2, 2]


def test_a_hostile_name_is_one_line(drained: Collector, tmp_path: Path) -> None:
    from collector.hosts.status_report import Seen, lines

    seen = [Seen("a\nb\x1b[31m", {"done": 1}, left_over="s3://b/\r\nforged: line")]
    said = list(lines(seen, width=None, bars=False))
    assert all(line.isprintable() or not line for line in said)
    assert "a\\nb\\x1b[31m" in "\n".join(said)


def test_lag_has_the_owners_that_the_page_and_the_metrics_name() -> None:
    from collector.hosts.status_report import Seen, lines

    lag = {owner: {"p50": "1.0 s"} for owner in ("provider", "aws", "collector")}
    said = "\n".join(lines([Seen("a", {}, running={"state": "collecting", "meaning": "", "lag": lag})],
                           width=None, bars=False))
    assert [owner for owner in ("provider: ", "AWS: ", "collector: ") if owner in said] == [
        "provider: ", "AWS: ", "collector: ",
    ]


def test_a_service_that_should_answer_and_does_not_needs_a_look(local_aws: LocalAws, tmp_path: Path) -> None:
    provider = Provider(local_aws, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    ours = Collector(tmp_path, provider.handover())
    ours.once()
    said = ours.verb("status", code=0).stdout.decode()
    assert "http_listen is not set" in said
    assert "not seen: it has run before, as by run --once, and no running collector says how" in said
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        ours.config.write_text(
            ours.config.read_text() + f"http_listen = 127.0.0.1:{nobody.getsockname()[1]}\n"
        )
        said = ours.verb("status", code=1).stdout.decode()
    assert "not seen" in said and "nobody answers at http_listen" in said


def test_an_input_that_has_never_run_needs_a_look_and_the_place_of_its_store_is_said(tmp_path: Path) -> None:
    url = "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue"
    ours = Collector(tmp_path, {"queue_url": url, "output": "stdout"})
    done = ours.verb("status", code=1)
    assert done.stdout.decode().splitlines()[1].split()[1:3] == ["never", "run"]
    assert f"there is no ledger at {tmp_path}" in done.stderr.decode()


@pytest.mark.parametrize("state", ["blocked", "not_started"])
def test_an_input_that_is_blocked_needs_a_look_whatever_is_in_its_store(state: str) -> None:
    from collector.hosts.status_report import Seen

    assert Seen("thrive", {"done": 1}, running={"state": state, "warnings": {}}).is_troubled
    assert not Seen("thrive", {"done": 1}, running={"state": "collecting", "warnings": {}}).is_troubled


def test_the_table_and_the_line_below_count_the_same_quarantine_and_what_was_dropped_is_looked_at() -> None:
    from collector.hosts.status_report import Seen, lines

    seen = [Seen("thrive", {"done": 7, "quarantined": 2}, entries=4)]
    head, row, *rest = lines(seen, width=None, bars=False)
    assert (head.split()[-1], row.split()[-1]) == ("quarantined", "4")
    assert any("4 to be looked at" in line for line in rest)
    dropped = Seen("thrive", {"done": 7, "quarantined": 2}, entries=0)
    assert not dropped.is_troubled
