"""The page on digests: it names every field and every reason that there is, and no other."""

from __future__ import annotations

import json
import re
from typing import List

from collector.aws import cloudtrail_verdict
from collector.aws.cloudtrail_document import read_digest
from collector.aws.cloudtrail_verdict import Verdict
from tests.docs.shown import ROOT, blocks
from tests.signed_trail import Trail

PAGE = (ROOT / "docs" / "digests.md").read_text(encoding="utf-8")


def first_column(heading: str) -> List[str]:
    """The words in code of the first cells of the table under this heading row."""
    table = re.search(rf"^\| {heading} \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert table is not None
    rows = [line.split("|")[1] for line in table.group(0).splitlines()[2:] if line]
    return [word for cell in rows for word in re.findall(r"`(\w+)`", cell)]


def test_every_field_of_the_event_is_named_in_its_order() -> None:
    digest = read_digest(Trail("trail-logs").digest().document, where="")
    body = Verdict(digest, region="eu-west-1", is_backfill=False).block(max_event_bytes=10**6).bodies[0]
    assert sorted(first_column("Field")) == sorted(json.loads(body))
    assert first_column("Field")[:2] == list(json.loads(body))[:2]


def test_every_search_asks_for_fields_of_the_event() -> None:
    searches = blocks(PAGE, "spl")
    assert len(searches) == 2
    for search in searches:
        assert set(re.findall(r"sourcetype=([\w:]+)", search)) == {"aws:cloudtrail:digest"}
        asked = re.findall(r"(\w+)\{\}|\b(\w+)!=|latest\((\w+)\)", search)
        for tail in re.findall(r"(?:table|by) ([\w{} ]+)", search):
            asked += [(name,) for name in re.findall(r"\b[a-zA-Z]\w+", tail)]
        names = {name for found in asked for name in found if name}
        assert names and names <= set(first_column("Field"))


def test_every_reason_is_named_with_what_it_makes_of_the_result() -> None:
    named = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert {reason for reason, result in named.items() if result == "invalid"} == cloudtrail_verdict._INVALID
    assert {reason for reason, result in named.items() if result == "gap"} == cloudtrail_verdict._GAP


def test_lines_are_not_long() -> None:
    prose = "\n".join(line for line in PAGE.splitlines() if not line.startswith("|"))
    assert max(map(len, prose.splitlines())) <= 120
