"""Inputs that verify digests: every content is hashed while it is read, and a digest has its turn."""

from __future__ import annotations

import hashlib

import pytest

from collector.config.routes import Route
from collector.errors import Poison, Retry
from collector.model import DIGEST, Block

ALIVE = Block(0, [], [], True)


class Judge:
    """`ports.Digests` that says `result` of everything, after so many signs of life."""

    def __init__(self, *, alive=0, result="valid", error=None):
        self.alive, self.result, self.error = alive, result, error
        self.judged = 0

    def judge(self, opened, seen):
        self.judged += 1
        while chunk := opened.read():
            seen(chunk)
        for _ in range(self.alive):
            yield ALIVE
        if self.error is not None:
            raise self.error
        yield Block(0, [b'{"verdict":1}'], ["1.5"], True, self.result)


def _route(key):
    return Route(decoder=DIGEST if key.startswith("digest") else "")


@pytest.fixture
def verifying(make_bench):
    def make(judge=None, **options):
        return make_bench(digests=judge or Judge(), route=_route, **options)

    return make


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_of_what_was_read_is_kept_with_its_end(verifying):
    bench = verifying(read_bytes=7)
    ref = bench.publish("a", "one", "two", "three")
    bench.run(5)
    assert (bench.state(ref), bench.row(ref).sha256) == ("done", _sha256("one\ntwo\nthree\n"))
    assert bench.store.hashes(ref.bucket, ["a"]) == {"a": [_sha256("one\ntwo\nthree\n")]}


def test_an_input_that_verifies_nothing_hashes_nothing(bench):
    ref = bench.publish("a", "one")
    bench.run(5)
    assert (bench.state(ref), bench.row(ref).sha256) == ("done", "")


def test_an_object_read_again_after_a_restart_is_hashed_from_its_beginning(verifying, make_bench):
    bench = verifying(batch_max_bytes=1)
    bench.sink.ack, bench.sink.ack_after_seconds = True, None
    lines = [f"{number:06d}" for number in range(2500)]
    ref = bench.publish("a", *lines)
    bench.run(5)
    bench.sink.confirm(1)
    bench.run(30)
    assert bench.row(ref).offset == 1000
    again = bench.restarted(digests=Judge(), route=_route)
    again.sink.ack_after_seconds = 0.0
    again.sink.confirm()
    again.run(400)
    content = "".join(f"{line}\n" for line in lines)
    assert (again.state(ref), again.row(ref).sha256) == ("done", _sha256(content))


def test_a_damaged_object_has_no_hash(verifying):
    bench = verifying()
    ref = bench.publish("a", "one", "damage")
    bench.run(5)
    assert (bench.state(ref), bench.row(ref).sha256) == ("quarantined", "")


def test_an_object_without_a_content_to_be_hashed_has_no_hash(verifying):
    bench = verifying()
    ref = bench.put("a")
    bench.notify(ref)
    bench.run(5)
    assert (bench.state(ref), bench.row(ref).sha256) == ("done", "")


@pytest.mark.parametrize("result", ["valid", "invalid", "gap", "unsigned"])
def test_a_digest_becomes_its_verdict_and_is_counted_by_it(verifying, result):
    bench = verifying(Judge(result=result, alive=3))
    ref = bench.publish("digest/1", "document")
    bench.run(5)
    assert bench.delivered() == ['{"verdict":1}']
    assert [(event.time, event.is_json) for _, event in bench.sink.delivered] == [("1.5", True)]
    assert bench.ledger.counters[f"digests_{result}"] == 1
    assert (bench.state(ref), bench.row(ref).sha256) == ("done", _sha256("document\n"))
    assert bench.queue.depth == 0


def test_a_reader_is_given_back_at_every_sign_of_life_so_that_nobody_takes_it_for_stalled(verifying):
    judge = Judge(alive=100)
    bench = verifying(judge)
    bench.publish("digest/1", "document")
    bench.drive(without=["reader"])
    for _ in range(50):
        bench.turn("reader")
        (item,) = bench.ledger.items.values()
        assert (item.state, item.busy_since, bench.ledger.reading) == ("ready", None, 0)
    bench.run(5)
    assert bench.delivered() == ['{"verdict":1}']
    assert judge.judged == 1


def test_what_is_no_digest_goes_to_quarantine(verifying):
    bench = verifying(Judge(alive=2, error=Poison("no digest", code="digest_format")))
    ref = bench.publish("digest/1", "document")
    bench.run(5)
    (entry,) = bench.quarantined()
    assert (bench.state(ref), entry.reason, bench.delivered()) == ("quarantined", "digest_format", [])
    assert bench.queue.depth == 0


def test_a_digest_whose_files_cannot_be_had_now_is_judged_later(verifying):
    judge = Judge(alive=1, error=Retry("slow down", code="throttled"))
    bench = verifying(judge)
    ref = bench.publish("digest/1", "document")
    bench.run(2)
    judge.error = None
    bench.run(120)
    assert (bench.state(ref), bench.delivered()) == ("done", ['{"verdict":1}'])
