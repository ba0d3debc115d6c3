"""A row of a table is one JSON event, spelt the same at every replay; without its library it waits."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import zlib
from decimal import Decimal
from typing import Any, Dict, List, Tuple

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as parquet_writer

from collector import accel
from collector.decode import avro, decode, parquet, spelling
from collector.errors import Poison
from collector.model import Format
from tests.unit.decode.boxes import avro_file, avroed, number, parqueted, zstd
from tests.unit.decode.documents import NOW, rows

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"n": st.integers(-(2**63), 2**63 - 1), "text": TEXTS, "tags": st.lists(TEXTS, max_size=3)}
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(found=ROWS, groups=st.integers(1, 5), step=st.integers(1, 200))
def test_parquet_rows_are_read_back(found: List[Dict[str, Any]], groups: int, step: int) -> None:
    seen, code = rows(parqueted(found, row_group_size=groups), step=step)
    assert ([json.loads(body) for body, _, _, _ in seen], code) == (found, "")
    assert all(is_json for _, _, is_json, _ in seen)


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [{"n": n, "tags": [str(n)] * (n % 4), "deep": {"m": {str(n): n}}} for n in range(120)]
    stored = parqueted(found, row_group_size=50)
    whole = rows(stored)
    assert len(whole[0]) == 120
    for at_once in (1, 7, 120):
        monkeypatch.setattr(parquet, "_BATCH_ROWS", at_once)
        assert rows(stored) == whole


@settings(deadline=None, max_examples=40)
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30), step=st.integers(1, 99))
@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "zstandard", "snappy"])
def test_avro_records_are_read_back(codec: str, numbers: List[int], step: int) -> None:
    stored = avroed([{"n": number} for number in numbers], codec=codec, block_bytes=20)
    seen, code = rows(stored, step=step)
    assert ([json.loads(body)["n"] for body, _, _, _ in seen], code) == (numbers, "")


def test_every_cut_of_an_avro_file_is_seen_or_ends_with_a_block() -> None:
    stored = avroed([{"n": 1}, {"n": 2}, {"n": 3}])
    whole = rows(stored)[0]
    for end in range(4, len(stored)):
        found, code = rows(stored[:end])
        assert found == whole[: len(found)]
        assert code == "truncated_avro" or (code == "" and stored[:end].endswith(b"s" * 16))


@pytest.mark.parametrize("stored", [avroed([{"n": 9}, {"n": 99}]), avroed([{"n": 1}], codec="snappy")])
def test_a_changed_byte_of_an_avro_file_raises_nothing_but_ours(stored: bytes) -> None:
    dice = random.Random(7)
    for _ in range(1500):
        damaged = bytearray(stored)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        rows(bytes(damaged))  # lets everything but a CollectorError through


def test_an_array_of_nothing_is_refused_before_it_is_billions() -> None:
    empty = {"type": "record", "name": "empty", "fields": []}
    for items in ("null", empty, {"type": "fixed", "name": "f", "size": 0}):
        field = {"name": "many", "type": ["null", {"type": "array", "items": items}]}
        schema = {"type": "record", "name": "row", "fields": [field]}
        stored = avro_file(schema, b"\x02" + number(2**40) + b"\x00", count=1)
        assert rows(stored) == ([], "unsupported_container")


def test_records_of_nothing_are_refused_before_they_are_billions() -> None:
    stored = avro_file({"type": "record", "name": "empty", "fields": []}, b"", count=2**40)
    assert rows(stored) == ([], "unsupported_container")


def test_a_block_that_is_a_bomb_is_stopped() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(avro._BLOCK_MAX_BYTES + 1)) + packer.flush()
    schema = {"type": "record", "name": "row", "fields": [{"name": "n", "type": "bytes"}]}
    assert rows(avro_file(schema, block, count=1, codec=b"deflate"))[1] == "unsupported_container"


def test_a_block_of_snappy_is_held_against_its_checksum() -> None:
    stored = bytearray(avroed([{"n": 1}], codec="snappy"))
    stored[-17] ^= 1
    assert rows(bytes(stored)) == ([], "corrupt_avro")


def test_a_record_that_is_damaged_costs_none_before_it() -> None:
    schema = {"type": "record", "name": "row", "fields": [{"name": "s", "type": "string"}]}
    found, code = rows(avro_file(schema, b"\x02a\x02b\xff\xff\xff\xff\x0f", count=3))
    assert ([body for body, _, _, _ in found], code) == ([b'{"s":"a"}', b'{"s":"b"}'], "corrupt_avro")


MISSING: List[Tuple[bytes, str, str]] = [
    (parqueted([{"n": 1}]), "pyarrow", "audit-s3-collector[parquet]"),
    (avroed([{"n": 1}]), "fastavro", "audit-s3-collector[parquet]"),
]


@pytest.mark.parametrize(("stored", "library", "extra"), MISSING, ids=["parquet", "avro"])
def test_without_its_library_a_table_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, stored: bytes, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Poison) as caught:
        list(decode([stored], format=Format(), now=NOW))
    assert caught.value.code == "unsupported_container"
    assert f"pip install '{extra}'" in caught.value.hint


def test_without_its_library_zstd_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = zstd(b"a line\n")
    monkeypatch.setattr(accel, "_zstd", None)
    with pytest.raises(Poison) as caught:
        list(decode([stored], format=Format(), now=NOW))
    assert caught.value.code == "unsupported_container"
    assert "pip install 'audit-s3-collector[zstd]'" in caught.value.hint


@pytest.mark.parametrize(
    ("spelt", "wanted"),
    [
        (spelling.spelt_instant(1777889702412, places=3, zone="Z"), '"2026-05-04T10:15:02.412Z"'),
        (spelling.spelt_instant(-1, places=9, zone=""), '"1969-12-31T23:59:59.999999999"'),
        (spelling.spelt_instant(2**62, places=3, zone="Z"), str(2**62)),
        (spelling.spelt_day(-1), '"1969-12-31"'),
        (spelling.spelt_day(2**31), str(2**31)),
        (spelling.spelt_clock(86399999, places=3), '"23:59:59.999"'),
        (spelling.spelt_clock(86400000, places=3), "86400000"),
        (spelling.spelt_decimal(Decimal("1E+3")), "1000"),
        (spelling.spelt_decimal(Decimal("0E-10")), "0.0000000000"),
        (spelling.spelt_float(1e300), "1e+300"),
        (spelling.spelt_float(float("-inf")), '"-Infinity"'),
        (spelling.spelt_text(b'"\n\xe2\x80\xa8'), '"\\"\\n\u2028"'),
    ],
)
def test_each_value_has_one_spelling(spelt: str, wanted: str) -> None:
    assert spelt == wanted


def test_a_far_year_costs_no_row() -> None:
    late = pyarrow.array([2**62, 1777889702412], pyarrow.timestamp("ms", tz="UTC"))
    out = io.BytesIO()
    parquet_writer.write_table(pyarrow.table({"at": late}), out)
    found, code = rows(out.getvalue())
    assert [body for body, _, _, _ in found] == [
        b'{"at":%d}' % 2**62, b'{"at":"2026-05-04T10:15:02.412Z"}',
    ]
    assert code == ""


def test_a_half_float_needs_no_library_of_its_own() -> None:
    halves = pyarrow.array([1.5, None, float("nan")], pyarrow.float32()).cast(pyarrow.float16())
    out = io.BytesIO()
    parquet_writer.write_table(pyarrow.table({"n": halves}), out)
    assert [body for body, _, _, _ in rows(out.getvalue())[0]] == [b'{"n":1.5}', b"{}", b'{"n":"NaN"}']


def test_a_footer_that_asks_for_gigabytes_gets_none() -> None:
    stored = b"PAR1" + bytes(100) + struct.pack("<L", 0x7FFFFFFF) + b"PAR1"
    assert rows(stored) == ([], "corrupt_parquet")
