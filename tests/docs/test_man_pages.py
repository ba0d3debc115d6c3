"""The manual pages are the program's own help and settings, and roff reads them without a complaint."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from collector.config.settings import SETTINGS
from collector.hosts.cli import VERBS
from collector.hosts.documents.manual import FILES
from tests.docs.shown import ROOT


def test_they_name_every_command_and_every_setting() -> None:
    program, configuration = (FILES[name]().replace("\\", "") for name in sorted(FILES))
    assert [verb for verb in VERBS if f".SS audit-s3 {verb}" not in program] == []
    assert [name for name in SETTINGS if f"\n\\fB{name}\\fR" not in FILES[sorted(FILES)[1]]()] == []
    assert "queue_url = https://sqs.eu-west-1" in configuration


@pytest.mark.parametrize("name", sorted(FILES))
def test_roff_reads_it_without_a_complaint(name: str) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    command = [groff, "-man", "-Tutf8", "-ww", str(ROOT / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 4000
