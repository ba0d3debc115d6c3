"""What strangers wrote, shown to whoever looks after the collector: nothing of it is obeyed by a terminal.

The commands run as they are, the text ones on a terminal of their own (a pty); files and pipes get the bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from collector.ports import Quarantined
from collector.stores.sqlite import SqliteStore
from collector.testing.twins import ManualClock
from tests.e2e.collector_process import environment

pty = pytest.importorskip("pty")

NASTY = {
    "colours": "\x1b[31mred\x1b[0m", "a title": "\x1b]0;forged\x07", "a link": "\x1b]8;;http://evil\x1b\\x",
    "clears the screen": "\x1b[2J\x1b[H", "a line of its own": "\nforged  0000  body  fine  2024  s3://b/k",
    "goes back": "\rforged", "rubs out": "x\b\b\bforged", "eight-bit escapes": "\x9b31mred", "a bell": "\x07",
    "right to left": "\u202egnp.exe", "a zero byte": "a\0b", "markup": "[bold]x[/bold][link=file:///etc]y[/link]",
    "markup that is wrong": "[/nothing]", "a formula": "=HYPERLINK(\"http://evil\")", "a tab": "a\tb",
    "half a character": "\ud800", "a separator": "\u2028forged", "a path": "../../../etc/passwd",
}


@pytest.fixture(scope="module")
def quarantine(tmp_path_factory):
    """An input with an entry for each."""
    folder = tmp_path_factory.mktemp("terminal")
    config = folder / "audit-s3.conf"
    config.write_text(
        f"[audit_s3://thrive]\nbucket = audit-logs\nqueue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q\n"
        f"checkpoint_dir = {folder}/state\noutput = stdout\n"
    )
    clock = ManualClock()
    path = folder / "state" / "thrive.sqlite3"
    with_entries = SqliteStore(path, input_name="thrive", owner="o", clock=clock)
    for number, text in enumerate(NASTY.values()):
        body = text.encode("utf-8", "surrogatepass")
        where, now = f"s3://audit-logs/{text}", clock.now()
        entry = Quarantined(f"{number:032x}", "body", "unknown_body", text, where, now, body)
        assert list(with_entries.apply([entry])) == [True]
    with_entries.leave()
    with_entries.close()
    return config


def run(config, *words):
    command = [sys.executable, "-m", "collector", *words, "--config", str(config)]
    return subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=False)


def on_a_terminal(config, *words):
    """What a terminal would get, of stdout and stderr."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "collector", *words, "--config", str(config)]
    environ = {**environment(), "TERM": "dumb"}
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    process.wait(60)
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


def is_harmless(text):
    return all(line.isprintable() for line in text.split("\n"))


def test_t06_a_list_of_the_quarantine_has_one_line_for_each_entry_and_steers_no_terminal(quarantine):
    said = on_a_terminal(quarantine, "quarantine", "list")
    lines = said.rstrip("\n").split("\n")
    assert is_harmless(said)
    assert len(lines) == len(NASTY) + 1
    assert [line.split()[1] for line in lines[1:]] == [f"{number:032x}" for number in range(len(NASTY))]


def test_t06_a_list_for_programs_has_one_object_for_each_entry(quarantine):
    lines = run(quarantine, "quarantine", "list", "--format", "json").stdout.decode().splitlines()
    places = [f"s3://audit-logs/{text}" for text in NASTY.values()]
    assert [json.loads(line)["where"] for line in lines] == places
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize("number", range(0, len(NASTY), 4))
def test_t06_an_entry_shown_on_a_terminal_does_not_steer_it(quarantine, number):
    said = on_a_terminal(quarantine, "quarantine", "show", f"{number:032x}")
    assert said and is_harmless(said)


def test_t06_an_entry_shown_to_a_pipe_is_its_bytes(quarantine):
    done = run(quarantine, "quarantine", "show", f"{3:032x}")
    assert done.stdout == b"\x1b[2J\x1b[H"


def test_t06_the_state_of_the_inputs_steers_no_terminal(quarantine):
    assert is_harmless(on_a_terminal(quarantine, "status"))
