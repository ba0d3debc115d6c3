"""Options that several verbs share: the configuration file, one input of it, and a flag for each setting."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, TypeVar

import click

from collector.config import Input, load
from collector.config.generate import flags
from collector.logs import install

__all__ = ["configured", "load_inputs", "secrets_of", "setting_flags"]

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


def setting_flags(command: F) -> F:
    """A flag for every setting that is no secret; only the everyday ones show in --help."""
    for flag in reversed(list(flags())):
        option = click.option(
            flag.flag, flag.name, metavar=flag.metavar, help=flag.help, hidden=not flag.everyday, default=None
        )
        command = option(command)
    return command


def load_inputs(config_path: str, input_name: str, given: Dict[str, Any]) -> List[Input]:
    """The inputs to work on; logging is set up by their settings, and their warnings are logged.

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
        for warning in found.warnings:
            logging.getLogger("collector").warning("%s input=%s", warning, found.name)
    return inputs


def secrets_of(inputs: Sequence[Input]) -> List[str]:
    """Whatever must never be shown."""
    return [
        secret.reveal()
        for found in inputs
        for secret in (
            found.settings.hec_token, found.settings.aws_secret_access_key, found.settings.aws_session_token
        )
    ]  # fmt: skip
