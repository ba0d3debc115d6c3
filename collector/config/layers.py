"""Where values come from outside a file: the environment and flags, each value with its origin."""

from __future__ import annotations

import re
from typing import Iterable, Mapping, NamedTuple

from collector.config.problems import Problems
from collector.config.settings import SETTINGS, shown
from collector.config.values import nearest

__all__ = [
    "ENVIRONMENT_PREFIX",
    "Given",
    "Layer",
    "did_you_mean",
    "environment_layer",
    "flag_layer",
    "strange_variables",
]

ENVIRONMENT_PREFIX = "AUDIT_S3_"

#: Kubernetes sets these for a Service that is named audit-s3; they are nobody's settings.
_KUBERNETES = re.compile(r"(SERVICE_(HOST|PORT)|PORT)(_.*)?")


class Given(NamedTuple):
    """One value as somebody wrote it, and where."""

    text: str
    where: str


#: What one place says, by setting.
Layer = Mapping[str, Given]


def environment_layer(environ: Mapping[str, str], problems: Problems) -> Layer:
    """AUDIT_S3_<NAME> of known settings; a name that is nearly one is a mistake."""
    found = {}
    for variable, text in sorted(environ.items()):
        name = _setting_of(variable)
        if name in SETTINGS and text:
            found[name] = Given(text, f"environment {variable}")
        elif name and name not in SETTINGS and nearest(name, SETTINGS, cutoff=0.8):
            meant = f"{ENVIRONMENT_PREFIX}{nearest(name, SETTINGS).upper()}"
            problems.add(
                f"{variable} is not a setting", where=f"environment {variable}", hint=f"did you mean {meant}?"
            )
    return found


def strange_variables(environ: Mapping[str, str]) -> Iterable[str]:
    """Names that resemble no setting may be another program's: said, not refused."""
    for variable in sorted(environ):
        name = _setting_of(variable)
        if name and name not in SETTINGS and not nearest(name, SETTINGS, cutoff=0.8):
            yield f"environment {variable} is not a setting and has no effect"


def _setting_of(variable: str) -> str:
    """The setting that an environment variable would be, or "" where it is none of ours."""
    rest = variable[len(ENVIRONMENT_PREFIX):] if variable.startswith(ENVIRONMENT_PREFIX) else ""
    return "" if rest == "CONFIG" or _KUBERNETES.fullmatch(rest) else rest.lower()


def flag_layer(flags: Mapping[str, object], problems: Problems) -> Layer:
    found = {}
    for name, value in flags.items():
        if value is None:
            continue
        where = f"flag --{name.replace('_', '-')}"
        if name not in SETTINGS:
            problems.add(f"{name} is not a setting", where=where, hint=did_you_mean(name))
        elif SETTINGS[name].secret:
            problems.add(
                f"{name} is a secret, and flags can be seen by every user of this machine",
                where=where,
                hint=f"{name} = file:/path in the file, or {ENVIRONMENT_PREFIX}{name.upper()}",
            )
        else:
            found[name] = Given(value if isinstance(value, str) else shown(value), where)
    return found


def did_you_mean(name: str) -> str:
    meant = nearest(name, SETTINGS)
    return f"did you mean {meant}?" if meant else "docs/reference/settings.md lists them all"
