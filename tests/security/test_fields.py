"""What a message says of an object, at its worst, through the whole engine and the real checkpoint file.

None of it may stop the collector, reach a header, or cost the object: what cannot be is as if it had not been
said.
"""

from __future__ import annotations

import json

import pytest

from collector.errors import Poison
from collector.notifications import parse
from collector.stores.sqlite import SqliteStore
from collector.testing.twins import ManualClock
from tests.hostile.world import BUCKET, World, event_record

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'
HUGE = 10**30
FIELDS = {
    "a size of thirty digits": {"size": HUGE},
    "a size of five thousand digits": {"size": "9" * 5000},
    "a negative size": {"size": -1},
    "a size that is a fraction": {"size": 1e300},
    "a size in other digits": {"size": "\u0661\u0662"},
    "a size that is an object": {"size": {"$gt": 0}},
    "an etag with a line of a header": {"eTag": "0f\r\nHost: evil.example.com"},
    "an etag with a request behind it": {"eTag": '0f"\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n'},
    "an etag that is a wildcard": {"eTag": "*"},
    "an etag of a megabyte": {"eTag": "f" * 200_000},
    "an etag of half a character": {"eTag": "\ud800"},
    "an etag in another alphabet": {"eTag": "\u0430\u0431"},
    "an etag that is a list": {"eTag": ["0f"]},
    "a version with a query": {"versionId": "x&acl=1#y"},
    "a version with a line of a header": {"versionId": "x\r\nHost: evil.example.com"},
    "a version of half a character": {"versionId": "\udfff"},
    "a version of a megabyte": {"versionId": "v" * 200_000},
    "a sequencer of half a character": {"sequencer": "\ud800"},
    "a sequencer of a megabyte": {"sequencer": "0" * 200_000},
    "a sequencer that is a number": {"sequencer": HUGE},
}
RECORDS = {
    "a region that is a host": {"awsRegion": "evil.example.com/"},
    "a region with a line of a header": {"awsRegion": "eu-west-1\r\nHost: evil"},
    "a region that is a number": {"awsRegion": HUGE},
    "a time before all time": {"eventTime": "0001-01-01T00:00:00Z"},
    "a time after all time": {"eventTime": "9999-12-31T23:59:59.999999999Z"},
    "a time that is none": {"eventTime": "2024-02-30T00:00:00Z"},
    "a time that is a number": {"eventTime": HUGE},
    "a source of events that is not S3": {"eventSource": "evil:s3"},
}


def world_on_disk(tmp_path):
    clock = ManualClock()
    path = tmp_path / "state" / "thrive.sqlite3"
    store = SqliteStore(path, input_name="thrive", owner="owner", clock=clock)
    return World(clock=clock, inner_store=store), store


def says(world, entity, record):
    """One message about an object that is there, with some fields changed."""
    ref = world.upload("k", ONE)
    found = event_record(ref)
    found["s3"]["object"].update(entity)
    found.update(record)
    world.tell(world.upload("first", b"first"))
    world.run(10)
    world.send({"Records": [found]})
    world.run(600)


CASES = {**{name: (entity, {}) for name, entity in FIELDS.items()},
         **{name: ({}, record) for name, record in RECORDS.items()}}
#: Not the object's own, and yet one that could be: S3 answers 412 or 404, and what is there now is read.
OTHERS = {"an etag that is a wildcard", "a version with a query"}


@pytest.mark.parametrize("name", CASES)
def test_t01_a_field_that_cannot_be_is_as_if_it_had_not_been_said(name, tmp_path, caplog):
    world, store = world_on_disk(tmp_path)
    try:
        says(world, *CASES[name])
        assert world.is_over()
        assert "unexpected" not in caplog.text, "a bug of ours"
        if name not in OTHERS:
            assert world.bodies() == [b"first", ONE]
    finally:
        store.close()


@pytest.mark.parametrize("name", FIELDS)
def test_t01_nothing_of_it_reaches_a_header_or_the_end_of_a_path(name):
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}
    entity = {"bucket": {"name": BUCKET}, "object": {"key": "k", **FIELDS[name]}}
    (ref,) = parse(json.dumps({"Records": [{**record, "s3": entity}]})).refs
    for text in (ref.etag, ref.version_id):
        assert text is None or (text.isascii() and text.isprintable() and len(text) <= 1024)
    assert ref.size is None or 0 <= ref.size < 2**63
    assert len(ref.sequencer or "") <= 1024


@pytest.mark.parametrize("key", ["k" * 1025, "\u00e9" * 513, "\U0001f600" * 257])
@pytest.mark.parametrize("others", [0, 1])
def test_t01_a_key_that_s3_does_not_have_is_kept_with_its_body_and_costs_no_other(key, others):
    """A store would have to hold it, and may not be able to."""
    body = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [key, *["k" * 1024] * others]})
    try:
        found = parse(body)
    except Poison as error:
        assert (error.code, others) == ("unknown_body", 0)
    else:
        assert ([len(ref.key) for ref in found.refs], len(found.problems)) == ([1024], 1)


KEYS = [
    "\ud800", "a\udfffb", "k" * 300_000, "\0", "\r\nHost: evil", "?", "#", ".", "..", "/", "//", "%00",
    "\u202e",
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
@pytest.mark.parametrize("shape", ["eventbridge", "cloudtrail"])
def test_t01_a_key_that_cannot_be_ends_and_stops_nothing(key, shape, tmp_path, caplog):
    """Named where keys are not encoded; nothing is there, so it ends as gone, or in quarantine."""
    world, store = world_on_disk(tmp_path)
    try:
        world.announce("first", b"first")
        world.run(10)
        body = {"s3Bucket": BUCKET, "s3ObjectKey": [key]}
        if shape == "eventbridge":
            detail = {"bucket": {"name": BUCKET}, "object": {"key": key, "etag": "0f"}}
            body = {"detail-type": "Object Created", "detail": detail}
        world.send(body)
        world.run(600)
        world.announce("last", b"last")
        world.run(60)
        assert (world.bodies(), world.is_over()) == ([b"first", b"last"], True)
        assert "unexpected" not in caplog.text, "a bug of ours"
    finally:
        store.close()
