"""CONTRIBUTING.md: every file and name in it is there."""

from __future__ import annotations

import re

from tests.docs.shown import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_place_it_names_is_there():
    places = [place for place in re.findall(r"`([\w./<>-]+/[\w./<>-]*)`", PAGE) if "<" not in place]
    assert len(places) > 25
    within = (ROOT, ROOT / "collector")
    assert [place for place in places if not any((folder / place).exists() for folder in within)] == []


def test_every_name_to_be_added_to_is_where_it_says():
    for name, place in {
        "_ALL": "collector/config/providers.py", "SYSTEMS": "collector/testing/demo_audits.py",
        "NAMES": "collector/onboarding/setup/side.py", "_RECOGNISERS": "collector/notifications/__init__.py",
        "KINDS": "tests/contract/test_sink.py", "_sink": "collector/runtime/adapters.py",
        "choices": "collector/config/settings.py", "MemorySink": "collector/testing/twins.py",
    }.items():
        assert f"`{name}`" in PAGE
        assert re.search(rf"\b{name}\b", (ROOT / place).read_text(encoding="utf-8")), (name, place)
