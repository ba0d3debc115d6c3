"""Rows 16 to 30 of docs/formats.md: what stands in an object that is text."""

from __future__ import annotations

import io
import json

import pytest

from collector.sinks.stdout import StdoutSink
from collector.testing.twins import ManualClock
from tests.hostile.world import GOLDEN, World, gz

TIME = "2024-05-04T10:15:02Z"
ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'
TWO = b'{"eventTime":"2024-05-04T10:15:03Z","n":2}'


@pytest.fixture
def world():
    return World()


def delivers(world, stored, *expected, state="done", reasons=()):
    """Announce it, run, and compare all that came of it."""
    ref = world.announce("k", stored)
    world.run(60)
    assert world.outcome(ref) == (list(expected), state, list(reasons), True)


def rendered(world, form):
    """What stdout would hold of the events, in one of its formats."""
    out = io.BytesIO()
    sink = StdoutSink(out, clock=ManualClock(), format=form)
    for batch in world.sink.batches:
        sink.send(batch, lane=0)
    return out.getvalue()


# -- 16: encodings


def test_h16_a_byte_order_mark_is_no_part_of_the_first_event(world):
    delivers(world, b"\xef\xbb\xbf" + ONE + b"\n" + TWO, ONE, TWO)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_h16_text_that_announces_another_unicode_encoding_is_delivered_in_utf8(world, encoding):
    lines = ['{"eventTime":"2024-05-04T10:15:02Z","who":"Zo\u00eb \U0001f600 \u2028"}', "plain"]
    text = "\n".join(lines)
    text = text if encoding in ("utf-16", "utf-32") else "\ufeff" + text
    delivers(world, text.encode(encoding), *(line.encode() for line in lines))
    assert world.events()[0].time == "1714817702"


# -- 17: invalid UTF-8


def test_h17_a_byte_that_is_no_utf8_becomes_u_fffd_in_its_own_event_alone(world):
    bad = b'{"eventTime":"2024-05-04T10:15:02Z","who":"J\xfcrgen"}'
    delivers(world, ONE + b"\n" + bad + b"\n" + TWO, ONE, bad.replace(b"\xfc", b"\xef\xbf\xbd"), TWO)
    assert world.notes() == ["", "encoding_error", ""]
    assert [event.time for event in world.events()] == ["1714817702", "1714817702", "1714817703"]


@pytest.mark.parametrize("kind", ["text", "array", "wrapper", "csv", "pgaudit"])
def test_h17_invalid_utf8_never_fails_the_file(world, kind):
    bad = b'{"eventTime":"2024-05-04T10:15:02Z","who":"\xff\xc3\x28\xed\xa0\x80"}'
    stored = {
        "text": b"one\n\xff\xfe\x80\nthree\n",
        "array": b"[" + ONE + b"," + bad + b"," + TWO + b"]",
        "wrapper": b'{"Records":[' + ONE + b"," + bad + b"," + TWO + b"]}",
        "csv": b"eventTime,who\n2024-05-04T10:15:02Z,a\n2024-05-04T10:15:03Z,\xff\n2024-05-04T10:15:04Z,b\n",
        "pgaudit": b"".join(
            b"2024-05-04 10:15:0%d UTC:10.0.0.1(1):u@d:[1]:LOG:  x%b\n" % (number, who)
            for number, who in enumerate([b"a", b"\xff", b"b"])
        ),
    }[kind]
    ref = world.announce("k", stored)
    world.run(10)
    assert (len(world.bodies()), world.state(ref), world.reasons()) == (3, "done", [])
    assert world.notes() == ["", "encoding_error", ""]


# -- 18: control characters


def test_h18_nul_and_escape_sequences_arrive_and_are_escaped_in_envelopes(world):
    line = b"login \x00 of \x1b[31mroot\x1b[0m \x07\x08\x7f \x9b".replace(b"\x9b", "\u009b".encode())
    delivers(world, b"first\n" + line + b"\n", b"first", line)
    envelopes = rendered(world, "hec")
    assert not set(envelopes) & {0, 7, 8, 27}
    assert json.loads(envelopes.splitlines()[1])["event"] == line.decode()
    assert rendered(world, "raw") == b"first\n" + line + b"\n"


