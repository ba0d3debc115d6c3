"""What is in an archive arrives in stored order, or the error says why; damage costs nothing before it."""

from __future__ import annotations

import gzip
import hashlib
import random
import struct
import tarfile
import zipfile
from typing import Iterator, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import decode
from collector.decode.budget import Budget
from collector.errors import Retry
from collector.model import Format
from tests.unit.decode.boxes import BODIES, FILES, File, avroed, parqueted, tarred, zipped, zstd
from tests.unit.decode.documents import NOW, rows

TAR_FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=130)
CONTENTS = st.text("ab \n", max_size=60).map(str.encode)
ENTRIES = st.lists(st.tuples(NAMES, CONTENTS), min_size=1, max_size=6, unique_by=lambda file: file[0])


def bodies(stored: bytes, *, step: int = 1 << 20) -> List[bytes]:
    found, code = rows(stored, step=step)
    assert code == ""
    return [body for body, _, _, _ in found]


@pytest.mark.parametrize("format", TAR_FORMATS)
@settings(deadline=None, max_examples=25)
@given(entries=ENTRIES, step=st.integers(1, 700))
def test_a_tar_gives_the_events_of_its_files_in_order(format: int, entries: List[File], step: int) -> None:
    wanted = [body for _, content in entries for body in bodies(content)]
    if format == tarfile.USTAR_FORMAT:
        entries = [(f"name {number}", content) for number, (_, content) in enumerate(entries)]
    assert bodies(tarred(entries, format=format), step=step) == wanted


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=25)
@given(entries=ENTRIES, step=st.integers(1, 700))
def test_a_zip_gives_the_events_of_its_files_in_order(method: int, entries: List[File], step: int) -> None:
    wanted = [body for _, content in entries for body in bodies(content)]
    assert bodies(zipped(entries, method=method), step=step) == wanted


def test_what_is_packed_inside_is_unpacked_and_ordinals_run_on() -> None:
    for stored in (tarred(), zipped(), gzip.compress(tarred()), zstd(zipped())):
        found = list(decode([stored], format=Format(), now=NOW))
        assert [body for block in found for body in block.bodies] == BODIES
        assert [event.ordinal for block in found for event in block] == list(range(len(BODIES)))


BOXES = {
    "tar": (tarred(), "truncated_tar"), "zip": (zipped(), "truncated_zip"),
    "zstd": (zstd(b'{"n":1}\n{"n":2}\n'), "truncated_zstd"),
    "parquet": (parqueted([{"n": 1}, {"n": 2}]), "truncated_parquet"),
}


@pytest.mark.parametrize("name", BOXES)
def test_every_cut_is_seen_and_gives_a_prefix(name: str) -> None:
    stored, truncated = BOXES[name]
    whole = rows(stored)[0]
    for end in range(300 if name == "tar" else 4, len(stored), max(7, len(stored) // 150)):
        found, code = rows(stored[:end])
        if code == "" and name == "tar":  # only padding is missing: two blocks of zeros have closed it
            assert stored[end - 512 : end] == bytes(512)
            continue
        assert code in (truncated, "truncated_gzip")
        assert found == whole[: len(found)]


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_broken_connection_is_no_damage(name: str, share: float) -> None:
    stored, _ = BOXES[name]

    def source() -> Iterator[bytes]:
        yield stored[: int(len(stored) * share)]
        raise Retry("reset", code="reset")

    found = []
    with pytest.raises(Retry, match="reset"):
        for block in decode(source(), format=Format(), now=NOW):
            found += [(event.body, event.time, event.is_json, event.note) for event in block]
    assert found == rows(stored)[0][: len(found)]


@pytest.mark.parametrize("name", ["tar", "zip", "zstd", "parquet"])
def test_a_changed_byte_never_raises_anything_but_ours(name: str) -> None:
    stored, _ = BOXES[name]
    dice = random.Random(7)
    for _ in range(400):
        damaged = bytearray(stored)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        rows(bytes(damaged))  # lets everything but a CollectorError through


def test_a_changed_byte_of_a_zipped_file_is_always_noticed() -> None:
    stored = zipped(FILES[:1], method=zipfile.ZIP_STORED)
    start = stored.index(FILES[0][1])
    for place in range(start, start + len(FILES[0][1])):
        damaged = bytearray(stored)
        damaged[place] ^= 0x01
        assert rows(bytes(damaged))[1] == "corrupt_zip"


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "free_bytes", 200_000)


ZEROS = bytes(3_000_000)


@pytest.mark.parametrize(
    "bomb",
    [
        zipped([("bomb", ZEROS)]),
        zipped([("bomb", ZEROS)], method=zipfile.ZIP_BZIP2),
        zipped([(str(number), ZEROS[:300_000]) for number in range(10)]),
        zstd(ZEROS),
        tarred([("bomb.gz", gzip.compress(ZEROS))]),
        tarred([(str(number), gzip.compress(ZEROS[:300_000])) for number in range(50)]),
        gzip.compress(zipped([("bomb", ZEROS)])),
        parqueted([{"n": "x" * 3_000}] * 1_000),
    ],
    ids=["zip", "zip_bz2", "zip_of_many", "zstd", "tar_gz", "tar_of_many", "gz_zip", "parquet"],
)
def test_a_bomb_is_stopped_whatever_it_is_wrapped_in(small_budget: None, bomb: bytes) -> None:
    assert rows(bomb)[1] == "bomb"


def test_what_is_spooled_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = zipped(FILES[:1], method=zipfile.ZIP_STORED)
    monkeypatch.setattr(Budget, "max_bytes", len(stored) - 1)
    assert rows(stored) == ([], "bomb")


GENUINE = b"".join(b'{"id":"%s"}\n' % hashlib.sha256(bytes([n])).hexdigest().encode() for n in range(70))


@pytest.mark.parametrize(
    "stored",
    [
        tarred([(str(number), gzip.compress(GENUINE)) for number in range(60)]),
        zipped([(str(number), GENUINE) for number in range(60)]),
        zipped([(str(number), zstd(GENUINE)) for number in range(60)], method=zipfile.ZIP_STORED),
        gzip.compress(tarred([(str(number), GENUINE) for number in range(60)])),
        parqueted([{"n": hashlib.sha256(b"%d" % n).hexdigest()} for n in range(4000)]),
        avroed([{"n": n} for n in range(40_000)], block_bytes=1000),
    ],
    ids=["tar_of_gz", "zip", "zip_of_zstd", "tar_gz", "parquet", "avro"],
)
def test_what_is_genuine_is_no_bomb(small_budget: None, stored: bytes) -> None:
    found, code = rows(stored)
    assert code == ""
    assert sum(len(body) for body, _, _, _ in found) > 250_000


@pytest.mark.parametrize(("method", "copies"), [(zipfile.ZIP_STORED, 300), (zipfile.ZIP_DEFLATED, 100)])
def test_files_of_one_archive_that_share_their_bytes_share_the_budget(
    small_budget: None, method: int, copies: int
) -> None:
    """A directory may name one file many times; output is what counts."""
    stored = zipped([("bomb", ZEROS[:300_000])], method=method)
    start, end = stored.index(b"PK\x01\x02"), stored.index(b"PK\x05\x06")
    entry = stored[start:end]
    numbers = (0, 0, copies, copies, copies * len(entry), start, 0)
    closing = struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers)
    assert rows(stored[:start] + entry * copies + closing)[1] == "bomb"


