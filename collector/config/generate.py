"""Everything that is written from the settings table, so that none of it can disagree with the program.

FILES are README/inputs.conf.spec, default/inputs.conf, docs/reference/settings.md,
packaging/audit-s3.conf.sample, and what the set-up page of the Splunk app knows of settings; `python -m
collector.hosts.documents` writes them. The modular input's scheme and the flags of `audit-s3 run` are made
from the same rows when they are asked for.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence

from collector.config.layers import ENVIRONMENT_PREFIX
from collector.config.providers import PROVIDERS
from collector.config.settings import SETTINGS, SPLUNK_KEYS, shown
from collector.config.stanzas import SCHEME
from collector.config.table import Setting

__all__ = ["FILES", "Flag", "flags", "scheme_arguments"]

#: Splunk knows these for every input by itself; a scheme must not name them.
_IMPLICIT = ("source", "sourcetype", "host", "index", "disabled", "interval")

_SCHEME_TYPES = {"whole number": "NUMBER", "number": "NUMBER", "true or false": "BOOLEAN"}
_SPEC_TYPES = {"whole number": "integer", "number": "number", "true or false": "boolean", "secret": "string"}

_VALIDATE_ONLINE = "validate_online"
_SPLUNK_HELP: Mapping[str, str] = {
    "disabled": "Whether the input is left out.",
    "interval": "After how many seconds splunkd starts an ended input again; no effect outside Splunk.",
    "python.version": "Which Python splunkd runs the input with; no effect outside Splunk.",
    "python.required": "Which Pythons the input runs on; no effect outside Splunk.",
    "start_by_shell": "Whether splunkd starts the input through a shell; no effect outside Splunk.",
    _VALIDATE_ONLINE: "Whether saving the input in Splunk Web tries role, queue, bucket and output first.",
}


class Flag(NamedTuple):
    """One flag of `audit-s3 run`; `name` is the setting's. Secrets have none: flags can be seen by all."""

    flag: str
    name: str
    metavar: str
    help: str
    choices: Sequence[str]
    everyday: bool


def flags() -> Iterator[Flag]:
    """A flag for every setting that is no secret, in the table's order."""
    for row in SETTINGS.values():
        if not row.secret:
            choices = row.choices if row.type == "choice" else ()
            help_text = f"{row.help} [default: {default_of(row)}]"
            yield Flag(
                f"--{row.name.replace('_', '-')}",
                row.name,
                _metavar(row),
                help_text,
                choices,
                row.kind == "everyday",
            )


def _metavar(row: Setting) -> str:
    """What is to be typed: words that are meant literally stand as they are, places in capitals."""
    if row.type == "choice":
        return "|".join(row.choices)
    if row.type == "list":
        return "LIST"
    return (row.unit or _spec_type(row)).upper()


def scheme_arguments() -> List[Dict[str, Any]]:
    """The modular input's arguments, each as the keyword arguments of splunklib's Argument.

    None is required: what is missing is told by our own validation, in sentences and all at once.
    """
    arguments = [
        _argument(row.name, f"{row.help} Default: {default_of(row)}.", _SCHEME_TYPES.get(row.type, "STRING"))
        for row in SETTINGS.values()
        if row.name not in _IMPLICIT
    ]
    return [*arguments, _argument(_VALIDATE_ONLINE, _SPLUNK_HELP[_VALIDATE_ONLINE], "BOOLEAN")]


#: Words that are not spelt as in a sentence.
_SPELT = {
    "arn": "ARN", "aws": "AWS", "ca": "CA", "cbc": "CBC", "dynamodb": "DynamoDB", "fips": "FIPS",
    "hec": "HEC", "http": "HTTP", "id": "ID", "kms": "KMS", "s3": "S3", "sns": "SNS", "sqs": "SQS",
    "sts": "STS", "tls": "TLS", "url": "URL",
}


def _title(name: str) -> str:
    words = " ".join(_SPELT.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]


def _argument(name: str, description: str, data_type: str) -> Dict[str, Any]:
    return {
        "name": name,
        "title": _title(name),
        "description": description,
        "data_type": data_type,
        "required_on_create": False,
        "required_on_edit": False,
    }


