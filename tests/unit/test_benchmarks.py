"""What a benchmark says is held to what it was given."""

from __future__ import annotations

import gzip

import pytest

from benchmarks.objects import ObjectSet, digest_of, ensure, load_manifest
from benchmarks.workloads import MEASUREMENTS, Row, Scale

EVENTS = [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def test_the_digest_is_the_same_in_any_order():
    assert digest_of(EVENTS) == digest_of(reversed(EVENTS))


@pytest.mark.parametrize(
    "arrived", [EVENTS[:2], [*EVENTS, EVENTS[0]], [*EVENTS[:2], b'{"n": 3}'], [*EVENTS[:2], EVENTS[0]]]
)
def test_the_digest_tells_lost_repeated_and_changed_events(arrived):
    assert digest_of(arrived) != digest_of(EVENTS)


@pytest.mark.parametrize("wanted", [ObjectSet("ndjson", 2, 5000), ObjectSet("cloudtrail", 1, 20_000)])
def test_a_set_is_the_same_each_time_and_holds_what_its_manifest_says(tmp_path, wanted):
    first, second = ensure(tmp_path / "1", wanted), ensure(tmp_path / "2", wanted)
    found = load_manifest(first)

    assert found == load_manifest(second)
    assert found["events"] > 2
    assert len(found["objects"]) == wanted.count
    plain = b"".join(gzip.decompress((first / one["file"]).read_bytes()) for one in found["objects"])
    assert len(plain) == found["raw_bytes"]
    assert plain.count(b'"eventTime"') == found["events"]


def test_members_of_a_set_are_glued_gzip(tmp_path):
    one = ensure(tmp_path, ObjectSet("ndjson", 1, 50_000))
    many = ensure(tmp_path, ObjectSet("ndjson", 1, 50_000, 20))

    assert gzip.decompress((many / "000000").read_bytes()) == gzip.decompress((one / "000000").read_bytes())
    assert (many / "000000").read_bytes().count(b"\x1f\x8b\x08") >= 20


def test_a_ceiling_is_met_from_below_and_a_floor_from_above():
    assert Row("", 3.0, 4.0).verdict == "met"
    assert Row("", 5.0, 4.0).verdict == "missed"
    assert Row("", 50.0, 40.0, is_most=False).verdict == "met"
    assert Row("", 30.0, 40.0, is_most=False).verdict == "missed"
    assert Row("", 30.0, 40.0, why="not judged: 2 cores").verdict == "not judged: 2 cores"


def test_a_short_look_makes_little_of_everything():
    short = Scale(rounds=1, share=0.02)

    assert short.of(ObjectSet("ndjson", 1000, 20_000)) == ObjectSet("ndjson", 20, 20_000)
    assert short.of(ObjectSet("cloudtrail", 3, 40_000_000)).raw_bytes == 800_000
    assert len(MEASUREMENTS) >= 11
