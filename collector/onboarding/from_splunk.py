"""Inputs of the Splunk Add-on for AWS, as ours: what is carried over, what differs, what cannot be.

Read are `[aws_sqs_based_s3://NAME]` stanzas of its inputs.conf (README/inputs.conf.spec of Splunk_TA_aws),
with `[default]` and `[aws_sqs_based_s3]` below them. Others of its inputs have no queue of notifications,
and are named. Its keys stand encrypted elsewhere, so they are never read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, NamedTuple
from urllib.parse import urlsplit

from collector.config import conf as grammar
from collector.config.addresses import queue_address
from collector.config.table import Invalid
from collector.onboarding.init import Part

__all__ = ["SETTINGS", "Carried", "carry"]

_SCHEME = "aws_sqs_based_s3"
#: Other inputs of the add-on that read buckets or queues.
_OTHERS = {
    "aws_s3": "it lists a bucket and has no queue: let the bucket tell one (audit-s3 setup)",
    "splunk_ta_aws_logs": "it lists a bucket and has no queue: let the bucket tell one (audit-s3 setup)",
    "aws_cloudtrail": "it is the old CloudTrail input: audit-s3 init --provider cloudtrail, with its queue",
    "splunk_ta_aws_sqs": "its messages are events: audit-s3 init --provider custom, with its queue",
}
_TRUE = {"1", "true", "t", "yes", "y", "on"}


class _Decoder(NamedTuple):
    """`sourcetype` is what the add-on gives whatever the stanza says; "" takes the stanza's."""

    provider: str = "custom"
    sourcetype: str = ""
    note: str = "containers and times are found out by looking: see them with run --dry-run"


_DECODERS = {
    "customlogs": _Decoder(),
    "cloudtrail": _Decoder("cloudtrail", note="each record is an event, as before; digests, which the add-on "
        "skips, are verified and become events of sourcetype aws:cloudtrail:digest (to leave them out: "
        "routes = */CloudTrail-Digest/* drop)"),
    "config": _Decoder(sourcetype="aws:config"),
    "s3accesslogs": _Decoder(sourcetype="aws:s3:accesslogs"),
    "elbaccesslogs": _Decoder(sourcetype="aws:elb:accesslogs"),
    "cloudfrontaccesslogs": _Decoder(sourcetype="aws:cloudfront:accesslogs"),
    "vpcflowlogs": _Decoder(sourcetype="aws:cloudwatchlogs:vpcflow"),
    "transitgatewayflowlogs": _Decoder(sourcetype="aws:transitgateway:flowlogs"),
    "amazonsecuritylake": _Decoder(sourcetype="aws:asl", note="Parquet needs the extra: "
        "pip install 'audit-s3-collector[parquet]'; one JSON event for each row"),
    "delimitedfilesdecoder": _Decoder(note="the add-on makes JSON of each row; compare with run --dry-run"),
}


@dataclass
class Carried:
    """`parts` are our inputs; `notes` say, line by line, what differs; `unknown` are buckets to be named."""

    parts: List[Part] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    unknown: List[str] = field(default_factory=list)


def carry(
    text: str, *, given: Mapping[str, str], buckets: Mapping[str, str], roles: Mapping[str, str],
    cut_over: str,
) -> Carried:
    """The inputs of an inputs.conf.

    `given` holds for every one of them and wins. `buckets` is by stanza name, as the add-on reads whatever
    bucket a message names and ours only those that are. `roles` are ARNs by the add-on's own names.
    `cut_over` becomes start_from: what lies in the bucket since before was delivered by the add-on.
    """
    found = grammar.parse(text)
    below = {**found.stanzas.get("default", {}), **found.stanzas.get(_SCHEME, {})}
    all_ = Carried()
    queues: Dict[str, str] = {}
    for header in found.stanzas:
        scheme, _, name = header.partition("://")
        if scheme in _OTHERS and name:
            all_.notes.append(f"{header}: not carried: {_OTHERS[scheme]}")
        if scheme != _SCHEME or not name:
            continue
        stanza = {key: value.text for key, value in {**below, **found.stanzas[header]}.items()}
        if stanza.get("disabled", "").lower() in _TRUE:
            all_.notes.append(f"{header}: not carried: it is disabled")
            continue
        url = stanza.get("sqs_queue_url", "")
        if url in queues:
            all_.notes.append(f"{header}: not carried: [{queues[url]}] reads the same queue, once is enough")
            continue
        queues[url] = header
        bucket = buckets.get(name, "")
        _carry_one(all_, name, stanza, given=given, bucket=bucket, roles=roles, cut_over=cut_over)
    return all_


def _carry_one(
    all_: Carried, name: str, stanza: Mapping[str, str], *, given: Mapping[str, str], bucket: str,
    roles: Mapping[str, str], cut_over: str,
) -> None:
    one = _One(name, stanza, roles)
    for setting, say in SETTINGS.items():
        if stanza.get(setting, "") != "":
            say(one, setting, stanza[setting])
    for setting in stanza:
        if setting not in SETTINGS and not _SPLUNK_OWN.fullmatch(setting):
            one.note(setting, "not known here, and not carried")
    one.settings.update({"start_from": cut_over, **({"bucket": bucket} if bucket else {}), **given})
    since = one.settings["start_from"]
    one.note("start_from", f"{since}: the queue is read whole, but what it lacks is listed from then on only")
    one.note("cut-over", "disable this input in the add-on before the first run: one queue has one reader")
    if not one.settings.get("bucket"):
        all_.unknown.append(name)
    own = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")[:64] or "input"
    if own != name:
        one.note("name", f"{own!r}, as ours have letters, digits, _ . and - only")
    all_.parts.append(Part(own, one.settings, (f"as [{_SCHEME}://{name}] of the Splunk Add-on for AWS",)))
    all_.notes += one.notes


