"""Slices become bytes, and no byte of an event changes on the way."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Block, Origin, Slice
from collector.sinks.envelope import (
    enveloped_bytes,
    one_line,
    render_envelopes,
    render_json_lines,
    render_raw_lines,
)
from collector.testing.hec_indexer import Indexer, Policy
from tests.unit.sinks.batches import ORIGIN, piece_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def _parsed(rendered: bytes) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in rendered.decode().split("\n")[:-1]]


def test_an_envelope_holds_the_closed_set_of_keys() -> None:
    [envelope] = _parsed(render_envelopes([piece_of(b"text", first=7, times=["1777890012.412"])]))
    assert envelope == {
        "time": 1777890012.412,
        "source": "s3://audit-logs/a/b.json.gz",
        "sourcetype": "aws:cloudtrail",
        "host": "collector-1",
        "index": "audit",
        "fields": {"s3_oid": ORIGIN.oid, "s3_seq": 7},
        "event": "text",
    }


@given(
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=30),
    st.text("ab/-é日😀\"\\\n\x01\udc80", max_size=80),
    st.sampled_from([None, "1777890012", "1777890012.412345"]),
)
def test_an_envelope_of_json_takes_no_more_than_is_reckoned_and_little_less(
    bodies: List[bytes], key: str, time: Any
) -> None:
    origin = replace(ORIGIN, source=f"s3://audit-logs/{key}")
    quoted = [json.dumps(body.hex()).encode() for body in bodies]
    piece = piece_of(*quoted, is_json=True, first=1_000_000, times=[time] * len(bodies), origin=origin)
    reckoned = enveloped_bytes(piece)
    assert reckoned >= len(render_envelopes([piece]))
    assert reckoned <= len(render_envelopes([piece])) + 40 * len(bodies)


@given(st.lists(st.text("ab\"\\\n\x01é").map(str.encode) | st.binary(), min_size=1, max_size=9))
def test_an_envelope_of_text_takes_at_most_six_times_what_is_reckoned(bodies: List[bytes]) -> None:
    piece = piece_of(*bodies)
    assert len(render_envelopes([piece])) <= 6 * enveloped_bytes(piece)


def test_quotes_and_line_breaks_as_logs_have_them_are_reckoned_with() -> None:
    line = b'2026-05-04 10:15:02 UTC,"kim","db",7,"AUDIT: SESSION,1,1,READ,SELECT,TABLE,""t"",""select\n1"""'
    piece = piece_of(*[line] * 100)
    assert len(render_envelopes([piece])) <= enveloped_bytes(piece)


def test_empty_metadata_is_left_out() -> None:
    bare = Origin(oid="o", source="", fallback_time="")
    [envelope] = _parsed(render_envelopes([piece_of(b"text", origin=bare)], identity=False))
    assert envelope == {"event": "text"}


def test_an_event_without_a_time_has_the_time_of_its_object() -> None:
    first, second = _parsed(render_envelopes([piece_of(b"a", b"b", times=[None, "1777890012.5"])]))
    assert (first["time"], second["time"]) == (1777890000, 1777890012.5)


def test_a_time_keeps_its_spelling() -> None:
    rendered = render_envelopes([piece_of(b"a", times=["1777890012.100"])])
    assert rendered.startswith(b'{"time":1777890012.100,')


def test_an_event_that_is_not_what_its_neighbours_are_says_so() -> None:
    blocks = (Block(0, [b"a"], [None], False), Block(1, [b"b"], [None], False, "part 2, encoding_error"))
    piece = Slice(ORIGIN, 0, 2, blocks, 2)
    first, second = _parsed(render_envelopes([piece]))
    assert "s3_note" not in first["fields"]
    assert second["fields"] == {"s3_oid": ORIGIN.oid, "s3_seq": 1, "s3_note": "part 2, encoding_error"}
    assert render_envelopes([piece], identity=False).count(b"fields") == 0


