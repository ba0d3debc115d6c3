"""Bodies that name, or unpack to, thousands of times as much: one budget holds all their parts."""

from __future__ import annotations

import base64
import gzip
import json
import time
import tracemalloc

import pytest

from collector.errors import Poison
from collector.notifications import parse
from collector.notifications.body import LEAST_FETCHED_BYTES, MOST_UNPACKED_BYTES
from tests.hostile.world import BUCKET, World

POINTER = ["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": BUCKET, "s3Key": "body"}]


def packed(text):
    return base64.b64encode(gzip.compress(text if isinstance(text, bytes) else text.encode(), 9)).decode()


def event(size):
    message = '{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":"%s"}]}'
    return packed(message % ("x" * size))


ONCE = event(15 << 20)
NESTS = {
    "side by side": json.dumps([ONCE] * 40),
    "one list inside another": packed(json.dumps([ONCE] * 700)),
    "three levels": packed(json.dumps([packed(json.dumps([event(1 << 20)] * 2000))] * 500)),
    "glued": "\n".join([json.dumps([ONCE])] * 40),
    "in envelopes of Lambda": json.dumps({"Records": [{"messageId": "1", "body": ONCE}] * 40}),
    "in subscriptions of Lambda": json.dumps([{"awslogs": {"data": ONCE}}] * 40),
}


@pytest.mark.parametrize("body", NESTS.values(), ids=NESTS)
def test_the_parts_of_a_body_unpack_to_no_more_than_a_body_may(body):
    began = time.process_time()
    tracemalloc.start()
    try:
        found = parse(body, bodies_are_audits=False)
        size = sum(len(payload.body) for payload in found.payloads)
        problems = {problem.code for problem in found.problems}
    except Poison as error:
        size, problems = 0, {error.code}
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert problems and problems <= {"bomb", "nested_too_deep"}
    assert size <= MOST_UNPACKED_BYTES
    assert peak < 12 * MOST_UNPACKED_BYTES
    assert time.process_time() - began < 20


def test_what_a_pointer_leads_to_does_not_lead_on_for_ever():
    """A body that points to itself, hundreds of times: each time it is fetched it counts."""
    fetched = []

    def fetch(ref):
        fetched.append(ref.key)
        return json.dumps([POINTER] * 300)

    with pytest.raises(Poison):
        parse(json.dumps([POINTER] * 300), fetch=fetch)
    assert 0 < len(fetched) <= MOST_UNPACKED_BYTES // LEAST_FETCHED_BYTES


def test_a_message_of_thousands_of_pointers_costs_the_bucket_some_hundred_calls():
    world = World()
    world.upload("body", b'{"hello":"world"}')
    world.send([POINTER] * 5000)
    world.run(60)
    assert len(world.kept.opened) <= MOST_UNPACKED_BYTES // LEAST_FETCHED_BYTES
    (entry,) = world.quarantined()
    assert (entry.kind, world.bodies(), world.is_over()) == ("body", [], True)


def test_a_genuine_pointer_to_the_largest_body_is_followed():
    size = MOST_UNPACKED_BYTES - LEAST_FETCHED_BYTES
    found = parse(json.dumps(POINTER), bodies_are_audits=True, fetch=lambda ref: "x" * size)
    assert [len(payload.body) for payload in found.payloads] == [size]
