"""Events larger than a slice are gathered one at a time: memory is the window and one of them (rule 7)."""

from __future__ import annotations

import json

import pytest

from collector.engine.release import fenced
from collector.engine.station import Wait, perform_safely
from tests.hostile.world import World

LARGE_BYTES = 4_500_000
OBJECTS = 6
#: What a reader holds of an event before it asks for its turn: what it takes to know the object's shape.
BEFORE_BYTES = 1_200_000

SHAPES = {
    "json": lambda n: json.dumps({"n": n, "text": "x" * LARGE_BYTES}).encode(),
    "records": lambda n: json.dumps({"Records": [{"n": n, "text": "x" * LARGE_BYTES}]}).encode(),
    "line": lambda n: (f"{n} " + "x" * LARGE_BYTES).encode(),
}


def round_of_all_readers(world: World) -> int:
    """Every reader takes, all perform before one records; how many bytes of the bucket that took."""
    reader, before = world.stations["reader"], world.kept.read_so_far
    taken = []
    while not isinstance(work := reader.take(world.ledger), Wait):
        taken.append(work)
    results = [perform_safely(reader, work) for work in taken]
    for work, result in zip(taken, results):
        reader.record(world.ledger, work, result)
    read: int = world.kept.read_so_far - before
    return read if taken else -1


@pytest.mark.parametrize("shape", SHAPES)
def test_large_events_are_gathered_one_at_a_time_and_all_arrive(shape: str) -> None:
    world = World(read_bytes=65536)
    refs = [world.announce(f"k{n}", SHAPES[shape](n)) for n in range(OBJECTS)]
    world.turn("receiver")
    world.turn("receiver")
    most = 0
    while (read := round_of_all_readers(world)) >= 0:
        most = max(most, read)
    assert most < LARGE_BYTES + OBJECTS * BEFORE_BYTES < OBJECTS * LARGE_BYTES
    world.run(60)
    assert {world.state(ref) for ref in refs} == {"done"}
    assert len(world.bodies()) == OBJECTS
    assert world.ledger.gatherer is None


def test_one_that_is_given_up_while_it_gathers_lets_the_next_begin() -> None:
    world = World(read_bytes=65536)
    for n in range(3):
        world.announce(f"k{n}", SHAPES["json"](n))
    world.turn("receiver")
    world.turn("receiver")
    round_of_all_readers(world)
    first = world.ledger.gatherer
    assert first is not None
    fenced(world.ledger, first)
    assert world.ledger.gatherer not in (None, first)
    world.run(60)
    assert len(world.bodies()) == 2


def test_small_events_never_wait_for_a_turn() -> None:
    world = World()
    world.announce("k", b"\n".join(b'{"n": %d}' % n for n in range(50_000)))
    world.turn("receiver")
    world.turn("receiver")
    waited = []
    while round_of_all_readers(world) >= 0:
        waited += [world.ledger.gatherer, *world.ledger.gathering]
    assert set(waited) == {None}
    world.run(10)
    assert len(world.bodies()) == 50_000
