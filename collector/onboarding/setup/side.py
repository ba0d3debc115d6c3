"""One provider's template with the operator's values in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping

from collector.config.table import Invalid
from collector.config.values import nearest

__all__ = ["NAMES", "Side", "read", "side_of"]

_FOLDER = Path(__file__).parent

#: The providers that have a template.
NAMES = ("thrive", "cloudtrail", "privacera-pgaudit", "privacera-policysync", "immuta")

#: What no template has as a parameter, as a stack knows it by itself; and who we are, for Thrive.
_BESIDE = {"Account": r"[0-9]{12}", "Region": r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", "CallerArn": r"arn:.+"}


@dataclass(frozen=True)
class Side:
    """`given` are the operator's values by parameter; `values` those, the defaults, and `<Name>`."""

    provider: str
    template: Mapping[str, Any]
    given: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def missing(self) -> List[str]:
        """Parameters that need a value and have none."""
        parameters = self.template["Parameters"]
        return [name for name, row in parameters.items() if "Default" not in row]


def side_of(provider: str, given: Mapping[str, str]) -> Side:
    """The template of `provider` with `given` as defaults. Raises Invalid for a value that cannot be."""
    template: Dict[str, Any] = json.loads(read(f"{provider}.json"))
    if provider == "privacera-pgaudit":
        template["Resources"]["Function"]["Properties"]["Code"]["ZipFile"] = read("pgaudit_forwarder.txt")
    parameters = template["Parameters"]
    for name, value in given.items():
        _check(name, value, parameters)
        if name in parameters:
            parameters[name]["Default"] = value
    names = (*_BESIDE, *parameters)
    known = {name: str(row["Default"]) for name, row in parameters.items() if "Default" in row}
    values = {name: known.get(name, given.get(name, f"<{name}>")) for name in names}
    return Side(provider, template, dict(given), values)


def read(name: str) -> str:
    """A file of this package's."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def _check(name: str, value: str, parameters: Mapping[str, Mapping[str, Any]]) -> None:
    known = {each.lower(): each for each in (*parameters, *_BESIDE)}
    if name not in known.values():
        meant = known.get(nearest(name, known))
        hint = f"did you mean {meant}?" if meant else f"there is {', '.join(known.values())}"
        raise Invalid(f"there is no value {name}", hint)
    row = parameters.get(name, {"AllowedPattern": _BESIDE.get(name, "")})
    choices = row.get("AllowedValues", ())
    if choices and value not in choices:
        raise Invalid(f"{name}={value!r} cannot be", f"one of {', '.join(choices)}")
    pattern = row.get("AllowedPattern", "")
    if pattern and not re.fullmatch(pattern, value):
        raise Invalid(f"{name}={value!r} cannot be", row.get("Description", f"it has the form {pattern}"))
    if row.get("Type") == "Number" and not (value.isdigit() and int(value) >= row["MinValue"]):
        raise Invalid(f"{name}={value!r} cannot be", f"a whole number of {row['MinValue']} or more")
