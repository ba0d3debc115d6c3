"""The fake HEC is as strict as Splunk where a client can tell the difference. No sockets: it is asked
directly."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any, Dict, List, Optional

import pytest

from collector.testing.fake_hec import TOKEN, FakeHec, Request, Response
from collector.testing.hec_indexer import Indexer, Policy

EVENT = "/services/collector/event"
ACK = "/services/collector/ack"


def _post(hec: FakeHec, body: bytes, path: str = EVENT, **headers: Optional[str]) -> Response:
    given = {"authorization": f"Splunk {TOKEN}", "x-splunk-request-channel": "channel-1"}
    for name, value in headers.items():
        given[name.replace("_", "-")] = value or ""
    return hec.answer(Request("POST", path, {k: v for k, v in given.items() if v}, body))


def _code(response: Response) -> int:
    return int(json.loads(response.body)["code"])


def _answer(hec: FakeHec, body: bytes, path: str = EVENT) -> Dict[str, Any]:
    answer: Dict[str, Any] = json.loads(_post(hec, body, path).body)
    return answer


def _events(hec: FakeHec) -> List[Any]:
    return [envelope["event"] for envelope in hec.events]


@pytest.mark.parametrize(
    "body",
    [b'{"event":"a"}{"event":"b"}', b'{"event":"a"}\n{"event":"b"}\n', b' [{"event":"a"} , {"event":"b"}] '],
)
def test_envelopes_may_be_joined_or_in_an_array(body: bytes) -> None:
    hec = FakeHec()
    assert _post(hec, body).status == 200
    assert _events(hec) == ["a", "b"]


def test_events_keep_their_spelling() -> None:
    hec = FakeHec()
    _post(hec, b'{"event": {"n": 1.0,"n":1e3} ,"host":"h"}')
    assert hec.bodies == [b'{"n": 1.0,"n":1e3}']


def test_an_unknown_key_is_success_and_drops_the_rest() -> None:
    hec = FakeHec()
    response = _post(hec, b'{"event":"a"}{"event":"b","extra":1}{"event":"c"}')
    assert (response.status, _code(response)) == (200, 0)
    assert _events(hec) == ["a"]


def test_an_unknown_key_in_the_only_object_is_no_data() -> None:
    assert _code(_post(FakeHec(), b'{"event":"b","extra":1}')) == 5


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"{event}", 6), (b'{"event":1e}', 6), (b'{"event":NaN}', 6), (b'{"event":"\xff"}', 6),
        (b'{"event":"b"', 6), (b'{"event":"b","time":"yesterday"}', 6), (b'{"event":"b","time":-1}', 6),
        (b'{"event":"b","host":1}', 6), (b'{"event":"new\nline"}', 6), (b'"text"', 6),
        (b'{"host":"h"}', 12), (b'{"event":null}', 12), (b'{"event":""}', 13),
        (b'{"event":"b","fields":{"a":{"b":1}}}', 15), (b'{"event":"b","fields":"f"}', 15),
    ],
)
def test_events_before_a_bad_one_are_indexed_and_its_number_is_told(bad: bytes, code: int) -> None:
    hec = FakeHec()
    answer = _answer(hec, b'{"event":"a"}' + bad)
    assert (answer["code"], answer["invalid-event-number"]) == (code, 1)
    assert _events(hec) == ["a"]


def test_a_forbidden_index_is_told_by_the_number_after_it() -> None:
    hec = FakeHec(indexes=["main"])
    answer = _answer(hec, b'{"event":"a","index":"main"}{"event":"b","index":"other"}{"event":"c"}')
    assert (answer["code"], answer["invalid-event-number"]) == (7, 2)
    assert _events(hec) == ["a"]


def test_an_event_above_the_limit_is_a_bad_one() -> None:
    hec = FakeHec()
    hec.policy.max_event_bytes = 10
    assert _answer(hec, b'{"event":"aaaaaaaaaaaaa"}')["code"] == 6


def test_fields_without_an_event_are_skipped() -> None:
    hec = FakeHec()
    assert _post(hec, b'{"fields":{"a":1}}{"event":"b"}').status == 200
    assert _events(hec) == ["b"]


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, 2), ("Bearer x", 401, 3), ("Splunk", 401, 3), ("Splunk wrong", 403, 4),
        ("Splunk off", 403, 1), ("Basic " + base64.b64encode(b"x:wrong").decode(), 403, 4),
    ],
)
def test_only_its_token_opens(authorization: Optional[str], status: int, code: int) -> None:
    hec = FakeHec(disabled=["off"])
    response = _post(hec, b'{"event":"a"}', authorization=authorization)
    assert (response.status, _code(response)) == (status, code)
    assert not hec.events


def test_the_token_may_be_a_basic_password() -> None:
    basic = "Basic " + base64.b64encode(f"x:{TOKEN}".encode()).decode()
    assert _post(FakeHec(), b'{"event":"a"}', authorization=basic).status == 200


def test_an_empty_post_proves_the_token() -> None:
    response = _post(FakeHec(), b"")
    assert (response.status, _code(response)) == (400, 5)


def test_gzip_is_the_only_encoding() -> None:
    hec = FakeHec()
    assert _post(hec, gzip.compress(b'{"event":"a"}'), content_encoding="gzip").status == 200
    refused = _post(hec, b"x", content_encoding="deflate")
    assert (refused.status, refused.body[:9]) == (415, b"<!doctype")
    assert _code(_post(hec, b"no gzip", content_encoding="gzip")) == 6
    assert _events(hec) == ["a"]


def test_a_body_above_the_limit_gets_a_page_of_html() -> None:
    response = _post(FakeHec(max_body_bytes=5), b'{"event":"a"}')
    assert (response.status, response.headers["Content-Type"][:9]) == (413, "text/html")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/elsewhere", 404), ("GET", EVENT, 405), ("OPTIONS", "/elsewhere", 200),
     ("GET", "/services/collector/health", 200), ("GET", "/services/collector/health/1.0", 200)],
)
def test_other_requests_are_answered_as_splunk_does(method: str, path: str, status: int) -> None:
    assert FakeHec().answer(Request(method, path, {})).status == status


def test_a_busy_one_says_so_everywhere_and_takes_nothing() -> None:
    hec = FakeHec()
    hec.busy = True
    assert _code(_post(hec, b'{"event":"a"}')) == 9
    assert _code(hec.answer(Request("GET", "/services/collector/health", {}))) == 18
    assert not hec.events


def test_ack_ids_count_from_zero_per_channel_and_are_forgotten_when_told() -> None:
    hec = FakeHec(acks=True)
    assert [_answer(hec, b'{"event":"a"}')["ackId"] for _ in range(2)] == [0, 1]
    other = json.loads(_post(hec, b'{"event":"a"}', x_splunk_request_channel="channel-2").body)
    assert other["ackId"] == 0
    assert _answer(hec, b'{"acks":[0,1,2]}', ACK)["acks"] == {"0": True, "1": True, "2": False}
    assert _answer(hec, b'{"acks":[0,1,2]}', ACK)["acks"] == {"0": False, "1": False, "2": False}


def test_an_ack_is_false_until_its_delay_has_passed() -> None:
    indexer = Indexer(Policy(ack_delay_seconds=10.0))
    indexer.take(b'{"event":"a"}', channel="c", acks=True, now=100.0)
    assert indexer.asked(b'{"acks":[0]}', channel="c", now=109.0).more == {"acks": {"0": False}}
    assert indexer.asked(b'{"acks":[0]}', channel="c", now=110.0).more == {"acks": {"0": True}}


def test_a_restart_forgets_ack_ids_and_keeps_events() -> None:
    hec = FakeHec(acks=True)
    _post(hec, b'{"event":"a"}')
    hec.restart()
    assert _answer(hec, b'{"acks":[0]}', ACK)["acks"] == {"0": False}
    assert _events(hec) == ["a"]


def test_a_refused_request_has_no_ack_id_though_its_prefix_is_indexed() -> None:
    hec = FakeHec(acks=True)
    assert "ackId" not in _answer(hec, b'{"event":"a"}{"event":""}')
    assert _events(hec) == ["a"]
    assert _answer(hec, b'{"event":"b"}')["ackId"] == 0


def test_an_acknowledging_token_wants_a_channel() -> None:
    hec = FakeHec(acks=True)
    assert _code(_post(hec, b'{"event":"a"}', x_splunk_request_channel=None)) == 10
    assert _code(_post(hec, b'{"acks":[0]}', ACK, x_splunk_request_channel=None)) == 10
    assert _post(hec, b'{"event":"a"}', EVENT + "?channel=c", x_splunk_request_channel=None).status == 200


def test_asking_a_token_without_acknowledgement_is_an_error() -> None:
    assert _answer(FakeHec(), b'{"acks":[0]}', ACK)["code"] == 14


def test_indexers_take_turns_unless_a_cookie_leads_to_one() -> None:
    hec = FakeHec(acks=True, indexers=2, cookie="sticky")
    answers = [_post(hec, b'{"event":"a"}') for _ in range(3)]
    assert [json.loads(each.body)["ackId"] for each in answers] == [0, 0, 1]
    cookie = answers[0].headers["Set-Cookie"].partition(";")[0]
    stuck = [json.loads(_post(hec, b'{"event":"a"}', cookie=cookie).body)["ackId"] for _ in range(2)]
    assert stuck == [2, 3]


def test_faults_come_in_order_as_often_as_told_and_take_nothing() -> None:
    hec = FakeHec()
    hec.fail_next(503, 9, times=2, headers={"Retry-After": "1"})
    hec.fail_next(400, 6, number=0, after_taking=True)
    answers = [_post(hec, b'{"event":"a"}') for _ in range(4)]
    assert [each.status for each in answers] == [503, 503, 400, 200]
    assert answers[0].headers["Retry-After"] == "1"
    assert len(hec.events) == 2


def test_a_fault_of_one_kind_leaves_the_others_alone() -> None:
    hec = FakeHec(acks=True)
    hec.fail_next(503, kind="ack")
    assert _post(hec, b'{"event":"a"}').status == 200
    assert _post(hec, b'{"acks":[0]}', ACK).status == 503
    hec.fail_next(503, times=9)
    hec.heal()
    assert _post(hec, b'{"event":"a"}').status == 200


def test_everything_that_came_in_is_kept_in_plain() -> None:
    hec = FakeHec()
    _post(hec, gzip.compress(b'{"event":"a","fields":{"s3_oid":"o","s3_seq":4}}'), content_encoding="gzip")
    assert hec.requests[0].body.startswith(b'{"event"')
    assert hec.calls == {f"POST {EVENT}": 1}
    assert hec.ids == ["o:4"]
