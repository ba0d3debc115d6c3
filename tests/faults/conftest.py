"""`make faults` runs everything here; `make test` a sample: what is not marked `exhaustive`."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from collector.testing.local_aws import LocalAws
from tests.faults.microburst import Microburst


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
