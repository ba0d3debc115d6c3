"""The bytes inside one gzip object, and nothing cut or changed: what CloudTrail hashes and signs."""

from __future__ import annotations

from typing import Iterable, Iterator

from collector.decode.budget import Budget
from collector.decode.inflate import inflate
from collector.decode.sniff import HEAD_BYTES, container_of
from collector.decode.tape import Tape
from collector.errors import Poison

__all__ = ["content"]


def content(chunks: Iterable[bytes], *, accelerated: bool = True) -> Iterator[bytes]:
    """One layer of gzip taken off, checked to its trailer.

    Poison "not_gzip", and what `inflate` raises; and whatever `chunks` itself raises.
    """
    tape = Tape(chunks)
    if container_of(tape.look(HEAD_BYTES)) != "gzip":
        tape.raise_damage()
        raise Poison("the object is not gzip", code="not_gzip", hint="Who wrote it? CloudTrail writes gzip")
    yield from inflate(tape, "gzip", budget=Budget(), accelerated=accelerated)
