"""`audit-s3 explain FILE|CODE`: how a message body is understood, or what an error's code means.

    sns: an SNS envelope (raw message delivery is off); what it wraps is read on
      not verified: ...
    s3: S3 event records, whose keys are form-encoded and decoded once
    object s3://audit-logs/AWSLogs/a.json.gz
      would be read: sourcetype=aws:cloudtrail index=aws, by route */CloudTrail/*

Nothing is asked of AWS: the configuration, where one is named, says what is ours and where it goes.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import click

from collector.aws.sns import SnsVerifier
from collector.aws.sns_certificates import no_fetch
from collector.config import Input
from collector.config.layers import ENVIRONMENT_PREFIX
from collector.config.providers import PROVIDERS
from collector.config.settings import Settings
from collector.config.values import nearest
from collector.decode.pgaudit import event_line, ignoring
from collector.errors import CollectorError, Poison
from collector.hosts.cli.options import configured, load_inputs, setting_flags
from collector.hosts.codes import FATES, Code, all_codes, codes_of
from collector.model import Notification, ObjectRef, Payload
from collector.notifications import parse
from collector.notifications.shapes import SHAPES, layers
from collector.runtime.adapters import SystemClock, checkpoint_path
from collector.wording import iso, plain

__all__ = ["command"]

_GLIMPSE_CHARACTERS = 100
#: For a provider who has nothing but a queue: which one it is does not matter to what a body means.
_SOME_QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/explained"
#: A hint's advice to somebody whose body has been received.
_LOOK = re.compile(
    r"(look at|see) it with `audit-s3 quarantine show`(; |, and )?| that `audit-s3 quarantine show` shows"
)


@click.command("explain")
@click.argument("what", metavar="FILE|CODE")
@configured
@click.option("--bodies", is_flag=True, help="As for a provider whose messages are the audits themselves.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@setting_flags
def command(
    what: str, config_path: str, input_name: str, bodies: bool, form: str, **given: Any
) -> None:
    """Say how the message body in FILE (- for stdin) is understood, and what would be done with it.

    With a configuration it also says what is filtered and where events go. Exits 1 if the body or a part
    of it would go to quarantine. An error's or a quarantine's CODE is explained by the sentences that go
    with it.
    """
    if what != "-" and not os.path.exists(what):
        _explain_code(what, form)
        return
    try:
        with click.open_file(what, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise click.UsageError(f"{what} cannot be read: {error.strerror}") from error
    explained = _explain(text, _input(config_path, input_name, given), bodies=bodies)
    if form == "json":
        print(json.dumps(vars(explained), indent=2))
    else:
        for line in explained.lines():
            print(plain(line))
    sys.exit(1 if explained.quarantined else 0)


@dataclass
class Explained:
    """`quarantined` are the reasons, by code, for which a copy of the body would be kept."""

    shape: str = ""
    noop: str = ""
    senders: List[str] = field(default_factory=list)
    objects: List[Dict[str, Any]] = field(default_factory=list)
    audits: List[Dict[str, Any]] = field(default_factory=list)
    quarantined: List[Dict[str, str]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        for name in layers(self.shape) if self.shape else ():
            yield f"{name}: {SHAPES[name]}"
        for said in self.senders:
            yield f"sender {said}"
        if self.noop:
            yield f"nothing to do: {self.noop}"
        for found in self.objects:
            details = " ".join(f"{k}={_spelt(k, v)}" for k, v in found.items() if k not in ("url", "done"))
            yield f"object {found['url']}" + (f" ({details})" if details else "")
            yield f"  {found['done']}"
        for found in self.audits:
            yield f"audit {found['id']}: {found['begins']}"
            if "pgaudit" in found:
                yield f"  {_said_by(found['pgaudit'])}"
            yield f"  {found['done']}"
        for problem in self.quarantined:
            yield f"would be quarantined as {problem['code']}: {problem['why']}"
            if problem["hint"]:
                yield f"  {problem['hint']}"


def _spelt(name: str, value: Any) -> str:
    """Times as people write them."""
    is_time = name == "event_time"
    return iso(value) if is_time else str(value)


def _said_by(line: Mapping[str, Any]) -> str:
    """A line of PostgreSQL's log, taken apart."""
    audit = line["audit"] or {}
    names = ("host", "user", "database", "level")
    more = ("class_", "command", "object_type", "object_name", "statement", "parameter", "rows")
    told = [(name, line[name]) for name in names] + [(name.strip("_"), audit.get(name)) for name in more]
    return "pgaudit " + " ".join(f"{name}={value!r}" for name, value in told if value not in ("", None))


def _input(config_path: str, input_name: str, given: Mapping[str, Any]) -> Optional[Input]:
    """The input to judge by; None where nothing says which."""
    is_told = config_path or os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG") or any(given.values())
    if not is_told:
        return None
    preset = PROVIDERS.get(given.get("provider") or "")
    if preset is not None and preset.bodies and not (given.get("queue_url") or given.get("bucket")):
        given = {**given, "queue_url": _SOME_QUEUE}
    inputs = load_inputs(config_path, input_name, dict(given))
    if len(inputs) > 1:
        names = ", ".join(found.name for found in inputs)
        raise click.UsageError(f"whose message is it? --input NAME, of {names}")
    return inputs[0]


