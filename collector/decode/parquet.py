"""Parquet (parquet.apache.org/docs/file-format): one JSON event for each row, by row group, in file order.

pyarrow is imported when the first such object comes; it is the extra `parquet`. The footer stands at the
end, so the object is spooled first; then rows are read a few hundred at a time, whatever the row groups'
size. `spelling` says what values look like. Columns are spelt one by one, which is many times faster than
row by row; what they become depends on their type and value alone, not on how rows are batched.
"""

from __future__ import annotations

from functools import partial
from typing import IO, Any, Callable, Iterator, List, Optional, Tuple, Type

from collector.decode.budget import Budget
from collector.decode.damage import corrupt, truncated
from collector.decode.spelling import (
    lines,
    quoted,
    spelt_base64,
    spelt_clock,
    spelt_day,
    spelt_decimal,
    spelt_float,
    spelt_instant,
    spelt_list,
    spelt_object,
    spelt_text,
)
from collector.decode.spool import spooled
from collector.decode.tape import Tape
from collector.errors import Poison

__all__ = ["parquet_rows"]

_BATCH_ROWS = 1000
_BATCH_BYTES = 1024 * 1024
#: Column chunks are read in pieces of this size, or each of them would be in memory as a whole.
_BUFFER_BYTES = 64 * 1024
#: How large the footer may be, against one that asks for gigabytes.
_FOOTER_BYTES = 16 * 1024**2
_MAGIC = b"PAR1"
#: Magic, the footer's length, magic.
_LEAST_BYTES = 12
_BOOLEANS = {True: "true", False: "false"}
_DAY_MILLISECONDS = 86_400_000
_PLACES = {"s": 0, "ms": 3, "us": 6, "ns": 9}

#: One column as JSON texts, None where the row has no value.
Texts = List[Optional[str]]


def parquet_rows(tape: Tape, *, budget: Budget) -> Iterator[bytes]:
    """The rows as NDJSON.

    Poison "unsupported_container" (no pyarrow, or a codec it lacks), "truncated_parquet" (believed at
    the third sighting), "corrupt_parquet" (at the second), "bomb"; Retry "spool_failed".
    """
    arrow = _arrow()
    with spooled(tape, budget=budget) as file:
        _check_end(file)
        batches = _batches(arrow, file)
        while True:
            try:
                batch = next(batches, None)
                text = b"" if batch is None else _text(arrow, batch)
            except arrow.ArrowNotImplementedError as error:
                raise _unsupported(str(error)) from error
            except _errors(arrow) as error:
                raise _corrupt(str(error)) from error
            if batch is None:
                return
            budget.spend(len(text))
            yield text


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise Poison(
            "the object is a Parquet file, which this Python cannot read alone",
            code="unsupported_container",
            hint="pip install 'audit-s3-collector[parquet]', then retry it from quarantine",
        ) from error
    return pyarrow


def _errors(arrow: Any) -> Tuple[Type[Exception], ...]:
    """What pyarrow raises on damage; a batch that does not fit into memory was never genuine."""
    return (
        arrow.ArrowException, OSError, ValueError, OverflowError, LookupError, MemoryError, RecursionError,
    )


def _check_end(file: IO[bytes]) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(_MAGIC)))
    if size < _LEAST_BYTES or file.read() != _MAGIC:
        raise truncated("parquet", "the Parquet file has no footer")
    file.seek(0)


def _batches(arrow: Any, file: IO[bytes]) -> Iterator[Any]:
    table = arrow.parquet.ParquetFile(
        file, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True,
        thrift_string_size_limit=_FOOTER_BYTES,
    )
    yield from table.iter_batches(batch_size=_rows_at_once(table.metadata), use_threads=False)


