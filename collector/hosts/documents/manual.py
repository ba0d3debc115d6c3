"""The manual pages, written from the program's own help and from the settings table.

The macros are those of man(7).
"""

from __future__ import annotations

from importlib import import_module
from typing import Callable, Iterator, List, Mapping

import click

from collector import __version__
from collector.config.generate import default_of, limits_of
from collector.config.settings import SETTINGS
from collector.config.table import Setting
from collector.hosts.cli import VERBS

__all__ = ["FILES"]


def program() -> str:
    """audit-s3(1)."""
    lines = [
        *_head("audit-s3", 1),
        ".SH NAME", r"audit\-s3 \- collect audit logs from S3 by way of SQS, and lose none",
        ".SH SYNOPSIS", r".B audit\-s3", ".I command", "[options]",
        ".SH DESCRIPTION",
        "Follows the notifications of an SQS queue to objects of a bucket, decrypts them, and delivers every",
        "event in them at least once to Splunk HEC, to stdout or, as a modular input, to splunkd. A message",
        "is deleted only when its events are accepted and remembered.",
        ".SH COMMANDS",
    ]
    for verb in VERBS:
        command: click.Command = import_module(f"collector.hosts.cli.{verb}").command
        lines += _command(f"audit-s3 {verb}", command)
    lines += [
        ".SH EXIT STATUS",
        *_term("0", "All that was met is delivered."),
        *_term("1", "Something failed, was returned, or is in quarantine."),
        *_term("2", "The command was not understood."),
        *_term("78", "The configuration cannot be used."),
        ".SH ENVIRONMENT",
        *_term("AUDIT_S3_CONFIG", "The configuration, where --config does not name one."),
        *_term("AUDIT_S3_NAME", "A setting, by its name in capitals: AUDIT_S3_QUEUE_URL. Beats the file."),
        ".SH SIGNALS",
        *_term("SIGTERM, SIGINT", "Stop: what is in hand is saved or handed back within 8 seconds."),
        *_term("SIGHUP", "Read configuration and secrets again; inputs that did not change go on."),
        ".SH SEE ALSO", ".BR audit\\-s3.conf (5)",
    ]
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """audit-s3.conf(5)."""
    lines = [
        *_head("audit-s3.conf", 5),
        ".SH NAME", r"audit\-s3.conf \- inputs and settings of audit\-s3",
        ".SH DESCRIPTION",
        "The grammar is that of Splunk's conf files, so the same file works as inputs.conf. The stanza",
        r".B [audit_s3]", "holds for all inputs, and each", r".BI [audit_s3:// NAME ]", "is one input.",
        "Repeated stanzas merge; a line that ends in a backslash goes on; # begins a comment at the start of",
        "a line. A secret may be given as file:PATH, env:NAME or credential:NAME.",
    ]
    for kind, title in (("everyday", "EVERYDAY SETTINGS"), ("tuning", "OTHER SETTINGS")):
        lines.append(f".SH {title}")
        for row in SETTINGS.values():
            if row.kind == kind:
                lines += _term(row.name, " ".join(_said(row)))
    lines += [".SH EXAMPLE", ".nf", *_EXAMPLE, ".fi", ".SH SEE ALSO", ".BR audit\\-s3 (1)"]
    return "\n".join(lines) + "\n"


#: Path below the root -> its text.
FILES: Mapping[str, Callable[[], str]] = {
    "packaging/man/audit-s3.1": program,
    "packaging/man/audit-s3.conf.5": configuration,
}
_EXAMPLE = (
    "[audit_s3://thrive]",
    "provider = thrive",
    r"role_arn = arn:aws:iam::111111111111:role/audit\-access",
    r"bucket = thrive\-audit\-logs",
    r"queue_url = https://sqs.eu\-west\-1.amazonaws.com/111111111111/audit\-queue",
    "output = hec",
    "hec_url = https://splunk.example.com:8088",
    r"hec_token = file:/etc/audit\-s3/hec\-token",
)


def _head(name: str, section: int) -> List[str]:
    return [f'.TH "{_text(name.upper())}" "{section}" "" "audit-s3 {__version__}" "audit-s3"']


def _command(name: str, command: click.Command) -> Iterator[str]:
    """A verb, and its own verbs; a flag for each setting is left to audit-s3.conf(5)."""
    if isinstance(command, click.Group):
        for verb, inner in command.commands.items():
            yield from _command(f"{name} {verb}", inner)
        return
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    yield f".SS {_text(' '.join([name, *(_metavar(one) for one in arguments)]))}"
    first, _, rest = (command.help or "").partition("\n\n")
    for paragraph in (first, *rest.split("\n\n")):
        if paragraph.strip():
            yield _text(" ".join(paragraph.split()))
            yield ".PP"
    options = [one for one in command.params if isinstance(one, click.Option)]
    of_settings = {one.name for one in options} & set(SETTINGS)
    left_out = of_settings if len(of_settings) > 5 else set()
    for option in options:
        if not option.hidden and option.name not in left_out:
            names = ", ".join([*option.opts, *option.secondary_opts])
            value = "" if option.is_flag else f" {_metavar(option)}"
            yield from _term(names + value, option.help or "")


def _metavar(parameter: click.Parameter) -> str:
    choices = getattr(parameter.type, "choices", None)
    return parameter.metavar or ("|".join(choices) if choices else (parameter.name or "").upper())


def _said(row: Setting) -> Iterator[str]:
    yield row.help
    if row.choices:
        yield f"{'One or more of' if row.type == 'list' else 'One of'}: {', '.join(row.choices)}."
    if limits_of(row):
        yield limits_of(row)
    yield f"Default: {default_of(row)}."


def _term(term: str, said: str) -> List[str]:
    return [".TP", rf"\fB{_text(term)}\fR", _text(said)]


def _text(text: str) -> str:
    """Plain text as roff: a hyphen that can be searched for, and no line that begins as a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
