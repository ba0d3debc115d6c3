"""What a stranger may write costs what it weighs, and ends in events, in meaning, or in Poison."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import random
import struct
import time
import tracemalloc
import zipfile

import pytest

from collector.decode import decode, records
from collector.decode.tape import Tape
from collector.errors import Poison
from collector.model import Format
from collector.notifications import parse
from tests.hostile.mutations import changed, mutated
from tests.unit.decode.documents import rows

# -- decoding


class CountedTape(Tape):
    looks = 0

    def look(self, wanted):
        self.looks += 1
        return super().look(wanted)


GLUED = {b"[[1]],": 1, b"[]": 0, b'{"Records":[{"a":1}]}\n': 1, b'{"a":1,"logEvents":[{},{}]}': 2}


@pytest.mark.parametrize(("unit", "count"), GLUED.items())
def test_small_arrays_and_wrappers_that_are_glued_are_read_window_by_window(unit, count):
    """Not each by itself: then a window of text would be copied for every few bytes of it."""
    tape = CountedTape([unit * 20_000])
    reader = records.JsonReader(Format(), now=1.8e9)
    events = sum(len(run.bodies) for run in records.Records(tape, reader).runs())
    assert events == 20_000 * count
    assert tape.looks < 50


def seconds(call):
    """Of the processor, so that what else runs here does not count."""
    began = time.process_time()
    with contextlib.suppress(Poison):
        call()
    return time.process_time() - began


def test_blanks_before_a_letter_are_looked_at_once():
    """Once for each of thousands of small files in an archive: what one of them costs is multiplied."""
    text = b" " * 4000 + b"x"
    assert seconds(lambda: [list(decode([text], format=Format(), now=1.8e9)) for _ in range(200)]) < 3


# -- notifications

MANY = {
    "numbers": "[" + "1," * 500_000 + "1]",
    "nested numbers": "[[[[" + "1," * 500_000 + "1]]]]",
    "slashes": '"OversizedConfigurationItemChangeNotification" "s3BucketLocation":"' + "/" * 500_000,
    "brackets": "[" * 500_000,
    "braces": '{"a":' * 200_000,
    "quotes": '"' * 500_000,
    "backslashes": '"' + "\\" * 500_000,
    "blanks": " " * 500_000 + "x",
    "base64": "H4sI" + "A" * 500_000,
    "an odd letter in base64": "H4sI" + "\u00e9" * 100_000,
    "digits": "[" + "9" * 500_000 + "]",
}


@pytest.mark.parametrize("audits", [True, False])
@pytest.mark.parametrize("body", MANY.values(), ids=MANY)
def test_a_body_of_half_a_megabyte_costs_seconds_at_most(body, audits):
    assert seconds(lambda: parse(body, bodies_are_audits=audits)) < 6


def test_of_half_a_million_parts_no_traces_are_kept():
    tracemalloc.start()
    try:
        with pytest.raises(Poison):
            parse("[" + "1," * 100_000 + "1]")
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_a_body_that_unpacks_to_too_much_is_a_bomb():
    body = base64.b64encode(gzip.compress(b"[" + b"0," * (9 << 20))).decode()
    with pytest.raises(Poison, match="bomb"):
        parse(body)


NOTHING_SAID = [
    {"detail-type": "", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}},
    {"detail-type": "x", "detail": {"eventName": "", "requestParameters": {"bucketName": "b", "key": "k"}}},
]


@pytest.mark.parametrize("body", NOTHING_SAID)
def test_what_needs_no_work_says_why_even_where_its_sender_does_not(body):
    assert parse(json.dumps(body)).noop


@pytest.mark.parametrize("location", ["b/k\x01", "b/\n", "/k", "b/", "bucket"])
def test_a_location_that_is_none_is_no_object(location):
    body = f'"OversizedConfigurationItemChangeNotification" "s3BucketLocation":"{location}"'
    with pytest.raises(Poison, match="unknown_body"):
        parse(body)


def test_whatever_is_made_of_known_bodies_means_something_or_is_poison():
    """Nothing else is raised, and a message that is to be deleted says why."""
    rng = random.Random(48)
    for _ in range(1500):
        body = mutated(rng)
        for audits in (True, False):
            try:
                found = parse(body, bodies_are_audits=audits)
            except Poison:
                continue
            assert found.refs or found.payloads or found.noop or found.problems, body
            assert all(isinstance(ref.key, str) and isinstance(ref.bucket, str) for ref in found.refs)
            assert all(payload.producer_id for payload in found.payloads)
            assert b"".join(payload.body for payload in found.payloads).decode() is not None


# -- objects


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_zip_that_points_outside_of_every_file_is_corrupt(offset):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("a")
        entry.extra = struct.pack("<HHQ", 1, 8, offset)
        archive.writestr(entry, b"text")
    stored = bytearray(out.getvalue())
    place = stored.index(b"PK\x01\x02") + 42
    stored[place : place + 4] = b"\xff\xff\xff\xff"
    assert rows(bytes(stored)) == ([], "corrupt_zip")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_to_an_object_ends_in_events_or_poison(seed):
    """And what comes before damage is a beginning of what comes in other pieces and without accelerators."""
    rng = random.Random(seed)
    for _ in range(120):
        stored = changed(rng)
        whole, code = rows(stored)
        pieces, again = rows(stored, step=rng.choice([7, 100, 4096]), accelerated=False)
        shorter = min(len(whole), len(pieces))
        assert whole[:shorter] == pieces[:shorter]
        assert code == again
        assert whole == pieces or code.startswith("corrupt_")
        assert all(body.decode("utf-8") is not None for body, _, _, _ in whole)
