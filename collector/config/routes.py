"""Where an object's events go, by its key: pure functions over an input's settings.

    include = AWSLogs/*
    exclude = *.tmp, *.manifest
    routes  = */CloudTrail/* sourcetype=aws:cloudtrail index=aws; *-Digest/* drop       (rules.py)

Globs match the whole key, upper and lower case apart, and `*` crosses slashes. The first rule that
matches wins; what no rule matches has the input's own sourcetype and index. A dropped object is
`filtered`, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Iterable, Sequence

from collector.config.rules import Rule
from collector.config.settings import Settings

__all__ = ["Route", "is_marker", "route_for"]


@dataclass(frozen=True)
class Route:
    """What one object's events get, or why it is dropped.

    An empty `sourcetype` or `index` leaves it to the output, an empty `decoder` to the provider's preset.
    `rule` is the glob that matched, for who wants to know why; it makes no other route.
    """

    sourcetype: str = ""
    index: str = ""
    decoder: str = ""
    drop: bool = False
    reason: str = ""
    rule: str = field(default="", compare=False)


def route_for(
    settings: Settings, key: str, *, markers: Iterable[str] = (), presets: Sequence[Rule] = ()
) -> Route:
    """What becomes of the object `key`.

    `markers` are patterns of files that are no audits; `presets` are the provider's own rules, which come
    after the operator's.
    """
    if not key.startswith(settings.prefix):
        return Route(drop=True, reason="outside prefix")
    if settings.include and not _matches_any(key, settings.include):
        return Route(drop=True, reason="not included")
    if _matches_any(key, settings.exclude):
        return Route(drop=True, reason="excluded")
    if is_marker(key, markers):
        return Route(drop=True, reason="marker")
    for rule in (*settings.routes, *presets):
        if fnmatchcase(key, rule.glob):
            return _follow(rule, settings)
    return Route(settings.sourcetype, settings.index)


def is_marker(key: str, markers: Iterable[str]) -> bool:
    """Whether the key matches one of the patterns; a pattern without a slash matches the last part alone."""
    name = key.rsplit("/", 1)[-1]
    return any(fnmatchcase(key if "/" in marker else name, marker) for marker in markers)


def _follow(rule: Rule, settings: Settings) -> Route:
    if rule.drop:
        return Route(drop=True, reason=f"route {rule.glob}")
    sourcetype, index = rule.sourcetype or settings.sourcetype, rule.index or settings.index
    return Route(sourcetype, index, rule.decoder, rule=rule.glob)


def _matches_any(key: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(key, glob) for glob in globs)
