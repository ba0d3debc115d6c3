"""The seeds, and all that was ever found, keep every law of their target."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import FOUND, seeds_of
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_and_every_find_keeps_the_laws(name):
    count = 0
    for seed in seeds_of(name):
        TARGETS[name](seed)
        count += 1
    assert count, "no seed"


def test_every_find_belongs_to_a_target():
    assert {path.name for path in FOUND.iterdir()} <= set(TARGETS)
