"""The configuration file: its enabled inputs, each over the defaults of [audit_s3], misspellings told."""

from __future__ import annotations

import re
from typing import Iterator, List, Mapping, NamedTuple

from collector.config import conf as grammar
from collector.config.layers import ENVIRONMENT_PREFIX, Given, Layer, did_you_mean
from collector.config.okera import NO_BUCKET, is_okera, okera_layer
from collector.config.problems import Problems
from collector.config.secret import ReadText
from collector.config.settings import SETTINGS, SPLUNK_KEYS
from collector.config.table import Invalid, Setting
from collector.config.values import nearest, parse

__all__ = ["SCHEME", "Stanza", "check_keys", "check_name", "stanzas_of"]

SCHEME = "audit_s3"

_INPUT_NAME = re.compile(r"\w[\w.-]{0,63}", re.ASCII)
_DISABLED = Setting("disabled", "true or false", False, kind="tuning", group="", help="")


class Stanza(NamedTuple):
    """One input as the file has it: its name, where it is, and its own layer over the defaults'.

    `needs` are settings that the file leaves to flags or environment, each with what to do about it.
    """

    name: str
    where: str
    layer: Layer
    needs: Mapping[str, str] = {}


def stanzas_of(path: str, read: ReadText, *, problems: Problems, warnings: List[str]) -> List[Stanza]:
    """The enabled inputs of the file, each over [audit_s3]; without any, one that is named "default"."""
    if not path:
        return [Stanza("default", "environment and flags", {})]
    text = _text_of(path, read, problems)
    if is_okera(text):
        return [Stanza("default", path, okera_layer(text, path, problems), {"bucket": NO_BUCKET})]
    found = grammar.parse(text)
    for line in found.malformed:
        problems.add(line.what, where=f"{path}:{line.line}", hint=line.hint, code="config_malformed")
    warnings.extend(_replaced(found, path))
    defaults = _file_layer(found, SCHEME, path, problems)
    stanzas = []
    for header, number in found.lines.items():
        where = f"{path}:{number} [{header}]"
        scheme, _, name = header.partition("://")
        if header == SCHEME:
            continue
        if scheme != SCHEME:
            _foreign(header, where, problems, warnings)
            continue
        check_name(name, where, problems)
        stanzas.append(Stanza(name, where, {**defaults, **_file_layer(found, header, path, problems)}))
    if not stanzas and (found.malformed or set(found.lines) - {SCHEME}):
        problems.raise_any()  # what stands beneath a broken header would be missed in the defaults
    if not stanzas:
        where = f"{path}:{found.lines[SCHEME]} [{SCHEME}]" if SCHEME in found.lines else path
        return [Stanza("default", where, defaults)]
    enabled = [stanza for stanza in stanzas if not _disabled(stanza, problems)]
    if not enabled:
        problems.add("every input is disabled", where=path, hint="set disabled = false in one of them")
    return enabled


def _text_of(path: str, read: ReadText, problems: Problems) -> str:
    """The file's text. What cannot be read ends the judging: everything else would be a follow-up error."""
    try:
        return read(path)
    except OSError as error:
        what = f"the configuration file cannot be read: {error.strerror or error}"
        hint = f"name a readable file with --config or {ENVIRONMENT_PREFIX}CONFIG"
        code = "config_denied" if isinstance(error, PermissionError) else "config_missing"
    except UnicodeDecodeError as error:
        what, hint = f"the configuration file is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        code = "config_malformed"
    problems.add(what, where=path, hint=hint, code=code)
    problems.raise_any()
    return ""


def _file_layer(found: grammar.Conf, header: str, path: str, problems: Problems) -> Layer:
    layer = {
        name: Given(value.text, f"{path}:{value.line} [{header}]")
        for name, value in found.stanzas.get(header, {}).items()
    }
    check_keys(layer, problems)
    return layer


def _replaced(found: grammar.Conf, path: str) -> Iterator[str]:
    """Stanzas merge, as Splunk's do; but two providers under one name would be one, without a word."""
    for one in found.replaced:
        if one.stanza.partition("://")[0] != SCHEME:
            continue
        why = "the stanza is repeated: if they are two inputs, give each a name of its own"
        why = why if one.by_header else "keep one of the two lines"
        where = f"{path}:{one.line} [{one.stanza}]"
        yield f"{where}: {one.key} replaces another value, of line {one.earlier_line}; {why}"


def check_keys(layer: Layer, problems: Problems) -> None:
    for name, given in layer.items():
        if name not in SETTINGS and name not in SPLUNK_KEYS:
            problems.add(f"{name} is not a setting", where=given.where, hint=did_you_mean(name))


def check_name(name: str, where: str, problems: Problems) -> None:
    if not _INPUT_NAME.fullmatch(name):
        problems.add(
            f"{name!r} cannot be an input's name" if name else "the input has no name",
            where=where,
            hint=f"[{SCHEME}://NAME] with up to 64 letters, digits, _ . and -",
        )


def _foreign(header: str, where: str, problems: Problems, warnings: List[str]) -> None:
    """A stanza that is not ours: another Splunk input's is let be, a misspelt or nested one is an error."""
    scheme, separator, name = header.partition("://")
    if separator and not nearest(scheme, [SCHEME]):
        warnings.append(f"{where} is not an {SCHEME} input and is left alone")
    elif separator or nearest(header.partition(":")[0], [SCHEME]):
        name = name or header.partition(":")[2].strip(":/")
        meant = f"[{SCHEME}://{name}]" if name else f"[{SCHEME}]"
        problems.add(f"[{header}] is not a stanza of {SCHEME}", where=where, hint=f"did you mean {meant}?")
    else:
        problems.add(
            f"[{header}] is not a stanza of {SCHEME}",
            where=where,
            hint=f"[{SCHEME}] for all inputs, or [{SCHEME}://NAME]",
        )


def _disabled(stanza: Stanza, problems: Problems) -> bool:
    given = stanza.layer.get("disabled", Given("false", ""))
    try:
        return bool(parse(_DISABLED, given.text))
    except Invalid as invalid:
        problems.add(f"disabled = {given.text!r}: {invalid.what}", where=given.where, hint=invalid.hint)
        return False
