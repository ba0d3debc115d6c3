"""What an error's code means, read where the program raises it: a list of its own would fall behind.

    for saying in sayings_of("foreign_bucket"):
        saying.fate, saying.what, saying.hint

The source lies beside this file wherever the program runs. Parts of a sentence that are known only when it
is said are shown as "...".
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

__all__ = ["FATES", "Saying", "sayings_of"]

_PACKAGE = Path(__file__).parents[1]
_UNKNOWN = "..."

FATES: Mapping[str, str] = {
    "Retry": "tried again, as later may be better",
    "Poison": "the same input will always fail: it ends in quarantine, or as gone, and the rest goes on",
    "Refused": "an output refused it for its content: the event goes to quarantine, its neighbours are sent",
    "Fatal": "somebody has to act: nothing is quarantined and nothing is deleted for it",
    "Notice": "said once when it begins and once when it ends, and shown meanwhile; collecting goes on",
    "Check": "`audit-s3 check` tries it",
    "Trouble": "`audit-s3 check` finds it, and says whose move it is",
}
#: What no single place says: how objects end that failed for too long, and a configuration with mistakes.
_OTHERS = {
    "exhausted": ("Poison", "it failed ten times over at least an hour", "find what its log lines name"),
    "forbidden": ("Poison", "it was denied for a day while others were read", "ask for the right to it"),
    "expired": ("Poison", "it was deleted after its retention, and never read", "run without pauses"),
    "config_invalid": ("Fatal", "the configuration cannot be used", "each of its lines says what to write"),
}
#: What collects the mistakes of a configuration.
_FATAL = "add"
_Scope = Dict[str, List[ast.expr]]


@dataclass(frozen=True)
class Saying:
    """One place that says a code. `fate` is one of FATES or "", `what` and `hint` are as far as known."""

    fate: str
    what: str
    hint: str


def sayings_of(code: str) -> List[Saying]:
    """Everything that the program may mean by `code`; empty if it says no such thing."""
    found = {Saying(*_OTHERS[code]): None} if code in _OTHERS else {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        if path.parent.name != "testing":
            found.update(dict.fromkeys(_in_source(path, code)))
    return list(found)


def _in_source(path: Path, code: str) -> Iterator[Saying]:
    text = path.read_text(encoding="utf-8")
    if code in text or 'code=f"' in text:
        yield from (saying for said, scope, saying in _raised_in(text) if _says(said, code, scope))


@cache
def _raised_in(text: str) -> Sequence[Tuple[ast.expr, _Scope, Saying]]:
    """Every error that a module makes: its code as written, what is known there, and what it says."""
    module = ast.parse(text)
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    fates = {function.name: _fate_in(function) for function in functions}
    shared = {**_assigned(module.body), **{function.name: _returned(function) for function in functions}}
    made = ((call, scope, _said(call)) for scope, call in _calls(module, functions, shared))
    return [
        (found[0], scope, Saying(_fate(call, fates), _text(found[1], scope), _text(found[2], scope)))
        for call, scope, found in made
        if found is not None
    ]


def _calls(
    module: ast.Module, functions: List[ast.FunctionDef], shared: _Scope
) -> Iterator[Tuple[_Scope, ast.Call]]:
    """Every call once, with the names that are known there."""
    inside = set()
    for function in functions:
        scope = {**shared, **_assigned(ast.walk(function))}
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and id(node) not in inside:
                inside.add(id(node))
                yield scope, node
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and id(node) not in inside:
            yield shared, node


def _assigned(nodes: Iterable[ast.AST]) -> _Scope:
    """Everything that each name is ever set to."""
    found: _Scope = {}
    for node in (one for one in nodes if isinstance(one, ast.Assign)):
        for name, value in _pairs(node.targets[0], node.value):
            if isinstance(name, ast.Name):
                found.setdefault(name.id, []).append(value)
    return found


def _pairs(target: ast.expr, value: ast.expr) -> List[Tuple[ast.expr, ast.expr]]:
    """`a = x`, or `a, b = x, y`."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def _returned(function: ast.FunctionDef) -> List[ast.expr]:
    returns = (node.value for node in ast.walk(function) if isinstance(node, ast.Return))
    return [value for value in returns if value is not None]


def _said(call: ast.Call) -> Optional[Tuple[ast.expr, Optional[ast.expr], Optional[ast.expr]]]:
    """(code, what, hint) of a call that makes an error, or a row of HEC's table of answers."""
    if _name(call) == "Meaning" and len(call.args) > 3:
        return call.args[1], call.args[2], call.args[3]
    given = {word.arg: word.value for word in call.keywords}
    if "code" not in given:
        return None
    return given["code"], call.args[0] if call.args else None, given.get("hint")


def _fate(call: ast.Call, fates: Mapping[str, str]) -> str:
    name = _name(call)
    if name == "Meaning":
        name = call.args[0].id.title() if isinstance(call.args[0], ast.Name) else ""
    if name == _FATAL:
        return "Fatal"
    return name if name in FATES else fates.get(name, "")


def _fate_in(function: ast.FunctionDef) -> str:
    """The fate of the error that a function makes for others."""
    names = (_name(node) for node in ast.walk(function) if isinstance(node, ast.Call))
    return next((name for name in names if name in FATES), "")


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _says(said: ast.expr, code: str, scope: _Scope) -> bool:
    """Whether this may become the code: it is written so, is one of what a name is set to, or fits a form."""
    if isinstance(said, ast.Name):
        return code in _constants(said, scope)
    text = _text(said, {})
    form = re.escape(text).replace(re.escape(_UNKNOWN), "[a-z0-9_]+")
    return text not in ("", _UNKNOWN) and re.fullmatch(form, code) is not None


def _constants(value: ast.expr, scope: _Scope, *, deep: int = 0) -> Iterator[object]:
    """Every constant that a value may be made of."""
    for part in ast.walk(value):
        if isinstance(part, ast.Constant):
            yield part.value
        elif isinstance(part, ast.Name) and deep < 3:
            for one in scope.get(part.id, ()):
                yield from _constants(one, scope, deep=deep + 1)


def _text(value: Optional[ast.expr], scope: _Scope, *, deep: int = 0) -> str:
    """What is known of a text before the program runs."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.JoinedStr):
        parts = (_text(part, scope) if isinstance(part, ast.Constant) else _UNKNOWN for part in value.values)
        return "".join(parts)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left, scope, deep=deep) + _text(value.right, scope, deep=deep)
    if isinstance(value, ast.IfExp):
        return f"{_text(value.body, scope, deep=deep)} / {_text(value.orelse, scope, deep=deep)}"
    named = value.func if isinstance(value, ast.Call) else value
    if isinstance(named, ast.Name) and deep < 5:
        texts = dict.fromkeys(_text(one, scope, deep=deep + 1) for one in scope.get(named.id, ()))
        return " / ".join(text for text in texts if text.strip(_UNKNOWN)) or _UNKNOWN
    return "" if value is None else _UNKNOWN
