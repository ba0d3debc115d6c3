"""Fixtures for every suite: the two local AWS, started when the first test asks for one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any, Iterator, List

import hypothesis
import pytest

from collector.testing.local_aws import LocalAws
from tests.browser import chromium, complaints
from tests.s3_encryption_client import S3EncryptionClient, make_environment

#: Another leg has run all of it; this one looks for what differs by Python or by accelerator.
AGAIN = os.environ.get("AUDIT_S3_TEST_AGAIN") == "1"
#: And of these the leg on another Python, which has the same accelerators.
IS_OTHER_PYTHON = AGAIN and os.environ.get("AUDIT_S3_ACCELERATORS") != "off"
#: No law of ours is about milliseconds on a machine that does other work too.
UNHURRIED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("ours", **({"max_examples": 20} if AGAIN else {}), **UNHURRIED)
hypothesis.settings.load_profile("ours")
#: These make an environment for others' programs first, which takes as long as the package index takes.
MAKE_ENVIRONMENTS = {"s3_encryption_client", "tools"}


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "exhaustive: under `make faults` only (FAULTS=all)")
    config.addinivalue_line("markers", "both_emulators: end to end on the second emulator too")
    config.addinivalue_line("markers", "once: takes long, and says the same on every Python")


def pytest_collection_modifyitems(config: Any, items: List[Any]) -> None:
    for item in items:
        if MAKE_ENVIRONMENTS & set(item.fixturenames):
            item.add_marker(pytest.mark.timeout(900))
    if os.environ.get("FAULTS") == "all":
        return
    left_out = [item for item in items if _takes_long(item)]
    items[:] = [item for item in items if not _takes_long(item)]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What hostile names leave in captured logs may have half a character, which no worker can send on."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    report.sections = [(title, _sendable(text)) for title, text in report.sections]


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _takes_long(item: Any) -> bool:
    """Adapters meet both emulators in tests/contract; the whole program does where it is marked so."""
    if item.get_closest_marker("exhaustive") or (IS_OTHER_PYTHON and item.get_closest_marker("once")):
        return True
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    is_second = any(isinstance(value, str) and value.startswith("moto") for value in parameters.values())
    if is_second and AGAIN:
        return True
    is_end_to_end = "tests/e2e/" in item.path.as_posix()
    return is_second and is_end_to_end and not item.get_closest_marker("both_emulators")


@pytest.fixture(autouse=True)
def _log_levels_as_they_were() -> Iterator[None]:
    """A verb that a test runs in this process sets up logging for good; the next test is not to know."""
    loggers = [logging.getLogger(), logging.getLogger("collector")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before):
        logger.setLevel(level)


def _demand(module: str) -> None:
    """Skip unless the emulator can be started, by this Python or by the one AUDIT_S3_TEST_PYTHON names."""
    python = os.environ.get("AUDIT_S3_TEST_PYTHON") or sys.executable
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="session")
def ministack() -> Iterator[LocalAws]:
    _demand("ministack")
    with LocalAws.ministack() as aws:
        yield aws


@pytest.fixture(scope="session")
def moto() -> Iterator[LocalAws]:
    _demand("moto")
    with LocalAws.moto() as aws:
        yield aws


@pytest.fixture(scope="session")
def s3_encryption_client() -> S3EncryptionClient:
    """The official client, in an environment of its own that the first test to ask for it makes."""
    try:
        return S3EncryptionClient(make_environment())
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("amazon-s3-encryption-client-python cannot be installed")


@pytest.fixture(scope="session")
def started_browser() -> Iterator[Any]:
    """Headless Chromium, one for all tests of a worker; skips where it is not installed."""
    with chromium() as started:
        yield started


@pytest.fixture
def browser(started_browser: Any) -> Any:
    """It, on an empty page that has complained of nothing yet: the last test's page asks nobody any more."""
    started_browser.get("about:blank")
    complaints(started_browser)
    return started_browser


@pytest.fixture(params=["ministack", "moto"])
def local_aws(request: pytest.FixtureRequest) -> LocalAws:
    """Either emulator, empty."""
    aws: LocalAws = request.getfixturevalue(request.param)
    aws.reset()
    return aws
