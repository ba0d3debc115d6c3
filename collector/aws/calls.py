"""How many requests were sent to AWS, by operation: what a bill is made of."""

from __future__ import annotations

import threading
from typing import Any, Dict, Mapping

__all__ = ["Calls"]


class Calls:
    """Counts requests as they leave, those that are made again included. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Dict[str, int] = {}

    def add(self, operation: str) -> None:
        """One request; `operation` in botocore's words: "sqs.ReceiveMessage"."""
        with self._lock:
            self._counts[operation] = self._counts.get(operation, 0) + 1

    def watch(self, client: Any) -> None:
        """Count what this boto3 client sends."""
        client.meta.events.register("before-send", self._sent, unique_id=f"calls-{id(self)}")

    def _sent(self, event_name: str = "", **_: Any) -> None:
        self.add(event_name.partition(".")[2])

    def counts(self) -> Mapping[str, int]:
        """By operation, in words of ours: "sqs:ReceiveMessage"."""
        with self._lock:
            return {operation.replace(".", ":", 1): count for operation, count in self._counts.items()}
