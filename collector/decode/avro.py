"""Avro object container files (Apache Avro 1.12, "Object Container Files"): one JSON event for each record.

The blocks are read here, one by one as they arrive, so that their compression stays under the object's
Budget; the records in them are read by fastavro, which is imported when the first such object comes (the
extra `parquet`). Values look as `spelling` says. Of the logical types only decimal and uuid are applied:
a time stays the number that is stored, so that one beyond the calendar costs nothing.
"""

from __future__ import annotations

import io
import json
import zlib
from decimal import Context, Decimal
from typing import Any, Dict, Iterator, List, Mapping, Optional
from uuid import UUID

from collector.decode.avro_weight import Counted, TooHeavy, refuse_heavy
from collector.decode.budget import Budget
from collector.decode.damage import corrupt, cut_off
from collector.decode.inflate import inflate_member, member_of
from collector.decode.spelling import (
    lines,
    quoted,
    spelt_base64,
    spelt_decimal,
    spelt_float,
    spelt_list,
    spelt_object,
)
from collector.decode.tape import Tape, rest_of
from collector.errors import CollectorError, Poison

__all__ = ["avro_rows"]

_MAGIC_BYTES = 4
_SYNC_BYTES = 16
#: A block is read as a whole. Writers close theirs at 16 KiB to 4 MiB.
_BLOCK_MAX_BYTES = 16 * 1024**2
_LINES_BYTES = 256 * 1024
_CODECS = {"deflate": "deflate", "bzip2": "bzip2", "xz": "xz", "zstandard": "zstd"}
#: Our name of the logical type decimal, for which our own reader is asked.
_DECIMAL = "audit-s3-decimal"
#: Arrow's widest decimal.
_DECIMAL_DIGITS, _DECIMAL_BYTES = 76, 32


def avro_rows(tape: Tape, *, budget: Budget) -> Iterator[bytes]:
    """The records as NDJSON.

    Poison "unsupported_container" (no fastavro, or a codec not read here), "truncated_avro" (believed at
    the third sighting), "corrupt_avro" (at the second), "bomb".
    """
    library = _library()
    tape = Tape(_counted(tape, budget))
    _exactly(tape, _MAGIC_BYTES)
    header = _header(tape)
    codec = header.get("avro.codec", b"null").decode("latin-1")
    schema = _schema(library, header)
    sync = _exactly(tape, _SYNC_BYTES)
    while tape.look(1):
        count, size = _long(tape), _long(tape)
        if count < 0:
            raise _corrupt("a block with a negative number of records")
        packed = _exactly(tape, _within_limit(size))
        if _exactly(tape, _SYNC_BYTES) != sync:
            raise _corrupt("a block without its sync marker")
        block = b"".join(_unpacked(packed, codec, budget.inner()))
        yield from _records(library, block, count, schema, budget)
    tape.raise_damage()


def _library() -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise Poison(
            "the object is an Avro file, which this Python cannot read alone",
            code="unsupported_container",
            hint="pip install 'audit-s3-collector[parquet]', then retry it from quarantine",
        ) from error
    for kind in ("bytes", "fixed"):
        fastavro.read.LOGICAL_READERS[f"{kind}-{_DECIMAL}"] = _decimal
    return fastavro


def _counted(tape: Tape, budget: Budget) -> Iterator[bytes]:
    for piece in rest_of(tape):
        budget.stored += len(piece)
        yield piece


def _header(tape: Tape) -> Dict[str, bytes]:
    """A map of bytes in blocks; a negative count is followed by the block's size, which nobody needs."""
    found: Dict[str, bytes] = {}
    total = 0
    while True:
        count = _long(tape)
        if count == 0:
            return found
        if count < 0:
            _long(tape)
        for _ in range(abs(count)):
            name = _exactly(tape, _within_limit(_long(tape))).decode("utf-8", "replace")
            found[name] = _exactly(tape, _within_limit(_long(tape)))
            total += len(name) + len(found[name])
            _within_limit(total)


def _schema(library: Any, header: Dict[str, bytes]) -> Any:
    try:
        named: Dict[str, Any] = {}
        schema = library.parse_schema(_applied(json.loads(header["avro.schema"])), named)
        refuse_heavy(schema, named)
    except TooHeavy as error:
        raise _unsupported(str(error)) from error
    except Exception as error:  # fastavro says "this is no schema" by whatever it stumbles over
        raise _corrupt(f"its schema cannot be read: {error!r}") from error
    return schema


def _applied(schema: Any) -> Any:
    """The schema without the logical types that are not applied, and with decimals under our own name."""
    if isinstance(schema, list):
        return [_applied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _applied(part) if key != "default" else part for key, part in schema.items()}
    if kept.get("logicalType") == "decimal" and _is_sound_decimal(kept):
        kept["logicalType"] = _DECIMAL
    elif kept.get("logicalType") != "uuid":
        kept.pop("logicalType", None)
    return kept


def _is_sound_decimal(schema: Dict[str, Any]) -> bool:
    """A decimal without a sound precision is the bytes it is made of, as Avro says."""
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int):
        return False
    return 0 <= scale <= precision <= _DECIMAL_DIGITS


