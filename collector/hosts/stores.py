"""The checkpoint store of an input, opened beside a collector that may be running."""

from __future__ import annotations

import glob
import os
import sys
import time
from contextlib import contextmanager
from typing import Iterator, Optional, Sequence

from collector.config import Input, start_time
from collector.config.derive import SERVICE_STATE
from collector.errors import Fatal
from collector.ports import CheckpointStore
from collector.runtime.adapters import Adapters, SystemClock, checkpoint_path, this_owner
from collector.stores.sqlite import SqliteStore

__all__ = ["begun_at", "opened", "refuse_another_place", "say_where_none_is"]


@contextmanager
def opened(found: Input, *, read_only: bool = True) -> Iterator[Optional[CheckpointStore]]:
    """The store; None if this input was never started here. It claims nothing and owns nothing."""
    if found.settings.checkpoint_store == "dynamodb":
        store = Adapters(found, stdout=sys.stdout.buffer, read_only=read_only, queue=False).store
    elif not _is_absent(found):
        store = SqliteStore(
            checkpoint_path(found), input_name=found.name, owner=this_owner(), clock=SystemClock(),
            read_only=read_only,
        )
    else:
        yield None
        return
    try:
        yield store
    finally:
        store.close()


def begun_at(found: Input, store: Optional[CheckpointStore]) -> float:
    """Epoch seconds from which on this input collects; where there is no ledger, from when it would now."""
    settings = found.settings
    start = start_time(settings.start_from, now=time.time(), retention_days=settings.retention_days)
    return start if store is None else store.start_from(start)


def say_where_none_is(inputs: Sequence[Input]) -> None:
    """Name, on stderr, the place that was looked at for the ledger of each input that has none there."""
    for found in inputs:
        if _is_absent(found):
            other = _services_own(found)
            more = f", but at {other}: {_hint(other)}" if other else ""
            print(f"{found.name}: there is no ledger at {checkpoint_path(found)}{more}", file=sys.stderr)


def refuse_another_place(inputs: Sequence[Input]) -> None:
    """Raises Fatal where the service keeps a ledger of an input, and this shell would begin another."""
    for found in inputs:
        other = _services_own(found) if _is_absent(found) else ""
        if other:
            raise Fatal(
                f"{found.name} has no ledger here, but at {other}: what is done would be sent again",
                code="ledger_elsewhere", where=str(checkpoint_path(found)), hint=_hint(other), scope="config",
            )


def _is_absent(found: Input) -> bool:
    """Raises Fatal where this user may not look: nobody knows then what is there."""
    path = checkpoint_path(found)
    try:
        return found.settings.checkpoint_store == "sqlite" and not path.exists()
    except PermissionError:
        hint = "run this as root, or as the service's user"
        raise Fatal(
            "this user may not look into checkpoint_dir", code="store_unreadable", where=str(path), hint=hint,
            scope="config",
        ) from None


def _services_own(found: Input) -> str:
    """The ledger of this name that a systemd service keeps and this user may see; "" if there is none, or
    if somebody said where to look."""
    if found.sources["checkpoint_dir"] != "default":
        return ""
    seen = glob.glob(f"{SERVICE_STATE}*/{glob.escape(checkpoint_path(found).name)}")
    return min(seen, default="")


def _hint(ledger: str) -> str:
    return f"set checkpoint_dir = {os.path.dirname(ledger)} in the configuration"
