"""The checkpoint store of an input, opened beside a collector that may be running."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Iterator, Optional

from collector.config import Input
from collector.ports import CheckpointStore
from collector.runtime.adapters import Adapters, SystemClock, checkpoint_path, this_owner
from collector.stores.sqlite import SqliteStore

__all__ = ["opened"]


@contextmanager
def opened(found: Input, *, read_only: bool = True) -> Iterator[Optional[CheckpointStore]]:
    """The store; None if this input was never started here. It claims nothing and owns nothing."""
    if found.settings.checkpoint_store == "dynamodb":
        stdout = sys.stdout.buffer
        store = Adapters(
            found, checkpoint_dir=None, stdout=stdout, read_only=read_only, queue=False
        ).store
    elif checkpoint_path(found).exists():
        store = SqliteStore(
            checkpoint_path(found), input_name=found.name, owner=this_owner(), clock=SystemClock(),
            read_only=read_only,
        )  # fmt: skip
    else:
        yield None
        return
    try:
        yield store
    finally:
        store.close()
