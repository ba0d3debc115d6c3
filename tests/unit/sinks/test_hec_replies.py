"""Every code and status of HEC has one meaning, and none is taken for delivery by mistake."""

from __future__ import annotations

import json
from typing import Any, Type

import pytest

from collector.errors import CollectorError, Fatal, Refused, Retry
from collector.sinks.hec_replies import CODES, STATUSES, error_of, read
from collector.sinks.wire import Reply

NOW = 1_777_890_000.0


def _error(status: int, body: bytes, *, retry_after: str = "", **more: Any) -> CollectorError:
    answer = read(Reply(status, body, retry_after))
    assert not answer.taken
    return error_of(answer, where="https://splunk.example.com:8088", now=NOW, **more)


def _said(code: int, **more: Any) -> bytes:
    return json.dumps({"text": "words", "code": code, **more}).encode()


@pytest.mark.parametrize(
    ("status", "code", "fate", "name"),
    [
        (403, 1, Fatal, "hec_token_disabled"),
        (401, 2, Fatal, "hec_token_missing"),
        (401, 3, Fatal, "hec_token_invalid"),
        (403, 4, Fatal, "hec_token_invalid"),
        (400, 5, Fatal, "hec_no_data"),
        (400, 6, Refused, "hec_invalid_format"),
        (400, 7, Fatal, "hec_index"),
        (500, 8, Retry, "hec_internal_error"),
        (503, 9, Retry, "hec_busy"),
        (400, 10, Fatal, "hec_channel_missing"),
        (400, 11, Fatal, "hec_channel_invalid"),
        (400, 12, Refused, "hec_event_missing"),
        (400, 13, Refused, "hec_event_blank"),
        (400, 14, Fatal, "hec_ack_disabled"),
        (400, 15, Refused, "hec_fields"),
        (400, 16, Fatal, "hec_query_token"),
        (200, 17, Fatal, "hec_wrong_url"),
        (503, 18, Retry, "hec_queues_full"),
        (503, 19, Retry, "hec_ack_unavailable"),
        (503, 20, Retry, "hec_unhealthy"),
        (400, 21, Fatal, "hec_token_invalid"),
        (400, 22, Fatal, "hec_token_disabled"),
        (503, 23, Retry, "hec_shutting_down"),
        (429, 24, Retry, "hec_near_capacity"),
        (429, 25, Retry, "hec_near_capacity"),
        (429, 26, Retry, "hec_at_capacity"),
        (429, 27, Retry, "hec_at_capacity"),
        (400, 28, Fatal, "hec_channel_missing"),
    ],
)
def test_a_code_of_hec_has_its_fate(status: int, code: int, fate: Type[CollectorError], name: str) -> None:
    error = _error(status, _said(code), count=3)
    assert type(error) is fate
    assert error.code == name
    assert error.where == "https://splunk.example.com:8088"
    assert error.hint


@pytest.mark.parametrize(
    ("status", "fate", "name"),
    [
        (200, Fatal, "hec_wrong_url"), (204, Fatal, "hec_wrong_url"), (301, Fatal, "hec_wrong_url"),
        (302, Fatal, "hec_wrong_url"), (307, Fatal, "hec_wrong_url"), (400, Fatal, "hec_unexpected"),
        (401, Fatal, "hec_denied"), (403, Fatal, "hec_denied"), (404, Fatal, "hec_wrong_url"),
        (405, Fatal, "hec_wrong_url"), (407, Fatal, "hec_proxy"), (408, Retry, "hec_timeout"),
        (413, Refused, "hec_too_large"), (415, Fatal, "hec_encoding"), (429, Retry, "hec_busy"),
        (500, Retry, "hec_internal_error"), (502, Retry, "hec_gateway"), (503, Retry, "hec_unavailable"),
        (504, Retry, "hec_gateway"), (520, Retry, "hec_server_error"),
    ],
)
def test_a_page_that_is_not_hecs_is_read_by_its_status(
    status: int, fate: Type[CollectorError], name: str
) -> None:
    error = _error(status, b"<html><body>\x1b[31m no json \xff</body></html>")
    assert type(error) is fate
    assert error.code == name
    assert "\x1b" not in str(error)


def test_all_output_errors_open_the_outputs_breaker() -> None:
    errors = [_error(400, _said(code)) for code in CODES] + [_error(status, b"") for status in STATUSES]
    assert {error.scope for error in errors if isinstance(error, Fatal)} == {"output"}


@pytest.mark.parametrize("code", [6, 12, 13, 15])
def test_without_acknowledgement_the_events_before_the_offender_are_accepted(code: int) -> None:
    error = _error(400, _said(code, **{"invalid-event-number": 2}), count=5, keeps_prefix=True)
    assert isinstance(error, Refused)
    assert (error.accepted, error.offender) == (2, 2)


@pytest.mark.parametrize("code", [6, 12, 13, 15])
def test_with_acknowledgement_an_accepted_prefix_is_nobodys_promise(code: int) -> None:
    error = _error(400, _said(code, **{"invalid-event-number": 2}), count=5, keeps_prefix=False)
    assert isinstance(error, Refused)
    assert (error.accepted, error.offender) == (0, 2)


@pytest.mark.parametrize("number", [-1, 5, 99, "two", None, True])
def test_an_event_number_outside_the_batch_blames_nobody(number: Any) -> None:
    error = _error(400, _said(6, **{"invalid-event-number": number}), count=5, keeps_prefix=True)
    assert isinstance(error, Refused)
    assert (error.accepted, error.offender) == (0, None)


def test_a_too_large_request_blames_no_event() -> None:
    error = _error(413, b"<html>", count=5, keeps_prefix=True)
    assert isinstance(error, Refused)
    assert (error.accepted, error.offender) == (0, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("Mon, 04 May 2026 10:21:00 GMT", 1777890060.0 - NOW), ("999999", 3600.0),
        ("Mon, 04 May 2020 10:21:00 GMT", 0.0), ("soon", None), ("", None), ("-5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: Any) -> None:
    error = _error(503, _said(9), retry_after=header)
    assert isinstance(error, Retry)
    assert error.after_seconds == seconds


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"text":"Success"}', b'{"code":true}', b'"0"'])
def test_only_hecs_own_word_is_delivery(body: bytes) -> None:
    assert not read(Reply(200, body)).taken


def test_success_under_another_status_is_no_success() -> None:
    assert not read(Reply(202, _said(0))).taken


def test_success_carries_its_ack_id() -> None:
    answer = read(Reply(200, _said(0, ackId=0)))
    assert answer.taken
    assert answer.ack_id == 0


def test_a_body_nested_beyond_reason_is_not_hecs() -> None:
    assert read(Reply(500, b"[" * 200_000)).code is None
