"""Every event of every provider is whole in the models of the Common Information Model it belongs to."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Set

import pytest

from tests.splunk.cim import MODELS, models_of, problems
from tests.splunk.knowledge import Knowledge, Seen
from tests.splunk.samples import MADE, Sample, all_samples

KNOWLEDGE = Knowledge(Path(__file__).resolve().parents[2] / "default")
SAMPLES = all_samples()


def expected_models(sample: Sample) -> Set[str]:
    """By what the provider says that it was."""
    return _EXPECTED[sample.sourcetype](sample.raw)


def _thrive(raw: str) -> Set[str]:
    kind = json.loads(raw)["eventType"] if raw.startswith("{") else ""
    known = {"user.login": {"Authentication"}, "record.export": {"Data_Access"},
             "record.view": {"Data_Access"}, "record.delete": {"Data_Access"},
             "role.update": {"Change"}, "user.create": {"Change"},
             "user.delete": {"Change"}}
    return known.get(kind, set())


def _immuta(raw: str) -> Set[str]:
    event = json.loads(raw)
    if event.get("action") in ("LOGIN", "AUTHENTICATE"):
        return {"Authentication"}
    if event.get("action", "QUERY") != "QUERY":
        return {"Change"}
    return {"Data_Access", "Databases"} if "queryText" in event.get("auditPayload", {}) else {"Data_Access"}


def _pgaudit(raw: str) -> Set[str]:
    message = re.split(r"\[\d+\]:", raw, maxsplit=1)[-1]
    if message.startswith("LOG:  AUDIT: "):
        kind = message.split(",")[3]
        others = {"ROLE": {"Change"}, "DDL": {"Change"}, "MISC": set()}.get(kind, {"Data_Access"})
        return {"Databases", *others}
    if message.startswith("STATEMENT:"):
        return {"Databases"}
    refused = ("password auth", "no pg_hba", 'role "ghost"')
    is_login = message.startswith(("LOG:  connection authorized", *(f"FATAL:  {one}" for one in refused)))
    return {"Authentication"} if is_login else set()


_EXPECTED = {
    "thrive:audit": _thrive,
    "immuta:uam": _immuta,
    "postgresql:pgaudit": _pgaudit,
    "privacera:policysync": lambda raw: {"Change"},
    "aws:cloudtrail:digest": lambda raw: set(),
}


@cache
def _fields(sample: Sample, host: str = "orders") -> dict[str, list[str]]:
    return KNOWLEDGE.search(Seen(sample.raw, sample.sourcetype, host=host))


def test_every_sample_is_in_the_models_that_it_belongs_to_and_no_other() -> None:
    for sample in SAMPLES:
        assert models_of(_fields(sample)["tag"]) == expected_models(sample), sample.raw


def test_every_required_field_is_there_with_a_value_that_its_model_expects() -> None:
    for sample in SAMPLES:
        assert problems(_fields(sample)) == [], sample.raw


def test_every_model_has_events_of_several_providers() -> None:
    seen = Counter((model, one.sourcetype) for one in SAMPLES for model in expected_models(one))
    providers = Counter(model for model, _ in seen)
    assert providers == {"Authentication": 3, "Change": 4, "Data_Access": 3, "Databases": 2}


@pytest.mark.parametrize(
    ("sourcetype", "number", "expected"),
    [
        (
            "thrive:audit",
            0,
            {"action": "created", "object": "ann@example.com", "src_user": "lee@example.com"},
        ),
        (
            "thrive:audit",
            1,
            {"action": "blocked", "status": "failure", "result": "DENIED", "object_id": "u-8"},
        ),
        ("thrive:audit", 2, {"action": "blocked", "object": "r-88", "reason": "locked"}),
        ("thrive:audit", 3, {"action": "success", "user": "u-7", "src": "unknown"}),
        ("immuta:uam", 0, {"action": "created", "object": "T1", "object_id": "12", "change_type": "AAA"}),
        ("immuta:uam", 1, {"action": "modified", "user": "lee@example.com", "src_user": "kim@example.com"}),
        ("immuta:uam", 2, {"action": "deleted", "status": "failure", "result": "FAILURE"}),
        ("immuta:uam", 3, {"action": "success", "user": "kim@example.com", "app": "immuta"}),
        ("immuta:uam", 4, {"action": "failure", "reason": "no such user", "user": "kim@example.com"}),
        ("immuta:uam", 5, {"action": "read", "query": 'select "a" from b', "query_id": "01b2"}),
        ("immuta:uam", 6, {"action": "blocked", "user": "kim@example.com", "object": "Orders"}),
        (
            "privacera:policysync",
            0,
            {"action": "created", "dest": "pg-sales", "command": "CREATE ROLE temp_u"},
        ),
        (
            "privacera:policysync",
            1,
            {"action": "acl_modified", "status": "failure", "object_attrs": "ALL PRIVILEGES"},
        ),
        (
            "postgresql:pgaudit",
            1,
            {"action": "read", "records_affected": "42", "object": 'public."odd, name"'},
        ),
        (
            "postgresql:pgaudit",
            2,
            {"action": "deleted", "object": "public.orders", "object_id": "sales.public.orders"},
        ),
        ("postgresql:pgaudit", 3, {"action": "deleted", "src": "orders", "object_category": "table"}),
        ("postgresql:pgaudit", 8, {"action": "success", "user": "etl", "src": "10.0.0.9", "dest": "orders"}),
        ("postgresql:pgaudit", 9, {"action": "failure", "user": "etl"}),
        ("postgresql:pgaudit", 11, {"action": "failure", "user": "ghost"}),
    ],
)
def test_an_event_says_who_did_what_to_what(sourcetype: str, number: int, expected: dict[str, str]) -> None:
    fields = _fields(Sample(sourcetype, MADE[sourcetype][number], None))
    assert {name: fields[name] for name in expected} == {name: [value] for name, value in expected.items()}


def test_a_query_of_two_data_sources_names_both() -> None:
    fields = _fields(Sample("immuta:uam", MADE["immuta:uam"][5], None))
    assert (fields["object"], fields["object_id"]) == (["A", "B"], ["7", "8"])


def test_a_refused_read_is_no_read() -> None:
    for sample in SAMPLES:
        fields = _fields(sample)
        if sample.sourcetype == "immuta:uam" and '"UNAUTHORIZED"' in sample.raw:
            assert (fields["action"], fields["reason"][0]) == (["blocked"], "insufficient privileges")


def test_a_missing_field_is_noticed() -> None:
    fields = {"tag": ["authentication"], "action": ["allowed"], "app": ["x"], "dest": ["-"], "user": ["u"]}
    assert sorted(problems(fields)) == [
        "Authentication needs dest", "Authentication needs src", "Authentication: action is ['allowed']",
    ]
    assert set(MODELS) == {"Authentication", "Change", "Data_Access", "Databases"}
