"""Archives and tables as their own libraries write them: what our readers are held to."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from typing import Any, List, Sequence, Tuple

import fastavro
import pyarrow
from pyarrow import parquet

from collector import accel

#: A name and what stands under it.
File = Tuple[str, bytes]

FILES: List[File] = [
    ("a.json", b'{"n":1}\n{"n":2}\n'),
    ("empty", b""),
    ("../../b.log", b"a line\nanother\n"),
    ("c.json.gz", gzip.compress(b'{"Records":[{"n":3},{"n":4}]}', mtime=0)),
]
BODIES = [b'{"n":1}', b'{"n":2}', b"a line", b"another", b'{"n":3}', b'{"n":4}']


def tarred(files: Sequence[File] = FILES, *, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(files: Sequence[File] = FILES, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    packed: bytes = accel._zstd.compress(content)
    return packed


def parqueted(rows: Sequence[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), out, **options)
    return out.getvalue()


ROW = {"type": "record", "name": "row", "fields": [{"name": "n", "type": "long"}]}


def avroed(rows: Sequence[Any], *, codec: str = "deflate", block_bytes: int = 1) -> bytes:
    """Records {"n": long}, in blocks of at least `block_bytes`; with snappy in one."""
    if codec == "snappy":
        return _snapped(rows)
    out = io.BytesIO()
    fastavro.writer(out, ROW, list(rows), codec=codec, sync_interval=block_bytes, sync_marker=b"s" * 16)
    return out.getvalue()


def _snapped(rows: Sequence[Any]) -> bytes:
    """By hand: fastavro would need one more library for it."""
    out = io.BytesIO()
    for row in rows:
        fastavro.schemaless_writer(out, ROW, row)
    plain = out.getvalue()
    packed = pyarrow.compress(plain, codec="snappy", asbytes=True)
    block = packed + zlib.crc32(plain).to_bytes(4, "big")
    return avro_file(ROW, block, count=len(rows), codec=b"snappy")


def avro_file(schema: Any, block: bytes, *, count: int, codec: bytes = b"null") -> bytes:
    """A file of one block, which need not be what it says."""
    out = io.BytesIO()
    fastavro.writer(out, schema, [], sync_marker=b"s" * 16)
    head = out.getvalue()
    assert b"\x08null" in head
    head = head.replace(b"\x08null", number(len(codec)) + codec)
    return head + number(count) + number(len(block)) + block + b"s" * 16


def number(value: int) -> bytes:
    """Avro's zigzag long."""
    value, out = (value << 1) ^ (value >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
