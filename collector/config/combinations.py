"""What two or more settings say together: contradictions, which are errors, and what deserves a warning.

Judged before anything is derived, so that each is told of what was written.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Iterator, NamedTuple, Tuple
from urllib.parse import urlsplit

from collector.config.addresses import arn_region, queue_address
from collector.config.providers import PROVIDERS
from collector.config.settings import Settings
from collector.loopback import is_loopback

__all__ = ["Contradiction", "cautions", "contradictions"]

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Contradiction(NamedTuple):
    """What does not go together. `about` names the settings involved, the one to change first."""

    about: Tuple[str, ...]
    what: str
    hint: str


def contradictions(settings: Settings, *, under_splunkd: bool) -> Iterator[Contradiction]:
    """Everything about one input's settings that cannot be, in the order of the table."""
    yield from _credentials(settings)
    yield from _source(settings)
    yield from _output(settings, under_splunkd)
    yield from _files(settings)
    if settings.use_fips_endpoint and any(
        settings.endpoint_for(service) for service in ("s3", "sqs", "sts", "kms")
    ):
        yield Contradiction(
            ("use_fips_endpoint", "endpoint_url"),
            "use_fips_endpoint does not go with an endpoint of one's own",
            "name the FIPS endpoint itself, or leave the endpoint out",
        )
    if settings.checkpoint_store == "dynamodb" and not settings.checkpoint_table:
        yield Contradiction(
            ("checkpoint_table", "checkpoint_store"),
            "checkpoint_store = dynamodb needs checkpoint_table",
            "checkpoint_table = audit-s3",
        )


def cautions(settings: Settings, *, written: Settings) -> Iterator[str]:
    """What is allowed and should be said aloud. `written` is what there was before anything was derived."""
    yield from _queue_elsewhere(written)
    if not settings.hec_tls_verify:
        yield "hec_tls_verify is off: whoever is between here and Splunk can read the token and the audits"
    if settings.hec_url and settings.output == ("splunkd",):
        yield "hec_url has no effect: events go to splunkd; set output = hec"
    for service in ("s3", "sqs", "sts", "kms", "dynamodb"):
        url = urlsplit(settings.endpoint_for(service))
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield f"{service} is reached without TLS at {url.hostname}"
    if settings.provider != "custom" and not settings.bucket and _has_bucket(settings.provider):
        yield f"{settings.provider} writes to a bucket and none is set: what messages name is not fetched"
    if settings.sns_topic_arn and settings.sns_signature == "off":
        yield "sns_topic_arn has no effect while sns_signature is off"
    for name in settings.bucket:
        if not name.startswith("arn:") and not _BUCKET_NAME.fullmatch(name):
            yield (
                f"bucket = {name} is no name that S3 gives: lower case, digits, dots, hyphens, 63 at most; "
                "only buckets of us-east-1 that were made before March 2018 may differ"
            )
    if settings.prefix.startswith("/"):
        yield f"prefix {settings.prefix!r} begins with a slash, as hardly any key does"
    if not settings.queue_url and not settings.reconcile_interval_seconds:
        yield "without a queue and with reconcile_interval_seconds = 0, only backfill reads anything"


def _queue_elsewhere(written: Settings) -> Iterator[str]:
    """S3 tells queues of its bucket's region, where the key is; only a topic between may lead elsewhere."""
    regions = sorted({arn_region(key) for key in written.kms_key_arn} - {""})
    is_name = written.queue_url and not queue_address(written.queue_url).region
    if is_name and written.queue_region and regions and written.queue_region not in regions:
        yield (
            f"queue_region = {written.queue_region}, but kms_key_arn is in {', '.join(regions)}: "
            "S3 tells queues of its own region; compare both with what was handed over"
        )


def _has_bucket(provider: str) -> bool:
    return "bucket" in PROVIDERS[provider].hands_over


