"""The short form of `make bench` runs every leg to its end. There is no pass mark on time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.emulators import Stage
from benchmarks.legs import LEGS, ROOT


@pytest.mark.exhaustive
def test_the_short_form_measures_every_leg(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--short", "--output", str(tmp_path), "large_cloudtrail"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "short.json").read_text())["results"]["large_cloudtrail"]
    assert set(LEGS) <= set(found)
    assert all(min(found[leg]["us_per_event"]) > 0 for leg in LEGS)
    assert all(found[leg]["last"]["events"] > 100 for leg in LEGS)
    assert "large_cloudtrail: collector / limit" in done.stdout


def test_a_run_that_lost_or_changed_events_is_not_complete(tmp_path):
    stage = Stage()
    stage.load({"set": ["pgaudit", 3, 0, 1], "folder": str(tmp_path)})
    events = [json.loads(body)["message"] for _, body in stage.waiting]
    envelopes = [json.dumps({"event": event}).encode() for event in events]

    stage.keep(b"\n".join(envelopes[:2]), packed=False)
    assert not stage.verify(plain=False)["complete"]
    stage.keep(envelopes[2], packed=False)
    assert stage.verify(plain=False)["complete"]
    stage.keep(envelopes[2], packed=False)
    assert not stage.verify(plain=False)["complete"]
