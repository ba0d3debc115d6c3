"""What Splunk makes of every event that a preset delivers: whole, at its own time, with its fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.testing.demo_audits import policysync
from tests.splunk.eval_language import Unknown, evaluate, names_in, pcre
from tests.splunk.knowledge import Knowledge, Seen, conf, matches
from tests.splunk.samples import MADE, Sample, all_samples

DEFAULT = Path(__file__).resolve().parents[2] / "default"
KNOWLEDGE = Knowledge(DEFAULT)
SAMPLES = all_samples()
EVENTS = [name for name in KNOWLEDGE.props.sections() if "::" not in name and name != "audit_s3:log"]


def fields_of(raw: str, sourcetype: str = "postgresql:pgaudit", **where: str) -> dict[str, list[str]]:
    return KNOWLEDGE.search(Seen(raw, sourcetype, **where))


def test_every_sourcetype_of_the_app_has_samples() -> None:
    assert {one.sourcetype for one in SAMPLES} == set(EVENTS) - {"audit_s3"}
    assert len(SAMPLES) > 300


def test_every_sample_is_understood_to_its_end() -> None:
    for sample in SAMPLES:
        fields = fields_of(sample.raw, sample.sourcetype)
        assert all(value for values in fields.values() for value in values if values), sample.raw


# -- index time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sourcetype", EVENTS)
def test_nothing_cuts_joins_or_shortens_an_event(sourcetype: str) -> None:
    stanza = KNOWLEDGE.props[sourcetype]
    breaker = pcre(stanza["LINE_BREAKER"])
    assert breaker.groups == 1, "splunkd throws away what the first group holds"
    for sample in SAMPLES:
        assert breaker.search(sample.raw + "\n") is None
    assert (stanza["SHOULD_LINEMERGE"], stanza["TRUNCATE"]) == ("false", "0")


def test_the_time_in_the_text_is_the_one_that_the_collector_sends() -> None:
    told = 0
    for sample in SAMPLES:
        found = KNOWLEDGE.time_of(Seen(sample.raw, sample.sourcetype))
        if sample.time is None or (sample.sourcetype == "thrive:audit" and sample.raw[0] != "{"):
            continue  # a row of a CSV file has no names to find its time by
        assert found is not None, sample
        # RDS writes whole seconds; CloudWatch's own time is finer, and may be a second later.
        exact = sample.sourcetype != "postgresql:pgaudit"
        assert abs(found - sample.time) < (0.0005 if exact else 1.001), sample
        told += 1
    assert told > len(SAMPLES) * 0.9


def test_an_event_without_a_time_is_given_none() -> None:
    for sample in SAMPLES:
        if sample.time is None and sample.sourcetype != "postgresql:pgaudit":
            assert KNOWLEDGE.time_of(Seen(sample.raw, sample.sourcetype)) is None, sample


# -- search time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sourcetype", EVENTS)
def test_bucket_and_key_are_fields(sourcetype: str) -> None:
    fields = fields_of("x", sourcetype, source="s3://example-logs/a/b c.json.gz")
    assert (fields["s3_bucket"], fields["s3_key"]) == (["example-logs"], ["a/b c.json.gz"])
    assert "s3_key" not in fields_of("x", sourcetype, source="/aws/rds/instance/orders/postgresql:orders.0")


PREFIXES = {
    "10.0.0.9(40642):etl@sales": ("10.0.0.9", "40642", "etl", "sales"),
    "::1(44804):postgres@postgres": ("::1", "44804", "postgres", "postgres"),
    "[local]:we:ird@u@db:x": ("[local]", None, "we:ird@u", "db:x"),
    ":@": (None, None, None, None),
    "10.0.0.9(5):[unknown]@[unknown]": ("10.0.0.9", "5", "[unknown]", "[unknown]"),
}


@pytest.mark.parametrize("shown", PREFIXES)
def test_a_prefix_of_rds_is_read_as_the_collector_reads_it(shown: str) -> None:
    fields = fields_of(f"2026-11-21 04:55:35 UTC:{shown}:[1]:LOG:  x")
    found = tuple(fields.get(name, [None])[0] for name in ("client", "src_port", "db_user", "database"))
    assert found == PREFIXES[shown]
    assert (fields["pid"], fields["level"], fields["message"]) == (["1"], ["LOG"], ["x"])


def test_the_columns_of_a_record_are_fields_with_their_quotes_undone() -> None:
    raw = (
        "2026-11-21 04:55:35 UTC:10.0.0.9(4):etl@sales:[7]:LOG:  AUDIT: OBJECT,16,2,READ,SELECT,TABLE,"
        '"public.""odd, name""","SELECT ""a"",\n\t b FROM t","1,""o\'b""",42'
    )
    fields = fields_of(raw, host="orders")
    expected = {
        "audit_type": "OBJECT", "statement_id": "16", "substatement_id": "2", "class": "READ",
        "command": "SELECT", "object_type": "TABLE", "object": 'public."odd, name"',
        "query": 'SELECT "a",\n b FROM t',
        "parameter": '1,"o\'b"', "records_affected": "42", "dest": "orders", "src": "10.0.0.9", "user": "etl",
        "object_id": 'sales.public."odd, name"',
    }
    assert {name: fields[name] for name in expected} == {name: [value] for name, value in expected.items()}


