"""Inputs of the Splunk Add-on for AWS: what is carried over, and that the rest is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from collector.onboarding.from_splunk import Carried, carry
from collector.onboarding.init import Draft

QUEUE = "https://sqs.eu-west-1.amazonaws.com/111111111111/trail"
CUT_OVER = "2026-05-04T10:00:00Z"
#: As Splunk Web writes it.
TRAIL = f"""
[default]
host = forwarder-1

[aws_sqs_based_s3://trail]
aws_account = production
aws_iam_role = reader
index = aws
interval = 300
s3_file_decoder = CloudTrail
sourcetype = aws:cloudtrail
sqs_batch_size = 10
sqs_queue_region = eu-west-1
sqs_queue_url = {QUEUE}
sqs_sns_validation = 1
using_dlq = 1
parse_firehose_error_data = 0
disabled = 0
python.version = python3
"""


def carried(text: str, **more: Any) -> Carried:
    asked: Dict[str, Any] = {"given": {}, "buckets": {"trail": "trail-logs"}, "roles": {}, **more}
    return carry(text, cut_over=CUT_OVER, **asked)


def settings(text: str, **more: Any) -> Dict[str, str]:
    (part,) = carried(text, **more).parts
    return dict(part.settings)


def stanza(decoder: str, **more: str) -> str:
    rest = "".join(f"{name} = {value}\n" for name, value in more.items())
    return f"[aws_sqs_based_s3://trail]\nsqs_queue_url = {QUEUE}\ns3_file_decoder = {decoder}\n{rest}"


def notes(text: str, **more: Any) -> str:
    return "\n".join(carried(text, **more).notes)


def test_a_stanza_becomes_the_input_that_reads_the_same_and_begins_at_the_cut_over() -> None:
    role = "arn:aws:iam::111111111111:role/reader"
    assert settings(TRAIL, roles={"reader": role}) == {
        "provider": "cloudtrail", "queue_url": QUEUE, "bucket": "trail-logs", "role_arn": role,
        "index": "aws", "host": "forwarder-1", "start_from": CUT_OVER,
    }


def test_what_is_carried_over_loads(tmp_path: Path) -> None:
    (found,) = Draft(carried(TRAIL).parts, tmp_path).judge("audit-s3.conf", {})
    assert (found.name, found.settings.sourcetype, found.settings.region) == (
        "trail", "aws:cloudtrail", "eu-west-1",
    )


def test_every_setting_that_is_not_carried_over_is_told() -> None:
    told = notes(TRAIL)
    assert "trail: cut-over: disable this input in the add-on before the first run" in told
    for name in ("aws_account", "aws_iam_role", "sqs_batch_size", "s3_file_decoder", "interval", "using_dlq",
                 "sqs_sns_validation", "start_from"):
        assert f"trail: {name}: " in told
    assert "parse_firehose_error_data" not in told, "it is off"
    assert "python.version" not in told
    assert "trail: brand_new: not known here" in notes(TRAIL + "brand_new = 1\n")


def test_a_key_of_the_add_on_is_never_asked_for_nor_made_up() -> None:
    assert not {"aws_access_key_id", "aws_secret_access_key"} & set(settings(TRAIL))


@pytest.mark.parametrize(
    ("decoder", "provider", "sourcetype"),
    [
        ("CustomLogs", "custom", "example:audit"),
        ("CloudTrail", "cloudtrail", "example:audit"),
        ("Config", "custom", "aws:config"),
        ("S3AccessLogs", "custom", "aws:s3:accesslogs"),
        ("S3 Access Logs", "custom", "aws:s3:accesslogs"),
        ("ELBAccessLogs", "custom", "aws:elb:accesslogs"),
        ("CloudFrontAccessLogs", "custom", "aws:cloudfront:accesslogs"),
        ("VPCFlowLogs", "custom", "aws:cloudwatchlogs:vpcflow"),
        ("TransitGatewayFlowLogs", "custom", "aws:transitgateway:flowlogs"),
        ("AmazonSecurityLake", "custom", "aws:asl"),
        ("DelimitedFilesDecoder", "custom", "example:audit"),
        ("Homemade", "custom", "example:audit"),
    ],
)
def test_a_decoder_becomes_a_provider_and_keeps_the_sourcetype_that_it_gave(
    decoder: str, provider: str, sourcetype: str
) -> None:
    found = settings(stanza(decoder, sourcetype="example:audit"))
    assert (found["provider"], found["sourcetype"]) == (provider, sourcetype)


def test_an_unknown_decoder_is_told() -> None:
    assert "'Homemade' is not known here" in notes(stanza("Homemade"))


def test_private_endpoints_are_carried_over_if_they_are_on() -> None:
    services = ("sqs", "s3", "sts")
    urls = {f"{name}_private_endpoint_url": f"https://vpce-1.{name}.example.com" for name in services}
    found = settings(stanza("CustomLogs", private_endpoint_enabled="1", **urls))
    assert found["s3_endpoint_url"] == "https://vpce-1.s3.example.com"
    assert {"sqs_endpoint_url", "sts_endpoint_url"} <= set(found)
    assert not any("endpoint" in name for name in settings(stanza("CustomLogs", **urls)))


def test_a_raw_hec_becomes_hec_and_its_token_a_secret(tmp_path: Path) -> None:
    text = stanza("CustomLogs", use_raw_hec="https://10.0.0.9:8088/550E8400-E29B-41D4-A716-446655440000")
    draft = Draft(carried(text).parts, tmp_path)
    assert "550E8400" not in draft.text
    assert "hec_url = https://10.0.0.9:8088" in draft.text
    assert list(draft.secrets.values()) == ["550E8400-E29B-41D4-A716-446655440000"]


def test_a_batch_size_and_a_region_are_written_only_where_they_say_something() -> None:
    found = settings(stanza("CustomLogs", sqs_batch_size="5", sqs_queue_region="us-east-1"))
    assert (found["max_number_of_messages"], found["queue_region"]) == ("5", "us-east-1")
    assert not {"max_number_of_messages", "queue_region"} & set(settings(TRAIL))


def test_an_input_without_a_bucket_is_one_that_somebody_has_to_name_it_for() -> None:
    assert carried(TRAIL, buckets={}).unknown == ["trail"]
    assert carried(TRAIL, buckets={}, given={"bucket": "trail-logs"}).unknown == []


def test_two_inputs_on_one_queue_become_one() -> None:
    text = TRAIL + TRAIL.replace("//trail]", "//again]")
    found = carried(text)
    assert [part.name for part in found.parts] == ["trail"]
    assert any("[aws_sqs_based_s3://trail] reads the same queue" in note for note in found.notes)


def test_what_is_disabled_or_has_no_queue_is_told_and_left_where_it_is() -> None:
    text = stanza("CustomLogs", disabled="true") + "[aws_s3://lake]\nbucket_name = lake\n[monitor:///var/log]\n"
    found = carried(text)
    assert found.parts == []
    assert [note.partition(":")[0] for note in found.notes] == ["aws_sqs_based_s3", "aws_s3"]


def test_a_name_that_ours_cannot_have_is_changed_and_told() -> None:
    found = carried(TRAIL.replace("//trail]", "//Cloud Trail (prod)]"), buckets={}, given={"bucket": "b-1"})
    assert found.parts[0].name == "Cloud-Trail-prod"
    assert any("name" in note for note in found.notes)