def default_of(row: Setting) -> str:
    """What holds when the setting is left out, in words, without a unit."""
    return row.default_text or shown(row.default) or "not set"


def spec() -> str:
    """README/inputs.conf.spec, in the form of Splunk's own."""
    lines = [
        "# Written by `python -m collector.hosts.documents` from collector/config/settings.py.",
        "# A setting in [audit_s3] holds for all inputs, one in [audit_s3://<name>] for that one.",
        "",
    ]
    for header in (f"[{SCHEME}]", f"[{SCHEME}://<name>]"):
        lines += [header, ""]
        lines += [line for row in SETTINGS.values() for line in _spec_of(row)]
        lines += [line for name in SPLUNK_KEYS for line in _spec_of_splunk(name)]
    return _text(lines)


def scheme_stanza() -> str:
    """default/inputs.conf: how splunkd runs the input, and nothing that the table already says.

    Splunk 10.2 and later go by python.required, all others by python.version; AppInspect wants both.
    Without start_by_shell = false a stop may end the shell and leave the input running.
    """
    return _text(
        [
            "# Written by `python -m collector.hosts.documents`. Set your own values in local/inputs.conf.",
            f"[{SCHEME}]",
            "python.version = python3",
            "python.required = 3.9, 3.13",
            "start_by_shell = false",
            "interval = 60",
        ]
    )


def sample() -> str:
    """packaging/audit-s3.conf.sample: the everyday settings and the ledger's place, one input filled in."""
    lines = [
        "# The configuration of audit-s3, for /etc/audit-s3/audit-s3.conf. Written by",
        "# `python -m collector.hosts.documents`; docs/reference/settings.md lists every setting.",
        "# Secrets are better kept apart: file:/path, env:NAME or credential:NAME (systemd).",
        "",
        f"[{SCHEME}://thrive]",
    ]
    for row in (*_of_kind("everyday"), SETTINGS["checkpoint_dir"]):
        lines += ["", f"# {row.help} Default: {default_of(row)}.", *_choices(row)]
        if row.name == "checkpoint_dir":
            lines.append("# With it status, coverage and backfill in a shell look where the service writes.")
        lines.append(f"{'' if row.name in _FILLED_IN else '# '}{row.name} = {example_of(row)}")
    return _text(lines)


#: The settings that the sample sets; the others stand there as comments.
_FILLED_IN = ("provider", "role_arn", "kms_key_arn", "queue_url", "bucket", "output", "hec_url", "hec_token",
              "checkpoint_dir")


def reference() -> str:
    """docs/reference/settings.md: every setting, by group, everyday first."""
    lines = [_REFERENCE_HEAD, "## Everyday settings", "", *_table(_of_kind("everyday"))]
    groups = dict.fromkeys(row.group for row in SETTINGS.values())
    for group in groups:
        rows = [row for row in _of_kind("tuning") if row.group == group]
        lines += ["", f"## {group}", "", *_table(rows)]
    lines += ["", "## Providers", "", "What a preset sets, and what the provider hands over.", ""]
    lines += ["| `provider` | for | sets | hands over | |", "|---|---|---|---|---|"]
    for preset in PROVIDERS.values():
        sets = ", ".join(f"`{name} = {value}`" for name, value in preset.settings.items()) or "nothing"
        handed = ", ".join(f"`{name}`" for name in preset.hands_over)
        lines.append(f"| `{preset.name}` | {preset.title} | {sets} | {handed} | {preset.note} |")
    lines += ["", "## Splunk's own keys", "", "Accepted, so that one file serves both worlds.", ""]
    lines += [f"- `{name}`: {_SPLUNK_HELP[name]}" for name in SPLUNK_KEYS]
    return _text(lines)


def page() -> str:
    """appserver/static/settings.json: what the set-up page of the Splunk app shows of every setting."""
    settings = [
        {
            "name": row.name,
            "title": _title(row.name),
            "help": " ".join(text for text in (row.help, limits_of(row)) if text).replace("`", ""),
            "kind": row.kind,
            "group": row.group,
            "type": row.type,
            "choices": list(row.choices),
            "secret": row.secret,
            "default": row.default_text or shown(row.default),
            "example": row.example,
        }
        for row in SETTINGS.values()
    ]
    providers = [
        {"name": preset.name, "title": preset.title, "hands_over": list(preset.hands_over)}
        for preset in PROVIDERS.values()
    ]
    return json.dumps({"settings": settings, "providers": providers}, indent=1) + "\n"