def _credentials(settings: Settings) -> Iterator[Contradiction]:
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    if key and not secret:
        yield Contradiction(
            ("aws_secret_access_key", "aws_access_key_id"),
            "aws_access_key_id is set without aws_secret_access_key",
            "set both, or neither for boto3's own chain",
        )
    if (secret or settings.aws_session_token) and not key:
        name = "aws_secret_access_key" if secret else "aws_session_token"
        yield Contradiction(
            ("aws_access_key_id", name),
            f"{name} is set without aws_access_key_id",
            "set both, or neither for boto3's own chain",
        )
    if key.startswith("ASIA") and not settings.aws_session_token:
        yield Contradiction(
            ("aws_session_token", "aws_access_key_id"),
            "aws_access_key_id is a temporary key and aws_session_token is missing",
            "set the token that came with the key",
        )
    if key and settings.aws_profile:
        yield Contradiction(
            ("aws_profile", "aws_access_key_id"),
            "aws_profile and aws_access_key_id are both set",
            "keep one of them",
        )
    if settings.external_id and not settings.role_arn:
        yield Contradiction(
            ("role_arn", "external_id"),
            "external_id is set without role_arn",
            "set role_arn: the id belongs to it",
        )


def _source(settings: Settings) -> Iterator[Contradiction]:
    if not settings.queue_url:
        if not settings.bucket:
            yield Contradiction(
                ("queue_url", "bucket"),
                "neither queue_url nor bucket is set: there is nothing to read",
                "set what your provider handed over, most often both",
            )
        return
    queue = queue_address(settings.queue_url)
    if not queue.url and not queue.region and not (settings.queue_region or settings.region):
        yield Contradiction(
            ("queue_region", "queue_url", "region"),
            f"queue_url = {queue.name} is a name, and no region says where",
            "set queue_region, or give the queue's URL",
        )
    if queue.region and settings.queue_region and queue.region != settings.queue_region:
        yield Contradiction(
            ("queue_region", "queue_url"),
            f"queue_region = {settings.queue_region}, but queue_url is in {queue.region}",
            "leave queue_region out",
        )


def _output(settings: Settings, under_splunkd: bool) -> Iterator[Contradiction]:
    output = settings.output
    if "hec" in output and not settings.hec_url:
        yield Contradiction(
            ("hec_url", "output"), "output = hec needs hec_url", "hec_url = https://HOST:8088"
        )
    to_hec = "hec" in output or (settings.hec_url and not output and not under_splunkd)
    if to_hec and not settings.hec_token:
        yield Contradiction(
            ("hec_token", "output", "hec_url"),
            "sending to HEC needs hec_token",
            "hec_token = file:/etc/audit-s3/hec-token",
        )
    if to_hec and settings.proxy_url.startswith("https://"):
        yield Contradiction(
            ("proxy_url", "output"),
            "HEC is reached through a proxy over http:// only",
            "give the proxy's http:// address",
        )
    to_stdout = "stdout" in output or not (output or settings.hec_url or under_splunkd)
    if to_stdout and settings.processes > 1:
        yield Contradiction(
            ("processes", "output"),
            "several processes would write into one stdout",
            "set processes = 1, or send to hec",
        )
    if "splunkd" in output and not under_splunkd:
        yield Contradiction(
            ("output",), "output = splunkd works only as Splunk's modular input", "use hec or stdout here"
        )
    if "stdout" in output and under_splunkd:
        yield Contradiction(
            ("output",),
            "output = stdout cannot be had under splunkd, which reads stdout itself",
            "use splunkd or hec",
        )
    if settings.processes > 1 and under_splunkd:
        yield Contradiction(
            ("processes",),
            "processes must be 1 under splunkd",
            "make several inputs, or run audit-s3 as a service",
        )


def _files(settings: Settings) -> Iterator[Contradiction]:
    for name in ("hec_ca_file", "aws_ca_file"):
        path: str = getattr(settings, name)
        if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            what = "cannot be read" if os.path.exists(path) else "does not exist"
            yield Contradiction(
                (name,), f"{name} = {path} {what}", "a PEM file, readable by the service's user"
            )
        elif path and not _holds_certificates(path):
            what = f"{name} = {path} holds no certificate"
            yield Contradiction((name,), what, f"let {name} name a PEM file of certificates")


def _holds_certificates(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True