def _rows_at_once(metadata: Any) -> int:
    """So many rows that a batch of the widest row group is about a mebibyte."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return int(max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(widest, 1))))


def _text(arrow: Any, batch: Any) -> bytes:
    columns = [_texts(arrow, column) for column in batch.columns]
    return lines(_objects(batch.schema.names, columns, batch.num_rows))


def _objects(names: List[str], columns: List[Texts], count: int) -> List[str]:
    keys = [quoted(name) for name in names]
    if not columns:
        return ["{}"] * count
    return [spelt_object(zip(keys, row)) for row in zip(*columns)]


def _texts(arrow: Any, column: Any) -> Texts:
    """A column by its type: one that holds others first, then those with a spelling of their own."""
    kind, types = column.type, arrow.types
    if isinstance(kind, arrow.BaseExtensionType):
        return _texts(arrow, column.storage)
    if types.is_dictionary(kind):
        return _texts(arrow, column.dictionary_decode())
    if types.is_struct(kind):
        return _structs(arrow, column)
    if types.is_map(kind):
        return _maps(arrow, column)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _lists(arrow, column)
    values, spelt = _leaves(arrow, column)
    return [None if value is None else spelt(value) for value in values]


def _structs(arrow: Any, column: Any) -> Texts:
    names = [column.type.field(index).name for index in range(column.type.num_fields)]
    rows = _objects(names, [_texts(arrow, child) for child in column.flatten()], len(column))
    return [row if valid else None for row, valid in zip(rows, column.is_valid().to_pylist())]


def _maps(arrow: Any, column: Any) -> Texts:
    """Text keys make an object, others a list of pairs. `keys` and `items` know nothing of slices."""
    kind = column.type.key_type
    named = arrow.types.is_string(kind) or arrow.types.is_large_string(kind)
    pair, form = ("%s:%s", "{%s}") if named else ("[%s,%s]", "[%s]")
    pairs = [
        pair % (key, value or "null")
        for key, value in zip(_texts(arrow, column.keys), _texts(arrow, column.items))
    ]
    ends = column.offsets.to_pylist()
    return [
        form % ",".join(pairs[start:end]) if valid else None
        for start, end, valid in zip(ends, ends[1:], column.is_valid().to_pylist())
    ]


def _lists(arrow: Any, column: Any) -> Texts:
    items = [text or "null" for text in _texts(arrow, arrow.compute.list_flatten(column))]
    rows, place = [], 0
    for length in arrow.compute.list_value_length(column).to_pylist():
        rows.append(None if length is None else spelt_list(items[place : place + length]))
        place += length or 0
    return rows


def _leaves(arrow: Any, column: Any) -> Tuple[List[Any], Callable[[Any], str]]:
    """The values of a column without children, and how one of them is spelt.

    Text is read as bytes, and times as whole numbers: a bad byte or a far year must not cost the file.
    """
    kind, types, numbers = column.type, arrow.types, arrow.int64()
    if types.is_string(kind) or types.is_large_string(kind):
        return column.cast(arrow.large_binary()).to_pylist(), spelt_text
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return column.to_pylist(), spelt_base64
    if types.is_boolean(kind):
        return column.to_pylist(), _BOOLEANS.__getitem__
    if types.is_integer(kind) or types.is_null(kind):
        return column.to_pylist(), str
    if types.is_floating(kind):
        return column.cast(arrow.float64()).to_pylist(), spelt_float
    if types.is_decimal(kind):
        return column.to_pylist(), spelt_decimal
    if types.is_timestamp(kind):
        spelt = partial(spelt_instant, places=_PLACES[kind.unit], zone="Z" if kind.tz else "")
        return column.cast(numbers).to_pylist(), spelt
    if types.is_date32(kind):
        return column.cast(arrow.int32()).to_pylist(), spelt_day
    if types.is_date64(kind):
        return column.cast(numbers).to_pylist(), lambda count: spelt_day(count // _DAY_MILLISECONDS)
    if types.is_time(kind):
        whole = column.cast(arrow.int32() if types.is_time32(kind) else numbers)
        return whole.to_pylist(), partial(spelt_clock, places=_PLACES[kind.unit])
    if types.is_duration(kind):
        return column.cast(numbers).to_pylist(), str
    raise arrow.ArrowNotImplementedError(f"a column of type {kind}")


def _unsupported(why: str) -> Poison:
    return Poison(
        f"the Parquet file uses what is not read here: {why}", code="unsupported_container",
        hint="ask its producer for plain types and Snappy, gzip or zstd",
    )


def _corrupt(why: str) -> Poison:
    return corrupt("parquet", f"the Parquet file is damaged: {why}")
