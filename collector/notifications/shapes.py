"""What each shape of a body is, in a sentence: for people who ask why theirs was read as it was."""

from __future__ import annotations

from typing import Mapping, Tuple

__all__ = ["SHAPES", "layers"]

SHAPES: Mapping[str, str] = {
    "audits": "no notification, so taken as an audit: the bodies of this input are",
    "awslogs": "a CloudWatch Logs event as Lambda gets it; what it wraps is read on",
    "base64_gzip": "base64 of gzip; what it wraps is read on",
    "cloudtrail": "CloudTrail's own SNS message: a bucket and a list of keys, which are not encoded",
    "cloudtrail_events": "CloudTrail events themselves, in Records",
    "config": "a message of AWS Config",
    "eventbridge": "an Amazon EventBridge event of S3, whose key is not encoded",
    "eventbridge_api_call": "an S3 call as CloudTrail recorded it, through EventBridge",
    "extended_client": "a pointer of the SQS Extended Client to a body that lies in a bucket",
    "file_list": "a replicator's list of files in a bucket",
    "lambda": "a record, or several, as Lambda wraps messages; each is read on",
    "list": "a JSON list; each element is read on",
    "log_event": "one CloudWatch log event, as a forwarding Lambda sends it",
    "logs_subscription": "a CloudWatch Logs subscription message, an audit for each log event",
    "s3": "S3 event records, whose keys are form-encoded and decoded once",
    "s3_test": "the test event that S3 sends when notifications are set up",
    "several": "several JSON values; each is read on",
    "sns": "an SNS envelope (raw message delivery is off); what it wraps is read on",
    "string": "a JSON string; its text is read on",
}


def layers(shape: str) -> Tuple[str, ...]:
    """The recognisers of a path, outermost first: "list > s3+sns > s3" is list, s3, sns, s3."""
    return tuple(name for layer in shape.split(" > ") for name in layer.split("+"))
