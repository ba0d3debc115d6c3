"""What must hold for every object: the events depend on its bytes, and on nothing else."""

from __future__ import annotations

import gzip
import json
from typing import Any, Iterator, List, Type

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import accel
from collector.decode import decode, lines, records
from collector.decode.tape import WINDOW_BYTES
from collector.errors import Retry
from collector.model import SLICE_MAX_BYTES, SLICE_MAX_EVENTS, Format
from tests.unit.decode.documents import NOW, Row, damaged, rows, spelled

LAW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SMALL = Format(max_event_bytes=20)


@pytest.fixture(params=[None, 40], ids=["wide", "narrow"])
def window(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Narrow windows make small documents meet what only large ones would."""
    if request.param:
        monkeypatch.setattr(records, "WINDOW_BYTES", request.param)
        monkeypatch.setattr(lines, "WINDOW_BYTES", request.param)
    yield


@LAW
@given(stored=damaged(), step=st.integers(1, 50), accelerated=st.booleans())
def test_events_do_not_depend_on_chunks_or_accelerators(
    window: None, stored: bytes, step: int, accelerated: bool
) -> None:
    assert rows(stored, step=step, accelerated=accelerated) == rows(stored, accelerated=False)


@LAW
@given(stored=damaged(), step=st.integers(1, 50), accelerated=st.booleans())
def test_nor_do_the_parts_of_events_that_are_too_large(
    window: None, stored: bytes, step: int, accelerated: bool
) -> None:
    found, code = rows(stored, step=step, accelerated=accelerated, format=SMALL)
    assert (found, code) == rows(stored, accelerated=False, format=SMALL)
    assert all(len(body) <= SMALL.max_event_bytes or "encoding_error" in note for body, _, _, note in found)


@LAW
@given(stored=damaged())
def test_json_events_are_json_and_every_event_is_utf8(stored: bytes) -> None:
    for body, _, is_json, _ in rows(stored)[0]:
        text = body.decode("utf-8")
        if is_json:
            assert isinstance(json.loads(text, parse_constant=pytest.fail), (dict, list))


@LAW
@given(stored=damaged())
def test_events_are_the_providers_bytes_in_their_order(stored: bytes) -> None:
    place = 3 if stored.startswith(b"\xef\xbb\xbf") else 0
    for body, _, _, note in rows(stored)[0]:
        if "encoding_error" not in note:
            place = stored.index(body, place) + len(body)


@LAW
@given(stored=damaged(), cut=st.integers(0, 400), accelerated=st.booleans())
def test_a_source_that_fails_anywhere_gives_a_prefix_of_the_events(
    window: None, stored: bytes, cut: int, accelerated: bool
) -> None:
    """Otherwise a broken connection would leave ordinals that mean something else at the next attempt."""

    def source() -> Iterator[bytes]:
        yield stored[:cut]
        raise Retry("reset", code="reset")

    part: List[Row] = []
    with pytest.raises(Retry):
        for block in decode(source(), format=Format(), now=NOW, accelerated=accelerated):
            part += [(event.body, event.time, event.is_json, event.note) for event in block]
    assert part == rows(stored)[0][: len(part)]


FLAT = st.one_of(st.text(max_size=5), st.integers())
NAMES = st.sampled_from(["a", "b", "eventTime"])
OBJECTS = st.lists(st.dictionaries(NAMES, FLAT, min_size=1), min_size=1, max_size=20)


@LAW
@given(found=OBJECTS, step=st.integers(1, 64))
def test_what_is_rendered_is_read_back(window: None, found: List[Any], step: int) -> None:
    texts = [spelled(value, indent=None, escaped=False) for value in found]
    for stored in (b"\n".join(texts) + b"\n", b'{"Records":[' + b",".join(texts) + b"]}", b"".join(texts)):
        seen, code = rows(gzip.compress(stored), step=step)
        assert [body for body, _, _, _ in seen] == texts
        assert code == ""


def test_blocks_are_small() -> None:
    stored = b"".join(b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * (n % 900)) for n in range(5000))
    for block in decode([stored], format=Format(), now=NOW):
        assert len(block.bodies) == len(block.times)
        assert sum(map(len, block.bodies)) < 2 * WINDOW_BYTES
    for block in decode([b"text\n" * 99_999], format=Format(), now=NOW):
        assert len(block.bodies) <= SLICE_MAX_EVENTS
        assert sum(map(len, block.bodies)) <= SLICE_MAX_BYTES


@pytest.mark.parametrize("error", [Retry])
def test_a_source_that_fails_gives_its_complete_events_first(error: Type[Retry]) -> None:
    def source() -> Iterator[bytes]:
        yield b'{"a":1}\n{"b":2}\n{"c":'
        raise error("reset", code="reset")

    seen = []
    with pytest.raises(error):
        for block in decode(source(), format=Format(), now=NOW):
            seen += list(block.bodies)
    assert seen == [b'{"a":1}', b'{"b":2}']


def test_the_accelerators_are_here_or_switched_off() -> None:
    """Otherwise the laws above would compare the plain path with itself."""
    import os

    off = os.environ.get("AUDIT_S3_ACCELERATORS", "on") == "off"
    assert accel.active() == (() if off else ("isal", "msgspec"))


@pytest.mark.parametrize("accelerated", [True, False])
def test_as_many_values_as_lines_is_not_one_on_each(accelerated: bool) -> None:
    found, code = rows(b'{"z":0}\n{"a":\n1}\n{"b":1}{"c":2}\n', accelerated=accelerated)
    assert [body for body, _, _, _ in found] == [b'{"z":0}', b'{"a":', b"1}", b'{"b":1}', b'{"c":2}']
    assert [note for _, _, _, note in found] == ["", "parse_error", "parse_error", "", ""]
    assert code == ""


@pytest.mark.parametrize("head", [b"[", b'{"Records":[', b""])
@pytest.mark.parametrize("accelerated", [True, False])
def test_a_large_event_among_small_ones_comes_in_parts(accelerated: bool, head: bytes) -> None:
    texts = [b'{"a":%d}' % number for number in range(9)]
    texts[5] = b'{"a":"' + "\u00e9".encode() * 20 + b'"}'
    joint, tail = (b",", b"]" + b"}" * (head.count(b"{"))) if head else (b"\n", b"\n")
    found, code = rows(head + joint.join(texts) + tail, accelerated=accelerated, format=SMALL)
    assert b"".join(body for body, _, _, _ in found) == b"".join(texts)
    assert [note for _, _, _, note in found] == [""] * 5 + ["part 1", "part 2", "part 3"] + [""] * 3
    assert [is_json for _, _, is_json, _ in found] == [True] * 5 + [False] * 3 + [True] * 3
    assert code == ""
