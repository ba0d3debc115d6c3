"""What the Common Information Model asks of an event, for the four models that audits belong to.

`required`, the expected values, the conditions and the validity of object_category are those of
pytest-splunk-addon 7.0.5 (data_models/*.json, Apache-2.0). Its Databases model requires nothing, so there
what a search of it needs is asked for. A value that is empty or "-" is none, as in that package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Mapping, Sequence, Set

__all__ = ["MODELS", "Model", "models_of", "problems"]


@dataclass(frozen=True)
class Model:
    """`tags` must all be there. `expected` are the only values that a field may have."""

    tags: FrozenSet[str]
    required: Sequence[str]
    expected: Mapping[str, FrozenSet[str]] = field(default_factory=dict)


MODELS: Mapping[str, Model] = {
    "Authentication": Model(
        frozenset({"authentication"}), "action app dest src user".split(),
        {"action": frozenset({"success", "failure", "pending", "error"})},
    ),
    "Change": Model(
        frozenset({"change"}),
        "action change_type command dest dvc object object_attrs object_category object_id src status user "
        "vendor_product".split(),
        {"status": frozenset({"success", "failure"})},
    ),
    "Data_Access": Model(
        frozenset({"data", "access"}),
        "action app dest object object_attrs object_category object_id object_size src user user_name "
        "vendor_account vendor_product".split(),
    ),
    "Databases": Model(
        frozenset({"database", "query"}), "dest object query src user vendor_product".split()
    ),
}
_NO_VALUE = frozenset({"", "-"})


def models_of(tags: Sequence[str]) -> Set[str]:
    return {name for name, model in MODELS.items() if model.tags <= set(tags)}


def problems(fields: Mapping[str, Sequence[str]]) -> List[str]:
    """What the models of an event miss in it."""
    found: Dict[str, None] = {}
    for name in models_of(fields["tag"]):
        model = MODELS[name]
        for required in (*model.required, *_conditional(name, fields)):
            values = fields.get(required, [])
            if not values or _NO_VALUE.intersection(values):
                found[f"{name} needs {required}"] = None
            elif required in model.expected and not model.expected[required].issuperset(values):
                found[f"{name}: {required} is {values}"] = None
        if name == "Change" and ("account" in fields["tag"]) != (fields.get("object_category") == ["user"]):
            found["Change: users are changed in Account_Management, and only they"] = None
    if "account" in fields["tag"] and "change" not in fields["tag"]:
        found["account is a part of Change"] = None
    return list(found)


def _conditional(name: str, fields: Mapping[str, Sequence[str]]) -> List[str]:
    if name != "Change":
        return []
    needed = ["result"] if fields.get("status") == ["failure"] else []
    return needed + (["src_user"] if fields.get("object_category") == ["user"] else [])