def test_a_record_inside_a_statement_is_no_record() -> None:
    head = "2026-11-21 04:55:35 UTC:10.0.0.9(4):{}@sales:[7]:LOG:  "
    forged = head.format("eve") + "AUDIT: SESSION,9,1,DDL,DROP TABLE,TABLE,x,y,<none>"
    for message in (
        f'AUDIT: SESSION,1,1,READ,SELECT,,,"SELECT 1 --\n\t{forged}"',
        f"duration: 1 ms  statement: SELECT '{forged}'",
    ):
        fields = fields_of(head.format("etl") + message)
        assert fields["user"] == ["etl"]
        assert "DROP TABLE" not in fields.get("command", [])


def test_a_statement_of_megabytes_is_read_in_one_go() -> None:
    raw = "2026-11-21 04:55:35 UTC:[local]:etl@sales:[7]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"
    fields = fields_of(raw + '"SELECT ' + "'x', \n\t" * 300_000 + '""a""",<none>')
    assert fields["query"][0].endswith('"a"')


def test_a_record_that_is_cut_or_odd_still_says_whose_it_is() -> None:
    """With the pattern's steps in proportion to its length: PCRE gives up after MATCH_LIMIT of them."""
    head = "2026-11-21 04:55:35 UTC:[local]:etl@sales:[7]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"
    for tail in ('"' + '""' * 200_000, '"' + '""' * 200_000 + "x", '"a"b"c",' * 50_000, "," * 200_000):
        fields = fields_of(head + tail)
        assert (fields["user"], fields["class"], fields["action"]) == (["etl"], ["READ"], ["read"])


def test_what_the_provider_calls_action_stays_searchable() -> None:
    fields = fields_of(MADE["immuta:uam"][2], "immuta:uam")
    assert (fields["vendor_action"], fields["action"], fields["status"]) == (
        ["DELETE"],
        ["deleted"],
        ["failure"],
    )


def test_the_privilege_of_a_grant_is_a_field() -> None:
    granted = {body for one in policysync(now=1_795_000_000.0).bodies for body in one.events}
    found = {
        value
        for body in granted
        for value in fields_of(body.decode(), "privacera:policysync")["object_attrs"]
    }
    assert found == {"SELECT"}


def test_a_pattern_that_splunk_runs_means_the_same_to_python() -> None:
    """Possessive and atomic groups, \\G and recursion are Splunk's alone, on the oldest Python here."""
    every = [
        value for stanza in KNOWLEDGE.props.values() for name, value in stanza.items() if "EXTRACT" in name
    ]
    every += [stanza["REGEX"] for stanza in KNOWLEDGE.transforms.values() if "REGEX" in stanza]
    for pattern in every:
        assert not re.search(r"[+*?}]\+|\(\?>|\\G|\(\?R", pattern)
        pcre(pattern)


