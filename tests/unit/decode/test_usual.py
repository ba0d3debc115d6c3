"""Without the accelerator too, what is usual is read many at a time, and the rest by who can say why."""

from __future__ import annotations

import pytest

from collector import accel
from collector.decode.values import JsonReader
from collector.model import Format

NOW = 1_800_000_000.0
USUAL = b'{"eventTime":"2026-05-04T10:15:02.412Z","n":1.50}'
TIME = "1777889702.412"


def reader(**options) -> JsonReader:
    return JsonReader(Format(**options), now=NOW, accelerated=False)


@pytest.mark.parametrize("gap", [b",", b" , ", b",\r\n\t"])
def test_usual_elements_are_their_own_bytes_with_their_times(gap):
    end, run = reader().usual(gap.join([USUAL] * 3) + b']', between=False)

    assert run is not None
    assert (run.bodies, run.times, run.is_json) == ([USUAL] * 3, [TIME] * 3, True)
    assert end == 3 * len(USUAL) + 2 * len(gap)


def test_between_elements_a_comma_comes_first():
    assert reader().usual(b" ," + USUAL, between=True)[0] == 2 + len(USUAL)
    assert reader().usual(USUAL, between=True) == (0, None)


@pytest.mark.parametrize(
    "odd", [b"[1]", b"null", b'"text"', b"{broken}", b'{"cut":"of', b"]", b"", b'{"a":' * 99_999]
)
def test_what_is_not_usual_is_where_it_ends(odd):
    end, run = reader().usual(USUAL + b"," + odd, between=False)

    assert end == len(USUAL)
    assert run is not None and run.bodies == [USUAL]


def test_an_element_larger_than_an_event_may_be_is_where_it_ends():
    large = b'{"text":"%s"}' % (b"x" * 2000)

    assert reader(max_event_bytes=1000).usual(USUAL + b"," + large, between=False)[0] == len(USUAL)


@pytest.mark.parametrize("odd", [b'{"n":NaN}', b'{"n":-Infinity}', b'{"s":"\\ud800"}', b'{"s":"\xff\xfe"}'])
def test_a_window_with_what_json_does_not_have_is_left_whole(odd):
    assert reader().usual(USUAL + b"," + odd, between=False) == (0, None)
    lines = USUAL + b"\n" + odd + b"\n"
    assert reader().lines(lines) is None


def test_a_character_that_the_window_cuts_off_spoils_nothing():
    window = USUAL + b',{"s":"caf\xc3\xa9 ' + "\u20ac".encode()[:2]

    end, run = reader().usual(window, between=False)
    assert end == len(USUAL)
    assert run is not None and len(run.bodies) == 1


def test_lines_are_read_at_once_only_if_each_is_one_object():
    run = reader().lines(USUAL + b"\r\n" + USUAL + b"\r\n")

    assert run is not None
    assert (run.bodies, run.times) == ([USUAL] * 2, [TIME] * 2)
    assert reader().lines(USUAL + USUAL + b"\n" + USUAL + b"\n") is None
    assert reader().lines(USUAL + b" \n" + USUAL + b"\n") is None
    assert reader().lines(b'{"a":\n{"b":1}}\n{"c":1}\n') is None


@pytest.mark.parametrize("accelerated", [True, False])
def test_the_time_of_an_event_does_not_hang_on_the_fields_of_the_window_before(accelerated):
    """What was learnt from one window is no more than where to look first in the next."""
    named = JsonReader(Format(time_fields=("at", "ts", "seen")), now=NOW, accelerated=accelerated)
    for window, times in (
        ([b'{"ts":1777889702,"seen":1777889709}'] * 2, ["1777889702"] * 2),
        ([b'{"ts":1777889703}', b'{"at":1777889702,"ts":1777889703}'], ["1777889703", "1777889702"]),
        ([b'{"ts":1777889703}', b'{"seen":"2026-05-04T10:15:02Z"}'], ["1777889703", "1777889702"]),
        ([b'{"ts":"never","seen":1777889702}'] * 2, ["1777889702"] * 2),
        ([b'{"none":1}'] * 2, [None] * 2),
    ):
        run = named.lines(b"\n".join(window))
        assert run is not None and run.times == times
        if accelerated and "msgspec" in accel.active():
            assert named.elements(b",".join(window)) == run


@pytest.mark.skipif("msgspec" not in accel.active(), reason="the accelerators are off")
@pytest.mark.parametrize(
    "window, whole",
    [
        (b'{"k":1},{"k":2},{"k":', 2),
        (b'{"k":1},{"k":"},{\\"k\\":"},{"k":', 2),
        (b'{"k":1},{"k":[{"x":1},{"k":2}]},{"k":', 0),
        (b'{"k":1},{"a":1},{"k":2},{"k":', 0),
        (b'{"k":1},{"a":1},{"k":[{"k":1},{"k":2}]},{"k":', 0),
        (b'{"k":1}{"a":1},{"k":2},{"k":', 0),
        (b'{"k":1},\n{"a":1},{"k":2},{"k":', 0),
        (b'{"k":1},{"k":"\xff"},{"k":', 0),
        (b'{"k":1', 0),
    ],
)
def test_a_gap_parts_a_window_only_if_it_is_between_all_elements_and_nowhere_else(window, whole):
    run = JsonReader(Format(), now=NOW).gapped(window, b'},{"k"', 2)

    assert (0 if run is None else len(run.bodies)) == whole
    assert run is None or b",".join([*run.bodies, b'{"k":']) == window


@pytest.mark.parametrize("accelerated", [True, False])
@pytest.mark.parametrize(
    "text",
    [b"\n", b"\n\n", b"{}\n\n", b"{}{}\n\n", b'{"a":\n1}\n{}{}\n', b"{},{}\n", b"{}\r\r\n",
     b'{"a":[1\n2]}\n{},{}\n', b'{"s":"}\n{"}\n{}{}\n'],
)
def test_lines_that_are_not_one_object_each_are_left_to_who_reads_them_one_by_one(text, accelerated):
    assert JsonReader(Format(), now=NOW, accelerated=accelerated).lines(text) is None
