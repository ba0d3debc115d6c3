"""Settings that follow from others: filled in once, each noting what it follows from."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Tuple

from collector.config.addresses import QueueAddress, arn_account, arn_region, queue_address
from collector.config.providers import PROVIDERS
from collector.config.settings import Settings

__all__ = ["REGION_VARIABLES", "SERVICE_STATE", "complete"]

#: What AWS's own tools set the region by, the first that is set.
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

#: Gives (value, what it follows from) for a setting that is not set; ("", "") where nothing is known.
_Rule = Callable[[Settings, Mapping[str, str]], Tuple[Any, str]]


def complete(
    settings: Settings, sources: Mapping[str, str], *, environ: Mapping[str, str], under_splunkd: bool
) -> Tuple[Settings, Mapping[str, str], Optional[QueueAddress]]:
    """The settings with everything filled in that is known without AWS, their sources, and the queue."""
    noted: Dict[str, str] = dict(sources)
    settings = _fill(settings, noted, _OF_THE_QUEUE, environ=environ)
    queue = queue_of(settings)
    settings = _fill(settings, noted, _OF_THE_REST, environ=environ)
    # "none" has done its work of stopping a derivation: from here on it is plainly not set.
    changes: Dict[str, Any] = {name: "" for name in _NONE if getattr(settings, name) == "none"}
    if queue:
        changes["queue_url"] = queue.url or queue.name
    if not settings.output:
        changes["output"] = _output(settings, under_splunkd)
        noted["output"] = "from hec_url" if changes["output"] == ("hec",) else "default"
    return dataclasses.replace(settings, **changes), noted, queue


def queue_of(settings: Settings) -> Optional[QueueAddress]:
    """The queue that the settings name, with what other settings say of its region and account."""
    if not settings.queue_url:
        return None
    return queue_address(
        settings.queue_url,
        region=settings.queue_region or settings.region,
        # With a role of "none" the queue is the customer's own, in an account that only AWS knows.
        account=settings.account or arn_account(settings.queue_role_arn),
        endpoint_url=settings.endpoint_for("sqs"),
    )


def _fill(
    settings: Settings,
    noted: Dict[str, str],
    rules: Iterable[Tuple[str, _Rule]],
    *,
    environ: Mapping[str, str],
) -> Settings:
    for name, rule in rules:
        value, origin = ("", "") if getattr(settings, name) else rule(settings, environ)
        if value:
            change: Dict[str, Any] = {name: value}
            settings = dataclasses.replace(settings, **change)
            noted[name] = origin
    return settings


def _output(settings: Settings, under_splunkd: bool) -> Tuple[str, ...]:
    if under_splunkd:
        return ("splunkd",)
    return ("hec",) if settings.hec_url else ("stdout",)


def _queue_role(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    return settings.role_arn, "from role_arn"


def _queue_endpoint(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    queue = queue_of(settings)
    private = queue.endpoint_url if queue and not settings.endpoint_url else ""
    return private, "from queue_url"


def _queue_region(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    queue = queue_of(settings)
    origin = "from region" if queue and queue.region == settings.region else "from queue_url"
    return (queue.region if queue else ""), origin


def _region(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    if settings.queue_region:
        return settings.queue_region, "from queue_region"
    for name in REGION_VARIABLES:
        if environ.get(name):
            return environ[name], f"environment {name}"
    return "", ""


def _bucket_region(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    # SSE-KMS wants the key in the bucket's own region, so a key's ARN tells it.
    regions = {arn_region(key) for key in settings.kms_key_arn}
    if len(regions) == 1:
        return regions.pop(), "from kms_key_arn"
    return settings.region, "from region"


def _account(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    return arn_account(settings.role_arn), "from role_arn"


def _owner(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    return settings.account, "from account"


def _host(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    queue = queue_of(settings)
    return (PROVIDERS[settings.provider].host_of(queue.name) if queue else ""), "from queue_url"


def _checkpoint_region(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    return settings.region, "from region"


#: Where systemd's units keep their checkpoints: STATE_DIRECTORY is this, or this and the instance's name.
SERVICE_STATE = "/var/lib/audit-s3"


def _checkpoint_dir(settings: Settings, environ: Mapping[str, str]) -> Tuple[str, str]:
    if environ.get("STATE_DIRECTORY"):  # systemd's StateDirectory=; several are joined by colons
        return environ["STATE_DIRECTORY"].split(":")[0], "environment STATE_DIRECTORY"
    state = environ.get("XDG_STATE_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    return os.path.join(state, "audit-s3"), "default"


#: In the order in which they build on each other.
_OF_THE_QUEUE: Tuple[Tuple[str, _Rule], ...] = (
    ("queue_role_arn", _queue_role),
    ("sqs_endpoint_url", _queue_endpoint),
    ("queue_region", _queue_region),
)
_OF_THE_REST: Tuple[Tuple[str, _Rule], ...] = (
    ("region", _region),
    ("bucket_region", _bucket_region),
    ("host", _host),
    ("account", _account),
    ("expected_bucket_owner", _owner),
    ("checkpoint_region", _checkpoint_region),
    ("checkpoint_dir", _checkpoint_dir),
)
#: Where the word "none" switches a derivation off.
_NONE = ("queue_role_arn", "expected_bucket_owner")
