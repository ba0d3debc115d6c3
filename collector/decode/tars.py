"""tar (POSIX.1-1988 ustar, pax, GNU): the contents of its regular files, as they stream by.

Names are never used, not even read. Directories, links and devices are passed over. `tarfile` would
take an unreadable header for the end, keep a list of all entries, and read headers of any size into
memory; so it only reads the 512 bytes of one header here, and the walk is ours. An archive is at its end
where blocks of zeros are: anything else is cut off.
"""

from __future__ import annotations

import tarfile
from typing import Dict, Iterator, Tuple

from collector.decode.budget import Budget
from collector.decode.damage import corrupt, cut_off
from collector.decode.tape import Tape, rest_of
from collector.errors import CollectorError, Poison

__all__ = ["tar_entries"]

_BLOCK_BYTES = 512
#: What a header is taken from is copied with every take, so it is kept small.
_PIECE_BYTES = 16 * 1024
#: Of a pax header only the size is of interest; a genuine one holds a few names.
_PAX_MAX_BYTES = 1024 * 1024

_REGULAR = frozenset([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE])
#: Their size field is not a number of bytes that follow.
_BODILESS = frozenset(
    [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
#: Long names, and what holds for all entries: a pax header before them is about the entry after them.
_ABOUT_THE_NEXT = frozenset([tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE])
_PAX = frozenset([tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE])


def tar_entries(tape: Tape, *, budget: Budget) -> Iterator[Iterator[bytes]]:
    """The content of each regular file; what the caller leaves of it is passed over.

    Poison "truncated_tar" (believed at the third sighting), "corrupt_tar" (at the second),
    "trailing_junk", "unsupported_container" (a sparse file).
    """
    tape = Tape(_small(tape, budget))
    for header, size in _headers(tape):
        content = _content(tape, size)
        if header.type in _REGULAR:
            yield content
        for _ in content:
            continue
        _discard(tape, -size % _BLOCK_BYTES)


def _small(tape: Tape, budget: Budget) -> Iterator[bytes]:
    for piece in rest_of(tape):
        for start in range(0, len(piece), _PIECE_BYTES):
            part = piece[start : start + _PIECE_BYTES]
            budget.stored += len(part)
            yield part


def _headers(tape: Tape) -> Iterator[Tuple[tarfile.TarInfo, int]]:
    """Every header and how many bytes follow it, padding aside. pax headers are read on the way."""
    pax: Dict[bytes, bytes] = {}
    while not _is_end(tape):
        header = _header(_exactly(tape, _BLOCK_BYTES))
        if header.type in _PAX:
            pax = _pax(tape, header.size)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE or any(name.startswith(b"GNU.sparse") for name in pax):
            raise _sparse()
        yield header, _size(header, pax)
        if header.type not in _ABOUT_THE_NEXT:
            pax = {}


def _is_end(tape: Tape) -> bool:
    """Whether blocks of zeros stand here, and then nothing: archives that were glued go on."""
    closed = False
    while True:
        block = tape.look(_BLOCK_BYTES)[:_BLOCK_BYTES]
        blank = not block.strip(b"\0")
        if len(block) < _BLOCK_BYTES:
            if closed and not blank:
                raise _junk()
            if closed and tape.damage is None:
                return True
            raise _truncated(tape)
        if not blank:
            if closed and not _is_header(block):
                raise _junk()
            return False
        closed = True
        tape.drop(_BLOCK_BYTES)


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _corrupt(str(error)) from error
    if header.size < 0:
        raise _corrupt("a header gives a negative size")
    return header


def _size(header: tarfile.TarInfo, pax: Dict[bytes, bytes]) -> int:
    if header.type in _BODILESS:
        return 0
    size = pax.get(b"size")
    if size is None or header.type in _ABOUT_THE_NEXT:
        return header.size
    if not size.isdigit() or len(size) > 19:
        raise _corrupt("a pax header gives a size that is no number")
    return int(size)


def _pax(tape: Tape, size: int) -> Dict[bytes, bytes]:
    """The records of a pax header: each its own length in decimal, a space, name=value, a newline."""
    if size > _PAX_MAX_BYTES:
        raise _corrupt(f"a pax header of {size} bytes")
    text, records, start = _exactly(tape, size), {}, 0
    _discard(tape, -size % _BLOCK_BYTES)
    while start < len(text):
        length, _, _ = text[start : start + 20].partition(b" ")
        if not length.isdigit() or int(length) <= len(length):
            raise _corrupt("a pax header whose records have no length")
        record = text[start + len(length) + 1 : start + int(length) - 1]
        name, _, value = record.partition(b"=")
        records[name] = value
        start += int(length)
    return records


def _content(tape: Tape, size: int) -> Iterator[bytes]:
    while size:
        held = tape.look(1)
        if not held:
            raise _truncated(tape)
        piece = tape.take(min(size, len(held)))
        size -= len(piece)
        yield piece


def _discard(tape: Tape, count: int) -> None:
    for _ in _content(tape, count):
        continue


def _exactly(tape: Tape, count: int) -> bytes:
    if len(tape.look(count)) < count:
        raise _truncated(tape)
    return tape.take(count)


def _truncated(tape: Tape) -> CollectorError:
    return cut_off(tape, "tar", "the tar archive ends before its closing blocks of zeros")


def _corrupt(why: str) -> Poison:
    return corrupt("tar", f"the tar archive is damaged: {why}")


def _junk() -> Poison:
    return Poison(
        "something that is no tar follows the end of the tar archive", code="trailing_junk",
        hint="every event before it was delivered; look at the end of the object",
    )


def _sparse() -> Poison:
    return Poison(
        "the tar archive holds a sparse file", code="unsupported_container",
        hint="ask its producer to write it without --sparse",
    )