@pytest.mark.parametrize("type", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_the_size_of_what_has_no_content_means_nothing(type: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = type, 700
    assert rows(info.tobuf(tarfile.USTAR_FORMAT) + tarred(FILES[:1])) == rows(FILES[0][1])


@pytest.mark.parametrize("type", [b"D", b"V", b"M", b"N"])
def test_what_is_no_regular_file_is_passed_over_with_its_content(type: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = type, 700
    head = info.tobuf(tarfile.GNU_FORMAT) + b"no event\n".ljust(1024, b"\0")
    assert rows(head + tarred(FILES[:1])) == rows(FILES[0][1])


def test_a_pax_header_says_how_long_the_next_file_is() -> None:
    """As it must for one of more than 8 GiB, whose own header has no room for it."""
    content = FILES[0][1]
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "11 size=5\n", "size": str(len(content))}
    stored = info.tobuf(tarfile.PAX_FORMAT) + content.ljust(512, b"\0") + tarred([("y", b"a line\n")])
    assert bodies(stored) == [*bodies(content), b"a line"]


@pytest.mark.parametrize("type", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_may_not_be_as_large_as_it_likes(type: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = type, 3 * 1024 * 1024
    stored = info.tobuf(tarfile.USTAR_FORMAT) + b"6 a=b\n" * (info.size // 6) + tarred(FILES[:1])
    found, code = rows(stored)
    assert (len(found), code) == ((0, "corrupt_tar") if type == tarfile.XHDTYPE else (2, ""))


@pytest.mark.parametrize("length", [1, 511, 512, 5000])
def test_junk_behind_a_tar_is_seen_whatever_its_length(length: int) -> None:
    assert rows(tarred(FILES[:1]) + b"x" * length) == (rows(FILES[0][1])[0], "trailing_junk")


def test_a_negative_size_is_damage() -> None:
    info = tarfile.TarInfo("x")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    assert rows(bytes(header) + bytes(1024))[1] == "corrupt_tar"


@pytest.mark.parametrize("where", ["/nowhere/at/all"])
def test_a_full_disk_is_tried_again(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", where)
    with pytest.raises(Retry) as caught:
        list(decode([zipped()], format=Format(), now=NOW))
    assert caught.value.code == "spool_failed"


def test_nothing_stays_open_when_decoding_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    opened = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **o: opened.append(real(**o)) or opened[-1])
    found = decode([zipped()], format=Format(), now=NOW)
    next(found)
    found.close()
    del found
    assert [file.closed for file in opened] == [True]


def test_a_stopped_reader_may_start_again_and_finds_the_same() -> None:
    for stored in (tarred(), zipped(), parqueted([{"n": n} for n in range(50)])):
        assert rows(stored, step=3) == rows(stored) == rows(stored, step=1000)


