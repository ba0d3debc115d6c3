"""Archives and tables as their own libraries write them: what our readers are held to."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
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


def avroed(rows: Sequence[Any], *, codec: str = "deflate", block_bytes: int = 1) -> bytes:
    """Records {"n": long}, in blocks of at least `block_bytes`."""
    out = io.BytesIO()
    schema = {"type": "record", "name": "row", "fields": [{"name": "n", "type": "long"}]}
    fastavro.writer(out, schema, list(rows), codec=codec, sync_interval=block_bytes, sync_marker=b"s" * 16)
    return out.getvalue()
