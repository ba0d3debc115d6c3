"""`audit-s3 setup PROVIDER`: templates, policies and texts for whoever has to set up the other side."""

from __future__ import annotations

import json
import re
import sys
from typing import Dict, Mapping, Sequence

import click

from collector.config.addresses import arn_account, without_session
from collector.config.load import bare_settings
from collector.config.table import Invalid
from collector.errors import CollectorError
from collector.hosts.base_session import base_session
from collector.onboarding.setup import NAMES, Side, policies, side_of, text

__all__ = ["command"]


@click.command("setup")
@click.argument("provider", type=click.Choice(NAMES), metavar="PROVIDER")
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE",
    help="A parameter of the template; Account and Region for exact policies and texts.",
)
@click.option("--policies", "only_policies", is_flag=True, help="The plain policies, with ARNs filled in.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="text: the steps for a person. json: the CloudFormation template.")
def command(provider: str, pairs: Sequence[str], only_policies: bool, form: str) -> None:
    """Say what has to be set up for PROVIDER, and print it ready to be used.

    PROVIDER is thrive, cloudtrail, privacera-pgaudit, privacera-policysync or immuta. Nothing is made and
    nothing changed. For thrive AWS is asked who you are, with the keys of the environment.
    """
    given = _given(pairs)
    if provider == "thrive":
        given = given if "CallerArn" in given else {**_caller(), **given}
        given = {**_told_by(given.get("CallerArn", "")), **given}
    try:
        side = side_of(provider, given)
    except Invalid as wrong:
        raise click.UsageError(f"--set: {wrong.what}: {wrong.hint}") from wrong
    print(_policies(side, form) if only_policies else _whole(side, form), end="")
    if side.missing and (form == "json" or only_policies):
        print(f"still to be given: {', '.join(side.missing)} (--set NAME=VALUE)", file=sys.stderr)


def _given(pairs: Sequence[str]) -> Dict[str, str]:
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--set wants NAME=VALUE, not {pair!r}")
        given[name] = value
    return given


def _whole(side: Side, form: str) -> str:
    return text(side) if form == "text" else json.dumps(side.template, indent=2) + "\n"


def _policies(side: Side, form: str) -> str:
    found = policies(side)
    if form == "json":
        return json.dumps(found, indent=2) + "\n"
    return "\n".join(f"# {whose}\n{json.dumps(policy, indent=2)}\n" for whose, policy in found.items())


def _caller() -> Mapping[str, str]:
    """Who AWS says we are, if it can be asked; what stands in the way is said, and is no failure."""
    try:
        arn = without_session(base_session(bare_settings()).identity())
    except CollectorError as error:
        said = f"AWS does not say who you are: {error}. Or say it: --set CallerArn=ARN"
        print(f"audit-s3: {said}", file=sys.stderr)
        return {}
    return {"CallerArn": arn}


def _told_by(arn: str) -> Mapping[str, str]:
    """What the ARN of whoever will ask says by itself: the account, and the user that the policy is for."""
    account = arn_account(arn)
    user = re.fullmatch(r"arn:[\w-]+:iam::\d{12}:user/(?:.*/)?([^/]+)", arn)
    return {**({"Account": account} if account else {}), **({"UserName": user[1]} if user else {})}
