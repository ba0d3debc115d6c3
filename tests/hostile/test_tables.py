"""Avro files whose schema is the attack: a few bytes that would be gigabytes, hours, or a crash."""

from __future__ import annotations

import json
import tracemalloc
import zlib

import pytest

from tests.unit.decode.boxes import number
from tests.unit.decode.documents import rows

pytest.importorskip("fastavro")


def text(stored):
    return number(len(stored)) + stored


def avro_file(schema, block, *, count, codec=b"null"):
    """Written by hand: no library would write such schemas."""
    head = text(b"avro.schema") + text(json.dumps(schema).encode()) + text(b"avro.codec") + text(codec)
    sync = b"s" * 16
    return b"Obj\x01" + number(2) + head + number(0) + sync + number(count) + text(block) + sync


EMPTY = {"type": "record", "name": "E", "fields": []}
NO_BYTES = {"type": "fixed", "name": "F", "size": 0}
NULLS = {"type": "record", "name": "N", "fields": [{"name": f"f{n}", "type": "null"} for n in range(9)]}


def row(*types):
    """A record with a field of each of these types."""
    fields = [{"name": f"f{place}", "type": found} for place, found in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


def array(items):
    return {"type": "array", "items": items}


def inside_each_other(levels):
    """T0 in T1 in T2 ..., each named only: no text of the schema is deep."""
    chain = [{"type": "record", "name": "T0", "fields": [{"name": "x", "type": "int"}]}]
    chain += [
        {"type": "record", "name": f"T{n}", "fields": [{"name": "x", "type": f"T{n - 1}"}]}
        for n in range(1, levels)
    ]
    return row(chain, f"T{levels - 1}")


def doubling(levels):
    """Each type holds the one before twice: 2 to the power of `levels` nulls in a record of no bytes."""
    fields = [{"type": "record", "name": "T0", "fields": [{"name": "x", "type": "null"}]}]
    for n in range(1, levels):
        twice = [{"name": name, "type": f"T{n - 1}"} for name in "ab"]
        fields.append({"type": "record", "name": f"T{n}", "fields": twice})
    return row(*fields)


MANY = number(2**40) + b"\x00"
SCHEMAS = {
    "an array of empty records that are only named": (row(EMPTY, array("E")), MANY),
    "an array of empty errors": (row(array({**EMPTY, "type": "error"})), MANY),
    "an array of records of nulls": (row(array(NULLS)), MANY),
    "an array of a named fixed of no bytes": (row(NO_BYTES, array("F")), MANY),
    "a map of records of nulls": (row({"type": "map", "values": NULLS}), MANY),
    "a record that holds itself": (row("R"), b""),
    "a list as deep as its data": (row(["null", "R"]), b"\x02" * 100_000 + b"\x00"),
    "a tree as deep as its data": (row(array("R")), b"\x02" * 100_000),
    "types that double at every level": (doubling(60), b""),
    "types in thousands of others": (inside_each_other(20_000), b"\x02"),
}


@pytest.mark.parametrize(("schema", "block"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_makes_much_of_nothing_is_refused_unread(schema, block):
    assert rows(avro_file(schema, block, count=1)) == ([], "unsupported_container")


def packed(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


ITEMS = {
    "records of one null in a union": {"type": "record", "name": "U", "fields": [
        {"name": "x", "type": ["null", "int"]}]},
    "empty arrays": array("int"),
    "empty maps": {"type": "map", "values": "int"},
    "numbers": "int",
}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_a_record_of_millions_of_values_is_refused_in_little_memory(items):
    """Four kilobytes that would be a gigabyte of Python objects."""
    block = packed(number(4_000_000) + bytes(4_000_001))
    stored = avro_file(row(array(items)), block, count=1, codec=b"deflate")
    tracemalloc.start()
    try:
        assert rows(stored) == ([], "unsupported_container")
        assert tracemalloc.get_traced_memory()[1] < 160e6
    finally:
        tracemalloc.stop()


def decimal(**of):
    return row({"type": "bytes", "logicalType": "decimal", **of})


DECIMALS = {
    "of half a megabyte": (decimal(precision=4), number(500_000) + b"\x01" * 500_000, "corrupt_avro"),
    "with a hundred million places": (decimal(precision=10**9, scale=10**8), b"\x02\x01", ""),
    "with more places than digits": (decimal(precision=4, scale=10**6), b"\x02\x01", ""),
    "with places before its digits": (decimal(precision=4, scale=-(10**6)), b"\x02\x01", ""),
    "whose precision is no number": (decimal(precision="4", scale=2), b"\x02\x01", ""),
}


@pytest.mark.parametrize(("schema", "block", "code"), DECIMALS.values(), ids=DECIMALS)
def test_a_decimal_that_would_take_hours_is_its_bytes_or_none(schema, block, code):
    found, said = rows(avro_file(schema, block, count=1))
    assert said == code
    assert [body for body, _, _, _ in found] == ([] if code else [b'{"f0":"AQ=="}'])


def test_a_sound_decimal_keeps_all_its_digits():
    widest = (10**76 - 1).to_bytes(32, "big", signed=True)
    stored = avro_file(decimal(precision=76, scale=10), number(32) + widest + b"\x02\x01", count=2)
    found, code = rows(stored)
    assert ([body for body, _, _, _ in found], code) == (
        [b'{"f0":%s.%s}' % (b"9" * 66, b"9" * 10), b'{"f0":0.0000000001}'], "",
    )
