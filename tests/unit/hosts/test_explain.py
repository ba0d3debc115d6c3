"""`audit-s3 explain`: what is said of a body, with and without a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.hosts.cli.explain import command
from collector.hosts.codes import FATES
from collector.notifications.shapes import SHAPES, layers

GOLDEN = Path(__file__).parents[2] / "golden" / "notifications"
CONFIG = """
[audit_s3://trail]
provider = cloudtrail
bucket = audit-bucket
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q
exclude = *.tmp
routes = */CloudTrail/* index=aws; *.json decoder=lines; secret/* drop
{more}
"""

#: What the run of the tests tells itself is no setting.
OF_THE_RUN = (
    "AUDIT_S3_TEST_PYTHON", "AUDIT_S3_TEST_REPORT", "AUDIT_S3_TEST_AGAIN", "AUDIT_S3_NO_SKIPS",
)


@pytest.fixture
def explain(tmp_path, monkeypatch):
    """Gives what `explain` says of a text; fails on another exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDIT_S3_CONFIG", raising=False)

    def run(body, *flags, more="", code=0, what="body"):
        Path("body").write_text(body, encoding="utf-8")
        Path("a.conf").write_text(CONFIG.format(more=more))
        done = CliRunner().invoke(command, [what, *flags], env=dict.fromkeys(OF_THE_RUN))
        assert done.exit_code == code, done.output
        return done.output + str(done.exception or "")

    return run


def golden(case):
    return (GOLDEN / case / "body.txt").read_text(encoding="utf-8")


def event(key, bucket="audit-bucket"):
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
              "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
    return json.dumps({"Records": [record]})


def test_every_layer_is_named_with_its_reason_and_the_object_after_it(explain):
    said = explain(golden("sns_s3")).splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["sns", "s3"]
    assert any(line.startswith("object s3://audit-bucket/") for line in said)


def test_every_shape_that_is_ever_named_has_its_sentence():
    named = set()
    for expected in GOLDEN.glob("*/expected.json"):
        said = json.loads(expected.read_text(encoding="utf-8"))
        named.update(layers(said["shape"]) if "shape" in said else ())
    assert named == set(SHAPES)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("AWSLogs/CloudTrail/a.gz", "aws:cloudtrail index=aws decoder=auto, by route */CloudTrail/*"),
        ("a.json", "decoder=lines, by route *.json"),
        ("a.txt", "index=(the output decides) decoder=auto, as no route matches"),
        ("secret/a", "would be filtered: route secret/*"),
        ("a.tmp", "would be filtered: excluded"),
        ("x/_SUCCESS", "would be filtered: marker"),
    ],
)
def test_it_says_which_rule_filters_an_object_or_where_its_events_go(explain, key, said):
    assert said in explain(event(key), "--config", "a.conf")


def test_a_foreign_bucket_and_a_bad_part_would_be_quarantined(explain):
    assert "quarantined as foreign_bucket" in explain(event("k", "other"), "--config", "a.conf", code=1)
    said = explain(golden("s3_ten_records_one_undecodable"), "--config", "a.conf", code=1)
    assert said.count("would be read") == 9
    assert "quarantined as key_undecodable" in said


def test_without_a_configuration_no_bucket_is_foreign(explain):
    assert "if the input allows" in explain(event("k", "other"))


def test_a_body_that_is_an_audit_is_one_only_where_bodies_are(explain):
    assert "quarantined as unknown_body" in explain("hello", code=1)
    assert "would be delivered as one event" in explain("hello", "--bodies")


def test_a_provider_who_has_only_a_queue_needs_none_named(explain):
    assert "sourcetype=privacera:policysync" in explain("{}", "--provider", "privacera-policysync")


def test_a_byte_order_mark_is_no_part_of_a_body(explain):
    assert "object s3://audit-bucket/a.json" in explain("\ufeff" + event("a.json"))
    assert explain("\ufeffhello", "--bodies") == explain("hello", "--bodies")


def test_nothing_is_asked_of_sns_and_what_would_be_asked_is_said(explain):
    said = explain(golden("sns_s3"), "--config", "a.conf")
    assert "not verified here" in said
    assert "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" in said


def test_a_foreign_topic_is_a_warning_or_goes_to_quarantine_as_the_setting_says(explain):
    more = "sns_topic_arn = arn:aws:sns:eu-west-1:222222222222:ours\nsns_signature = "
    assert "delivered with a warning" in explain(golden("sns_s3"), "--config", "a.conf", more=more + "warn")
    said = explain(golden("sns_s3"), "--config", "a.conf", more=more + "enforce", code=1)
    assert "quarantined as foreign_topic" in said
    assert "nobody checks it" in explain(golden("sns_s3"), "--config", "a.conf", more="sns_signature = off")


