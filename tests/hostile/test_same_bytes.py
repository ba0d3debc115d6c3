"""Events are the provider's bytes: every golden object and every hostile one, read again by somebody else."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.naive import Value, expected, texts
from tests.hostile.world import GOLDEN, World

#: Rows of tables are spelt by us, and what is in no stream of the standard library is read in other tests.
ELSEWHERE = ("avro", "parquet", "zstd")
CASES = sorted(path.parent for path in GOLDEN.glob("*/object") if not path.parent.name.startswith(ELSEWHERE))
#: Of their damage the standard library reads nothing; these others it cannot open, nor do we.
ARCHIVES = ("zip", "tar", "7z", "lz4", "snappy", "gz_four_deep", "gz_tar")




def wanted(case: Path):
    """The texts inside, and what the naive reader finds in them; None of an archive that it cannot open."""
    damaged = "poison" in json.loads((case / "expected.json").read_text("utf-8"))
    if damaged and case.name.startswith(ARCHIVES):
        return None
    found = list(texts((case / "object").read_bytes()))
    return found, [one for text in found for one in expected(text, damaged=damaged)]


def is_same(body, one):
    if isinstance(one, Value):
        return one.is_said_by(body)
    return body == one.decode("utf-8", "replace").encode()


@pytest.mark.parametrize("case", [case for case in CASES if wanted(case)], ids=lambda case: case.name)
def test_every_event_is_a_slice_of_its_source_and_none_is_missing_or_twice(case):
    found, naive = wanted(case)
    world = World()
    world.announce("k", (case / "object").read_bytes())
    world.run(600)
    bodies = world.bodies()
    assert [number for number, (body, one) in enumerate(zip(bodies, naive)) if not is_same(body, one)] == []
    assert len(bodies) == len(naive)
    source, place = b"\n".join(found).decode("utf-8", "replace").encode(), 0
    for body in bodies:
        place = source.index(body, place) + len(body)


def test_hardly_a_case_is_left_out():
    assert sum(wanted(case) is not None for case in CASES) >= 100


# -- and of objects that nobody has seen before

LINES = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: text.replace("\n", " ")),
        st.dictionaries(st.text(max_size=4), st.text(max_size=9), min_size=1).map(json.dumps),
    ),
    max_size=9,
)
PACKED = [
    lambda text: text,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda text: gzip.compress(text[: len(text) // 2]) + gzip.compress(text[len(text) // 2 :]) + bytes(64),
    lambda text: gzip.compress(bz2.compress(text)),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=LINES, end=st.sampled_from([b"\n", b"\r\n"]), pack=st.sampled_from(PACKED))
def test_lines_of_any_text_arrive_as_they_were_written_in_any_packing(lines, end, pack):
    """Behind a first line that is plain text, so that nothing is taken for a document."""
    written = [b"first", *(line.encode() for line in lines if line.strip(" \t\r"))]
    written = [line[:-1] if line.endswith(b"\r") else line for line in written]
    world = World()
    ref = world.announce("k", pack(end.join(written) + end))
    world.run(10)
    assert world.outcome(ref) == ([line for line in written if line.strip(b" \t\r")], "done", [], True)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "eventTime"]), VALUES, min_size=1), max_size=9)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    records=RECORDS, indent=st.sampled_from([None, 1]), escaped=st.booleans(), pack=st.sampled_from(PACKED)
)
def test_records_arrive_in_their_own_spelling_in_any_packing(records, indent, escaped, pack):
    spelt = [json.dumps(record, indent=indent, ensure_ascii=escaped).encode() for record in records]
    world = World()
    ref = world.announce("k", pack(b'{"Records": [' + b" ,\n".join(spelt) + b"]}"))
    world.run(10)
    assert world.outcome(ref) == (spelt, "done", [], True)
