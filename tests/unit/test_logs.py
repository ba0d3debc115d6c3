"""Log lines: one each whatever is in them, no secrets in any form, and no floods."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from collector import logs
from collector.errors import Fatal, Retry

HOSTILE = "a key\r\n2026-11-21T00:00:00.000Z ERROR forged\x1b[31m\x00\x85\u2028\u202e\ud800 end"


@pytest.fixture(params=["text", "json"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the program logs in this test; the handlers of the test run come back."""
    root = logging.getLogger()
    handlers, level, secrets = list(root.handlers), root.level, list(logs._secrets)
    yield io.StringIO()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logs._secrets[:] = secrets


def _lines(stream: io.StringIO) -> List[str]:
    text = stream.getvalue()
    assert text.endswith("\n") or not text
    return text.split("\n")[:-1]


def test_a_message_is_one_line_whatever_is_in_it(stream: io.StringIO, form: str) -> None:
    logs.install(form=form, stream=stream)
    logging.getLogger("collector").warning("Read %s. key=%s", HOSTILE, HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("collector").exception("A bug in %s", HOSTILE)
    lines = _lines(stream)
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    if form == "json":
        assert sorted(json.loads(lines[0])) == ["level", "message", "time"]


def test_no_secret_is_in_a_line_a_traceback_or_a_cut_end(stream: io.StringIO, form: str) -> None:
    logs.install(form=form, stream=stream, secrets=["canary-token"], level="debug")
    log = logging.getLogger("collector")
    log.debug("debug canary-token")
    log.error("%s", Retry("canary-token refused", code="x", where="https://h/?t=canary-token"))
    log.error("x" * (logs._LONGEST_LINE - 6) + "canary-token")
    try:
        raise RuntimeError("with canary-token")
    except RuntimeError:
        log.exception("failed")
    assert len(_lines(stream)) == 4
    assert "canary" not in stream.getvalue()


def _limited(stream: io.StringIO) -> Tuple[logging.Logger, List[float]]:
    clock = [0.0]
    handler = logs.Lines(stream, logs._Text(), clock=lambda: clock[0])
    log = logging.Logger("collector")
    log.addHandler(handler)
    return log, clock


def test_the_same_line_comes_a_few_times_a_minute_and_the_rest_is_counted(stream: io.StringIO) -> None:
    log, clock = _limited(stream)
    for _ in range(62):
        log.warning("HEC is busy")
    log.warning("Something else")
    assert len(_lines(stream)) == logs.MOST_ALIKE + 1
    clock[0] = logs.ALIKE_SECONDS
    log.warning("HEC is busy")
    lines = _lines(stream)
    assert lines[-2].endswith("WARNING HEC is busy ... repeated 57 times")
    assert lines[-1].endswith("WARNING HEC is busy")


def test_what_was_left_out_is_said_at_the_end(stream: io.StringIO) -> None:
    log, _ = _limited(stream)
    for _ in range(logs.MOST_ALIKE + 2):
        log.error("the same")
    log.handlers[0].close()
    assert _lines(stream)[-1].endswith("the same ... repeated 2 times")


def _as_station(say: Callable[..., None], *told: Any, times: int = 1) -> None:
    def station() -> None:
        for number in range(times):
            say(*told, number)

    thread = threading.Thread(target=station, name="thrive/reader-0")
    thread.start()
    thread.join()


def test_what_a_station_says_is_written_within_a_moment(stream: io.StringIO) -> None:
    log, _ = _limited(stream)
    for number in range(3):
        _as_station(log.info, f"Read. turn={number} n=%d")
        deadline = time.monotonic() + 10.0
        while len(_lines(stream)) <= number:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert [line[-10:] for line in _lines(stream)] == ["turn=0 n=0", "turn=1 n=0", "turn=2 n=0"]


@pytest.mark.parametrize("how", ["trouble", "main thread", "close", "too many"])
def test_what_was_gathered_is_written_first_and_at_the_end(
    stream: io.StringIO, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_GATHER_SECONDS", 3600.0)
    log, _ = _limited(stream)
    _as_station(log.info, "first %d")
    assert not _lines(stream)
    if how == "trouble":
        _as_station(log.warning, "last %d")
    elif how == "main thread":
        log.info("last %d", 0)
    elif how == "too many":
        _as_station(log.info, "object %d", times=logs._MOST_GATHERED - 1)
    else:
        log.handlers[0].close()
    assert len(_lines(stream)) == {"close": 1, "too many": logs._MOST_GATHERED}.get(how, 2)
    assert _lines(stream)[0].endswith("first 0")
    log.handlers[0].close()
    _as_station(log.info, "after the end %d")
    assert _lines(stream)[-1].endswith("after the end 0")


def test_lines_that_differ_are_all_written_and_few_are_remembered(stream: io.StringIO) -> None:
    log, _ = _limited(stream)
    for number in range(3000):
        log.warning("object %d", number)
    assert len(_lines(stream)) == 3000
    assert len(log.handlers[0]._seen) <= logs._MOST_LINES  # type: ignore[attr-defined]


def test_installing_again_says_what_the_first_one_left_out(stream: io.StringIO) -> None:
    logs.install(stream=stream)
    for _ in range(10):
        logging.getLogger("collector").warning("again")
    logs.install(stream=sys.stderr)
    assert "again ... repeated 5 times" in stream.getvalue()


def test_a_line_that_goes_on_after_an_error_has_one_dot(stream: io.StringIO) -> None:
    logs.install(form="text", stream=stream)
    error = Fatal("it cannot be made", code="store_unwritable", hint="Name a place that we may write to.")
    logging.getLogger("collector").error("An input cannot be started: %s. input=%s", error, "thrive")
    assert "may write to. input=thrive" in stream.getvalue()


@pytest.mark.parametrize(
    ("hint", "whose"),
    [
        ("Provider: attach s3:GetObject to the role", "provider"),
        ("Network: open port 443", "network"),
        ("You: set external_id", "you"),
        ("Correct hec_token", "you"),
        ("", "you"),
    ],
)
def test_a_line_that_stands_until_somebody_acts_ends_with_whose_move_it_is(
    stream: io.StringIO, form: str, hint: str, whose: str
) -> None:
    logs.install(form=form, stream=stream)
    error = Fatal("refused " + "x" * 5000, code="role_denied", hint=hint)
    log = logging.getLogger("collector.engine")
    log.error("Receiving stops until this is put right: %s", error)
    log.warning("A batch was not taken and is sent again in 1 s: %s", error)
    log.error("No error of ours")
    stands, tried_again, other = (
        json.loads(line)["message"] if form == "json" else line for line in _lines(stream)
    )
    assert stands.endswith(f" move={whose}")
    assert "move=" not in tried_again + other
