"""The program `audit-s3`: one file per verb, imported when it is called.

stdout carries what was asked for and nothing else; everything said about it goes to stderr. Exit codes:
0 all delivered, 1 something failed, was returned or quarantined, 2 usage, 78 configuration (EX_CONFIG). A
service that is told to stop ends with 0, and with 1 only if something could be neither saved nor handed back.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Dict, List, NoReturn, Optional

import click

from collector import __version__
from collector.errors import CollectorError
from collector.hosts.exit_codes import code_of

__all__ = ["main"]

#: verb -> what it does; the verb's command is `command` in the module of its name.
VERBS: Dict[str, str] = {
    "demo": "Start a local AWS, play the providers, and collect from them.",
    "init": "Write a configuration from what was handed over, or from Splunk's add-on.",
    "setup": "Print what has to be set up for a provider: template, policies, steps.",
    "run": "Collect: the service, or with --once until nothing is left.",
    "check": "Try role, bucket, key and output, and say whose move it is.",
    "config": "Show the effective settings and where each comes from.",
    "status": "Show what the ledger knows of each input.",
    "backfill": "Fetch a range, what is missing, or objects by name.",
    "coverage": "Say what was delivered, is late, missing or left out, by day and prefix.",
    "quarantine": "List, show, retry or drop what could not be delivered.",
    "explain": "Say how a message body is understood, or what a code means.",
}


class _Verbs(click.Group):
    """Knows all verbs by name, and imports one only to run it: --help is to be quick."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"collector.hosts.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="audit-s3")
def cli() -> None:
    """Collect audit logs that a provider writes to S3, and lose none."""


def _by_its_setting(error: click.ClickException) -> click.ClickException:
    """A setting that is no flag of a command is answered by where it is set, not by flags that look alike."""
    if not isinstance(error, click.NoSuchOption):
        return error
    from collector.config import SETTINGS
    from collector.config.layers import ENVIRONMENT_PREFIX

    name = error.option_name.lstrip("-").replace("-", "_")
    if name not in SETTINGS:
        return error
    what, variable = "no flag of this command", f"{ENVIRONMENT_PREFIX}{name.upper()}"
    if SETTINGS[name].secret:
        what = "never a flag, which every process of this host could read"
    place = f"{name} = file:PATH" if SETTINGS[name].secret else name
    said = f"{error.option_name} is {what}: set {place} in the configuration, or {variable}"
    return click.UsageError(said, error.ctx)


def main(args: Optional[List[str]] = None) -> NoReturn:
    """Run the program; errors of ours become one clear line and an exit code, never a traceback."""
    try:
        code: Any = cli.main(args=args, prog_name="audit-s3", standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        _by_its_setting(error).show()
        code = error.exit_code
    except CollectorError as error:
        print(f"audit-s3: {error}", file=sys.stderr)
        code = code_of(error)
    sys.exit(code or 0)
