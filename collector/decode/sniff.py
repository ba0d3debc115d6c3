"""What stored bytes are, by their first bytes alone.

Key suffixes, Content-Type and Content-Encoding are each wrong somewhere (a `.gz` that is plain, gzip
without a suffix, Security Lake's `.gz.parquet` that is Parquet), so none of them is asked.
"""

from __future__ import annotations

__all__ = ["HEAD_BYTES", "container_of"]

#: tar's magic is the farthest: five bytes at 257.
HEAD_BYTES = 262

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "parquet"),
    (b"Obj\x01", "avro"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
)


def container_of(head: bytes) -> str:
    """The container's name, or "text". `head` is the first HEAD_BYTES bytes, or all there are."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "tar"
    return "text"
