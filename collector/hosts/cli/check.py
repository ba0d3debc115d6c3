"""`audit-s3 check`: tries what the collector will need, changes nothing, and says whose move it is."""

from __future__ import annotations

import json
import sys
from typing import Any, Iterator, List

import click

from collector.adapters import Adapters
from collector.config import Input
from collector.hosts.cli.options import configured, load_inputs, setting_flags
from collector.onboarding.preflight import Check, Finding, preflight

__all__ = ["command"]


@click.command("check")
@configured
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@setting_flags
def command(config_path: str, input_name: str, form: str, **given: Any) -> None:
    """Ask AWS and the output for everything but a message or an event; exit 1 if something is missing."""
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
        yield "queue", f"{name}: the queue {adapters.queue.name}", adapters.queue.check
    if adapters.objects is not None:
        yield "bucket", f"{name}: the bucket {', '.join(found.settings.bucket)}", adapters.objects.check
    for sink in adapters.sinks:
        yield sink.name, f"{name}: the output {sink.name}", sink.check


def _print(findings: List[Finding]) -> None:
    """One block a finding, nothing cut: it is to be copied into a ticket."""
    for finding in findings:
        print(f"{finding.status:8}{finding.code:22}{finding.tried}")
        print(f"{'':8}{finding.answer}")
        if finding.status == "failed":
            print(f"{'':8}whose move: {finding.owner}. {finding.fix}")
