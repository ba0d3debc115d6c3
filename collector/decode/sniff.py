"""What stored bytes are, by their first bytes alone.

Key suffixes, Content-Type and Content-Encoding are each wrong somewhere (a `.gz` that is plain, gzip
without a suffix, Security Lake's `.gz.parquet` that is Parquet), so none of them is asked.
"""

from __future__ import annotations

import re

__all__ = ["HEAD_BYTES", "container_of", "is_skippable_frame"]

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
    (b"PARE", "parquet_encrypted"),
    (b"Obj\x01", "avro"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x1f\x9d", "compress"),
)
#: A text may begin with these three letters; lengths and tags follow them where it is ORC.
_ORC = re.compile(rb"ORC.{0,7}?[\x00-\x06]", re.DOTALL)
#: A zstd file may begin with a frame to be skipped (pzstd's do): sixteen magics, alike but for four bits.
_SKIPPABLE = b"\x2a\x4d\x18"


def container_of(head: bytes) -> str:
    """The container's name, or "text". `head` is the first HEAD_BYTES bytes, or all there are."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if is_skippable_frame(head):
        return "zstd"
    if _ORC.match(head):
        return "orc"
    if head[257:262] == b"ustar":
        return "tar"
    return "text"


def is_skippable_frame(head: bytes) -> bool:
    """Whether a zstd frame without content begins here (RFC 8878, 3.1.2)."""
    return head[1:4] == _SKIPPABLE and head[0] & 0xF0 == 0x50
