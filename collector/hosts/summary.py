"""What a drain has counted, as JSON, for the program that started it."""

from __future__ import annotations

import json
from typing import Mapping

from collector.runtime.service import Host

__all__ = ["Summary"]


class Summary(Host):
    """Writes each input's counters to a file when all is over."""

    def __init__(self, path: str) -> None:
        self._path = path

    def ended(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        with open(self._path, "w", encoding="utf-8") as file:
            json.dump(counters, file)
