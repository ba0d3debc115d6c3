"""Fixtures of the end-to-end suite."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from collector.testing.local_aws import free_port
from tests.e2e.collector_process import Collector


@pytest.fixture
def collector(tmp_path: Any) -> Iterator[Callable[..., Collector]]:
    """Makes Collectors, and ends what they started."""
    made: List[Collector] = []

    def make(settings: Any, **options: Any) -> Collector:
        folder = tmp_path / f"collector{len(made)}"
        folder.mkdir()
        made.append(Collector(folder, settings, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def address() -> str:
    """An address on loopback that is free."""
    return f"127.0.0.1:{free_port()}"