def test_a_key_cannot_write_to_the_terminal(explain):
    assert "\x1b" not in explain(event("%1B%5B31m"), "--config", "a.conf")


def test_it_can_be_read_by_programs(explain):
    said = json.loads(explain(event("a.json"), "--config", "a.conf", "--format", "json"))
    assert (said["shape"], said["quarantined"]) == ("s3", [])
    assert said["objects"][0]["url"] == "s3://audit-bucket/a.json"


def test_a_file_of_several_inputs_wants_to_know_which(explain):
    other = "[audit_s3://b]\nbucket = b-b\n"
    assert "--input NAME, of trail, b" in explain(event("k"), "--config", "a.conf", more=other, code=2)


def test_a_wrong_configuration_is_no_explanation(explain):
    assert "cannot be read" in explain("x", "--config", "missing.conf", code=1)


def test_a_line_of_pgaudit_is_taken_apart_and_said_to_be_filtered_where_it_is(explain):
    line = "2026-11-21 04:55:35 UTC:10.0.0.9(4064):etl@sales:[167]:LOG:  "
    line += "AUDIT: SESSION,1,1,ROLE,GRANT,,,GRANT x,"
    body = json.dumps({"id": "1" * 56, "timestamp": 1795236935412, "message": line})
    said = explain(body, "--bodies")
    assert "host='10.0.0.9' user='etl' database='sales' level='LOG' class='ROLE' command='GRANT'" in said
    assert "would be delivered as one event" in said
    flags = ("--config", "a.conf")
    assert "would be filtered: ignored user" in explain(body, *flags, more="ignore_users = other, etl")
    assert "would be delivered" in explain(body, *flags, more="ignore_users = et\nignore_databases = SALES")


# -- codes

@pytest.mark.parametrize(
    ("code", "fate", "step"),
    [
        ("kms_denied", "fatal", "kms:Decrypt"),
        ("list_denied", "fatal", "ask for s3:ListBucket"),
        ("queue_denied", "found", "rights to the queue"),
        ("truncated_gzip", "poison", "by hand"),
        ("hec_index", "fatal", "allowed indexes"),
        ("hec_busy", "retry", "administrators"),
        ("exhausted", "poison", "log lines"),
        ("config_invalid", "fatal", "what to write"),
    ],
)
def test_a_code_comes_with_its_fate_and_the_next_step(explain, code, fate, step):
    said = explain("", what=code)
    assert FATES[fate] in said
    assert step in said


def test_a_code_of_run_and_of_check_says_which_advice_is_whose(explain):
    said = explain("", what="gone").splitlines()
    heads = [line for line in said if not line.startswith(" ")]
    assert [head.partition(": ")[0] for head in heads] == [
        "gone, said by `audit-s3 run`", "gone, said by `audit-s3 check`",
    ]
    assert explain("", what="hec_index").startswith("hec_index: ")


def test_neither_a_file_nor_a_code_is_a_usage_error(explain):
    assert "no file and no code" in explain("", what="no_such_code", code=2)


def test_a_mistyped_code_is_answered_with_the_one_that_was_meant(explain):
    assert "did you mean kms_denied?" in explain("", what="kms_denid", code=2)


def test_a_code_is_explained_to_programs_too(explain):
    by_run, by_check = json.loads(explain("", "--format", "json", what="gone"))
    assert (by_run["code"], by_run["fate"], by_run["said_by"]) == ("gone", "poison", "run")
    assert by_check["said_by"] == "check"


def test_the_time_of_a_notification_is_spelt_for_people(explain):
    record = json.loads(event("k"))["Records"][0]
    body = json.dumps({"Records": [{**record, "eventTime": "2026-05-04T03:02:01.500Z"}]})
    assert "event_time=2026-05-04T03:02:01Z" in explain(body)


def test_a_file_wins_over_a_code_of_its_name(explain, tmp_path):
    (tmp_path / "gone").write_text("what is this")
    assert "quarantined as unknown_body" in explain("", what="gone", code=1)


def test_a_body_that_was_never_received_is_not_looked_for_in_quarantine(explain):
    for body in ('{"what": "is this"}', "", "[1]", golden("sns_subscription_confirmation")):
        assert "quarantine show" not in explain(body, code=1)
