"""What an input says, where splunkd and its index look for it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Iterator

import pytest

from collector import logs
from collector.errors import Fatal
from collector.hosts.splunkd.log import (
    JsonLines,
    SplunkdLines,
    log_file,
    log_to_file,
    log_to_splunkd,
    printable,
    set_level,
)


def _record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("collector.test", level, __file__, 1, message, None, None)


@pytest.mark.parametrize(
    ("level", "word"), [(logging.WARNING, "WARN"), (logging.ERROR, "ERROR"), (logging.CRITICAL, "FATAL")]
)
def test_a_line_for_splunkd_begins_with_a_level_it_knows(level: int, word: str) -> None:
    assert SplunkdLines().format(_record(level, "no room")) == f"{word} no room"


def test_a_message_of_several_lines_is_one_line_for_splunkd() -> None:
    assert SplunkdLines().format(_record(logging.ERROR, "a\r\nb\n\x00c")) == "ERROR a  | b | \ufffdc"


def test_a_line_of_the_file_is_one_json_object_whatever_the_message() -> None:
    line = JsonLines("thrive").format(_record(logging.WARNING, 'a\n"b" \ud800'))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["input"], told["logger"]) == ("WARN", "thrive", "collector.test")
    assert told["message"] == 'a\n"b" \ud800'
    assert told["time"].endswith("+00:00")


def test_in_both_of_splunks_logs_a_refusal_ends_with_whose_move_it_is() -> None:
    error = Fatal("refused", code="role_denied", hint="Provider: trust our role")
    record = logging.LogRecord("collector", logging.ERROR, __file__, 1, "Receiving stops: %s", (error,), None)
    assert SplunkdLines().format(record).endswith(" move=provider")
    assert json.loads(JsonLines("thrive").format(record))["message"].endswith(" move=provider")


def test_every_input_has_a_file_of_its_own_in_splunks_folder() -> None:
    names = ["thrive", "a/b", "a_b", "a:b", "../../etc/passwd", "x" * 300, "é"]
    paths = [log_file("/opt/splunk", name) for name in names]
    assert len(set(paths)) == len(names)
    assert {path.parent for path in paths} == {Path("/opt/splunk/var/log/splunk")}
    assert paths[0].name == "audit_s3_thrive.log"
    assert all(len(path.name) < 200 for path in paths)


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1b", "\ufffe", "\ud800"])
def test_what_xml_cannot_carry_is_replaced(character: str) -> None:
    assert printable(f"a{character}b\t\n") == "a\ufffdb\t\n"


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("collector")
    before = (root.handlers[:], root.level, ours.level)
    secrets = list(logs._secrets)
    yield
    logs._secrets[:] = secrets
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    ours.setLevel(own_level)


@pytest.mark.usefixtures("untouched_logging")
def test_debug_lines_of_the_aws_library_hold_credentials_and_are_never_logged() -> None:
    log_to_splunkd()
    set_level("debug")
    assert logging.getLogger("collector.engine").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("botocore.auth").isEnabledFor(logging.INFO)
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.DEBUG)


@pytest.mark.usefixtures("untouched_logging")
def test_a_secret_whenever_it_was_read_is_masked_in_the_file_and_for_splunkd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "var" / "log" / "splunk").mkdir(parents=True)
    monkeypatch.setenv("SPLUNK_HOME", str(tmp_path))
    log_to_splunkd()
    log_to_file("thrive")
    logs.mask(["the-first-t0ken"])
    logs.mask(["s3cr3t-t0ken", ""])  # as a rotated token is
    try:
        raise ValueError("answer: s3cr3t-t0ken")
    except ValueError:
        logging.getLogger("collector.test").exception("token s3cr3t-t0ken is wrong")
    said = capsys.readouterr().err + log_file(str(tmp_path), "thrive").read_text(encoding="utf-8")
    assert said.count("token ******** is wrong") == 2
    assert "s3cr3t" not in said
