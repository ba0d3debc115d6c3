"""Compressed bytes to plain ones: one layer, member by member, checked to its trailer.

gzip is read by its members, because several producers (ALB, CloudWatch through Firehose) write many; so
are bzip2, xz and zstd, whose frames (RFC 8878) may be glued as well. Output comes in pieces of 256 KiB
whatever the input: constant memory is also the faster way. A stream that asks for more memory than its
genuine writers do (a zstd window over 8 MiB, an xz dictionary over 64 MiB) is refused, not tried.
"""

from __future__ import annotations

import bz2
import lzma
from typing import Callable, Dict, Iterator, Protocol, Tuple, Type

from collector import accel
from collector.decode.budget import Budget
from collector.decode.damage import corrupt, cut_off
from collector.decode.sniff import is_skippable_frame
from collector.decode.tape import Tape
from collector.errors import CollectorError, Poison

__all__ = ["COMPRESSIONS", "inflate", "inflate_member", "member_of"]

_IN_BYTES = 64 * 1024
_OUT_BYTES = 256 * 1024
#: `xz -9` needs 65 MiB to be read; a crafted header could ask for gigabytes.
_XZ_MEMORY_BYTES = 80 * 1024**2

_MAGICS: Dict[str, bytes] = {
    "gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd",
}
#: What `inflate` reads.
COMPRESSIONS = frozenset(_MAGICS)


def inflate(tape: Tape, name: str, *, budget: Budget, accelerated: bool = True) -> Iterator[bytes]:
    """All members of one layer, then what the bytes after the last one are worth.

    Poison "truncated_gzip" (believed at the third sighting: it may be the connection), "corrupt_gzip"
    (at the second), "trailing_junk" (after everything before it), "bomb", "unsupported_container"; for
    the others "truncated_zstd" and so on.
    """
    more = True
    while more:
        yield from inflate_member(tape, member_of(name, accelerated=accelerated), name, budget=budget)
        more = _another(tape, name)


class Member(Protocol):
    """One member. `pull` gives at most 256 KiB; `waiting` says that more may come without input."""

    eof: bool
    waiting: bool
    left: bytes

    def start(self, tape: Tape) -> None: ...

    def pull(self, piece: bytes) -> bytes: ...

    def finish(self, tape: Tape) -> None: ...


class _Bounded:
    """What keeps its unread input: bz2, xz and zstd, which check their own trailers."""

    def __init__(self, inner: accel.Decompressor) -> None:
        self._inner = inner
        self.eof = self.waiting = False
        self.left = b""

    def start(self, tape: Tape) -> None:
        """Nothing: the library reads the header."""

    def pull(self, piece: bytes) -> bytes:
        out = self._inner.decompress(piece, _OUT_BYTES)
        self.eof = self._inner.eof
        self.left = self._inner.unused_data
        self.waiting = not self.eof and not self._inner.needs_input
        return out

    def finish(self, tape: Tape) -> None:
        """Nothing: the library has checked the trailer."""


class _Deflate(_Bounded):
    """RFC 1951, without anything around it: an entry of a zip."""

    def __init__(self, accelerated: bool) -> None:
        super().__init__(accel.inflater(accelerated=accelerated))

    def pull(self, piece: bytes) -> bytes:
        out = super().pull(piece)
        # A full piece may leave output behind even when all input was taken.
        self.waiting = self.waiting or (not self.eof and len(out) == _OUT_BYTES)
        return out


class _Gzip(_Deflate):
    """RFC 1952: a header, deflate, and a trailer with CRC-32 and length."""

    def __init__(self, accelerated: bool) -> None:
        super().__init__(accelerated)
        self._crc = self._length = 0

    def start(self, tape: Tape) -> None:
        fixed = _exactly(tape, 10, "gzip")
        method, flags = fixed[2], fixed[3]
        if method != 8 or flags & 0xE0:
            raise _corrupt("gzip", "its header is not gzip's")
        if flags & 0x04:
            _exactly(tape, int.from_bytes(_exactly(tape, 2, "gzip"), "little"), "gzip")
        for flag in (0x08, 0x10):
            if flags & flag:
                _skip_text(tape)
        if flags & 0x02:
            _exactly(tape, 2, "gzip")

    def pull(self, piece: bytes) -> bytes:
        out = super().pull(piece)
        self._crc = accel.crc32(out, self._crc)
        self._length += len(out)
        return out

    def finish(self, tape: Tape) -> None:
        trailer = _exactly(tape, 8, "gzip")
        wanted = self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little")
        if trailer != wanted:
            raise _corrupt("gzip", "its checksum or length is wrong")


