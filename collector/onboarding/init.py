"""A configuration from what a provider hands over: asked for or given, judged by `load`, then written.

    for question in questions("thrive", given): ...       what is still to be asked, one after the other
    draft = Draft([Part("thrive", given)], secrets_dir)    the file's text, its secrets as file: references
    draft.judge(environ)                                   raises ConfigError before anything is written
    write(path, draft.text, mode=0o644, force=False)       whole or not at all

Everything that follows from other settings is left out of the file: `load` derives it each time. A secret
never stands in the configuration: it lies in a file of its own that only its owner may read, and the
service's group where root gives it that.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from collector.config.addresses import queue_address
from collector.config.derive import SERVICE_STATE
from collector.config.inputs import Input
from collector.config.layers import ENVIRONMENT_PREFIX
from collector.config.load import load
from collector.config.providers import PROVIDERS
from collector.config.secret import is_reference
from collector.config.settings import SETTINGS
from collector.config.stanzas import SCHEME
from collector.config.table import Invalid
from collector.config.values import parse
from collector.errors import Fatal

__all__ = [
    "SECRET_FILES", "SERVICE_GROUP", "Draft", "Part", "Question", "input_name", "questions", "service_state",
    "share", "write",
]

#: The file that a secret is put into, beside the configuration or in the directory that is named.
SECRET_FILES = {"aws_secret_access_key": "aws-secret", "hec_token": "hec-token"}

#: Where the units look for configurations, and the group of the user that they run as.
SERVICE_ETC, SERVICE_GROUP = Path("/etc/audit-s3"), "audit-s3"

_LEAVE_OUT = "empty: "


@dataclass(frozen=True)
class Question:
    """`without` says what comes of an empty answer; where it is "", one is needed."""

    name: str
    without: str = ""

    @property
    def secret(self) -> bool:
        return SETTINGS[self.name].secret

    @property
    def text(self) -> str:
        """The setting's own sentence, and what comes of no answer."""
        row = SETTINGS[self.name]
        return row.help.rstrip(".") + (f" ({_LEAVE_OUT}{self.without})" if self.without else "")

    def judge(self, answer: str) -> None:
        """Raises Invalid where the answer cannot be."""
        if not answer and not self.without:
            raise Invalid(f"{self.name} is needed", f"such as {SETTINGS[self.name].example}")
        if answer:
            parse(SETTINGS[self.name], answer)


def questions(provider: str, given: Mapping[str, str]) -> Iterator[Question]:
    """What the preset needs and `given` lacks. `given` may be filled between two of them."""
    handed = PROVIDERS[provider].hands_over
    for question in _all(handed, needs_bucket=provider != "custom"):
        if question.name not in given and _is_asked(question.name, given):
            yield question


def _all(handed: Sequence[str], *, needs_bucket: bool) -> Iterator[Question]:
    if "role_arn" in handed:
        yield Question("role_arn", "your own user may read")
    else:
        yield Question("role_arn", "no role is to be assumed")
    yield Question("external_id", "none was agreed on")
    yield Question("queue_url")
    yield Question("queue_region", "as AWS_REGION says")
    if "bucket" in handed:
        yield Question("bucket", "" if needs_bucket else "messages are the audits themselves")
        yield Question("kms_key_arn", "any key")
    yield Question("aws_access_key_id", "boto3's own chain finds the keys")
    yield Question("aws_secret_access_key", "it is put there later")
    yield Question("hec_url", "events go to stdout, or to splunkd in the app")
    yield Question("hec_token", "it is put there later")
    yield Question("index", "the token's own")


def _is_asked(name: str, given: Mapping[str, str]) -> bool:
    """Whether an earlier answer makes this one worth asking for."""
    if name == "queue_region":
        with contextlib.suppress(Invalid):  # a queue_url that cannot be is refused with all the rest
            return not given.get("region") and not queue_address(given.get("queue_url", "x")).region
        return False
    after = {"external_id": "role_arn", "kms_key_arn": "bucket", "aws_secret_access_key": "aws_access_key_id",
             "hec_token": "hec_url", "index": "hec_url"}
    return name not in after or bool(given.get(after[name]))