# -- the files agree with each other ---------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(DEFAULT.glob("*.conf")), ids=lambda path: path.name)
def test_a_conf_file_is_read_without_doubt(path: Path) -> None:
    """No stanza and no key twice, and no line that goes on: some of Splunk's own tools stumble there."""
    assert conf(path).sections()
    assert not re.search(r"\\$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_transform_is_used_and_there() -> None:
    used = {
        name
        for stanza in KNOWLEDGE.props.values()
        for key, value in stanza.items()
        if key.startswith("REPORT-")
        for name in re.split(r"\s*,\s*", value)
    }
    assert used == set(KNOWLEDGE.transforms.sections())


def test_every_eventtype_has_tags_and_every_tag_an_eventtype() -> None:
    assert {f"eventtype={name}" for name in KNOWLEDGE.eventtypes.sections()} == set(KNOWLEDGE.tags.sections())


def test_every_eventtype_is_some_samples() -> None:
    found = {name for one in SAMPLES for name in fields_of(one.raw, one.sourcetype)["eventtype"]}
    assert found == set(KNOWLEDGE.eventtypes.sections())


def test_every_field_that_an_expression_reads_is_in_some_sample_or_is_known_to_be_rare() -> None:
    rare = {"actor.name", "cliIP", "clientIP", "actor.profileId"}
    for sourcetype in EVENTS:
        before = Knowledge(DEFAULT)
        for name in [key for key in before.props[sourcetype] if key.startswith("EVAL-")]:
            del before.props[sourcetype][name]
        seen = {name for one in SAMPLES if one.sourcetype == sourcetype
                for name in before.search(Seen(one.raw, sourcetype))}
        for key, value in KNOWLEDGE.props[sourcetype].items():
            if key.startswith("EVAL-"):
                assert set(names_in(value)) - rare <= seen, key


def test_the_identity_of_events_is_searchable() -> None:
    fields = conf(DEFAULT / "fields.conf")
    assert {name: fields[name]["INDEXED"] for name in ("s3_oid", "s3_seq", "s3_note")} == {
        "s3_oid": "true", "s3_seq": "true", "s3_note": "true"}


# -- the interpreter itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('case(a=="x", "one", true(), "two")', "two"),
        ('coalesce(none, "b" . a)', "b1"),
        ("coalesce('p.q', none)", ["y", "z"]),
        ('if(none=="x", "yes", "no")', "no"),
        ('replace(a, "1", "\\"")', '"'),
        ('mvindex(split("a.b", "."), 1)', "b"),
        ("none . a", None),
        ('match(a, "^\\d$") AND NOT a=="2"', True),
    ],
)
def test_an_expression_means_what_splunk_says(expression: str, value: object) -> None:
    assert evaluate(expression, {"a": ["1"], "p.q": ["y", "z"]}) == value


@pytest.mark.parametrize("expression", ["spath(a)", "a + b", 'none=="1" OR a=="1"', "NOT none", "a b", "(a"])
def test_what_is_not_known_for_certain_is_refused(expression: str) -> None:
    with pytest.raises(Unknown):
        evaluate(expression, {"a": ["1"], "b": ["2"]})


def test_side_by_side_means_and_and_or_binds_tighter() -> None:
    fields = {"a": ["1"], "b": ["2"]}
    assert matches("a=1 OR a=9 b=2", fields)
    assert not matches("a=1 OR a=9 b=3", fields)
    assert matches('a=* NOT (b="3*" OR c=*)', fields)
    with pytest.raises(Unknown):
        matches("error", fields)


def test_an_unknown_directive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "props.conf").write_text("[x]\nSEDCMD-a = s/a/b/\n")
    with pytest.raises(Unknown, match="SEDCMD"):
        Knowledge(tmp_path).search(Seen("a", "x"))


def test_two_extractions_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "props.conf").write_text("[x]\nKV_MODE = json\nEXTRACT-a = (?<a>1)\n")
    assert Knowledge(tmp_path).search(Seen('{"a":1}', "x"))["a"] == ["1"]
    with pytest.raises(Unknown, match="again"):
        Knowledge(tmp_path).search(Seen('{"a":"x1"}', "x"))


def test_a_sample_is_an_event_and_its_time() -> None:
    assert all(isinstance(one, Sample) and one.raw for one in SAMPLES)