_ERRORS: Tuple[Type[Exception], ...] = (
    *accel.INFLATE_ERRORS, *accel.ZSTD_ERRORS, OSError, EOFError, lzma.LZMAError,
)


def member_of(name: str, *, accelerated: bool = True) -> Member:
    """What reads one member. Beside COMPRESSIONS also "deflate", which no magic announces."""
    makers: Dict[str, Callable[[], Member]] = {
        "gzip": lambda: _Gzip(accelerated),
        "deflate": lambda: _Deflate(accelerated),
        "bzip2": lambda: _Bounded(bz2.BZ2Decompressor()),
        "xz": lambda: _Bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)),
        "zstd": lambda: _Bounded(_zstd()),
    }
    return makers[name]()


def _zstd() -> accel.Decompressor:
    found = accel.zstd_decompressor()
    if found is None:
        raise Poison(
            "the object is compressed with zstd, which this Python cannot read alone",
            code="unsupported_container",
            hint="pip install 'audit-s3-collector[zstd]', then retry it from quarantine",
        )
    return found


def inflate_member(tape: Tape, member: Member, name: str, *, budget: Budget) -> Iterator[bytes]:
    """One member, counted; `name` is what its errors are called by."""
    member.start(tape)
    while not member.eof:
        piece = b"" if member.waiting and not tape.held else _next_piece(tape)
        if not piece and not member.waiting:
            raise _truncated(tape, name)
        try:
            out = member.pull(piece)
        except _ERRORS as error:
            raise _refused(name, str(error)) from error
        budget.stored += len(piece) - len(member.left)
        tape.held = member.left + tape.held
        budget.spend(len(out))
        if out:
            yield out
    member.finish(tape)


def _exactly(tape: Tape, count: int, name: str) -> bytes:
    if len(tape.look(count)) < count:
        raise _truncated(tape, name)
    return tape.take(count)


def _skip_text(tape: Tape) -> None:
    """A file's name or a comment, of any length, up to its zero byte."""
    while True:
        held = tape.look(1)
        if not held:
            raise _truncated(tape, "gzip")
        end = held.find(b"\0")
        tape.drop(end + 1 if end >= 0 else len(held))
        if end >= 0:
            return


def _truncated(tape: Tape, name: str) -> CollectorError:
    return cut_off(tape, name, f"the {name} stream ends before its trailer")


def _corrupt(name: str, why: str) -> Poison:
    return corrupt(name, f"the {name} stream is damaged: {why}")


def _refused(name: str, why: str) -> Poison:
    """The libraries have one exception for damage and for streams that want too much memory."""
    if "memory" not in why.lower():
        return _corrupt(name, why)
    return Poison(
        f"the {name} stream can be read only with a lot of memory: {why}", code="unsupported_container",
        hint="ask its producer for a window of at most 8 MiB (zstd -19 or less, without --long; xz -9)",
    )


def _another(tape: Tape, name: str) -> bool:
    """Whether a member follows. Zero padding is skipped; anything else is Poison "trailing_junk"."""
    while True:
        tape.held = tape.look(_IN_BYTES).lstrip(b"\0")
        if tape.held or tape.ended:
            break
    magic = _MAGICS[name]
    head = tape.look(max(4, len(magic)))
    if head.startswith(magic) or (name == "zstd" and is_skippable_frame(head)):
        return True
    if tape.held:
        raise Poison(
            f"{len(tape.held)} or more bytes follow the end of the {name} stream",
            code="trailing_junk",
            hint="every event before them was delivered; look at the end of the object",
        )
    tape.raise_damage()
    return False


def _next_piece(tape: Tape) -> bytes:
    tape.look(1)
    return tape.take(_IN_BYTES)

