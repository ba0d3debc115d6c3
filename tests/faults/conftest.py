"""`make faults` runs everything here; `make test` a sample: what is not marked `exhaustive`."""

from __future__ import annotations

import os
from typing import Any, Iterator, List

import pytest

from collector.testing.local_aws import LocalAws
from tests.faults.microburst import Microburst


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "exhaustive: runs under `make faults` only (FAULTS=all)")


def pytest_collection_modifyitems(config: Any, items: List[Any]) -> None:
    if os.environ.get("FAULTS") == "all":
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def folder(tmp_path: Any) -> Any:
    return tmp_path


@pytest.fixture(scope="module")
def unsigned_aws() -> Iterator[LocalAws]:
    """microburst rewrites Host, so its upstream must not check signatures."""
    with LocalAws.ministack(auth=False) as aws:
        yield aws


@pytest.fixture(scope="module")
def burst(unsigned_aws: LocalAws) -> Iterator[Microburst]:
    """AWS's own errors, in front of `unsigned_aws`."""
    with Microburst(unsigned_aws.endpoint_url) as proxy:
        yield proxy