def _explain(text: str, found: Optional[Input], *, bodies: bool) -> Explained:
    said = Explained()
    bodies = bodies or (found is not None and found.bodies)
    try:
        meaning = parse(text, bodies_are_audits=bodies, verify=partial(_verify, said, found))
    except Poison as error:
        said.quarantined.append(_problem(error))
        return said
    said.shape, said.noop = meaning.shape, meaning.noop
    for ref in meaning.refs:
        said.objects.append(_object(said, ref, found, is_pointer=_is_pointer(meaning)))
    said.audits = [_audit(payload, found) for payload in meaning.payloads]
    said.quarantined += [_problem(error) for error in meaning.problems]
    return said


def _problem(error: CollectorError) -> Dict[str, str]:
    """What `run` would say; but this body is in no quarantine, so there is nothing to look at there."""
    return {"code": error.code, "why": error.what, "hint": _LOOK.sub("", error.hint)}


# -- codes


def _explain_code(code: str, form: str) -> None:
    found = codes_of(code)
    if not found:
        meant = nearest(code, all_codes())
        also = f"; did you mean {meant}?" if meant else ", of which docs/operations.md has all"
        raise click.UsageError(f"there is no file and no code {code!r}{also}")
    if form == "json":
        print(json.dumps([{**asdict(one), "said_by": _said_in(one)} for one in found], indent=2))
        return
    for one in found:
        by = _said_in(one)
        print(f"{code}{f', said by `audit-s3 {by}`' if len(found) > 1 else ''}: {one.meaning}")
        print(f"  {FATES[one.fate]}")
        if one.step:
            print(f"  to do: {one.step}")
        if one.owner:
            print(f"  whose move: {one.owner}")


def _said_in(code: Code) -> str:
    return "check" if code.fate in ("check", "found") else "run"


# -- who sent it


def _verify(said: Explained, found: Optional[Input], envelope: Mapping[str, Any]) -> None:
    """What can be told of an envelope without the network; raises where `enforce` would."""
    settings = found.settings if found else Settings()
    if settings.sns_signature == "off":
        said.senders.append(f"{envelope.get('TopicArn')}: nobody checks it (sns_signature = off)")
        return
    folder = checkpoint_path(found).parent / "sns-certificates" if found else None
    verifier = SnsVerifier(
        "enforce", fetch=no_fetch, clock=SystemClock(), folder=folder, topics=settings.sns_topic_arn
    )
    try:
        verifier.check(envelope)
    except Poison as error:
        if settings.sns_signature == "enforce":
            raise
        said.senders.append(f"{envelope.get('TopicArn')}: delivered with a warning, {error}")
    except CollectorError:
        url = envelope.get("SigningCertURL", envelope.get("SigningCertUrl"))
        said.senders.append(
            f"{envelope.get('TopicArn')}: not verified here, as that needs {url}; `run` does "
            f"(sns_signature = {settings.sns_signature})"
        )
    else:
        said.senders.append(f"{envelope.get('TopicArn')}: verified, SNS signed it")


# -- what would be done


def _is_pointer(meaning: Notification) -> bool:
    return layers(meaning.shape)[-1] == "extended_client"


def _object(
    said: Explained, ref: ObjectRef, found: Optional[Input], *, is_pointer: bool
) -> Dict[str, Any]:
    known = {name: value for name, value in vars(ref).items() if value not in (None, False)}
    for name in ("bucket", "key"):
        del known[name]
    done, problem = _fate(ref, found, is_pointer=is_pointer)
    if problem is not None:
        said.quarantined.append(problem)
    return {"url": ref.url, **known, "done": done}


def _fate(
    ref: ObjectRef, found: Optional[Input], *, is_pointer: bool
) -> Tuple[str, Optional[Dict[str, str]]]:
    """What would become of an object, and why its message would be kept in quarantine."""
    if found is None:
        return "would be read, if the input allows its bucket and key (name one with --config)", None
    if ref.bucket not in found.settings.bucket:
        why = f"{ref.bucket} is not a bucket of input {found.name}"
        hint = "if the provider moved, add the bucket to the bucket setting"
        return "would not be fetched", {"code": "foreign_bucket", "why": why, "hint": hint}
    if is_pointer:
        return "would be fetched and read as a body; save it and explain that", None
    route = found.route(ref.key)
    if route.drop:
        return f"would be filtered: {route.reason}", None
    if ref.restored:
        return "would be read if it is in quarantine as archived, else left alone", None
    labels = _labels(sourcetype=route.sourcetype, index=route.index, decoder=route.decoder or "auto")
    by = f"by route {route.rule}" if route.rule else "as no route matches"
    return f"would be read: {labels}, {by}", None


def _audit(payload: Payload, found: Optional[Input]) -> Dict[str, Any]:
    begins = payload.body.decode("utf-8", "replace")[:_GLIMPSE_CHARACTERS]
    done = "would be delivered" + (" as one event" if payload.whole else ", cut into events like an object")
    if found is not None:
        why = _ignored(payload, found.settings)
        done += f": {_labels(sourcetype=found.settings.sourcetype, index=found.settings.index)}"
        done = f"would be filtered: {why}" if why else done
    said = {"id": payload.producer_id, "time": payload.time, "begins": begins, "done": done}
    line = event_line(payload.body) if payload.whole else None
    return {**said, "pgaudit": asdict(line)} if line else said


def _ignored(payload: Payload, settings: Settings) -> str:
    ignores = ignoring(databases=settings.ignore_databases, users=settings.ignore_users)
    return ignores(payload.body) if ignores and payload.whole else ""


def _labels(**labels: str) -> str:
    return " ".join(f"{name}={value or '(the output decides)'}" for name, value in labels.items())
