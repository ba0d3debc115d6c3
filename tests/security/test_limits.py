"""Who may fill the queue, the bucket or a name cannot take the collector away from the others."""

from __future__ import annotations

import bz2
import gzip
import time

import pytest

from collector.aws.s3 import S3Store
from collector.config.routes import route_for
from collector.config.rules import parse_rules
from collector.config.settings import Settings
from collector.decode import decode, pgaudit
from collector.errors import CollectorError
from collector.model import CONTAINERS, Format
from tests.hostile.world import BUCKET, S3Answers, World

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'


def seconds(call):
    began = time.process_time()
    call()
    return time.process_time() - began


# -- patterns

GLOBS = ["*a*a*a*a*a*a*a*a*b", "*?*?*?*?*?*?*?*?*b", "**********b", "[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*b",
         "*/*/*/*/*/*/*/*/*/*/x", "*a" * 20 + "*b"]
LONGEST = ["a" * 1024, "a/" * 512, "\u00e9" * 512, "a?" * 512, "\n" * 1024]


@pytest.mark.parametrize("glob", GLOBS)
def test_t16_no_key_makes_a_route_take_long(glob):
    settings = Settings(routes=parse_rules(f"{glob} drop"), include=(glob,), exclude=(glob,))

    def route_all():
        for key in LONGEST:
            route_for(settings, key, markers=(glob,), presets=parse_rules(f"{glob} drop"))

    assert seconds(route_all) < 2


#: Text on which a pattern that can match in many ways would try them all.
REPEATED = [
    b'"', b'\\"', b"\\", b",", b'",', b'""', b" ", b"\t", b"[", b"{", b"a=", b"- ", b"1", b"2024-05-04 ",
    b"AUDIT: ", b"T", b":", b"a@b:", b"\n", b"\n\t", b"\r", b"\r\n ", b"#", b"#Fields: ", b"e9", b"\xc3",
    b"null,",
]
HEADS = [
    b"", b'2026-11-21 04:55:35 UTC:10.0.0.9(1):e@s:[7]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"',
    b'{"eventTime":"', b"eventTime,b\n", b"#Version: 1.0\n#Fields: date time\n", b"version account-id\n",
]


@pytest.mark.parametrize("piece", REPEATED, ids=range(len(REPEATED)))
def test_t16_no_text_makes_a_decoder_take_long(piece):
    text = (piece * (60_000 // len(piece)))[:60_000]

    def decode_all():
        for head in HEADS:
            pgaudit.event_line(head + text)
            for container in CONTAINERS:
                try:
                    for _ in decode([head + text], format=Format(container=container), now=1.8e9):
                        continue
                except CollectorError:
                    continue

    assert seconds(decode_all) < 15


# -- floods


def test_t17_a_queue_of_bombs_and_lies_does_not_keep_one_object_waiting_for_long():
    world = World()
    bombs = [gzip.compress(bytes(70 << 20)), bz2.compress(bytes(70 << 20))]
    for number in range(40):
        if number < len(bombs):
            world.announce(f"bomb-{number}", bombs[number])
        world.send({"hello": number})
        world.send({"s3Bucket": "somebody-elses", "s3ObjectKey": ["k"] * 50})
    ref = world.announce("genuine", ONE)
    world.run(600)
    assert (ONE in world.bodies(), world.state(ref), world.is_over()) == (True, "done", True)
    assert world.reasons().count("bomb") == len(bombs)
    assert world.reasons().count("unknown_body") == 40


def test_t17_an_object_named_a_thousand_times_is_read_once():
    world = World()
    ref = world.upload("k", ONE)
    for _ in range(50):
        world.tell(*[ref] * 20)
    world.run(60)
    assert (world.outcome(ref), world.kept.opened) == (([ONE], "done", [], True), [ref.url])


# -- whose bucket


def test_t02_every_call_about_a_bucket_names_the_owner_that_is_expected():
    class Listing(S3Answers):
        def list_objects_v2(self, **request):
            self.requests.append(request)
            return {}

        def head_object(self, **request):
            answer = self.get_object(**request)
            del answer["Body"]
            return answer

    s3 = Listing()
    ref = s3.put("k", ONE)
    store = S3Store(s3.in_region, [BUCKET], region="eu-west-1", expected_bucket_owner="222222222222")
    store.open(ref)
    store.open(ref).close()
    store.get_from(ref, 3)
    store.current(ref)
    store.list(BUCKET, prefix="a/")
    assert len(s3.requests) == 5
    assert {request.get("ExpectedBucketOwner") for request in s3.requests} == {"222222222222"}