def test_ordinals_go_on_after_a_gap_that_a_filter_left() -> None:
    blocks = (Block(0, [b"a"], [None], False), Block(5, [b"b", b"c"], [None, None], False))
    envelopes = _parsed(render_envelopes([Slice(ORIGIN, 0, 7, blocks, 3)]))
    assert [each["fields"]["s3_seq"] for each in envelopes] == [0, 5, 6]


def test_a_json_event_keeps_every_byte() -> None:
    body = b'{"n": 1.0, "n":  1e400, "big":123456789012345678901234567890, "s":"\\u00e9\\/"}'
    assert b'"event":' + body + b"}\n" in render_envelopes([piece_of(body, is_json=True)])


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5))
def test_any_bytes_become_the_string_they_spell(bodies: List[bytes]) -> None:
    rendered = render_envelopes([piece_of(*bodies)])
    events = [envelope["event"] for envelope in _parsed(rendered)]
    assert events == [body.decode("utf-8", "replace") for body in bodies]


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5))
def test_hec_takes_any_bytes_as_exactly_as_many_events(bodies: List[bytes]) -> None:
    indexer = Indexer(Policy())
    indexer.take(render_envelopes([piece_of(*bodies)]), channel="c", acks=False, now=0.0)
    assert len(indexer.received) == len(bodies)


@given(st.lists(JSON_VALUES, min_size=1, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_any_json_stands_in_its_envelope_as_it_was(values: List[Any], indent: Any) -> None:
    bodies = [json.dumps(value, indent=indent, ensure_ascii=False).encode() for value in values]
    rendered = render_envelopes([piece_of(*bodies, is_json=True)], lines=True)
    assert [envelope["event"] for envelope in _parsed(rendered)] == values


@given(st.text(), st.text(), st.text())
def test_no_name_can_break_out_of_the_envelope(source: str, index: str, host: str) -> None:
    origin = replace(ORIGIN, source=source, index=index, host=host)
    for rendered in (render_envelopes([piece_of(b"x", origin=origin)]),
                     render_json_lines([piece_of(b"x", origin=origin)])):
        [envelope] = _parsed(rendered)
        assert envelope.get("source", "") == source
        assert envelope["event"] == "x"


def test_a_key_with_a_lone_surrogate_is_sent_with_a_replacement() -> None:
    [envelope] = _parsed(render_envelopes([piece_of(b"x", origin=replace(ORIGIN, source="s3://b/\udc80"))]))
    assert "\ufffd" in envelope["source"]


def test_pretty_printed_json_becomes_one_line_without_being_spelled_anew() -> None:
    body = b'{\r\n  "n" : 1.00,\n  "s" : "two  spaces \\" \\\\",\n  "l" : [ 1,\t2 ]\n}'
    assert one_line(body) == b'{"n":1.00,"s":"two  spaces \\" \\\\","l":[1,2]}'


def test_json_on_one_line_is_not_touched() -> None:
    assert one_line(b'{"a" : 1}') == b'{"a" : 1}'


def test_raw_lines_are_the_events_and_a_newline() -> None:
    rendered = render_raw_lines([piece_of(b"one\xff", b"two\nlines"), piece_of(b"{\n}", is_json=True)])
    assert rendered == b"one\xff\ntwo\nlines\n{}\n"


def test_a_json_line_has_the_event_id_and_the_event_as_text() -> None:
    bare = Origin(oid="o", source="s3://b/k", fallback_time="")
    [line] = _parsed(render_json_lines([piece_of(b'{"a":\n1}', is_json=True, first=3, origin=bare)]))
    assert line == {
        "id": "o:3", "time": None, "source": "s3://b/k", "sourcetype": "", "host": "", "index": "",
        "event": '{"a":\n1}',
    }


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 20_000, b" \n" * 50_000])
def test_one_line_takes_linear_time_whatever_it_is_given(body: bytes) -> None:
    began = time.process_time()
    assert len(one_line(b"\n" + body)) <= len(body) + 1
    assert time.process_time() - began < 1, "and not the seconds of its square"
