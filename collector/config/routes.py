"""Where an object's events go, by its key: pure functions over an input's settings.

    include = AWSLogs/*
    exclude = *.tmp, *.manifest
    routes  = */CloudTrail/* sourcetype=aws:cloudtrail index=aws; *.log decoder=lines; *-Digest/* drop

Globs match the whole key, upper and lower case apart, and `*` crosses slashes. The first rule that
matches wins; what no rule matches has the input's own sourcetype and index. A dropped object is
`filtered`, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Iterable, Sequence, Tuple

from collector.config.table import Invalid
from collector.model import CONTAINERS

if TYPE_CHECKING:
    from collector.config.settings import Settings

__all__ = ["Route", "Rule", "is_marker", "parse_rules", "route_for"]

_GIVES = ("sourcetype", "index", "decoder")
_FORM = "GLOB sourcetype=NAME index=NAME decoder=NAME; GLOB drop"


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


@dataclass(frozen=True)
class Rule:
    """One rule of `routes`. An empty sourcetype or index stands for the input's own."""

    glob: str
    sourcetype: str = ""
    index: str = ""
    decoder: str = ""
    drop: bool = False

    def __str__(self) -> str:
        words = [self.glob]
        words += [f"sourcetype={self.sourcetype}"] if self.sourcetype else []
        words += [f"index={self.index}"] if self.index else []
        words += [f"decoder={self.decoder}"] if self.decoder else []
        words += ["drop"] if self.drop else []
        return " ".join(words if len(words) > 1 else [*words, "index=default"])


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


def parse_rules(text: str) -> Tuple[Rule, ...]:
    """The rules of a `routes` setting, in order; raises Invalid naming the rule that cannot be read."""
    return tuple(_rule(part.split()) for part in text.split(";") if part.strip())


def _rule(words: Sequence[str]) -> Rule:
    glob, actions = words[0], words[1:]
    given = dict(word.partition("=")[::2] for word in actions if "=" in word)
    strange = [word for word in actions if "=" not in word and word != "drop"]
    strange += [name for name, value in given.items() if name not in _GIVES or not value]
    if strange:
        raise Invalid(f"the rule for {glob} holds {strange[0]!r}", _FORM)
    if not actions:
        raise Invalid(f"the rule for {glob} says nothing to do", _FORM)
    decoder = given.get("decoder", "")
    if decoder and decoder not in CONTAINERS:
        raise Invalid(f"the rule for {glob} names the decoder {decoder!r}", " ".join(CONTAINERS))
    if "drop" in actions and given:
        raise Invalid(f"the rule for {glob} both drops and routes", _FORM)
    index = given.get("index", "")
    return Rule(
        glob, given.get("sourcetype", ""), "" if index == "default" else index, decoder, "drop" in actions
    )


def _follow(rule: Rule, settings: Settings) -> Route:
    if rule.drop:
        return Route(drop=True, reason=f"route {rule.glob}")
    sourcetype, index = rule.sourcetype or settings.sourcetype, rule.index or settings.index
    return Route(sourcetype, index, rule.decoder, rule=rule.glob)


def _matches_any(key: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(key, glob) for glob in globs)
