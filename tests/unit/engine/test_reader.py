"""What the Reader does without an engine around it."""

from __future__ import annotations

from dataclasses import replace

from collector.config.routes import Route
from collector.engine.items import Item
from collector.engine.opener import Labels, Opener
from collector.engine.reader import TOGETHER_BYTES, Read, Reader
from collector.engine.station import Wait
from collector.errors import Fatal, Poison
from collector.model import ObjectRef
from tests.hostile.world import World


def test_an_object_named_to_an_input_without_buckets_is_foreign():
    item = Item(ObjectRef("not-ours", "k", etag="e"), None, Route(), 0.0, url="s3://not-ours/k")
    reader = Reader(Opener(None, lambda chunks, route: iter(()), Labels()))
    [refused] = reader.perform([Read(item, None, True)])
    assert isinstance(refused, Poison) and refused.code == "foreign_bucket"


def _take(bench):
    return bench.stations["reader"].take(bench.ledger)


def test_small_objects_are_read_in_one_go_and_at_most_ten(make_bench):
    bench = make_bench(workers=32)
    for number in range(12):
        bench.publish(f"k{number}", "one")
    bench.drive(without=("reader",))
    first, second = _take(bench), _take(bench)
    assert [read.item.ref.key for read in first] == [f"k{number}" for number in range(10)]
    assert [read.item.ref.key for read in second] == ["k10", "k11"]
    assert bench.ledger.reading == 12


def test_large_objects_and_those_of_unknown_size_are_read_by_themselves(make_bench):
    bench = make_bench(workers=32)
    big = "x" * TOGETHER_BYTES
    for key, line in (("small1", "one"), ("big", big), ("small2", "one"), ("small3", "one")):
        bench.publish(key, line)
    bench.notify(replace(bench.put("unknown", "one"), size=None))
    bench.drive(without=("reader",))
    taken = [[read.item.ref.key for read in _take(bench)] for _ in range(4)]
    assert taken == [["small1"], ["big"], ["small2", "small3"], ["unknown"]]


def test_of_what_is_read_in_one_go_each_has_its_own_fate(make_bench):
    bench = make_bench(workers=32)
    refs = [bench.publish(key, key, *lines) for key, lines in (("a", ()), ("b", ("damage",)), ("c", ()))]
    gone = bench.publish("gone", "one")
    bench.bucket.remove("gone")
    bench.drive()
    assert [bench.state(ref) for ref in (refs[0], refs[2])] == ["done", "done"]
    assert (bench.state(refs[1]), bench.state(gone)) == ("quarantined", "open")
    assert sorted(bench.sink.bodies()) == [b"a", b"b", b"c"]  # what came before the damage is sound


def test_a_bug_that_one_object_trips_over_leaves_its_neighbours_alone(make_bench, monkeypatch):
    bench = make_bench(workers=32)
    refs = [bench.publish(key, key) for key in ("a", "b", "c")]
    find = bench.bucket._find
    monkeypatch.setattr(bench.bucket, "_find", lambda ref: find(ref) if ref.key != "b" else 1 / 0)
    bench.drive()
    assert [bench.state(ref) for ref in refs] == ["done", "open", "done"]


def test_while_objects_are_refused_one_at_a_time_is_tried(make_bench):
    bench = make_bench(workers=32)
    refs = [bench.put(f"k{number}", "one") for number in range(12)]
    for ref in refs:
        bench.bucket.refuse(ref.key, Fatal("denied", code="object_denied", scope="object"))
    bench.notify(*refs)
    bench.drive()
    assert bench.ledger.objects.is_open
    for ref in refs:
        bench.notify(ref)
    bench.run(90, without=("reader",))
    work = _take(bench)
    assert isinstance(work, Wait) or len(work) == 1


def test_bytes_that_are_no_text_are_delivered_and_the_operator_is_told_once(caplog):
    world = World()
    for number in range(3):
        world.announce(f"image{number}.png", b"\x89PNG\xff\xfe\n\x00\xd8\n")
    world.announce("sound", b"a line\n")
    world.run(60)
    assert "a line" in [body.decode() for body in world.bodies()]
    assert sum("\ufffd" in body.decode() for body in world.bodies()) >= 3
    said = [record for record in caplog.records if "no UTF-8" in record.message]
    assert [record.levelname for record in said] == ["WARNING"] and "/image" in said[0].message
