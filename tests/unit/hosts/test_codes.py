"""The table of codes holds what the program raises, and nothing else. The sources are read to know."""

from __future__ import annotations

import ast
import logging
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest
from click.testing import CliRunner

import collector
from collector import logs
from collector.aws.fates import Answer, Call, gone
from collector.decode.damage import corrupt, truncated
from collector.errors import Fatal
from collector.hosts.cli.explain import command
from collector.hosts.codes import AREAS, FATES, codes_of
from collector.onboarding.checks import CHECKS, TROUBLES
from collector.onboarding.checks.codes import OBJECT
from collector.onboarding.checks.findings import Notes
from collector.retention.moves import MOVES

ROOT = Path(collector.__file__).parents[1]
FATE_OF_CLASS = {name: name.lower() for name in ("Retry", "Poison", "Refused", "Fatal", "Notice")}
#: The settler's own ends of objects, which are words of the ledger and no errors.
ENDS = {"exhausted", "forbidden", "expired"}
#: Made of a sink's or a container's name.
MADE = {f"{sink}_{what}" for sink in ("stdout", "splunkd") for what in ("closed", "write_failed")}
MADE |= {"hec_connection_lost"}
MADE |= {f"{damage}_{kind}" for damage in ("truncated", "corrupt")
         for kind in ("gzip", "bzip2", "xz", "zstd", "tar", "zip", "parquet", "avro")}


def sources() -> Iterator[Path]:
    package = ROOT / "collector"
    for path in sorted(package.rglob("*.py")):
        if path.parent.name != "testing" and "onboarding/checks" not in str(path) and path.name != "codes.py":
            yield path


def raised() -> Dict[str, Set[str]]:
    """code -> the classes of error that are made with it, where both are written out."""
    found: Dict[str, Set[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                for code, name in _made(node):
                    found.setdefault(code, set()).add(name)
    return found


def _made(call: ast.Call) -> Iterator[Tuple[str, str]]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "Meaning" and len(call.args) > 1:  # a row of HEC's answers: fate, code, meaning, step
        fate = getattr(call.args[0], "id", "").title()
        if isinstance(call.args[1], ast.Constant):
            yield call.args[1].value, fate
    for word in call.keywords:
        if word.arg == "code" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str):
            yield word.value.value, name


def table() -> List[str]:
    return [one.code for area in AREAS for one in area.codes]


def test_no_code_stands_twice() -> None:
    assert [code for code, count in Counter(table()).items() if count > 1] == []


def test_every_code_that_the_program_makes_is_in_the_table() -> None:
    made = raised()
    assert len(made) > 120
    assert sorted(set(made) - set(table())) == []


def test_the_table_has_no_code_that_the_program_never_says() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    unsaid = [code for code in table() if f'"{code}"' not in text]
    assert sorted(set(unsaid) - MADE - ENDS) == []


def test_the_fate_in_the_table_is_the_one_of_the_error() -> None:
    made = raised()
    wrong = [
        (one.code, one.fate, made[one.code])
        for area in AREAS
        for one in area.codes
        if one.code in made and made[one.code] & set(FATE_OF_CLASS)
        and one.fate not in {FATE_OF_CLASS[name] for name in made[one.code] & set(FATE_OF_CLASS)}
    ]
    assert wrong == []


def test_what_somebody_must_do_is_said() -> None:
    silent = [one.code for area in AREAS for one in area.codes if one.fate == "fatal" and not one.step]
    assert silent == []
    assert {one.fate for area in AREAS for one in area.codes} <= set(FATES)


def test_codes_of_check_are_explained_too() -> None:
    for code in (*(check.code for check in CHECKS), *TROUBLES):
        assert codes_of(code), code


def test_the_hint_of_an_object_that_is_gone_or_damaged_is_the_step_of_its_code() -> None:
    get = Call("s3:GetObject", "s3://b/k", "arn:aws:s3:::b/*", scope="object")
    for error in (gone(Answer("NoSuchKey", ""), get), truncated("gzip", "x"), corrupt("zip", "x")):
        (known,) = [one for one in codes_of(error.code) if one.fate == "poison"]
        assert known.step.casefold() == error.hint.casefold()


@pytest.mark.parametrize("code", sorted({*MOVES, *(one.code for area in AREAS for one in area.codes)}))
@pytest.mark.parametrize("hint", ["look there", "Provider: attach it"])
def test_the_log_says_whose_move_a_code_is_as_check_and_explain_do(code: str, hint: str) -> None:
    error = Fatal("x", code=code, hint=hint)
    record = logging.LogRecord("collector", logging.ERROR, "", 0, "%s", (error,), None)
    notes = Notes("thrive", lambda text: "")
    notes.refused(OBJECT, error)
    (found,) = notes.findings
    assert logs.move(record) == f" move={found.owner}"
    assert {one.owner for one in codes_of(code) if one.owner} <= {found.owner}


def test_the_codes_of_a_network_that_is_down_are_the_networks_move() -> None:
    for code in ("hec_unreachable", "hec_timeout", "dns_failed", "connection_failed", "proxy_refused"):
        assert MOVES[code] == "network"
    assert "\n  whose move: network\n" in CliRunner().invoke(command, ["hec_unreachable"]).output


def test_every_code_with_a_move_is_one_that_the_program_says() -> None:
    assert sorted(set(MOVES) - set(table()) - set(TROUBLES)) == []
