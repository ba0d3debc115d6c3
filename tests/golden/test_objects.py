"""Every object in tests/golden/objects gives the events its expected.json says, however it arrives.

A case is a folder with `object` (the stored bytes) and expected.json: the events as [body, time,
is_json, note], and the code of the Poison that ends it, if one does. Each is read whole and in small
pieces, with and without accelerators.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from collector.decode import decode
from collector.errors import Poison
from collector.model import Format

CASES = sorted(path.parent for path in Path(__file__).parent.glob("objects/*/object"))
NOW = 1_800_000_000.0


def outcome(stored: bytes, *, step: int, accelerated: bool) -> Dict[str, Any]:
    """What `decode` makes of an object, as expected.json spells it."""
    said: Dict[str, Any] = {"events": []}
    chunks = [stored[start : start + step] for start in range(0, len(stored), step)]
    try:
        for block in decode(chunks, format=Format(), now=NOW, accelerated=accelerated):
            assert block.first == len(said["events"])
            said["events"] += [[e.body.decode("utf-8"), e.time, e.is_json, e.note] for e in block]
    except Poison as error:
        said["poison"] = error.code
    return said


@pytest.mark.parametrize("accelerated", [True, False], ids=["accelerated", "plain"])
@pytest.mark.parametrize("step", [1 << 20, 7], ids=["whole", "pieces"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_object_gives_the_events_written_beside_it(case: Path, step: int, accelerated: bool) -> None:
    found = outcome((case / "object").read_bytes(), step=step, accelerated=accelerated)
    assert found == json.loads((case / "expected.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_event_called_json_is_one_json_value(case: Path) -> None:
    for body, _, is_json, _ in outcome((case / "object").read_bytes(), step=4096, accelerated=True)["events"]:
        if is_json:
            assert isinstance(json.loads(body, parse_int=str, parse_constant=pytest.fail), (dict, list))


def test_there_are_cases() -> None:
    assert len(CASES) >= 70