class _One:
    """One stanza while it is carried over."""

    def __init__(self, name: str, stanza: Mapping[str, str], roles: Mapping[str, str]) -> None:
        self.name, self.stanza, self.roles = name, stanza, roles
        self.settings: Dict[str, str] = {"provider": "custom"}
        self.notes: List[str] = []

    def note(self, setting: str, what: str) -> None:
        self.notes.append(f"{self.name}: {setting}: {what}")

    def is_on(self, setting: str) -> bool:
        return self.stanza.get(setting, "").lower() in _TRUE


#: Takes one setting of the add-on's with its value.
_Say = Callable[[_One, str, str], None]


def _account(one: _One, setting: str, value: str) -> None:
    one.note(setting, f"{value!r}: its keys stand encrypted in the add-on: set aws_access_key_id and "
             "aws_secret_access_key, or none on a host with a role of its own")


def _role(one: _One, setting: str, value: str) -> None:
    arn = value if value.startswith("arn:") else one.roles.get(value, "")
    if arn:
        one.settings["role_arn"] = arn
    else:
        one.note(setting, f"{value!r}: its ARN is in the add-on, Configuration > IAM Role: give --role-arn")


def _queue(one: _One, setting: str, value: str) -> None:
    one.settings["queue_url"] = value


def _queue_region(one: _One, setting: str, value: str) -> None:
    try:
        said = queue_address(one.stanza.get("sqs_queue_url", "")).region
    except Invalid:
        said = ""
    if said != value:
        one.settings["queue_region"] = value


def _batch(one: _One, setting: str, value: str) -> None:
    if value != "10":
        one.settings["max_number_of_messages"] = value
    one.note(setting, "how many messages one receive takes, and no longer how many threads there are: "
             "that is workers (32)")


def _decoder(one: _One, setting: str, value: str) -> None:
    known = _DECODERS.get(re.sub(r"[^a-z0-9]", "", value.lower()))
    if known is None:
        known = _Decoder()
        one.note(setting, f"{value!r} is not known here, and looked at like any object")
    one.settings["provider"] = known.provider
    sourcetype = known.sourcetype or one.stanza.get("sourcetype", "")
    if sourcetype and not (known.provider == "cloudtrail" and sourcetype == "aws:cloudtrail"):
        one.settings["sourcetype"] = sourcetype
    one.note(setting, f"{value}: {known.note}")


def _index(one: _One, setting: str, value: str) -> None:
    if value != "default":
        one.settings["index"] = value


def _host(one: _One, setting: str, value: str) -> None:
    if not value.startswith("$"):  # $decideOnStartup is splunkd's own word
        one.settings["host"] = value


def _raw_hec(one: _One, setting: str, value: str) -> None:
    """scheme://netloc/token."""
    parts = urlsplit(value)
    one.settings["hec_url"] = f"{parts.scheme}://{parts.netloc}"
    one.settings["hec_token"] = parts.path.strip("/")
    one.note(setting, "HEC's event endpoint is used: each event brings its own time")


def _endpoint(ours: str) -> _Say:
    def say(one: _One, setting: str, value: str) -> None:
        if one.is_on("private_endpoint_enabled"):
            one.settings[ours] = value

    return say


def _validation(one: _One, setting: str, value: str) -> None:
    if value.lower() in _TRUE:
        one.note(setting, "a wrong SNS signature is warned of; sns_signature = enforce refuses it")


def _said(what: str) -> _Say:
    def say(one: _One, setting: str, value: str) -> None:
        one.note(setting, what)

    return say


def _unless_off(what: str) -> _Say:
    def say(one: _One, setting: str, value: str) -> None:
        if value.lower() in _TRUE:
            one.note(setting, what)

    return say


def _nothing(one: _One, setting: str, value: str) -> None:
    """Of no effect by itself: another setting looks at it."""


#: The add-on's settings, in the order in which they are told.
SETTINGS: Mapping[str, _Say] = {
    "aws_account": _account,
    "aws_iam_role": _role,
    "sqs_queue_url": _queue,
    "sqs_queue_region": _queue_region,
    "sqs_batch_size": _batch,
    "s3_file_decoder": _decoder,
    "sourcetype": _nothing,
    "index": _index,
    "host": _host,
    "interval": _said("not needed: messages are waited for all the time (wait_time_seconds)"),
    "using_dlq": _said("not needed: a queue without a DLQ is read as well; what cannot be delivered is kept "
                       "in our own quarantine"),
    "sqs_sns_validation": _validation,
    "private_endpoint_enabled": _nothing,
    "sqs_private_endpoint_url": _endpoint("sqs_endpoint_url"),
    "s3_private_endpoint_url": _endpoint("s3_endpoint_url"),
    "sts_private_endpoint_url": _endpoint("sts_endpoint_url"),
    "use_raw_hec": _raw_hec,
    "parse_firehose_error_data": _unless_off("not carried: rawData stays as it is"),
    "parse_csv_with_header": _unless_off("the header is found by looking; compare with run --dry-run"),
    "parse_csv_with_delimiter": _said("the delimiter is found by looking; compare with run --dry-run"),
    "metric_index_flag": _unless_off("not carried: events only, no metrics"),
    "sns_max_age": _said("not carried: no message is too old"),
    "max_receive_count": _said("not carried: retries end by our own rules (docs/reliability.md)"),
    "s3_multipart_threshold": _said("not carried: objects are read as a stream"),
    "exit_on_idle": _said("not carried: the service does not end"),
    "disabled": _nothing,
}

#: What splunkd itself reads in any stanza.
_SPLUNK_OWN = re.compile(r"_.*|evt_.*|python\..*|start_by_shell|run_only_one|passAuth|source|placeholder")
