"""Rows 1 to 11 of docs/formats.md: what an object may be packed in, and how that may be odd or broken."""

from __future__ import annotations

import gzip
import io
import sys
import zlib

import pytest

from tests.hostile.world import GOLDEN, S3Answers, World, gz

ONE = b'{"eventTime":"2024-05-04T10:15:02Z","n":1}'
TWO = b'{"eventTime":"2024-05-04T10:15:03Z","n":2}'
MANY = [b'{"eventTime":"2024-05-04T10:15:02Z","n":%d}' % number for number in range(500)]


def golden(name):
    return (GOLDEN / name / "object").read_bytes()


def test_h01_a_gzip_bomb_ends_in_quarantine_and_is_read_no_further():
    """What came before the limit is delivered: an object that is only too large loses nothing of it."""
    zeros = gzip.compress(bytes(1 << 20), 9, mtime=0)
    bomb = gz(ONE) + zeros * 1000
    world = World(read_bytes=4096)
    ref = world.announce("bomb.gz", bomb)
    world.run(10)
    assert world.bodies()[0] == ONE
    assert sum(map(len, world.bodies())) <= 64 * 1024**2, "no more than may come of an object of any size"
    assert {body.strip(b"\0") for body in world.bodies()[1:]} == {b""}
    assert (world.state(ref), world.reasons(), world.is_over()) == ("quarantined", ["bomb"], True)
    assert world.kept.read_so_far < len(bomb) / 2


def test_h02_gzip_of_gzip_of_gzip_is_unwrapped():
    world = World()
    ref = world.announce("k", gzip.compress(gzip.compress(gz(ONE, TWO))))
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "done", [], True)


def test_h02_a_fourth_layer_is_too_much():
    world = World()
    ref = world.announce("k", gzip.compress(gzip.compress(gzip.compress(gz(ONE)))))
    world.run(10)
    assert world.outcome(ref) == ([], "quarantined", ["nested_too_deep"], True)


def test_h03_a_truncated_gzip_is_believed_at_the_third_reading_and_its_complete_lines_delivered():
    world = World()
    stored = gz(*MANY)[:-400]
    ref = world.announce("k", stored)
    world.run(600)
    whole = zlib.decompressobj(31).decompress(stored).rpartition(b"\n")[0].split(b"\n")
    assert 100 < len(whole) < 500
    assert world.outcome(ref) == (whole, "quarantined", ["truncated_gzip"], True)
    assert world.kept.opened == [ref.url] * 3


def test_h04_a_gzip_with_a_wrong_checksum_is_read_twice_then_delivered_and_kept():
    world = World()
    stored = bytearray(gz(ONE, TWO))
    stored[-8] ^= 1
    ref = world.announce("k", bytes(stored))
    world.run(600)
    assert world.outcome(ref) == ([ONE, TWO], "quarantined", ["corrupt_gzip"], True)
    assert world.kept.opened == [ref.url] * 2


def test_h04_a_gzip_with_a_wrong_length_as_well():
    world = World()
    stored = bytearray(gz(ONE, TWO))
    stored[-1] ^= 1
    ref = world.announce("k", bytes(stored))
    world.run(600)
    assert world.outcome(ref) == ([ONE, TWO], "quarantined", ["corrupt_gzip"], True)


def test_h05_every_member_of_a_gzip_is_read():
    world = World()
    ref = world.announce("k", b"".join(gz(line) for line in MANY))
    world.run(10)
    assert world.outcome(ref) == (MANY, "done", [], True)


def test_h06_zeros_after_the_last_member_are_padding():
    world = World()
    ref = world.announce("k", gz(ONE, TWO) + bytes(1000))
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "done", [], True)


def test_h06_anything_else_after_it_is_kept_and_all_before_it_delivered():
    world = World()
    ref = world.announce("k", gz(ONE, TWO) + b"<html>502 Bad Gateway</html>")
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "quarantined", ["trailing_junk"], True)


def test_h07_a_plain_object_under_a_gz_key():
    world = World()
    ref = world.announce("audits.json.gz", ONE + b"\n" + TWO + b"\n")
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "done", [], True)


def test_h08_a_gzip_without_a_suffix():
    world = World()
    ref = world.announce("firehose-1-2024-05-04-10-15-02-uuid", gz(ONE, TWO))
    world.run(10)
    assert world.outcome(ref) == ([ONE, TWO], "done", [], True)


@pytest.mark.parametrize("encoding", ["gzip", "aws-chunked", "gzip,aws-chunked", "zstd", ""])
@pytest.mark.parametrize("body", [ONE + b"\n", gz(ONE)], ids=["plain", "gzip"])
def test_h09_a_content_encoding_that_lies_is_not_asked(encoding, body):
    s3 = S3Answers()
    world = World(s3=s3)
    ref = s3.put("k", body, ContentEncoding=encoding, ContentType="image/png")
    world.tell(ref)
    world.run(10)
    assert world.outcome(ref) == ([ONE], "done", [], True)


@pytest.mark.parametrize("name", ["zip_paths_and_links", "tar_paths_and_links"])
def test_h10_every_regular_file_of_an_archive_is_delivered_and_no_name_used(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = World()
    ref = world.announce("k", golden(name))
    world.run(10)
    assert [len(world.bodies()), world.state(ref), world.reasons(), world.is_over()] == [6, "done", [], True]
    assert list(tmp_path.iterdir()) == []


def test_h10_an_encrypted_zip_is_kept_and_the_files_before_it_delivered():
    world = World()
    ref = world.announce("k", golden("zip_encrypted"))
    world.run(10)
    assert len(world.bodies()) == 2
    assert (world.state(ref), world.reasons(), world.is_over()) == ("quarantined", ["encrypted_zip"], True)
    assert "without a password" in world.quarantined()[0].detail


@pytest.mark.parametrize(("name", "count"), [("parquet", 3), ("avro", 2)])
def test_h11_parquet_and_avro_are_read_row_by_row(name, count):
    world = World()
    ref = world.announce("region=eu-west-1/x.gz.parquet", golden(name))
    world.run(10)
    assert len(world.bodies()) == count
    assert (world.state(ref), world.reasons(), world.is_over()) == ("done", [], True)


@pytest.mark.parametrize(("name", "library"), [("parquet", "pyarrow"), ("avro", "fastavro")])
def test_h11_without_the_extra_they_are_kept_and_the_extra_named(name, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    world = World()
    ref = world.announce("k", golden(name))
    world.run(10)
    assert world.outcome(ref) == ([], "quarantined", ["unsupported_container"], True)
    assert "audit-s3-collector[parquet]" in world.quarantined()[0].detail


def test_h11_orc_is_kept_and_not_taken_for_text():
    orc = pytest.importorskip("pyarrow.orc")
    pyarrow = pytest.importorskip("pyarrow")
    stored = io.BytesIO()
    orc.write_table(pyarrow.table({"eventTime": ["2024-05-04T10:15:02Z"] * 3, "n": [1, 2, 3]}), stored)
    world = World()
    ref = world.announce("k", stored.getvalue())
    world.run(10)
    assert world.outcome(ref) == ([], "quarantined", ["unsupported_container"], True)


def test_h11_a_text_that_begins_with_the_three_letters_of_orc_is_text():
    world = World()
    ref = world.announce("k", b"ORCA started\nORC stopped\n")
    world.run(10)
    assert world.outcome(ref) == ([b"ORCA started", b"ORC stopped"], "done", [], True)
