"""Takes out of a report what its readers need not see: `run --dry-run --mask`.

What stands under a name such as password, token or accessKeyId is masked whole; in all other text the shapes
of AWS keys, bearer tokens, JWTs, private keys, passwords in URLs, e-mail and IP addresses are. It works by
shapes: what a provider calls by a name of its own stays, so look through a report before you send it.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Callable, Iterable, Match, Pattern, Tuple

from collector.config.secret import MASK, longest_first, mask_userinfo, starred

__all__ = ["Clean", "cleaner", "mask_line", "walk"]

#: Masks one text.
Clean = Callable[[str], str]

_NAMES = (
    r"pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|authorization|credential|cookie"
    r"|signature"
)
_NAMED = re.compile(_NAMES, re.IGNORECASE)
#: The end of a secret's name in running text, and its value: key=value, "key": "value", also within a JSON
#: string. Every repetition is bounded or begins where the one before ended: events are anybody's text.
_PAIR = re.compile(
    rf"((?:{_NAMES})[\w.-]{{0,40}}\\*[\"']?\s{{0,8}}[=:]\s{{0,8}}\\*)"
    r"(\"[^\"\\]*|'[^'\\]*|[^\s,;&\"'}\\]+)",
    re.IGNORECASE,
)
_SHAPES: Tuple[Pattern[str], ...] = (
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}KEY-----|\Z)", re.S),
    re.compile(r"(?<![\w-])eyJ[\w-]{8,4000}\.[\w-]{1,8000}\.[\w-]*"),
    re.compile(r"\b(?:A3T|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}\b"),
    re.compile(r"(?<=[Bb]earer )[\w.~+/=-]+"),
    re.compile(r"(?<=[Bb]asic )[A-Za-z0-9+/]{8,}={0,2}"),
    re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
)
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:])"
)


def cleaner(secrets: Iterable[str], *, mask: bool) -> Clean:
    """Masks `secrets` wherever they are; with `mask` also what looks like one."""
    hidden = longest_first(secrets)

    def clean(text: str) -> str:
        text = starred(text, hidden)
        return _masked(text) if mask else text

    return clean


def walk(value: Any, clean: Clean, *, names: bool) -> Any:
    """A JSON value with every text in it cleaned; with `names` whole where its name says what it is."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [walk(one, clean, names=names) for one in value]
    if isinstance(value, dict):
        return {
            clean(name): MASK if names and _NAMED.search(name) and one not in (None, "", [], {})
            else walk(one, clean, names=names)
            for name, one in value.items()
        }
    return value


def mask_line(line: bytes, clean: Clean) -> bytes:
    """One event as an output would write it, masked; JSON stays JSON."""
    text = line.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return clean(text).encode("utf-8", "replace")
    return json.dumps(walk(found, clean, names=True), ensure_ascii=False).encode("utf-8", "replace")


def _masked(text: str) -> str:
    for shape in _SHAPES:
        text = shape.sub(MASK, text)
    text = mask_userinfo(_PAIR.sub(_after_name, text))
    return _ADDRESS.sub(lambda found: MASK if _is_address(found.group()) else found.group(), text)


def _after_name(found: Match[str]) -> str:
    quote = found.group(2)[0] if found.group(2)[0] in "\"'" else ""
    return f"{found.group(1)}{quote}{MASK}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