def input_name(provider: str, given: Mapping[str, str]) -> str:
    """A name for the input: the database's where the queue tells it, else the provider's."""
    with contextlib.suppress(Invalid):
        return PROVIDERS[provider].host_of(queue_address(given.get("queue_url", "")).name) or provider
    return provider


@dataclass(frozen=True)
class Part:
    """One input: its name, its settings as a file would hold them, and remarks to stand above them."""

    name: str
    settings: Mapping[str, str]
    remarks: Tuple[str, ...] = ()


class Draft:
    """A whole configuration, not yet written. Secrets in `parts` are taken out of them, into `secrets`."""

    def __init__(self, parts: Sequence[Part], secrets_dir: Path) -> None:
        #: Path -> value; "" is still to be put there.
        self.secrets: Dict[Path, str] = {}
        self.parts = [self._without_secrets(part, secrets_dir) for part in parts]

    @property
    def text(self) -> str:
        lines = ["# Written by `audit-s3 init`. Every setting: docs/reference/settings.md"]
        for part in self.parts:
            lines += ["", *(f"# {remark}" for remark in part.remarks), f"[{SCHEME}://{part.name}]"]
            ordered = sorted(part.settings, key=list(SETTINGS).index)
            lines += [f"{name} = {part.settings[name]}" for name in ordered]
        return "\n".join(lines) + "\n"

    def judge(self, path: str, environ: Mapping[str, str]) -> List[Input]:
        """The inputs as `load` will find them. Raises ConfigError with everything that is wrong.

        Secrets need not be there yet. What the environment sets above the file is not counted, as the
        service may run in another.
        """
        plain = {name: text for name, text in environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
        for name in SECRET_FILES:
            if any(name in part.settings for part in self.parts):
                plain[ENVIRONMENT_PREFIX + name.upper()] = "not-looked-at"
        return load(config_path=path, environ=plain, read=lambda _: self.text)

    def _without_secrets(self, part: Part, secrets_dir: Path) -> Part:
        settings = {name: text for name, text in part.settings.items() if text}
        needed = {"aws_secret_access_key": "aws_access_key_id", "hec_token": "hec_url"}
        for name, file in SECRET_FILES.items():
            value = settings.get(name, "")
            if needed[name] not in settings:
                settings.pop(name, "")  # it opens nothing here
                continue
            if is_reference(value):
                continue
            path = secrets_dir / file
            if self.secrets.get(path, value) != value:  # each input has its own
                path = secrets_dir / f"{file}-{part.name}"
            if not path.exists() or value:
                self.secrets[path] = value
            settings[name] = f"file:{path}"
        return Part(part.name, settings, part.remarks)


def service_state(path: Path) -> str:
    """The checkpoint_dir of the service whose configuration `path` is, as its unit has it; "" if of none."""
    if path.absolute().parent != SERVICE_ETC or path.suffix != ".conf":
        return ""
    return SERVICE_STATE if path.stem == "audit-s3" else f"{SERVICE_STATE}-{path.stem}"


def share(path: Path, group: str) -> bool:
    """Let `group` read a secret, and nobody else (0640); False where there is no such group."""
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        return False
    os.chmod(path, 0o640)
    return True


def write(path: Path, text: str, *, mode: int, force: bool) -> None:
    """Write a file whole, with this mode at most; Fatal "exists" where there is one, unless `force`."""
    if path.exists() and not force:
        hint = "--force overwrites it, --output names another"
        raise Fatal("there is such a file already", code="exists", where=str(path), hint=hint, scope="config")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # only we may read it
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(name, mode & ~mask)
        os.replace(name, path)
    except OSError as error:
        what = f"it cannot be written: {error.strerror or error}"
        raise Fatal(what, code="not_writable", where=str(path), scope="config") from error
