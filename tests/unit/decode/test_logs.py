"""What must hold for logs of every dialect, whether it is named or recognised."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.decode import decode, lines, shape
from collector.errors import Retry
from collector.model import CONTAINERS, DIGEST, Format
from tests.unit.decode.documents import NOW, Row, rows
from tests.unit.decode.logs import ALB, CLB, LOGS, NLB, NODATA, PG, S3, VPC, VPC_HEADERS, W3C_HEAD

LAW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SIZES = st.sampled_from([5_000_000, 60, 20])
DIALECTS = sorted(LOGS)


@pytest.fixture(params=[None, 40], ids=["wide", "narrow"])
def window(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param:
        monkeypatch.setattr(lines, "WINDOW_BYTES", request.param)
        monkeypatch.setattr(shape, "HEAD_BYTES", request.param)
        monkeypatch.setattr("collector.decode._NOTHING_BYTES", request.param)
    yield


def bodies(stored: bytes, **format: Any) -> List[bytes]:
    found, code = rows(stored, format=Format(**format))
    assert code == ""
    return [body for body, _, _, _ in found]


def times(stored: bytes, **format: Any) -> List[Any]:
    return [time for _, time, _, _ in rows(stored, format=Format(**format))[0]]


def form(dialect: str, max_bytes: int, named: bool) -> Format:
    return Format(container=dialect if named else "auto", max_event_bytes=max_bytes)


def test_every_container_has_its_laws() -> None:
    assert set(CONTAINERS) == {"auto", "json", "lines", DIGEST, *LOGS}


@pytest.mark.parametrize("dialect", DIALECTS)
@LAW
@given(data=st.data(), step=st.integers(1, 50), max_bytes=SIZES, named=st.booleans())
def test_events_do_not_depend_on_chunks(
    window: None, dialect: str, data: Any, step: int, max_bytes: int, named: bool
) -> None:
    stored, format = data.draw(LOGS[dialect]), form(dialect, max_bytes, named)
    assert rows(stored, step=step, format=format) == rows(stored, format=format)


@pytest.mark.parametrize("dialect", DIALECTS)
@LAW
@given(data=st.data(), cut=st.integers(0, 900), step=st.integers(1, 50), max_bytes=SIZES, named=st.booleans())
def test_a_source_that_fails_gives_a_prefix_of_the_events(
    window: None, dialect: str, data: Any, cut: int, step: int, max_bytes: int, named: bool
) -> None:
    stored, format = data.draw(LOGS[dialect]), form(dialect, max_bytes, named)

    def source() -> Iterator[bytes]:
        yield from (stored[start : min(start + step, cut)] for start in range(0, cut, step))
        raise Retry("reset", code="reset")

    part: List[Row] = []
    with pytest.raises(Retry):
        for block in decode(source(), format=format, now=NOW):
            part += [(event.body, event.time, event.is_json, event.note) for event in block]
    assert part == rows(stored, format=format)[0][: len(part)]


@pytest.mark.parametrize("dialect", DIALECTS)
@LAW
@given(data=st.data(), named=st.booleans(), max_bytes=SIZES)
def test_no_byte_of_a_row_is_lost_or_changed(dialect: str, data: Any, named: bool, max_bytes: int) -> None:
    """What lies between events is line ends, blanks and headers; an unreadable event is said to be one."""
    stored, place, between = data.draw(LOGS[dialect]), 0, []
    for body, _, is_json, note in rows(stored, format=form(dialect, max_bytes, named))[0]:
        if "encoding_error" in note:
            return
        assert not (is_json and named)
        start = stored.index(body, place)
        between.append(stored[place:start])
        place = start + len(body)
    between.append(stored[place:])
    heads = {b"id,eventTime,action", b'"Id","Event Time",actor,x', b"id;timestamp;a", *VPC_HEADERS}
    heads |= {b"start end srcaddr", *W3C_HEAD.split(b"\n")}
    for line in b"".join(between).replace(b"\r", b"\n").split(b"\n"):
        assert not line.strip() or line in heads or line.startswith(b"#Fields:")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (VPC % 2, "1777889702"), (NODATA % 2, "1777889702"), (ALB % 2, "1777889702.123456"),
        (CLB % 2, "1777889702.945958"), (NLB % 2, "1777889702"), (S3 % 2, "1777889702"),
        (PG % 2, "1777889702"),
        (b"2026-05-04T10:15:02.412Z said", "1777889702.412"),
        (b"2026-05-04T10:15:02.412Z " + PG % 7, "1777889702.412"),
        (b"wss 2026-05-04T10:15:02.140000Z app/lb/50dc 10.0.0.140:44244 - 0", "1777889702.140000"),
    ],
)
def test_a_row_is_recognised_and_has_its_time(row: bytes, wanted: str) -> None:
    assert rows(row + b"\n" + row)[0] == [(row, wanted, False, "")] * 2


@pytest.mark.parametrize("header", VPC_HEADERS)
def test_a_header_is_no_event_wherever_it_stands(header: bytes) -> None:
    row = VPC % 2
    assert bodies(header + b"\n") == []
    assert bodies(header + b"\n" + row + b"\n" + header + b"\r\n" + row) == [row, row]


def test_columns_are_those_of_the_last_header() -> None:
    stored = b"srcaddr start end\n- 1777889702 1777889703\nend srcaddr start\n1777889704 - -\n"
    assert times(stored) == ["1777889702", "1777889704"]


def test_the_header_of_cloudfront_says_where_its_time_is() -> None:
    stored = (
        W3C_HEAD
        + b"\n2026-05-04\t10:15:02\tLAX1\t1\n#Version: 1.0\n#Fields: x date time\nx\t2026-05-04\t10:15:03\n"
    )
    assert rows(stored)[0] == [
        (b"2026-05-04\t10:15:02\tLAX1\t1", "1777889702", False, ""),
        (b"x\t2026-05-04\t10:15:03", "1777889703", False, ""),
    ]
    assert bodies(W3C_HEAD + b"\n") == []


def test_the_time_of_cloudfront_is_utc_whatever_the_zone() -> None:
    assert times(W3C_HEAD + b"\n2026-05-04\t10:15:02\tL\t1", zone_minutes=60) == ["1777889702"]


@pytest.mark.parametrize(
    "text",
    [b"start of the action\nend", b"the version of start", b"date,something\nhello,world", b"a,b,c\n1,2,3",
     b"time,host,app\nstarted,db,x", b"# a comment\n#Fields of barley",
     b"2026-05-04 10:15:02 started\n\tby x", b"2026-05-04T10:15:02Z one\ntwo",
     b"http 2026-05-04T10:15:02.123456Z is a time\nx", b"date, or so"],
)
def test_what_may_be_anything_is_lines(text: bytes) -> None:
    assert rows(text) == rows(text, format=Format(container="lines"))
    assert bodies(text) == text.split(b"\n")


# -- further lines


def test_further_lines_belong_to_the_event_before() -> None:
    first, second = PG % 2 + b'1,\n\t  2"', PG % 3 + b'3"'
    stored = first + b"\n" + second + b"\n"
    assert bodies(stored) == [first, second]
    trace = b"2026-05-04T10:15:02.412Z Traceback\n  File x\n\n{\n}\r\nError"
    assert bodies(trace + b"\n" + b"2026-05-04T10:15:03.412Z next") == [
        trace,
        b"2026-05-04T10:15:03.412Z next",
    ]


def test_lines_before_the_first_time_are_events_of_their_own() -> None:
    stored = b"one\n\ntwo\n2026-05-04T10:15:02.412Z three\nfour"
    assert bodies(stored, container="cloudwatch") == [b"one", b"two", b"2026-05-04T10:15:02.412Z three\nfour"]


def test_an_event_of_too_many_lines_comes_in_parts() -> None:
    stored = b"2026-05-04T10:15:02.412Z " + b"more\n" * 1000 + b"2026-05-04T10:15:03.412Z next\n"
    found = rows(stored, step=7, format=Format(max_event_bytes=1000))[0]
    assert b"".join(body for body, _, _, _ in found) == stored[:-1].replace(b"more\n2026", b"more2026")
    assert [note for _, _, _, note in found] == [
        "part 1",
        "part 2",
        "part 3",
        "part 4",
        "part 5",
        "part 6",
        "",
    ]


# -- CSV


def test_a_csv_record_may_go_on_over_several_lines() -> None:
    stored = b'id,eventTime,note\n1,2026-05-04T10:15:02Z,"a\nb ""c"",\nd"\n2,2026-05-04T10:15:03Z,x\n'
    assert rows(stored)[0] == [
        (b'1,2026-05-04T10:15:02Z,"a\nb ""c"",\nd"', "1777889702", False, ""),
        (b"2,2026-05-04T10:15:03Z,x", "1777889703", False, ""),
    ]


@pytest.mark.parametrize("mark", [b",", b";", b"\t", b"|"])
def test_the_time_of_csv_is_found_by_its_column(mark: bytes) -> None:
    rows_ = [b'"an id"', b'"Created At"', b"what"], [b'"1,;\t|"""', b'"2026-05-04 10:15:02"', b"x"]
    assert times(b"\n".join(mark.join(row) for row in rows_)) == ["1777889702"]


