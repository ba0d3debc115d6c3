"""Batches for tests of outputs."""

from __future__ import annotations

from typing import Optional, Sequence

from collector.model import Batch, Block, Origin, Slice

ORIGIN = Origin(
    oid="0123456789abcdef0123456789abcdef", source="s3://audit-logs/a/b.json.gz",
    fallback_time="1777890000", sourcetype="aws:cloudtrail", index="audit", host="collector-1",
)


def piece_of(
    *bodies: bytes, is_json: bool = False, first: int = 0, times: Optional[Sequence[Optional[str]]] = None,
    origin: Origin = ORIGIN,
) -> Slice:
    """One slice of one block."""
    block = Block(first, bodies, times or [None] * len(bodies), is_json)
    return Slice(origin, first, block.end, (block,), sum(map(len, bodies)))


def batch_of(*bodies: bytes, is_json: bool = False, origin: Origin = ORIGIN) -> Batch:
    return Batch((piece_of(*bodies, is_json=is_json, origin=origin),))
