"""Laws of reading a message body; what each shape means is in tests/golden/notifications."""

from __future__ import annotations

import json
from typing import Any, Dict
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Poison
from collector.notifications import host_of, parse

KEYS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "object", "key", "Type", "TopicArn", "Message", "detail", "bucket", "name",
                 "s3Bucket", "s3ObjectKey", "messageType", "logEvents", "id", "timestamp", "message", "body",
                 "messageId", "files", "path", "Sns", "awslogs", "data", "eventName", "eventSource", "size"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def s3_body(key: str, **fields: Any) -> str:
    """One S3 event record, as S3 sends it."""
    record: Dict[str, Any] = {
        "eventVersion": "2.1",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": dict({"key": key}, **fields)},
    }
    return json.dumps({"Records": [record]})


def poison(body: str, **kwargs: bool) -> str:
    with pytest.raises(Poison) as caught:
        parse(body, **kwargs)
    return caught.value.code


@given(KEYS)
def test_an_encoded_key_is_decoded_exactly_once(key: str) -> None:
    (ref,) = parse(s3_body(quote_plus(key, safe="/"))).refs
    assert ref.key == key
    assert (ref.raw_key or ref.key) == quote_plus(key, safe="/")


@given(KEYS)
def test_an_eventbridge_key_is_not_decoded(key: str) -> None:
    body = {"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {"key": key}}}
    (ref,) = parse(json.dumps(body)).refs
    assert (ref.key, ref.raw_key) == (key, None)


@given(VALUES, st.booleans())
def test_any_json_is_understood_or_poison_and_never_empty(value: Any, audits: bool) -> None:
    try:
        found = parse(json.dumps(value), bodies_are_audits=audits)
    except Poison as error:
        assert error.code in ("unknown_body", "empty_body", "key_undecodable", "nested_too_deep")
    else:
        assert bool(found.refs or found.payloads) != bool(found.noop)


@given(st.text(max_size=60))
def test_any_text_is_an_audit_where_bodies_are_audits(text: str) -> None:
    if text.strip():
        found = parse(text, bodies_are_audits=True)
        assert found.payloads or found.noop
    else:
        assert poison(text, bodies_are_audits=True) == "empty_body"


@given(VALUES)
def test_the_bytes_of_a_payload_are_those_of_the_message(value: Any) -> None:
    body = json.dumps({"unknown": value, "n": 1e999}, indent=1)
    (payload,) = parse(body, bodies_are_audits=True).payloads
    assert payload.body == body.encode()
    assert not payload.whole


@pytest.mark.parametrize(("size", "wanted"), [(7, 7), ("1024", 1024), ("x", None), (True, None), (-1, None)])
def test_a_size_is_a_number_or_a_string_of_digits(size: Any, wanted: Any) -> None:
    assert parse(s3_body("k", size=size)).refs[0].size == wanted


@pytest.mark.parametrize("version", ["", "null", None])
def test_an_unversioned_object_has_no_version(version: Any) -> None:
    assert parse(s3_body("k", versionId=version)).refs[0].version_id is None


def test_the_same_log_event_has_the_same_identity_however_it_is_spelled() -> None:
    event = {"id": "31953106606966983378809025079804211143289615424298221568", "timestamp": 1, "message": "m"}
    one = parse(json.dumps(event)).payloads[0]
    two = parse(json.dumps(dict(reversed(event.items())), indent=2)).payloads[0]
    assert one.producer_id == two.producer_id == event["id"]


def test_wrappers_are_taken_off_five_deep_and_no_deeper() -> None:
    body = s3_body("k")
    for _ in range(5):
        body = json.dumps(body)
    assert parse(body).shape.count("string") == 5
    assert poison(json.dumps(body)) == "nested_too_deep"


def test_a_base64_bomb_is_poison() -> None:
    import base64
    import gzip

    assert poison(base64.b64encode(gzip.compress(b" " * (65 << 20))).decode()) == "bomb"


def test_deep_json_is_poison_and_not_a_crash() -> None:
    assert poison("[" * 100_000) == "unknown_body"
    assert poison('{"a":' + "[" * 100_000 + "]" * 100_000 + "}") == "unknown_body"


def test_every_poison_says_the_next_step() -> None:
    for body in ("", "hello", s3_body("%FF"), json.dumps({"a": 1})):
        with pytest.raises(Poison) as caught:
            parse(body)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("/aws/rds/instance/orders/postgresql:orders.0", "orders"),
        ("/aws/rds/cluster/orders/postgresql:orders-instance-1.0", "orders"),
        ("/aws/rds/instance/orders/upgrade:x", "orders"),
        ("/aws/lambda/rds/instance/orders/:x", ""),
        ("sqs://queue/id", ""),
        ("", ""),
    ],
)
def test_a_log_group_of_rds_or_aurora_names_its_database(origin: str, host: str) -> None:
    assert host_of(origin) == host
