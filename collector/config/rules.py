"""The rules of a `routes` setting: what an operator, or a provider's preset, may say of some keys.

    */CloudTrail/* sourcetype=aws:cloudtrail index=aws; *.log decoder=lines; *-Digest/* drop

What they come to for an object is said in routes.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

from collector.config.table import Invalid
from collector.model import CONTAINERS

__all__ = ["Rule", "parse_rules"]

_GIVES = ("sourcetype", "index", "decoder")
_FORM = "GLOB sourcetype=NAME index=NAME decoder=NAME; GLOB drop"


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
