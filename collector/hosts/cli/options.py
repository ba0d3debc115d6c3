"""Options that several verbs share: the configuration file, one input of it, and a flag for each setting."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Collection, Dict, List, Optional, TypeVar

import click

from collector.config import Input, load, secrets_of, start_time
from collector.config.generate import flags
from collector.logs import install

__all__ = ["configured", "load_inputs", "moment", "refuse_empty_span", "setting_flags"]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0}

F = TypeVar("F", bound=Callable[..., Any])


def configured(command: F) -> F:
    """--config and --input."""
    for option in (
        click.option("--input", "input_name", metavar="NAME", help="Only this input of the file."),
        click.option(
            "--config", "-c", "config_path", metavar="FILE", help="The configuration: a file, or s3://BUCKET/KEY."
        ),
    ):
        command = option(command)
    return command


def setting_flags(command: F, *, without: Collection[str] = ()) -> F:
    """A flag for every setting that is no secret; only the everyday ones show in --help."""
    for flag in reversed([each for each in flags() if each.name not in without]):
        option = click.option(
            flag.flag, flag.name, metavar=flag.metavar, help=flag.help, hidden=not flag.everyday, default=None
        )
        command = option(command)
    return command


def load_inputs(
    config_path: str, input_name: str, given: Dict[str, Any], *, warn: bool = True
) -> List[Input]:
    """The inputs to work on; logging is set up by their settings, and their warnings are logged if `warn`.

    The file may lie in S3 (s3://bucket/key). Raises ConfigError with everything that is wrong.
    """
    import logging

    from collector.hosts.config_object import reader

    inputs = load(
        config_path=config_path or None, flags=given, only=input_name or None, read=reader(given)
    )
    first = inputs[0].settings
    install(level=first.log_level, form=first.log_format, secrets=secrets_of(inputs))
    for found in inputs:
        for warning in found.warnings if warn else ():
            logging.getLogger("collector").warning("%s input=%s", warning, found.name)
    return inputs


def moment(text: str) -> float:
    """An ISO time, or how long ago (30d, 12h, 90m), as epoch seconds."""
    ago = re.fullmatch(r"(\d{1,6})([dhm])", text)
    if ago:
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        return start_time(text, now=time.time(), retention_days=0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 2026-05-04T00:00:00Z, 30d or 12h") from None


def refuse_empty_span(since: Optional[float], until: Optional[float]) -> None:
    """Refuses a span that holds no moment: nothing is missing in it, and that would look like an answer."""
    if since is None or (time.time() if until is None else until) > since:
        return
    raise click.UsageError("--since lies in the future" if until is None else "--until is not after --since")
