"""What a page of the documents shows, taken out of it and tried.

A fenced block says in its first line what it is:

    ```ini                 a stanza of the configuration
    ```sh                  commands, one a line, a backslash at its end going on: `audit-s3 ...` and `aws ...`
    ```json rights.json    a file that the commands name
    ```json body           an SQS body, and ...
    ```text event          ... the event that is made of it, one a line unless it has lines of its own
    ```spl                 a search

`Shell` runs the commands: the program as it is, with the page's values replaced by those of a played
provider; `aws` through boto3 and the AWS model, which refuses what the real command would refuse.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from botocore import xform_name

from collector.testing.local_aws import LocalAws
from tests.e2e.collector_process import environment

__all__ = ["CONFIG", "Shell", "blocks", "commands", "configured", "files", "stanzas"]

ROOT = Path(__file__).parents[2]

#: The configuration that pages speak of.
CONFIG = "/etc/audit-s3/audit-s3.conf"

_BLOCK = re.compile(r"^```(\S+)[ ]*([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: str, kind: str, *, name: str = "") -> List[str]:
    """The texts of all blocks of this kind and name."""
    return [text for found, named, text in _BLOCK.findall(page) if (found, named) == (kind, name)]


def files(page: str) -> Dict[str, str]:
    """The files that a page tells to write, by name."""
    return {name: text for _, name, text in _BLOCK.findall(page) if re.fullmatch(r"[\w-]+\.json", name)}


def stanzas(page: str) -> List[str]:
    return blocks(page, "ini")


def commands(page: str) -> Iterator[List[str]]:
    """Every command of a page, in words."""
    for text in blocks(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def configured(stanza: str, folder: Path, **ours: str) -> Path:
    """The stanza as a file in `folder`: values of `ours` in place of the page's, secrets made up."""
    head, *lines = stanza.strip().splitlines()
    shown = dict(_setting(line) for line in lines)
    for name, value in {**shown, **ours}.items():
        path = folder / (name if name in ours else value.rpartition("/")[2])
        if name in ("aws_secret_access_key", "hec_token"):
            path.touch(mode=0o600)
            path.write_text(ours.get(name, "11111111-2222-3333-4444-555555555555"))
            shown[name] = f"file:{path}"
        elif name in ours:
            shown[name] = value
    path = folder / "audit-s3.conf"
    path.write_text("\n".join([head, *(f"{name} = {value}" for name, value in shown.items())]) + "\n")
    return path


def _setting(line: str) -> Tuple[str, str]:
    name, equals, value = line.partition("=")
    assert equals, f"a stanza shows settings only, not {line!r}"
    return name.strip(), value.strip()


class Shell:
    """Runs a page's commands in `folder`, against `aws`, with `config` for the page's own configuration."""

    def __init__(self, aws: LocalAws, folder: Path, *, config: Path) -> None:
        self.aws, self.folder, self.config = aws, folder, config

    def run(self, words: List[str]) -> Any:
        """The output of a program, or the answer of AWS."""
        if words[0] == "aws":
            return self._aws(*words[1:])
        start = {"audit-s3": ["-m", "collector"], "python3": []}[words[0]]
        given = [str(self.config) if word == CONFIG else word for word in words[1:]]
        folder = ROOT if words[0] == "audit-s3" else self.folder
        done = subprocess.run([sys.executable, *start, *given], cwd=folder, env=environment(),
                              capture_output=True, timeout=120, check=False)
        said = f"{' '.join(words)}\n{done.stderr.decode()[-4000:]}{done.stdout.decode()[-2000:]}"
        assert done.returncode == 0, said
        return done.stdout

    def _aws(self, service: str, operation: str, *flags: str) -> Any:
        client = self.aws.client(service)
        name = operation.replace("-", "_")
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name]).input_shape
        known = {xform_name(member, "-"): (member, of) for member, of in shape.members.items()}
        asked: Dict[str, Any] = {}
        for flag, value in zip(flags[::2], flags[1::2]):
            if (service, flag) == ("lambda", "--zip-file"):  # the command's own word for it
                asked["Code"] = {"ZipFile": self._read(value)}
                continue
            member, of = known[flag.replace("--", "", 1)]
            asked[member] = self._value(value, of.type_name)
        return getattr(client, name)(**asked)

    def _value(self, value: str, kind: str) -> Any:
        if value.startswith("file://"):
            value = self._read(value).decode()
        if kind == "list" and not value.lstrip().startswith("["):
            return [value]
        if kind in ("structure", "map", "list"):
            return json.loads(value) if value.lstrip()[0] in "[{" else _shorthand(value)
        return int(value) if kind in ("integer", "long") else value

    def _read(self, value: str) -> bytes:
        return (self.folder / value.partition("://")[2]).read_bytes()


def _shorthand(value: str) -> Mapping[str, str]:
    """`Name=value,Name=value`."""
    return dict(part.split("=", 1) for part in value.split(","))
