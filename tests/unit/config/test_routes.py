"""Routing by key."""

from __future__ import annotations

import pytest

from collector.config.inputs import Input
from collector.config.load import from_stanza
from collector.config.providers import COMMON_MARKERS, PROVIDERS
from collector.config.routes import Route, is_marker, route_for
from collector.config.rules import Rule, parse_rules
from collector.config.settings import Settings
from collector.config.table import Invalid
from collector.model import DIGEST

RULES = "*/CloudTrail/* sourcetype=aws:cloudtrail index=aws; *-Digest/* drop; * index=rest"


def test_the_first_rule_that_matches_wins() -> None:
    settings = Settings(routes=parse_rules(RULES), sourcetype="own", index="main")
    assert route_for(settings, "AWSLogs/1/CloudTrail/x-Digest/y") == Route("aws:cloudtrail", "aws")
    assert route_for(settings, "AWSLogs/1/CloudTrail-Digest/y").drop
    assert route_for(settings, "else") == Route("own", "rest")


def test_what_no_rule_matches_has_the_inputs_own_sourcetype_and_index() -> None:
    settings = Settings(routes=parse_rules("a* drop"), sourcetype="own", index="main")
    assert route_for(settings, "b") == Route("own", "main")


def test_globs_tell_upper_from_lower_case_and_cross_slashes() -> None:
    settings = Settings(routes=parse_rules("A*.json drop"))
    assert route_for(settings, "A/b/c.json").drop
    assert not route_for(settings, "a/b/c.json").drop


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("other/x.json", "outside prefix"),
        ("logs/x.csv", "not included"),
        ("logs/tmp/x.json", "excluded"),
        ("logs/_SUCCESS.json", ""),
        ("logs/x.json", ""),
    ],
)
def test_prefix_include_and_exclude_are_asked_in_this_order(key: str, reason: str) -> None:
    settings = Settings(prefix="logs/", include=("*.json",), exclude=("*/tmp/*",))
    found = route_for(settings, key, markers=COMMON_MARKERS)
    assert (found.drop, found.reason) == (bool(reason), reason)


@pytest.mark.parametrize(
    "key",
    ["_SUCCESS", "a/_SUCCESS", "a/b/ELBAccessLogTestFile", "x/key.json.instruction", "aws-logs-write-test"],
)
def test_files_that_are_no_audits_are_markers_at_any_depth(key: str) -> None:
    assert is_marker(key, COMMON_MARKERS)


@pytest.mark.parametrize("key", ["a/_SUCCESS/b.json", "x_SUCCESS", "aws-logs-write-test/a.gz", "instruction"])
def test_names_that_only_resemble_markers_are_audits(key: str) -> None:
    assert not is_marker(key, COMMON_MARKERS)


def test_each_provider_filters_its_own_markers() -> None:
    assert is_marker("exports/.immuta.export.log", PROVIDERS["immuta"].all_markers)
    assert not is_marker("exports/.immuta.export.log", PROVIDERS["thrive"].all_markers)


def test_rules_are_read_in_order_and_written_back_as_they_were() -> None:
    rules = parse_rules(RULES)
    assert rules[1] == Rule("*-Digest/*", drop=True)
    assert "; ".join(map(str, rules)) == RULES


def test_an_index_called_default_is_no_index() -> None:
    assert parse_rules("* index=default sourcetype=a") == (Rule("*", "a"),)


@pytest.mark.parametrize(
    "text", ["*", "* drop index=a", "* host=a", "* index=", "* drops", "a b drop", "*; x sourcetype=a"]
)
def test_a_rule_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(Invalid, match="the rule for"):
        parse_rules(text)


def test_a_rule_may_name_how_its_objects_are_read_and_no_decoder_that_there_is_not() -> None:
    (rule,) = parse_rules("*.log decoder=lines sourcetype=x")
    assert route_for(Settings(routes=(rule,)), "a.log").decoder == "lines"
    with pytest.raises(Invalid, match="decoder"):
        parse_rules("*.log decoder=magic")


def test_a_presets_rules_come_after_the_operators() -> None:
    mine, theirs = parse_rules("a/* sourcetype=mine"), parse_rules("* sourcetype=theirs")
    assert route_for(Settings(routes=mine), "a/b", presets=theirs).sourcetype == "mine"
    assert route_for(Settings(routes=mine), "b", presets=theirs).sourcetype == "theirs"


DIGEST_KEY = "AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/05/04/x.json.gz"


def cloudtrail(**settings: str) -> Input:
    given = {"queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/q", "bucket": "trail"}
    return from_stanza("trail", {"provider": "cloudtrail", **given, **settings})


def test_the_cloudtrail_preset_sends_digests_to_be_verified_and_logs_as_ever() -> None:
    trail = cloudtrail(index="aws")
    assert trail.route(DIGEST_KEY) == Route("aws:cloudtrail:digest", "aws", DIGEST)
    assert trail.route("AWSLogs/1/CloudTrail/eu-west-1/x.json.gz") == Route("aws:cloudtrail", "aws")
    assert trail.verifies_digests


def test_an_operator_may_still_drop_digests_and_then_nothing_is_hashed() -> None:
    trail = cloudtrail(routes="*-Digest/* drop")
    assert trail.route(DIGEST_KEY).drop
    assert not trail.verifies_digests
    assert not cloudtrail(include="*/CloudTrail/*").verifies_digests


def test_a_rule_of_the_operators_verifies_digests_of_any_provider() -> None:
    trail = cloudtrail(provider="custom", routes="d/* decoder=cloudtrail-digest")
    assert trail.verifies_digests
    assert not cloudtrail(provider="custom").verifies_digests
