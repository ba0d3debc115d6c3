"""What one row of the settings table says, and how a dataclass field carries it.

`setting(...)` makes a field of `Settings`; `Setting` is the row read back, with the type taken from the
field's annotation, so that mypy and the parser believe the same thing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Tuple

__all__ = ["Invalid", "Setting", "Shape", "rows", "setting"]


class Invalid(ValueError):
    """A value that cannot stand: what is wrong with it, and what to write instead."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


#: Takes one value's text, gives its normal form, or raises Invalid. On a list it takes each element.
Shape = Callable[[str], str]

#: Annotation -> the word that the documents use for it.
_TYPES: Mapping[str, str] = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Secret": "secret",
    "Tuple[str, ...]": "list",
    "Tuple[Rule, ...]": "rules",
}


@dataclass(frozen=True)
class Setting:
    """One row. `kind` is "everyday" or "tuning"; `scope` is "input", or "process" for what all inputs share.

    `default` is what an unset setting holds; `default_text` says in words what comes of that. `minimum`
    and `maximum` are inclusive, in `unit`. `reference` allows file:, env: and credential: values, which
    every secret allows.
    """

    name: str
    type: str
    default: Any
    kind: str
    group: str
    help: str
    default_text: str = ""
    unit: str = ""
    example: str = ""
    choices: Tuple[str, ...] = ()
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    shape: Optional[Shape] = None
    scope: str = "input"
    secret: bool = False
    reference: bool = False


def setting(kind: str, group: str, help: str, *, default: Any = "", **extra: Any) -> Any:
    """A dataclass field with its row; `extra` are the other fields of Setting."""
    return dataclasses.field(default=default, metadata={"kind": kind, "group": group, "help": help, **extra})


def rows(table: type) -> Mapping[str, Setting]:
    """The rows of a dataclass made of `setting(...)` fields, by name, in their order."""
    return {field.name: _row(field) for field in dataclasses.fields(table)}


def _row(field: dataclasses.Field[Any]) -> Setting:
    secret = field.type == "Secret"
    kind = "choice" if field.metadata.get("choices") and field.type == "str" else _TYPES[str(field.type)]
    extra = {"reference": secret, **field.metadata}
    return Setting(name=field.name, type=kind, default=field.default, secret=secret, **extra)
