"""Wherever an object is taken up again, what was delivered before and what follows are all of it, once.

A collector that starts again reads the object from its beginning and leaves out what lies before the
boundary it had committed. So every cut must fall at the same place however the bytes arrive this time.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.decode import blocks, decode, lines, shape
from collector.engine import slicer
from collector.errors import CollectorError
from collector.model import Format, Origin
from tests.unit.decode.boxes import avroed, parqueted, tarred, zipped, zstd
from tests.unit.decode.documents import NOW, damaged
from tests.unit.decode.logs import LOGS

#: What differs by Python is what the formats come to, which tests/golden holds.
pytestmark = pytest.mark.once

OBJECTS = sorted(Path(__file__).parents[2].glob("golden/objects/*/object"))
ORIGIN = Origin("oid", "s3://bucket/key", "1777889702.000")
LAW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: One slice: its range, and the events in it.
Cut = Tuple[int, int, List[Any]]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So small that small objects have many boundaries."""
    for module in (slicer, blocks):
        monkeypatch.setattr(module, "SLICE_MAX_EVENTS", 3)
        monkeypatch.setattr(module, "SLICE_MAX_BYTES", 400)
    monkeypatch.setattr(lines, "WINDOW_BYTES", 50)
    monkeypatch.setattr(shape, "HEAD_BYTES", 200)
    yield


def slices(stored: bytes, *, step: int, format: Format, accelerated: bool = True) -> Tuple[List[Cut], str]:
    """All slices of an object that arrives in chunks of `step` bytes, and the code of its error or ""."""
    chunks = (stored[start : start + step] for start in range(0, len(stored), step))
    found: List[Cut] = []
    try:
        for piece in slicer.cut(decode(chunks, format=format, now=NOW, accelerated=accelerated), ORIGIN):
            found.append((piece.first, piece.end, list(piece)))
    except CollectorError as error:
        return found, error.code
    return found, ""


def check(stored: bytes, *, step: int, format: Format) -> None:
    whole, ended = slices(stored, step=1 << 20, format=format)
    again, ended_again = slices(stored, step=step, format=format, accelerated=False)
    assert ended_again == ended
    everything = [event for _, _, events in whole for event in events]
    assert [event.ordinal for event in everything] == list(range(len(everything)))
    for boundary in [0, *(end for _, end, _ in whole)]:
        assert boundary in {0, *(end for _, end, _ in again)}
        before = [event for _, end, events in whole if end <= boundary for event in events]
        after = [event for first, _, events in again if first >= boundary for event in events]
        assert before + after == everything


@pytest.mark.parametrize("step", [1, 13, 4096])
@pytest.mark.parametrize("stored", OBJECTS, ids=lambda path: path.parent.name)
def test_an_object_is_taken_up_at_any_boundary(stored: Path, step: int) -> None:
    check(stored.read_bytes(), step=step, format=Format())


@LAW
@given(stored=damaged(), step=st.integers(1, 60), size=st.sampled_from([5_000_000, 20]))
def test_so_are_json_documents(stored: bytes, step: int, size: int) -> None:
    check(stored, step=step, format=Format(max_event_bytes=size))


@pytest.mark.parametrize("dialect", sorted(LOGS))
@LAW
@given(data=st.data(), step=st.integers(1, 60), size=st.sampled_from([5_000_000, 60]), named=st.booleans())
def test_so_are_logs(dialect: str, data: Any, step: int, size: int, named: bool) -> None:
    container = dialect if named else "auto"
    check(data.draw(LOGS[dialect]), step=step, format=Format(container=container, max_event_bytes=size))


#: Documents packed together; the layers, and what is damaged in them, must not move a boundary.
PACKED: Mapping[str, Callable[[Sequence[bytes]], bytes]] = {
    "gzip": lambda texts: b"".join(gzip.compress(text, mtime=0) for text in texts),
    "zstd": lambda texts: b"".join(map(zstd, texts)),
    "tar": lambda texts: tarred(_named(texts)),
    "tar.gz": lambda texts: gzip.compress(tarred(_named(texts)), mtime=0),
    "zip": lambda texts: zipped(_named(texts)),
    "gzip in zip": lambda texts: zipped(_named([gzip.compress(text, mtime=0) for text in texts])),
}
#: Rows {"n": long} as a file, so many of them in a group or block.
TABLES: Mapping[str, Callable[[Sequence[Any], int], bytes]] = {
    "parquet": lambda rows, some: parqueted(rows, row_group_size=some),
    "avro": lambda rows, some: avroed(rows, codec="null", block_bytes=some * 10),
    "avro-deflate": lambda rows, some: avroed(rows, block_bytes=some * 10),
}


def _named(texts: Sequence[bytes]) -> List[Tuple[str, bytes]]:
    return [(f"file {number}", text) for number, text in enumerate(texts)]


@pytest.mark.parametrize("kind", sorted(PACKED))
@LAW
@given(texts=st.lists(damaged(), min_size=1, max_size=3), step=st.integers(1, 60), share=st.floats(0.0, 2.0))
def test_so_is_what_is_packed(kind: str, texts: List[bytes], step: int, share: float) -> None:
    stored = PACKED[kind](texts)
    check(stored[: int(share * len(stored))], step=step, format=Format())


@pytest.mark.parametrize("kind", sorted(TABLES))
@LAW
@given(
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30), some=st.integers(1, 9),
    step=st.integers(1, 60), share=st.floats(0.0, 2.0),
)
def test_so_are_tables(kind: str, numbers: List[int], some: int, step: int, share: float) -> None:
    stored = TABLES[kind]([{"n": number} for number in numbers], some)
    check(stored[: int(share * len(stored))], step=step, format=Format())


def test_objects_have_boundaries() -> None:
    """Otherwise the laws above would hold for want of a place to break."""
    assert sum(len(slices(path.read_bytes(), step=99, format=Format())[0]) > 2 for path in OBJECTS) >= 5
