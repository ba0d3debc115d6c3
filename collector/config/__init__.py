"""Configuration: one table of settings, one conf grammar, presets as data; nothing here knows AWS or Splunk.

    for found in load(config_path="audit-s3.conf"):
        found.name, found.settings.queue_url, found.queue, found.route("AWSLogs/..."), found.sources

`load` and `from_stanza` raise ConfigError with everything that is wrong.
"""

from __future__ import annotations

from collector.config.addresses import QueueAddress
from collector.config.inputs import Input, secrets_of
from collector.config.load import from_stanza, load
from collector.config.problems import ConfigError, Problem
from collector.config.providers import PROVIDERS, Provider
from collector.config.routes import Route
from collector.config.secret import Secret
from collector.config.settings import SETTINGS, Settings, shown
from collector.config.table import Setting
from collector.config.values import start_time

__all__ = [
    "PROVIDERS", "SETTINGS", "ConfigError", "Input", "Problem", "Provider", "QueueAddress", "Route", "Secret",
    "Setting", "Settings", "from_stanza", "load", "secrets_of", "shown", "start_time",
]
