"""An object that was archived is read when it comes back, on the store in memory and on the one on disk."""

from __future__ import annotations

import json

import pytest

from collector.errors import Poison
from collector.notifications import parse
from collector.stores.sqlite import SqliteStore
from collector.testing.memory_store import MemoryCheckpointStore
from collector.testing.twins import ManualClock
from tests.unit.engine.test_parts import record

ARCHIVED = Poison("it is in Glacier", code="archived")


@pytest.fixture(params=["memory", "sqlite"])
def bench(request, make_bench, tmp_path):
    """A bench that reads S3's own events, on either store."""
    clock = ManualClock()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "s.sqlite3", input_name="thrive", owner="owner", clock=clock)
    else:
        store = MemoryCheckpointStore(owner="owner", clock=clock)
    yield make_bench(read=parse, inner_store=store, clock=clock)
    store.close()


def tell(bench, ref, name="ObjectCreated:Put"):
    bench.queue.send(json.dumps({"Records": [record(ref, eventName=name)]}))
    bench.run(30)


def archived(bench):
    """An object that was found in the archive, and is in quarantine for it."""
    ref = bench.put("k", "one", "two")
    bench.bucket.refuse("k", ARCHIVED)
    return ref


def test_an_archived_object_is_delivered_once_it_is_restored(bench):
    ref = archived(bench)
    tell(bench, ref)
    assert [entry.reason for entry in bench.quarantined()] == ["archived"]
    bench.bucket.refuse("k", None)
    tell(bench, ref, "ObjectRestore:Completed")
    assert bench.delivered() == ["one", "two"]
    assert bench.quarantined() == []
    assert dict(bench.store.counts()) == {"done": 1}
    assert bench.queue.depth == 0


def test_a_second_word_of_the_same_restore_repeats_nothing(bench):
    ref = archived(bench)
    tell(bench, ref)
    bench.bucket.refuse("k", None)
    tell(bench, ref, "ObjectRestore:Completed")
    tell(bench, ref, "ObjectRestore:Completed")
    assert bench.delivered() == ["one", "two"]
    assert bench.queue.depth == 0


def test_the_restore_of_an_object_that_was_delivered_or_never_met_reads_nothing(bench):
    done, unknown = bench.put("done", "one"), bench.put("unknown", "two")
    tell(bench, done)
    tell(bench, done, "ObjectRestore:Completed")
    tell(bench, unknown, "ObjectRestore:Completed")
    assert bench.delivered() == ["one"]
    assert bench.bucket.opened == [done.url]
    assert dict(bench.store.counts()) == {"done": 1}
    assert bench.queue.depth == 0


def test_an_object_quarantined_for_another_reason_stays_there(bench):
    ref = bench.put("k", "one")
    bench.bucket.refuse("k", Poison("broken", code="broken_stream"))
    tell(bench, ref)
    bench.bucket.refuse("k", None)
    tell(bench, ref, "ObjectRestore:Completed")
    assert bench.delivered() == []
    assert [entry.reason for entry in bench.quarantined()] == ["broken_stream"]


def test_an_object_that_is_archived_again_is_in_quarantine_again(bench):
    ref = archived(bench)
    tell(bench, ref)
    tell(bench, ref, "ObjectRestore:Completed")
    assert bench.delivered() == []
    assert [entry.reason for entry in bench.quarantined()] == ["archived"]
    bench.bucket.refuse("k", None)
    tell(bench, ref, "ObjectRestore:Completed")
    assert bench.delivered() == ["one", "two"]


def test_an_object_archived_before_its_etag_was_learnt_is_read_when_it_is_back(bench):
    archived(bench)
    bench.queue.send(json.dumps({"s3Bucket": "audit-logs", "s3ObjectKey": ["k"]}))
    bench.run(30)
    bench.bucket.refuse("k", None)
    tell(bench, bench.put("k", "one", "two"), "ObjectRestore:Completed")
    assert bench.delivered() == ["one", "two"]
    assert bench.quarantined() == []