# -- 19, 20: ends of lines


def test_h19_lines_end_at_a_newline_and_nowhere_else(world):
    odd = [b"crlf", b"lone\rcarriage return", "line\u2028separator \u2029 \u0085 \x0b \x0c".encode()]
    delivers(world, odd[0] + b"\r\n" + odd[1] + b"\n" + odd[2] + b"\r\n", *odd)


def test_h19_in_json_lines_too(world):
    odd = '{"eventTime":"2024-05-04T10:15:02Z","text":"a\u2028b\u2029c\u0085d"}'.encode()
    delivers(world, ONE + b"\r\n" + odd + b"\r\n" + TWO, ONE, odd, TWO)


def test_h20_a_last_line_without_its_newline_is_an_event_and_blank_lines_are_none(world):
    delivers(world, b"\n\n" + ONE + b"\n  \n\r\n" + TWO, ONE, TWO)


# -- 21, 22: size


def test_h21_a_line_larger_than_an_event_may_be_comes_in_parts():
    """Every byte arrives, so nothing goes to quarantine."""
    world = World(settings="max_event_bytes = 1000000")
    long = b"0123456789" * 1_250_000
    ref = world.announce("k", b"before\n" + long + b"\nafter\n")
    world.run(60)
    before, *parts, after = world.bodies()
    assert (before, after, b"".join(parts)) == (b"before", b"after", long)
    assert {len(part) for part in parts[:-1]} == {1_000_000}
    assert world.notes() == ["", *(f"part {number}" for number in range(1, 14)), ""]
    assert (world.state(ref), world.reasons(), world.is_over()) == ("done", [], True)


def test_h22_records_in_one_endless_line_are_cut_as_they_come():
    world = World(read_bytes=65536)
    pad, start = b"x" * 900, b'{"eventTime":"2024-05-04T10:15:02Z",'
    records = [start + b'"n":%d,"pad":"%s"}' % (n, pad) for n in range(4000)]
    ref = world.announce("k", b'{"Records":[' + b",".join(records) + b"]}")
    world.run(60)
    assert world.outcome(ref) == (records, "done", [], True)


def test_h22_a_record_that_is_too_large_comes_in_parts_and_its_neighbours_whole():
    world = World(settings="max_event_bytes = 10000")
    large = b'{"eventTime":"2024-05-04T10:15:02Z","pad":"%s"}' % (b"x" * 25_000)
    ref = world.announce("k", b'{"Records":[' + b",".join([ONE, large, TWO]) + b"]}")
    world.run(60)
    assert world.notes() == ["", "part 1", "part 2", "part 3", ""]
    assert b"".join(world.bodies()[1:4]) == large
    assert [world.bodies()[0], world.bodies()[-1], world.state(ref)] == [ONE, TWO, "done"]


# -- 23, 24: JSON that parsers trip over


DEEP = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]


@pytest.mark.parametrize("deep", DEEP, ids=["arrays", "objects"])
def test_h23_deep_json_is_delivered_as_it_is(world, deep):
    delivers(world, ONE + b"\n" + deep + b"\n" + TWO, ONE, deep, TWO)
    assert world.notes() == ["", "deep_json", ""]
    assert [event.is_json for event in world.events()] == [True, False, True]


def test_h23_deep_json_among_records(world):
    deep = DEEP[1]
    delivers(world, b'{"Records":[' + b",".join([ONE, deep, TWO]) + b"]}", ONE, deep, TWO)


