"""The rule of a claim, one for every store: what a row's answer is, and who holds it then."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, FrozenSet, Optional, Tuple

from collector.ports import FINAL, Checkpoint

__all__ = ["judge"]


def judge(
    want: Checkpoint,
    row: Optional[Checkpoint],
    *,
    owner: str,
    now: float,
    living: Callable[[], FrozenSet[str]],
) -> Tuple[str, Checkpoint]:
    """The verdict, and the row as it shall be; the same object where nothing changes."""
    if row is None:
        fresh = Checkpoint(
            oid=want.oid, url=want.url, object_time=want.object_time, bucket=want.bucket, key=want.key,
            etag=want.etag, version_id=want.version_id, size=want.size, epoch=1, owner=owner, updated=now,
        )
        return "yours", fresh
    if row.state in FINAL:
        return "final", row
    if row.owner not in ("", owner) and row.owner in living():
        return "held", row
    changes: Dict[str, Any] = {}
    if row.owner != owner:
        changes.update(owner=owner, epoch=row.epoch + 1)
    if want.version_id and not row.version_id:
        changes["version_id"] = want.version_id
    if want.size is not None and row.size is None:
        changes["size"] = want.size
    return "yours", dataclasses.replace(row, updated=now, **changes) if changes else row
