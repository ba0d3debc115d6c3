"""One input as the rest of the program sees it: settings that are valid, complete, and know their sources."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Iterable, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from collector.config.addresses import QueueAddress
from collector.config.providers import PROVIDERS, Provider
from collector.config.routes import Route, route_for
from collector.config.rules import parse_rules
from collector.config.secret import Secret
from collector.config.settings import Settings
from collector.model import DIGEST, Format

__all__ = ["Input", "secrets_of"]

_PRESETS = {provider.name: parse_rules(provider.routes) for provider in PROVIDERS.values()}


@dataclass(frozen=True)
class Input:
    """One `[audit_s3://name]`.

    `sources` says, for every setting, where its value came from: "flag --queue-url", "environment
    AUDIT_S3_QUEUE_URL", "a.conf:12 [audit_s3://x]", "provider preset thrive", "from queue_url" (derived),
    or "default". `warnings` are sentences for the log, one line each.
    """

    name: str
    settings: Settings
    sources: Mapping[str, str]
    #: None for an input that only lists.
    queue: Optional[QueueAddress] = None
    warnings: Tuple[str, ...] = ()
    #: By setting, what it refers to where its value is kept elsewhere: "file:/etc/audit-s3/hec-token".
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> Provider:
        return PROVIDERS[self.settings.provider]

    @property
    def format(self) -> Format:
        """How this input's payloads are to be read, and its objects where no route says otherwise."""
        return dataclasses.replace(self.provider.format, max_event_bytes=self.settings.max_event_bytes)

    def format_of(self, route: Route) -> Format:
        """How the object that took this route is to be read."""
        form = self.format
        return dataclasses.replace(form, container=route.decoder) if route.decoder else form

    def says_the_same_as(self, other: Input) -> bool:
        """Whether both are one input, whatever the files hold that both refer to."""
        mine, theirs = ({**vars(one.settings), **one.references} for one in (self, other))
        return (self.name, self.queue, mine) == (other.name, other.queue, theirs)

    @property
    def bodies(self) -> bool:
        """Whether a message's body may itself be audits: by the provider, or because there is no bucket."""
        return self.provider.bodies or not self.settings.bucket

    @property
    def verifies_digests(self) -> bool:
        """Whether CloudTrail's digests are verified, which takes the hash of every object."""
        digest = self.route(f"{self.settings.prefix}AWSLogs/0/CloudTrail-Digest/us-east-1/0.json.gz")
        return digest.decoder == DIGEST or any(rule.decoder == DIGEST for rule in self.settings.routes)

    def route(self, key: str) -> Route:
        """What becomes of the object `key`."""
        provider = self.provider
        return route_for(self.settings, key, markers=provider.all_markers, presets=_PRESETS[provider.name])


def secrets_of(inputs: Iterable[Input]) -> List[str]:
    """Whatever must never be shown, a proxy's password in either spelling included.

    An external id is no secret to AWS, but it is what keeps others from being let in as us. One that is a
    number is an account's, which every ARN has.
    """
    return [secret for one in inputs for secret in _secrets(one.settings) if secret]


def _secrets(settings: Settings) -> Iterator[str]:
    yield from (value.reveal() for value in vars(settings).values() if isinstance(value, Secret))
    if not settings.external_id.isdigit():
        yield settings.external_id
    password = urlsplit(settings.proxy_url).password or ""
    yield from (password, unquote(password))
