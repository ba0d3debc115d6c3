"""A whole process, from its settings to its end."""

from __future__ import annotations

import io
import threading

from collector.config import load
from collector.runtime import service


def test_told_to_stop_before_its_first_turn_it_stops_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    inputs = load(flags={"bucket": "audit-logs", "output": "stdout", "checkpoint_dir": str(tmp_path)})
    stop = threading.Event()
    stop.set()
    assert service.run(inputs, stop=stop, stdout=io.BytesIO()) == 0
