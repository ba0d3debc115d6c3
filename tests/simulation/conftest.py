"""The engine's log of a thousand histories helps nobody."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