def _decimal(stored: bytes, schema: Mapping[str, Any], _: Any) -> Decimal:
    """All digits of it. fastavro's own reader takes hours for a number of some megabytes, and rounds."""
    if len(stored) > _DECIMAL_BYTES:
        raise ValueError(f"a decimal of {len(stored)} bytes")
    number = Decimal(int.from_bytes(stored, "big", signed=True))
    return number.scaleb(-schema.get("scale", 0), Context(prec=_DECIMAL_DIGITS + 2))


def _unpacked(packed: bytes, codec: str, budget: Budget) -> Iterator[bytes]:
    """A block's bytes in pieces, never more than a block may have."""
    size = 0
    for piece in _decompressed(packed, codec, budget):
        size = _within_limit(size + len(piece))
        yield piece


def _decompressed(packed: bytes, codec: str, budget: Budget) -> Iterator[bytes]:
    if codec in _CODECS:
        yield from inflate_member(Tape([packed]), member_of(_CODECS[codec]), "avro", budget=budget)
        return
    if codec not in ("null", "snappy"):
        raise _unsupported(f"the codec {codec[:40]}")
    plain = packed if codec == "null" else _unsnapped(packed)
    budget.spend(len(plain))
    yield plain


def _unsnapped(packed: bytes) -> bytes:
    """Raw snappy, which begins with its own length, and a CRC-32 behind it."""
    size = _within_limit(_varint(packed))
    try:
        import pyarrow
    except ImportError as error:
        raise _unsupported("the codec snappy, which needs pyarrow") from error
    try:
        plain = pyarrow.decompress(packed[:-4], decompressed_size=size, codec="snappy", asbytes=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _corrupt(str(error)) from error
    if zlib.crc32(plain).to_bytes(4, "big") != packed[-4:]:
        raise _corrupt("the checksum of a block is wrong")
    return bytes(plain)


def _records(library: Any, block: bytes, count: int, schema: Any, budget: Budget) -> Iterator[bytes]:
    """The records of one block; those before a damaged one come first."""
    counted = Counted(block) if Counted.is_needed(block) else None
    reader, waiting, size = counted or io.BytesIO(block), [], 0
    failure: Optional[Poison] = None
    for _ in range(count):
        if counted is not None:
            counted.begin()
        try:
            record = library.schemaless_reader(reader, schema, None, handle_unicode_errors="surrogateescape")
            waiting.append(_spelt(record))
        except TooHeavy as error:
            failure = _unsupported(str(error))
            break
        except Exception as error:  # fastavro says "this is no record" by whatever it stumbles over
            failure = _corrupt(f"a record cannot be read: {error!r}")
            break
        size += len(waiting[-1])
        if size >= _LINES_BYTES:
            yield _counted_lines(waiting, budget)
            waiting, size = [], 0
    if waiting:
        yield _counted_lines(waiting, budget)
    if failure is None and reader.tell() < len(block):
        failure = _corrupt("a block is longer than its records")
    if failure is not None:
        raise failure


def _counted_lines(rows: List[str], budget: Budget) -> bytes:
    text = lines(rows)
    budget.spend(len(text))
    return text


def _spelt(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return spelt_float(value)
    if isinstance(value, dict):
        return spelt_object(
            (quoted(name), None if item is None else _spelt(item)) for name, item in value.items()
        )
    if isinstance(value, (list, tuple)):
        return spelt_list(map(_spelt, value))
    if isinstance(value, bytes):
        return spelt_base64(value)
    return _spelt_logical(value)


def _spelt_logical(value: Any) -> str:
    if isinstance(value, Decimal):
        return spelt_decimal(value)
    if isinstance(value, UUID):
        return quoted(str(value))
    raise TypeError(f"no spelling for {type(value).__name__}")


def _long(tape: Tape) -> int:
    """Zigzag, seven bits a byte, at most ten bytes."""
    held = tape.look(10)[:10]
    for index, code in enumerate(held):
        if code < 0x80:
            number = _varint(tape.take(index + 1))
            return (number >> 1) ^ -(number & 1)
    if len(held) < 10:
        raise _truncated(tape)
    raise _corrupt("a number of more than ten bytes")


def _varint(text: bytes) -> int:
    number = shift = 0
    for code in text[:10]:
        number |= (code & 0x7F) << shift
        shift += 7
        if code < 0x80:
            break
    return number


def _within_limit(size: int) -> int:
    if size < 0:
        raise _corrupt("a negative length")
    if size > _BLOCK_MAX_BYTES:
        raise _unsupported(f"a block of more than {_BLOCK_MAX_BYTES} bytes")
    return size


def _exactly(tape: Tape, count: int) -> bytes:
    if len(tape.look(count)) < count:
        raise _truncated(tape)
    return tape.take(count)


def _truncated(tape: Tape) -> CollectorError:
    return cut_off(tape, "avro", "the Avro file ends inside a block")


def _unsupported(what: str) -> Poison:
    return Poison(
        f"the Avro file uses what is not read here: {what}", code="unsupported_container",
        hint="ask its producer for blocks of at most 16 MiB, packed with deflate, snappy or zstandard",
    )


def _corrupt(why: str) -> Poison:
    return corrupt("avro", f"the Avro file is damaged: {why}")
