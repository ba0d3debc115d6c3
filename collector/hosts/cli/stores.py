"""The checkpoint file of an input, opened beside a collector that may be running."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Optional

from collector.adapters import SystemClock, checkpoint_path, this_owner
from collector.config import Input
from collector.ports import CheckpointStore
from collector.stores.sqlite import SqliteStore

__all__ = ["reading", "writing"]


@contextmanager
def reading(found: Input) -> Iterator[Optional[CheckpointStore]]:
    """The store, read-only; None if this input was never started here."""
    path = checkpoint_path(found)
    if not path.exists():
        yield None
        return
    store = SqliteStore(path, input_name=found.name, owner=this_owner(), clock=SystemClock(), read_only=True)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def writing(found: Input) -> Iterator[Optional[CheckpointStore]]:
    """The store, to change what an operator may change; None if this input was never started here."""
    path = checkpoint_path(found)
    if not path.exists():
        yield None
        return
    store = SqliteStore(path, input_name=found.name, owner=this_owner(), clock=SystemClock())
    try:
        yield store
    finally:
        store.close()
