"""The referee accepts what the standard library accepts, and never changes its mind."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode.scan import UNFINISHED, WRONG, Skimmer, value_end
from tests.unit.decode.documents import damaged, records, spelled

DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


@settings(deadline=None)
@given(damaged())
def test_the_referee_agrees_with_the_standard_library(text: bytes) -> None:
    text = text.lstrip()
    end = value_end(text, 0, ended=True)
    try:
        _, wanted = DECODER.raw_decode(text.decode("latin-1"))
    except ValueError:
        assert end in (UNFINISHED, WRONG)
    else:
        # raw_decode stops in the middle of "01"; the referee wants a whole word.
        assert end == wanted or (end == WRONG and text[:1] not in (b"{", b"[", b'"'))


@settings(deadline=None)
@given(damaged())
def test_more_text_settles_what_was_unfinished_and_nothing_else(text: bytes) -> None:
    text = text.lstrip()
    final = value_end(text, 0)
    for length in range(len(text)):
        part = value_end(text[:length], 0)
        assert part in (UNFINISHED, final)


@settings(deadline=None)
@given(records(), st.booleans(), st.integers(1, 9))
def test_skimming_finds_the_same_end(value: object, escaped: bool, step: int) -> None:
    text = spelled([value], indent=None, escaped=escaped)
    skimmer, seen = Skimmer(), 0
    for start in range(0, len(text) + 4, step):
        end = skimmer.feed((text + b",{]}")[start : start + step])
        if end >= 0:
            seen = start + end
            break
    assert seen == len(text) == value_end(text, 0)


def test_depth_is_no_obstacle() -> None:
    assert value_end(b"[" * 200_000 + b"]" * 200_000, 0) == 400_000
