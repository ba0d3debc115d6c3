"""`audit-s3 check`: tries what the collector will need, changes nothing, and says whose move it is."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any, Iterator, List

import click

from collector.adapters import Adapters
from collector.aws.cloudtrail_keys import PublicKeys
from collector.config import Input
from collector.errors import CollectorError, Fatal
from collector.hosts.cli.options import configured, load_inputs, setting_flags
from collector.onboarding.preflight import Check, Finding, NotTried, preflight
from collector.ports import ObjectStore, Queue

__all__ = ["command"]


@click.command("check")
@configured
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@setting_flags
def command(config_path: str, input_name: str, form: str, **given: Any) -> None:
    """Assume the role, ask the queue, read one object, ask the output; exit 1 if something is refused.

    No message is received, no event is sent, nothing is changed.
    """
    findings: List[Finding] = []
    for found in load_inputs(config_path, input_name, given):
        findings += preflight(list(_checks(found)))
    if form == "json":
        print(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        _print(findings)
    sys.exit(1 if any(finding.status == "failed" for finding in findings) else 0)


def _checks(found: Input) -> Iterator[Check]:
    adapters = Adapters(found, checkpoint_dir=None, stdout=sys.stdout.buffer)
    name = found.name
    yield "identity", f"{name}: who AWS says we are (sts:GetCallerIdentity)", adapters.identity
    if adapters.queue is not None:
        yield "queue", f"{name}: the queue {adapters.queue.name}", partial(_ask_queue, adapters.queue)
    if adapters.objects is not None:
        for bucket in found.settings.bucket:
            one = partial(_read_one, adapters.objects, bucket, found.settings.prefix)
            yield "object", f"{name}: an object of {bucket} (s3:ListBucket, s3:GetObject, kms:Decrypt)", one
    if found.verifies_digests:
        region = found.settings.bucket_region or found.settings.region
        ask = partial(_ask_keys, adapters.public_keys, region)
        yield "digest_keys", f"{name}: CloudTrail's keys in {region} (cloudtrail:ListPublicKeys)", ask
    for sink in adapters.sinks:
        yield sink.name, f"{name}: the output {sink.name}", sink.check


def _ask_queue(queue: Queue) -> str:
    queue.check()
    return NotTried("no refusal; whether messages may be received and deleted shows only when it runs")


def _ask_keys(keys: PublicKeys, region: str) -> str:
    """Audits do not depend on it, so a refusal is no failure."""
    try:
        keys.check(region)
    except CollectorError as error:
        return NotTried(f"digests would be unsigned: {error}")
    return "answers"


def _read_one(objects: ObjectStore, bucket: str, prefix: str) -> str:
    """Read the beginning of the first object that listing shows."""
    try:
        listed = objects.list(bucket, prefix=prefix).refs
    except Fatal as error:
        if error.code != "list_denied":
            raise
        return NotTried("listing is denied: what the queue forgets is not found, and no object was read")
    wanted = next((ref for ref in listed if ref.size), None)
    if wanted is None:
        return NotTried("there is no object to read")
    opened = objects.open(wanted)
    try:
        opened.read()
    finally:
        opened.close()
    return f"read {wanted.url}"


def _print(findings: List[Finding]) -> None:
    """One block a finding, nothing cut: it is to be copied into a ticket."""
    for finding in findings:
        print(f"{finding.status:8}{finding.code:22}{finding.tried}")
        print(f"{'':8}{finding.answer}")
        if finding.status == "failed":
            print(f"{'':8}whose move: {finding.owner}. {finding.fix}")
