"""zip (APPNOTE 6.3, with zip64 and data descriptors): the contents of its files, in the directory's order.

Names are never used: only their last character is looked at, because a slash makes a directory.
Directories and symbolic links are passed over. The directory stands at the end, so the object is spooled
first. `zipfile` would hold the whole directory in memory, and inflate a bzip2 entry as far as it goes;
here the directory is walked where it lies, and entries come in pieces under the object's Budget.
"""

from __future__ import annotations

import stat
import struct
from typing import IO, Iterator, NamedTuple, Optional, Tuple

from collector import accel
from collector.decode.budget import Budget
from collector.decode.damage import corrupt, truncated
from collector.decode.inflate import inflate_member, member_of
from collector.decode.spool import spooled
from collector.decode.tape import Tape, rest_of
from collector.errors import Poison

__all__ = ["zip_entries"]

_PIECE_BYTES = 64 * 1024
_METHODS = {8: "deflate", 12: "bzip2", 93: "zstd", 95: "xz"}
_STORED = 0
_ENCRYPTED = 0x0001
_BIG = 0xFFFFFFFF

#: Signature, disk, directory's disk, entries here, entries, bytes and offset of the directory, comment.
_END = struct.Struct("<4s4H2LH")
_END_MAX_BYTES = _END.size + 0xFFFF
#: Signature, the record's disk, its offset, disks.
_LOCATOR = struct.Struct("<4sLQL")
#: Signature, size, versions, disks, entries here, entries, bytes and offset of the directory.
_END64 = struct.Struct("<4sQ2H2L4Q")
#: Signature, made by, system, version, flags, method, time, date, CRC, sizes, name, extra, comment, disk,
#: attributes inside and outside, offset.
_ENTRY = struct.Struct("<4s2BH4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


class _Directory(NamedTuple):
    """Where the directory lies, and by how much every offset in it is too small."""

    start: int
    end: int
    shift: int


class _Entry(NamedTuple):
    """One file as the directory describes it; `start` is the offset of its local header."""

    method: int
    flags: int
    crc: int
    packed: int
    size: int
    start: int
    has_content: bool


def zip_entries(tape: Tape, *, budget: Budget, accelerated: bool = True) -> Iterator[Iterator[bytes]]:
    """The content of each file.

    Poison "truncated_zip" (believed at the third sighting), "corrupt_zip" (at the second),
    "encrypted_zip", "unsupported_container"; Retry "spool_failed".
    """
    with spooled(tape, budget=budget) as file:
        directory = _directory(file)
        for entry in _entries(file, directory):
            if entry.has_content:
                yield _content(file, entry, directory, budget=budget.inner(), accelerated=accelerated)


def _directory(file: IO[bytes]) -> _Directory:
    size = file.seek(0, 2)
    tail_start = max(0, size - _END_MAX_BYTES)
    tail = _read(file, tail_start, size - tail_start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise truncated("zip", "the zip archive has no end")
    _, disk, first_disk, _, _, length, offset, _ = _END.unpack_from(tail, found)
    end, wide = tail_start + found, _end64(file, tail_start + found)
    if wide is not None:
        end, length, offset = wide
    elif disk or first_disk:
        raise _unsupported("one of several volumes")
    start = end - length
    if start < 0 or start < offset:
        raise _corrupt("its directory is not where it should be")
    return _Directory(start, end, start - offset)


def _end64(file: IO[bytes], end: int) -> Optional[Tuple[int, int, int]]:
    """Where the directory ends, its length and offset, by the zip64 record if there is one."""
    place = end - _LOCATOR.size
    if place < _END64.size or _read(file, place, 4) != b"PK\x06\x07":
        return None
    _, _, named, _ = _LOCATOR.unpack(_read(file, place, _LOCATOR.size))
    for start in (place - _END64.size, named):
        record = _read(file, start, _END64.size)
        if len(record) == _END64.size and record.startswith(b"PK\x06\x06"):
            return (start, *_END64.unpack(record)[-2:])
    raise _corrupt("its zip64 record is missing")


def _entries(file: IO[bytes], directory: _Directory) -> Iterator[_Entry]:
    position = directory.start
    while position < directory.end:
        fixed = _read(file, position, _ENTRY.size)
        if len(fixed) < _ENTRY.size or not fixed.startswith(b"PK\x01\x02"):
            raise _corrupt("its directory is not readable")
        lengths = _ENTRY.unpack(fixed)[11:14]
        variable = _read(file, position + _ENTRY.size, sum(lengths))
        position += _ENTRY.size + sum(lengths)
        if len(variable) < sum(lengths) or position > directory.end:
            raise _corrupt("its directory is cut off")
        yield _entry(fixed, variable[: lengths[0]], variable[lengths[0] : lengths[0] + lengths[1]])


def _entry(fixed: bytes, name: bytes, extra: bytes) -> _Entry:
    _, _, system, _, flags, method, _, _, crc, packed, size, *_, attributes, start = _ENTRY.unpack(fixed)
    size, packed, start = _true_numbers(extra, size, packed, start)
    is_link = system == 3 and stat.S_ISLNK(attributes >> 16)
    return _Entry(method, flags, crc, packed, size, start, not (name.endswith(b"/") or is_link))


def _true_numbers(extra: bytes, *numbers: int) -> Iterator[int]:
    """What does not fit into 32 bits stands, in the same order, in the extra field 1."""
    wide, place = b"", 0
    while place + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, place)
        if tag == 1:
            wide = extra[place + 4 : place + 4 + length]
        place += 4 + length
    for number in numbers:
        if number == _BIG and wide:
            if len(wide) < 8:
                raise _corrupt("its zip64 sizes are cut off")
            number, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        yield number


def _content(
    file: IO[bytes], entry: _Entry, directory: _Directory, *, budget: Budget, accelerated: bool
) -> Iterator[bytes]:
    """One file's bytes, checked against its length and CRC-32."""
    if entry.flags & _ENCRYPTED:
        raise Poison(
            "the zip archive holds an encrypted file", code="encrypted_zip",
            hint="ask its producer for an archive without a password: S3 encrypts it at rest",
        )
    crc = size = 0
    for piece in _unpacked(_stored(file, entry, directory), entry.method, budget, accelerated):
        crc, size = accel.crc32(piece, crc), size + len(piece)
        yield piece
    if (crc, size) != (entry.crc, entry.size):
        raise _corrupt("the checksum or length of a file is wrong")


def _unpacked(tape: Tape, method: int, budget: Budget, accelerated: bool) -> Iterator[bytes]:
    if method == _STORED:
        for piece in rest_of(tape):
            budget.spend(len(piece))
            yield piece
        return
    if method not in _METHODS:
        raise _unsupported(f"packed with method {method}")
    member = member_of(_METHODS[method], accelerated=accelerated)
    yield from inflate_member(tape, member, "zip", budget=budget)


def _stored(file: IO[bytes], entry: _Entry, directory: _Directory) -> Tape:
    """The packed bytes, which begin behind a second header with lengths of its own."""
    header = _read(file, entry.start + directory.shift, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise _corrupt("a file is not where its directory says")
    start = entry.start + directory.shift + _LOCAL.size + sum(_LOCAL.unpack(header)[-2:])
    if start + entry.packed > directory.start:
        raise _corrupt("a file is longer than the archive")
    return Tape(_pieces(file, start, entry.packed))


def _pieces(file: IO[bytes], start: int, size: int) -> Iterator[bytes]:
    for place in range(start, start + size, _PIECE_BYTES):
        yield _read(file, place, min(_PIECE_BYTES, start + size - place))


def _read(file: IO[bytes], start: int, count: int) -> bytes:
    try:
        file.seek(start)
    except (OSError, OverflowError, ValueError) as error:
        raise _corrupt("an offset in it lies outside of any file") from error
    return file.read(count)


def _unsupported(what: str) -> Poison:
    return Poison(
        f"the zip archive is {what}, which is not read here", code="unsupported_container",
        hint="ask its producer for one file, packed with deflate or not at all",
    )


def _corrupt(why: str) -> Poison:
    return corrupt("zip", f"the zip archive is damaged: {why}")
