"""Fixtures of the hostile inputs."""

from __future__ import annotations

import io
import logging

import pytest

from collector.logs import install


@pytest.fixture
def log():
    """What the program's own log says, as an operator's terminal would get it."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level, ours = list(root.handlers), root.level, logging.getLogger("collector").level
    install(stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("collector").setLevel(ours)
