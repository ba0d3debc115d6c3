"""Every body in tests/golden/notifications means what its expected.json says.

A case is a folder with body.txt and expected.json. Folders that begin with "audits_" are read as an
input whose bodies are audits. content.txt is what a pointer points to; without it nothing may be fetched.
To add a case, write its files.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict

import pytest

from collector.errors import Poison
from collector.notifications import parse

CASES = sorted(path.parent for path in Path(__file__).parent.glob("notifications/*/body.txt"))


def outcome(case: Path) -> Dict[str, Any]:
    """What `parse` makes of a case, as expected.json spells it: without what is not said."""
    body = (case / "body.txt").read_bytes().decode("utf-8")
    content = case / "content.txt"
    fetch = (lambda ref: content.read_bytes().decode("utf-8")) if content.exists() else None
    try:
        found = parse(body, bodies_are_audits=case.name.startswith("audits_"), fetch=fetch)
    except Poison as error:
        return {"poison": error.code}
    said: Dict[str, Any] = {"shape": found.shape}
    if found.refs:
        said["refs"] = [{k: v for k, v in asdict(ref).items() if v is not None and v is not False}
                        for ref in found.refs]
    if found.payloads:
        said["payloads"] = [dict(asdict(each), body=each.body.decode("utf-8")) for each in found.payloads]
    if found.noop:
        said["noop"] = found.noop
    if found.problems:
        said["problems"] = [error.code for error in found.problems]
    return said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_body_means_what_is_written_beside_it(case: Path) -> None:
    assert outcome(case) == json.loads((case / "expected.json").read_text("utf-8"))


def test_there_are_cases() -> None:
    assert len(CASES) >= 60
