"""`audit-s3 init`: writes a configuration from what was handed over, or from inputs of Splunk's add-on."""

from __future__ import annotations

import os
import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

import click

from collector.config import PROVIDERS, ConfigError, Input
from collector.config import conf as grammar
from collector.config.layers import ENVIRONMENT_PREFIX
from collector.config.secret import read_text
from collector.config.table import Invalid
from collector.hosts.cli.options import setting_flags
from collector.onboarding.from_splunk import Carried, carry
from collector.onboarding.init import (
    SECRET_FILES,
    SERVICE_GROUP,
    Draft,
    Part,
    Question,
    input_name,
    questions,
    service_state,
    share,
    write,
)
from collector.wording import iso

__all__ = ["command"]

#: The setting `output` follows from hec_url, and --output is a file here.
_flags = partial(setting_flags, without=("output",))


@click.command("init")
@click.option("--from-splunk", "inputs_conf", metavar="FILE", help="inputs.conf of Splunk's add-on.")
@click.option("--bucket-of", "pairs", multiple=True, metavar="STANZA=BUCKET",
              help="With --from-splunk: the bucket of one stanza; the add-on does not name it.")
@click.option("--name", metavar="NAME", help="The input's name.  [default: the provider's]")
@click.option("--output", "path", metavar="FILE", default="audit-s3.conf", show_default=True,
              help="Where the configuration goes; - is stdout.")
@click.option("--secrets", "secrets_dir", metavar="DIR", help="Where secrets go.  [default: beside it]")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@_flags
def command(
    inputs_conf: Optional[str], pairs: Sequence[str], name: Optional[str], path: str,
    secrets_dir: Optional[str], force: bool, **given: Optional[str],
) -> None:
    """Write a configuration from what the provider handed over.

    On a terminal it asks for what no flag gives. Secrets are asked for without showing them, or taken from
    the environment (AUDIT_S3_HEC_TOKEN), and go into files of their own that only you may read (as root, the
    group audit-s3 too).
    """
    target = Path(path)
    folder = Path(secrets_dir) if secrets_dir else Path() if path == "-" else target.parent
    if target.exists() and not force:
        raise click.UsageError(f"{path} is there already; --force overwrites it, --output names another")
    known = {setting: text for setting, text in given.items() if text is not None}
    if path != "-" and service_state(target):  # the operator's shell is to look where the service writes
        known.setdefault("checkpoint_dir", service_state(target))
    parts = _from_splunk(inputs_conf, pairs, known) if inputs_conf else [_asked(known, name)]
    draft = Draft(parts, folder.absolute())
    inputs = _judged(draft, path)
    if path == "-":
        print(draft.text, end="")
    else:
        _write_secrets(draft, force=force)
        write(target, draft.text, mode=0o644, force=force)
        print(f"Wrote {path}.", file=sys.stderr)
    for line in _next(inputs, draft, path):
        print(line, file=sys.stderr)


# -- from what was handed over


def _asked(given: Dict[str, str], name: Optional[str]) -> Part:
    provider = given.get("provider") or _provider()
    if provider not in PROVIDERS:
        raise click.UsageError(f"there is no provider {provider!r}; there is {', '.join(PROVIDERS)}")
    known = {**given, **_environment_secrets(), "provider": provider}
    needed = []
    for question in questions(provider, known):
        if sys.stdin.isatty():
            known[question.name] = _answer(question)
        elif not question.without:
            needed.append(question)
    if needed:
        lacking = ", ".join(f"--{question.name.replace('_', '-')}" for question in needed)
        raise click.UsageError(f"there is no terminal to ask on: give {lacking}")
    return Part(name or input_name(provider, known), known)


def _provider() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"whose audits are these? --provider, one of {', '.join(PROVIDERS)}")
    choice: str = click.prompt("Whose audits are these", type=click.Choice(list(PROVIDERS)), err=True)
    return choice


def _answer(question: Question) -> str:
    while True:
        answer: str = click.prompt(
            question.text, default="", show_default=False, hide_input=question.secret, err=True
        )
        try:
            question.judge(answer.strip())
            return answer.strip()
        except Invalid as wrong:
            click.echo(f"  {wrong.what}: {wrong.hint}", err=True)


def _environment_secrets() -> Dict[str, str]:
    names = {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in SECRET_FILES}
    return {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}


# -- from the add-on


def _from_splunk(inputs_conf: str, pairs: Sequence[str], given: Mapping[str, str]) -> List[Part]:
    try:
        text = read_text(inputs_conf)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{inputs_conf} cannot be read: {error}") from error
    buckets = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(buckets) != len(pairs):
        raise click.UsageError("--bucket-of wants STANZA=BUCKET, once for each stanza")
    now = iso(time.time())
    found = carry(text, given={**given, **_environment_secrets()}, buckets=buckets,
                  roles=_roles(Path(inputs_conf)), cut_over=given.get("start_from", now))
    for note in found.notes:
        print(note, file=sys.stderr)
    _demand(found, inputs_conf)
    return found.parts


def _demand(found: Carried, inputs_conf: str) -> None:
    if not found.parts:
        raise click.UsageError(f"there is no enabled [aws_sqs_based_s3://NAME] in {inputs_conf}")
    if found.unknown:
        wanted = " ".join("--bucket-of " + shlex.quote(f"{name}=BUCKET") for name in found.unknown)
        what = "which buckets do the messages name? The add-on reads any, ours only those that are named"
        raise click.UsageError(f"{what}: {wanted}")


def _roles(inputs_conf: Path) -> Dict[str, str]:
    """The ARNs of the add-on's IAM roles by name, from the file beside that it keeps them in."""
    found = {}
    for path in sorted(inputs_conf.absolute().parent.glob("*iam_role*.conf")):
        for name, stanza in grammar.parse(read_text(str(path))).stanzas.items():
            if "arn" in stanza:
                found[name] = stanza["arn"].text
    return found


# -- judged and written


def _judged(draft: Draft, path: str) -> List[Input]:
    """What `load` makes of it. It is not written if it cannot be used."""
    try:
        return draft.judge(path, os.environ)
    except ConfigError as error:
        print(draft.text, file=sys.stderr)
        raise error


def _write_secrets(draft: Draft, *, force: bool) -> None:
    for path, value in draft.secrets.items():
        if value:  # another's secret is not overwritten unasked
            write(path, value + "\n", mode=0o600, force=force)
            shared = _is_root() and share(path, SERVICE_GROUP)
            readers = f"root and the group {SERVICE_GROUP}" if shared else "only you"
            print(f"Wrote {path}, which {readers} may read.", file=sys.stderr)
            if _is_root() and not shared:
                print(f"Once systemd-sysusers made the service's user: {_sharing(path)}", file=sys.stderr)


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


def _sharing(secret: Path) -> str:
    name = shlex.quote(str(secret))
    return f"chgrp {SERVICE_GROUP} {name} && chmod 640 {name}"


def _next(inputs: Sequence[Input], draft: Draft, path: str) -> Iterator[str]:
    """What to do now, in order."""
    for secret, value in draft.secrets.items():
        if not value or path == "-":
            how = f"then, for the service: {_sharing(secret)}" if _is_root() else "and chmod 600 it."
            yield f"First put the secret into {secret}, {how}"
    if path == "-":
        return
    peek = " --peek" if any(not found.settings.bucket for found in inputs) else ""
    yield "Next:"
    yield f"  audit-s3 check --config {path}"
    yield f"  audit-s3 run --dry-run{peek} --config {path}"
