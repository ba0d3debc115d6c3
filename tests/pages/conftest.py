"""What the pages' tests share with those of the program."""

from __future__ import annotations

from tests.e2e.conftest import collector

__all__ = ["collector"]
