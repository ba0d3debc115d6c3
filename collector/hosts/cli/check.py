"""`audit-s3 check`: tries what the collector will need, changes nothing, and says whose move it is."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any, List, Sequence

import click

from collector.config import ConfigError, Input, secrets_of
from collector.errors import CollectorError
from collector.hosts.check.doors import Doors
from collector.hosts.check.report import FORMATS, masked, render
from collector.hosts.cli.options import configured, load_inputs, setting_flags
from collector.hosts.exit_codes import EX_CONFIG
from collector.notifications import parse
from collector.onboarding.checks import Finding, examine
from collector.onboarding.checks.codes import CONFIGURATION
from collector.onboarding.checks.findings import Notes

__all__ = ["command"]


@click.command("check")
@configured
@click.option("--peek", is_flag=True, help="Receive one message too; it goes back at once.")
@click.option("--offline", is_flag=True, help="Only what needs no network.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True,
              help="text is brief on what is well; json and html have every answer.")
@setting_flags
def command(
    config_path: str, input_name: str, peek: bool, offline: bool, form: str, **given: Any
) -> None:
    """Try the clock, the keys, the role, the queue, an object and the output, and say whose move it is.

    Nothing is changed and no event is sent. Exits 0 if nothing failed, 78 if the configuration cannot be
    used, else 1. `audit-s3 explain CODE` says more of each code.
    """
    inputs: Sequence[Input] = ()
    try:
        inputs = load_inputs(config_path, input_name, given, warn=False)  # they are findings
        findings = [each for found in inputs for each in _examined(found, peek=peek, offline=offline)]
    except CollectorError as error:
        findings = _unusable(error, config_path)
    print(render(masked(findings, _secrets(inputs)), form, at=time.time()))
    sys.exit(_exit_code(findings))


def _examined(found: Input, *, peek: bool, offline: bool) -> List[Finding]:
    understand = partial(parse, bodies_are_audits=found.bodies)
    try:
        doors = Doors(found)
    except CollectorError as error:
        notes = Notes(found.name, lambda text: "")
        notes.refused(CONFIGURATION, error)
        return notes.findings
    return examine(found, doors, peek=peek, offline=offline, parse=understand)


def _unusable(error: CollectorError, config_path: str) -> List[Finding]:
    """A configuration that cannot be used, one finding for each of its mistakes."""
    notes = Notes(config_path or "the environment", lambda text: "")
    if not isinstance(error, ConfigError):
        notes.refused(CONFIGURATION, error)
    else:
        for problem in error.problems:
            mistake = ConfigError([problem], code=error.code)
            mistake.what = f"{problem.where}: {problem.what}"
            notes.refused(CONFIGURATION, mistake)
    return notes.findings


def _exit_code(findings: Sequence[Finding]) -> int:
    failed = [each for each in findings if each.status == "failed"]
    if any(each.is_configuration for each in failed):
        return EX_CONFIG
    return 1 if failed else 0


def _secrets(inputs: Sequence[Input]) -> List[str]:
    """Whatever must not be in a report that is handed on: external ids of any form too."""
    return [*secrets_of(inputs), *(found.settings.external_id for found in inputs)]
