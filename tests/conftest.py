"""Fixtures for every suite: the two local AWS, started when the first test asks for one."""

from __future__ import annotations

from typing import Iterator

import pytest

from collector.testing.local_aws import LocalAws


@pytest.fixture(scope="session")
def ministack() -> Iterator[LocalAws]:
    pytest.importorskip("ministack", reason="ministack (extra `test`) is not installed")
    with LocalAws.ministack() as aws:
        yield aws


@pytest.fixture(scope="session")
def moto() -> Iterator[LocalAws]:
    pytest.importorskip("moto", reason="moto (extra `test`) is not installed")
    with LocalAws.moto() as aws:
        yield aws


@pytest.fixture(params=["ministack", "moto"])
def local_aws(request: pytest.FixtureRequest) -> LocalAws:
    """Either emulator, empty."""
    aws: LocalAws = request.getfixturevalue(request.param)
    aws.reset()
    return aws
