"""An input that cannot be started is started later, and nobody waits for it meanwhile."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List

import pytest

from collector.errors import CollectorError, Fatal, Retry
from collector.runtime.starts import FIRST_AGAIN_SECONDS, LONGEST_AGAIN_SECONDS, Starts
from collector.testing.twins import ManualClock

AWAY = Retry("connection refused", code="connection_failed")
WRONG = Fatal("no such profile", code="no_profile")
REFUSED = Fatal("cannot assume role", code="role_denied", scope="role")


class Inputs:
    """What `begin` of each input does next: an error to raise, or None to come to life."""

    def __init__(self, **next_: Any) -> None:
        self.next: Dict[str, Any] = next_
        self.attempts: List[str] = []
        self.late: List[str] = []
        self.clock = ManualClock()

    def starts(self, *, again: bool = True) -> Starts[str]:
        begin = {name: self._begin(name) for name in self.next}
        return Starts(begin, again=again, late=self.late.append, monotonic=self.clock.monotonic)

    def _begin(self, name: str) -> Callable[[], str]:
        def begin() -> str:
            self.attempts.append(name)
            if self.next[name] is not None:
                raise self.next[name]
            return name

        return begin


def _go_on(starts: Starts[str]) -> List[str]:
    """The attempts that are due, to their end."""
    fresh = list(starts.go_on())
    for thread in threading.enumerate():
        if thread.name.endswith("/start"):
            thread.join(10)
    return [*fresh, *starts.go_on()]


@pytest.mark.parametrize("error", [AWAY, REFUSED])
def test_it_is_tried_again_after_half_a_minute_and_then_more_seldom(error: CollectorError) -> None:
    inputs = Inputs(thrive=error)
    starts = inputs.starts()
    waits = []
    for _ in range(7):
        assert _go_on(starts) == []
        count, seconds = len(inputs.attempts), 0
        while len(inputs.attempts) == count:
            inputs.clock.advance(5.0)
            seconds += 5
            _go_on(starts)
        waits.append(seconds)
    assert waits == [30, 60, 120, 240, 300, 300, 300]
    assert (FIRST_AGAIN_SECONDS, LONGEST_AGAIN_SECONDS) == (30.0, 300.0)


def test_it_runs_as_soon_as_an_attempt_succeeds_and_is_not_begun_again() -> None:
    inputs = Inputs(thrive=AWAY)
    starts = inputs.starts()
    _go_on(starts)
    assert starts.failures == {"thrive": AWAY}
    inputs.next["thrive"] = None
    inputs.clock.advance(31)
    assert _go_on(starts) == ["thrive"]
    assert (starts.running, starts.failures) == (["thrive"], {})
    inputs.clock.advance(1000)
    assert _go_on(starts) == []
    assert len(inputs.attempts) == 2


def test_one_that_hangs_keeps_no_other_waiting() -> None:
    inputs = Inputs(slow=None, quick=None)
    released = threading.Event()
    begin = {"slow": lambda: str(released.wait(10)), "quick": inputs._begin("quick")}
    starts = Starts(begin, again=True, late=inputs.late.append)
    starts.go_on()
    for thread in threading.enumerate():
        if thread.name == "quick/start":
            thread.join(10)
    assert starts.running == ["quick"]
    assert not starts.is_decided
    released.set()
    _go_on(starts)
    assert starts.is_decided


@pytest.mark.parametrize("again", [True, False])
def test_wrong_configuration_ends_the_program_where_it_is_all_there_is(again: bool) -> None:
    inputs = Inputs(one=WRONG, two=WRONG)
    with pytest.raises(Fatal) as caught:
        _go_on(inputs.starts(again=again))
    assert caught.value is WRONG


@pytest.mark.parametrize("other", [None, AWAY])
def test_wrong_configuration_of_one_input_ends_nothing_while_another_runs_or_may_run(other: Any) -> None:
    inputs = Inputs(one=WRONG, two=other)
    starts = inputs.starts()
    _go_on(starts)
    assert starts.failures["one"] is WRONG
    inputs.next["one"] = None
    inputs.clock.advance(301)
    assert "one" in _go_on(starts), "put right, it needs no restart"


def test_a_drain_has_one_attempt_and_says_what_it_could_not_start() -> None:
    inputs = Inputs(one=AWAY, two=None)
    starts = inputs.starts(again=False)
    _go_on(starts)
    inputs.clock.advance(3600)
    _go_on(starts)
    assert inputs.attempts.count("one") == 1
    assert starts.is_decided
    assert starts.running == ["two"]


def test_what_comes_to_life_after_the_stop_is_ended() -> None:
    inputs = Inputs(thrive=None)
    released = threading.Event()

    def begin() -> str:
        released.wait(10)
        return "thrive"

    starts = Starts({"thrive": begin}, again=True, late=inputs.late.append)
    starts.go_on()
    assert starts.stop() == []
    released.set()
    for thread in threading.enumerate():
        if thread.name == "thrive/start":
            thread.join(10)
    assert inputs.late == ["thrive"]
    assert starts.running == []


def test_a_stop_waits_for_the_end_of_what_came_late_but_not_for_ever() -> None:
    released, ended = threading.Event(), threading.Event()

    def end(running: str) -> None:
        released.wait(10)
        ended.set()

    starts = Starts({"thrive": lambda: "thrive"}, again=True, late=end)
    starts.stop()
    starts.go_on()
    starts.outlast(time.monotonic() + 0.1)
    assert not ended.is_set(), "it is given up at the deadline"
    released.set()
    starts.outlast(time.monotonic() + 10.0)
    assert ended.is_set()


def test_a_bug_in_a_start_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    inputs = Inputs(thrive=KeyError("a bug"))
    starts = inputs.starts()
    _go_on(starts)
    assert starts.failures["thrive"].code == "bug"
    assert "Traceback" in caplog.text
    inputs.next["thrive"] = None
    inputs.clock.advance(31)
    assert _go_on(starts) == ["thrive"]


def test_what_is_withdrawn_is_given_back_and_what_is_added_is_started() -> None:
    inputs = Inputs(thrive=None, immuta=AWAY, okera=None)
    starts = inputs.starts()
    _go_on(starts)
    assert starts.withdraw("thrive") == "thrive"
    assert starts.withdraw("immuta") is None
    assert (starts.running, starts.failures) == (["okera"], {})
    starts.add("thrive", inputs._begin("thrive"))
    assert _go_on(starts) == ["thrive"]
    assert starts.running == ["okera", "thrive"]


def test_one_of_the_same_name_waits_until_what_was_withdrawn_in_mid_attempt_is_over() -> None:
    inputs = Inputs(thrive=None)
    arrived, go = threading.Event(), threading.Event()

    def slow() -> str:
        arrived.set()
        go.wait(10)
        return "old"

    starts: Starts[str] = Starts({"thrive": slow}, again=True, late=inputs.late.append)
    starts.go_on()
    arrived.wait(10)
    assert starts.withdraw("thrive") is None
    starts.add("thrive", inputs._begin("thrive"))
    assert list(starts.go_on()) == []
    assert (inputs.attempts, starts.is_leaving("thrive")) == ([], True)
    go.set()
    while starts.is_leaving("thrive"):
        pass
    assert inputs.late == ["old"], "it came to life for nobody and is ended"
    assert _go_on(starts) == ["thrive"]


def test_a_service_that_has_run_is_not_ended_by_wrong_configuration() -> None:
    inputs = Inputs(thrive=None, wrong=WRONG)
    starts = inputs.starts()
    _go_on(starts)
    starts.withdraw("thrive")
    assert _go_on(starts) == []
    assert set(starts.failures) == {"wrong"}