ODD = {
    "not a number": b'{"eventTime":"2024-05-04T10:15:02Z","v":NaN}',
    "infinite": b'{"eventTime":"2024-05-04T10:15:02Z","v":[Infinity,-Infinity]}',
    "too large for a double": b'{"eventTime":"2024-05-04T10:15:02Z","v":1e999}',
    "5000 digits": b'{"eventTime":"2024-05-04T10:15:02Z","v":%s}' % (b"7" * 5000),
    "a lone surrogate": b'{"eventTime":"2024-05-04T10:15:02Z","v":"\\ud800"}',
    "a key twice": b'{"eventTime":"2024-05-04T10:15:02Z","v":1,"v":2}',
    "more digits than a double": b'{"eventTime":"2024-05-04T10:15:02Z","v":18446744073709551615.10}',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("around", [b"%s\n%s\n%s", b'{"Records":[%s,%s,%s]}', b"[%s, %s, %s]"])
def test_h24_odd_json_keeps_its_spelling(world, odd, around):
    delivers(world, around % (ONE, odd, TWO), ONE, odd, TWO)
    assert [event.time for event in world.events()] == ["1714817702", "1714817702", "1714817703"]
    for line in rendered(world, "hec").splitlines():
        json.loads(line, parse_int=str, parse_constant=pytest.fail)


# -- 25, 26: damage


def test_h25_one_bad_line_of_json_lines_is_delivered_as_text(world):
    """It is one event among others, so nothing is left to be kept aside."""
    delivers(world, ONE + b'\n{"eventTime":"2024-\n' + TWO + b"\n", ONE, b'{"eventTime":"2024-', TWO)
    assert world.notes() == ["", "parse_error", ""]


@pytest.mark.parametrize("head", [b"[", b'{"Records":['])
def test_h26_of_a_truncated_array_the_complete_records_are_delivered(world, head):
    stored = head + ONE + b"," + TWO + b',{"eventTime":"2024-05-'
    delivers(world, stored, ONE, TWO, state="quarantined", reasons=["truncated_json"])
    assert world.quarantined()[0].url == "s3://audit-logs/k"


# -- 27 to 30: what is none, or more than one


@pytest.mark.parametrize("nothing", [b'{"Records":[]}', b"{}", b"[]", b"null", b" \n[ ]\r\n", gz(b"[]")])
def test_h27_an_object_without_events_is_done(world, nothing):
    delivers(world, nothing)
    assert world.ledger.counters["done"] == 1


def test_h28_both_of_two_records_arrays_are_delivered(world):
    delivers(world, b'{"Records":[' + ONE + b'],"Records":[' + TWO + b"]}", ONE, TWO)


@pytest.mark.parametrize("value", [b'"none"', b"7", b"null", b"true", b'{"0":{"n":1}}'])
def test_h28_records_that_are_no_list_make_one_event_of_the_object(world, value):
    """Nothing is lost that way, so it needs no quarantine."""
    stored = b'{"eventTime":"2024-05-04T10:15:02Z","Records":%s}' % value
    delivers(world, stored, stored)


def test_h28_elements_that_are_no_objects_are_events_of_text(world):
    """They are valid, and somebody's; HEC takes them as text."""
    stored = b'{"Records":[' + ONE + b',1,"two",null,[3],' + TWO + b"]}"
    delivers(world, stored, ONE, b"1", b'"two"', b"null", b"[3]", TWO)
    assert [event.is_json for event in world.events()] == [True, False, False, False, True, True]


def test_h29_glued_objects_are_taken_apart(world):
    delivers(world, ONE + TWO + b"\n" + TWO + ONE, ONE, TWO, TWO, ONE)


def test_h29_pretty_printed_objects_are_events_as_they_stand(world):
    pretty = [json.dumps({"eventTime": TIME, "n": number}, indent=2).encode() for number in range(3)]
    delivers(world, b"\n".join(pretty), *pretty)
    assert [json.loads(line)["n"] for line in rendered(world, "raw").splitlines()] == [0, 1, 2]


def test_h29_an_array_of_arrays_of_objects_is_flattened_once(world):
    delivers(world, b"[[" + ONE + b"," + TWO + b"],[" + ONE + b"]]", ONE, TWO, ONE)


@pytest.mark.parametrize("name", ["vpc_flow_header_only", "cloudfront_header_only", "csv_header_only"])
def test_h30_a_file_of_nothing_but_its_header_is_done(world, name):
    delivers(world, (GOLDEN / name / "object").read_bytes())


@pytest.mark.parametrize("name", ["vpc_flow_glued", "cloudfront_glued"])
def test_h30_a_header_in_the_middle_of_glued_files_is_no_event(world, name):
    stored = (GOLDEN / name / "object").read_bytes()
    headers = (b"version ", b"account-id ", b"#", b"srcaddr ")
    rows = [line for line in stored.splitlines() if line and not line.startswith(headers)]
    assert 0 < len(rows) < len(stored.splitlines()) - 1
    delivers(world, stored, *rows)
