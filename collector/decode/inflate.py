"""Stored bytes to text: layers of compression are taken off until none is left.

At most three layers, under one budget of output bytes, so that a small object cannot become an endless
one. gzip is read member by member, because several producers (ALB, CloudWatch through Firehose) write
many. Output comes in pieces of 256 KiB whatever the input: constant memory is also the faster way.
"""

from __future__ import annotations

import bz2
import lzma
from typing import Dict, Iterable, Iterator, Protocol, Tuple, Type

from collector import accel
from collector.decode.sniff import HEAD_BYTES, container_of
from collector.decode.tape import Tape
from collector.errors import CollectorError, Poison

__all__ = ["Budget", "unwrap"]

_IN_BYTES = 64 * 1024
_OUT_BYTES = 256 * 1024
_MAX_LAYERS = 3
_NOT_YET = ("zip", "tar", "zstd", "parquet", "avro", "snappy")


class Budget:
    """How much one object may become: 10 GiB in all, and 200 times its size beyond 64 MiB."""

    max_bytes = 10 * 1024**3
    max_ratio = 200
    free_bytes = 64 * 1024**2

    def __init__(self) -> None:
        self.stored = 0
        self.spent = 0

    def spend(self, count: int) -> None:
        """Count output of any layer. Poison "bomb" when it is too much."""
        self.spent += count
        if self.spent > self.max_bytes or (
            self.spent > self.free_bytes and self.spent > self.max_ratio * self.stored
        ):
            raise Poison(
                f"{self.stored} stored bytes grew to more than {self.spent} bytes",
                code="bomb",
                hint="look at the object; if it is genuine, ask its producer for smaller ones",
            )


def unwrap(
    chunks: Iterable[bytes], *, budget: Budget, accelerated: bool = True, layers: int = _MAX_LAYERS
) -> Iterator[bytes]:
    """The text inside `chunks`.

    Poison "truncated_gzip" (believed at the third sighting: it may be the connection),
    "corrupt_gzip" (at the second), "trailing_junk" (after everything before it), "bomb",
    "nested_too_deep", "unsupported_container"; for bz2 and xz "truncated_bzip2" and so on.
    """
    tape = Tape(chunks)
    name = container_of(tape.look(HEAD_BYTES))
    if name == "text":
        yield from _pieces(tape)
        return
    if name in _NOT_YET:
        raise Poison(
            f"the object is a {name} container, which cannot be read here",
            code="unsupported_container",
            hint="its events stay in S3; retry it from quarantine with a version that reads it",
        )
    if layers == 0:
        raise Poison(f"compressed more than {_MAX_LAYERS} times", code="nested_too_deep")
    outermost = layers == _MAX_LAYERS
    inner = _members(tape, name, budget if outermost else _Uncounted(budget), accelerated)
    yield from unwrap(inner, budget=budget, accelerated=accelerated, layers=layers - 1)


class _Uncounted(Budget):
    """An inner layer: it spends the same budget, but its input is not what is stored in S3."""

    def __init__(self, shared: Budget) -> None:
        self.stored = 0
        self._shared = shared

    def spend(self, count: int) -> None:
        self._shared.spend(count)


class _Member(Protocol):
    """One member. `pull` gives at most 256 KiB; `waiting` says that more may come without input."""

    eof: bool
    waiting: bool
    left: bytes

    def start(self, tape: Tape) -> None: ...

    def pull(self, piece: bytes) -> bytes: ...

    def finish(self, tape: Tape) -> None: ...


class _Gzip:
    """RFC 1952: a header, deflate, and a trailer with CRC-32 and length."""

    def __init__(self, accelerated: bool) -> None:
        self._inflater = accel.inflater(accelerated=accelerated)
        self._crc = self._length = 0
        self.eof = self.waiting = False
        self.left = b""

    def start(self, tape: Tape) -> None:
        fixed = _exactly(tape, 10, "gzip")
        method, flags = fixed[2], fixed[3]
        if method != 8 or flags & 0xE0:
            raise _corrupt("gzip", "its header is not gzip's")
        if flags & 0x04:
            _exactly(tape, int.from_bytes(_exactly(tape, 2, "gzip"), "little"), "gzip")
        for flag in (0x08, 0x10):
            while flags & flag and _exactly(tape, 1, "gzip") != b"\0":
                pass
        if flags & 0x02:
            _exactly(tape, 2, "gzip")

    def pull(self, piece: bytes) -> bytes:
        inflater = self._inflater
        out = inflater.decompress(piece, _OUT_BYTES)
        self._crc = accel.crc32(out, self._crc)
        self._length += len(out)
        self.eof = inflater.eof
        self.left = inflater.unused_data if self.eof else inflater.unconsumed_tail
        # A full piece may leave output behind even when all input was taken.
        self.waiting = not self.eof and (bool(self.left) or len(out) == _OUT_BYTES)
        return out

    def finish(self, tape: Tape) -> None:
        trailer = _exactly(tape, 8, "gzip")
        wanted = self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little")
        if trailer != wanted:
            raise _corrupt("gzip", "its checksum or length is wrong")


class _Stdlib:
    """bz2 and xz: they keep their unread input, and check their own trailers."""

    def __init__(self, name: str) -> None:
        self._inner = bz2.BZ2Decompressor() if name == "bzip2" else lzma.LZMADecompressor(lzma.FORMAT_XZ)
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


_MAGICS: Dict[str, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_ERRORS: Tuple[Type[Exception], ...] = (*accel.INFLATE_ERRORS, OSError, EOFError, lzma.LZMAError)


def _members(tape: Tape, name: str, budget: Budget, accelerated: bool) -> Iterator[bytes]:
    """All members of one layer, then what the bytes after the last one are worth."""
    more = True
    while more:
        member: _Member = _Gzip(accelerated) if name == "gzip" else _Stdlib(name)
        yield from _member(tape, member, name, budget)
        more = _another(tape, name)


def _member(tape: Tape, member: _Member, name: str, budget: Budget) -> Iterator[bytes]:
    member.start(tape)
    while not member.eof:
        piece = b"" if member.waiting and not tape.held else _next_piece(tape)
        if not piece and not member.waiting:
            raise _truncated(tape, name)
        try:
            out = member.pull(piece)
        except _ERRORS as error:
            raise _corrupt(name, str(error)) from error
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


def _truncated(tape: Tape, name: str) -> CollectorError:
    """What ended the source, if it was not its end."""
    return tape.damage or Poison(
        f"the {name} stream ends before its trailer", code=f"truncated_{name}", sightings=3,
        hint="the upload was cut off, or the object is still being written",
    )  # fmt: skip


def _corrupt(name: str, why: str) -> Poison:
    return Poison(
        f"the {name} stream is damaged: {why}", code=f"corrupt_{name}", sightings=2,
        hint="fetch the object by hand; if that copy is damaged too, ask the provider for it",
    )  # fmt: skip


def _another(tape: Tape, name: str) -> bool:
    """Whether a member follows. Zero padding is skipped; anything else is Poison "trailing_junk"."""
    while True:
        tape.held = tape.look(_IN_BYTES).lstrip(b"\0")
        if tape.held or tape.ended:
            break
    magic = _MAGICS[name]
    if tape.look(len(magic)).startswith(magic):
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


def _pieces(tape: Tape) -> Iterator[bytes]:
    while not tape.ended or tape.held:
        yield tape.take(len(tape.look(1)))
    tape.raise_damage()
