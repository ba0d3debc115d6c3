"""Which hosts are this very host: what is sent there meets no network, and no proxy."""

from __future__ import annotations

import pytest

from collector.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0", "127.0.0.999",
        "127.0.0.\u0661", "",
    ],
)
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)
