"""Lines that are cut out only when they are read are to everybody what a list of them is."""

from __future__ import annotations

from typing import List

from hypothesis import given
from hypothesis import strategies as st

from collector.model import Block, Lines

LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=40)


def blocks_of(lines: List[bytes]) -> List[Block]:
    """The same events as lines of a longer text, and as a list."""
    before, after = b"before\n", b"after\nand more"
    text = before + b"".join(line + b"\n" for line in lines) + after
    end = len(text) - len(after)
    times = [str(number) for number in range(len(lines))]
    return [Block(7, bodies, times, True) for bodies in (Lines(text, len(before), end, len(lines)), lines)]


@given(LINES)
def test_lines_are_the_list_of_them(lines: List[bytes]) -> None:
    one, other = blocks_of(lines)
    assert one == other and list(one) == list(other) and len(one.bodies) == len(lines)
    assert one.part(8, 9).bodies == lines[1:2] and one.bodies[-1] == lines[-1]
    assert one.bodies != [*lines, b""]


@given(LINES, st.integers(0, 900), st.integers(0, 50))
def test_as_many_lines_are_within_a_size_as_of_a_list(lines: List[bytes], size: int, count: int) -> None:
    one, other = blocks_of(lines)
    assert one.within(size, count) == other.within(size, count)


@given(LINES, st.integers(0, 900))
def test_lines_are_split_as_a_list_is(lines: List[bytes], size: int) -> None:
    one, other = blocks_of(lines)
    taken, found = other.within(size, len(lines))
    assert one.split(taken, found) == other.split(taken, found)
    rest = one.split(taken, found)[1]
    assert rest.within(10**9, 10**9) == (len(lines) - taken, sum(map(len, lines)) - found)


@given(LINES, st.sets(st.integers(0, 39)))
def test_what_is_ignored_leaves_the_same_of_lines_as_of_a_list(lines: List[bytes], ignored: set) -> None:
    bodies = {lines[number] for number in ignored if number < len(lines)}
    one, other = blocks_of(lines)

    def ignores(body: bytes) -> str:
        return "said so" if body in bodies else ""

    assert [*one.without(ignores)] == [*other.without(ignores)]