#: Path below the root -> its text.
FILES: Mapping[str, Callable[[], str]] = {
    "README/inputs.conf.spec": spec,
    "default/inputs.conf": scheme_stanza,
    "docs/reference/settings.md": reference,
    "packaging/audit-s3.conf.sample": sample,
    "appserver/static/settings.json": page,
}


def example_of(row: Setting) -> str:
    return row.example or shown(row.default)


def _of_kind(kind: str) -> List[Setting]:
    return [row for row in SETTINGS.values() if row.kind == kind]


def _spec_type(row: Setting) -> str:
    if row.type == "choice":
        return ", ".join(row.choices)
    return _SPEC_TYPES.get(row.type, "comma-separated list" if row.type == "list" else "string")


def _spec_of(row: Setting) -> List[str]:
    lines = [f"{row.name} = <{'|'.join(row.choices) if row.type == 'choice' else _spec_type(row)}>"]
    lines += [f"* {row.help}"]
    lines += [f"* One or more of: {', '.join(row.choices)}."] if row.choices and row.type == "list" else []
    lines += [f"* {limits_of(row)}"] if limits_of(row) else []
    lines += ["* The value, or file:<path>, env:<name>, credential:<name>."] if row.reference else []
    lines += [f"* Example: {row.example}"] if row.example else []
    return [*lines, f"* Default: {default_of(row)}", ""]


def _spec_of_splunk(name: str) -> List[str]:
    return [f"{name} = <string>", f"* {_SPLUNK_HELP[name]}", ""]


def limits_of(row: Setting) -> str:
    """ "In seconds, from 900 to 43200.", or "" for what has neither unit nor limits."""
    words = [f"in {row.unit}"] if row.unit else []
    words += [f"from {row.minimum:.15g}"] if row.minimum is not None else []
    words += [f"to {row.maximum:.15g}"] if row.maximum is not None else []
    text = " ".join(words).replace(f"in {row.unit} from", f"in {row.unit}, from")
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _choices(row: Setting) -> List[str]:
    return [f"# One of: {', '.join(row.choices)}."] if row.choices else []


def _table(rows: Sequence[Setting]) -> Iterator[str]:
    yield "| Setting | What it does | Type | Default |"
    yield "|---|---|---|---|"
    for row in rows:
        kind = ", ".join(f"`{choice}`" for choice in row.choices) or row.type
        example = f" Example: `{row.example}`." if row.example else ""
        limits = f" {limits_of(row)}" if limits_of(row) else ""
        shared = " Holds for all inputs." if row.scope == "process" else ""
        default = default_of(row) if row.default_text else f"`{default_of(row)}`"
        default = default if shown(row.default) or row.default_text else "not set"
        yield f"| `{row.name}` | {row.help}{limits}{shared}{example} | {kind} | {default} |"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


_REFERENCE_HEAD = f"""# Settings

Written by `python -m collector.hosts.documents` from `collector/config/settings.py`.

A setting is looked for in this order; the first place that has it wins:

1. a flag of the command: `--queue-url`, never for secrets;
2. the environment: `{ENVIRONMENT_PREFIX}QUEUE_URL`;
3. the file's `[{SCHEME}://NAME]`, one such stanza for each input;
4. the file's `[{SCHEME}]`, for all inputs;
5. the provider's preset;
6. the default.

The file is named by `--config` or `{ENVIRONMENT_PREFIX}CONFIG`. Without a file, one input named `default` is
made from the environment and the flags. `audit-s3 config` shows every value and where it came from.

The file has Splunk's conf grammar, so it moves unchanged to a Splunk app's `local/inputs.conf`: a repeated
stanza is merged, names keep their case, a backslash at the end of a line goes on with the next, `%` is plain,
`#` begins a comment only at the start of a line. Lists are parted by commas. An unknown name is an error,
and all errors are reported at once. `index = default` is the same as no index.

Secrets, and `aws_access_key_id`, may be given by reference: `file:/path`, `env:NAME`, or `credential:NAME`
for a systemd credential. A secret in plain text works, and is warned of.
"""
