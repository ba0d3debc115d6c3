"""Stored bytes to the texts inside them: layers come off until none is left.

    a compressed stream holds one thing, an archive any number, a table holds rows

What is inside is sniffed in its turn, at most three layers deep, under one Budget of output. A text is
delivered like an object of its own; ordinals run on over all of them, in the order they are stored.
"""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, NamedTuple, Optional

from collector.decode.avro import avro_rows
from collector.decode.budget import Budget
from collector.decode.inflate import COMPRESSIONS, inflate
from collector.decode.parquet import parquet_rows
from collector.decode.sniff import HEAD_BYTES, container_of
from collector.decode.tape import Tape, rest_of
from collector.decode.tars import tar_entries
from collector.decode.zips import zip_entries
from collector.errors import Poison

__all__ = ["Text", "texts"]

_MAX_LAYERS = 3
_TABLES = {"avro": avro_rows, "parquet": parquet_rows}
_ELSEWHERE = {
    "snappy": "ask its producer for gzip or zstd, or recompress it: snzip -d FILE, then gzip FILE",
    "lz4": "ask its producer for gzip or zstd, or recompress it: lz4 -d FILE, then gzip FILE",
    "7z": "ask its producer for zip or tar",
    "rar": "ask its producer for zip or tar",
    "compress": "ask its producer for gzip, or recompress it: uncompress FILE, then gzip FILE",
    "orc": "ask its producer for Parquet, Avro, or JSON lines",
    "parquet_encrypted": "ask its producer for Parquet without modular encryption, in an encrypted bucket",
}


class Text(NamedTuple):
    """One text, to be read to its end before the next. `rows`: each line is one event, and JSON."""

    chunks: Iterator[bytes]
    rows: bool = False


def texts(
    chunks: Iterable[bytes],
    *,
    budget: Budget,
    accelerated: bool = True,
    layers: int = _MAX_LAYERS,
    inflated: Optional[Callable[[bytes], None]] = None,
) -> Iterator[Text]:
    """The texts inside `chunks`; `inflated` is told what is inside the first layer, if that is gzip.

    Errors come after everything before them, here or from the chunks of a Text: Poison
    "unsupported_container", "nested_too_deep", and those of `inflate`, `tars`, `zips`, `parquet`, `avro`.
    """
    tape = Tape(chunks)
    name = container_of(tape.look(HEAD_BYTES))
    if name == "text":
        yield Text(rest_of(tape))
        return
    if name in _ELSEWHERE:
        raise _unreadable(name)
    if layers == 0:
        raise Poison(
            f"wrapped more than {_MAX_LAYERS} times", code="nested_too_deep",
            hint="look at the object; if it is genuine, ask its producer for fewer wrappings",
        )
    if name in _TABLES:
        yield Text(_TABLES[name](tape, budget=budget), rows=True)
        return
    for inside in _contents(tape, name, budget, accelerated):
        if inflated is not None and name == "gzip":
            inside = _told(inside, inflated)
        yield from texts(inside, budget=budget.inner(), accelerated=accelerated, layers=layers - 1)


def _contents(tape: Tape, name: str, budget: Budget, accelerated: bool) -> Iterator[Iterator[bytes]]:
    if name in COMPRESSIONS:
        yield inflate(tape, name, budget=budget, accelerated=accelerated)
    elif name == "tar":
        yield from tar_entries(tape, budget=budget)
    else:
        yield from zip_entries(tape, budget=budget, accelerated=accelerated)


def _told(pieces: Iterator[bytes], inflated: Callable[[bytes], None]) -> Iterator[bytes]:
    inflated(b"")  # an empty content is a content too
    for piece in pieces:
        inflated(piece)
        yield piece


def _unreadable(name: str) -> Poison:
    return Poison(
        f"the object is a {name} container, which is not read here",
        code="unsupported_container", hint=_ELSEWHERE[name],
    )