def test_of_several_times_of_csv_the_first_that_can_be_read_counts() -> None:
    stored = b"created_at,eventTime,x\n1777889702,1777889703,a\n1777889704,,b\n,,c\n"
    assert times(stored) == ["1777889703", "1777889704", None]


def test_an_open_quote_that_is_never_closed_swallows_nothing() -> None:
    stored = (
        b'id,eventTime,x\n1,2026-05-04T10:15:02Z,"open\n2,2026-05-04T10:15:03Z,b\n3,2026-05-04T10:15:04Z,c\n'
    )
    assert bodies(stored) == stored.split(b"\n")[1:4]
    assert bodies(stored + b'4,2026-05-04T10:15:04Z,"d"\n', max_event_bytes=50) != []


def test_a_quote_inside_a_field_opens_nothing() -> None:
    stored = b'id,eventTime,x\n1,2026-05-04T10:15:02Z,5" disk\n2,2026-05-04T10:15:03Z,b\n'
    assert bodies(stored) == stored.split(b"\n")[1:3]


def test_a_csv_file_of_nothing_but_its_header_holds_no_events() -> None:
    assert bodies(b"id,eventTime,action\n") == []
    assert bodies(b"id,eventTime", container="csv") == []


def test_a_first_record_that_names_no_time_is_no_header() -> None:
    assert bodies(b"kim,login,ok\nlee,logout,ok\n", container="csv") == [b"kim,login,ok", b"lee,logout,ok"]
