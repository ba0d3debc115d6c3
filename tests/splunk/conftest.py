"""The tests of this folder act as splunkd: they start bin/audit_s3.py and speak its protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, Mapping, Tuple
from xml.sax.saxutils import escape, quoteattr

import pytest

from collector.testing.fake_splunkd import FakeSplunkd
from tests.splunk.app_package import build

ROOT = Path(__file__).resolve().parents[2]
#: They start every interpreter themselves, or hold files to laws in which Python has no part: whichever runs
#: the tests, they say the same.
collect_ignore = [
    f"test_{name}.py"
    for name in ("appinspect", "as_splunkd", "cim", "knowledge", "package", "setup_view")
]
if sys.version_info >= (3, 10):
    collect_ignore = []

#: Starts the input with these arguments and this stdin, waits for its end.
RunInput = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as `make app` builds it."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def splunkd() -> Iterator[FakeSplunkd]:
    with FakeSplunkd() as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> Dict[str, str]:
    """What splunkd gives to a child: hardly anything, and an empty SPLUNK_HOME with its log folder."""
    home = tmp_path / "splunk"
    (home / "var" / "log" / "splunk").mkdir(parents=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {**kept, "SPLUNK_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def run_input(environment: Dict[str, str]) -> RunInput:
    def run(
        *arguments: str, stdin: bytes = b"", options: Tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, *options, str(ROOT / "bin" / "audit_s3.py"), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, env=environment, timeout=60)

    return run


@pytest.fixture
def items(splunkd: FakeSplunkd) -> Callable[..., bytes]:
    """The XML of a validation: `items("thrive", {"bucket": "b"})`."""

    def document(name: str, settings: Mapping[str, str]) -> bytes:
        body = f"<item name={quoteattr(name)}>{_parameters(settings)}</item>"
        return f"<items>{_about(splunkd)}{body}</items>".encode()

    return document


@pytest.fixture
def run_document(splunkd: FakeSplunkd, tmp_path: Path) -> Callable[..., bytes]:
    """The XML of a run: `run_document("thrive", {"bucket": "b"})`."""
    folder = tmp_path / "modinputs" / "audit_s3"
    folder.mkdir(parents=True)

    def document(name: str, settings: Mapping[str, str]) -> bytes:
        stanza_name = quoteattr(f"audit_s3://{name}")
        stanza = f'<stanza name={stanza_name} app="{splunkd.app}">{_parameters(settings)}</stanza>'
        about = _about(splunkd, checkpoint_dir=str(folder))
        return f"<input>{about}<configuration>{stanza}</configuration></input>".encode()

    return document


def _about(splunkd: FakeSplunkd, checkpoint_dir: str = "/nonexistent") -> str:
    values = {**splunkd.about, "checkpoint_dir": checkpoint_dir}
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def _parameters(settings: Mapping[str, str]) -> str:
    return "".join(
        f"<param name={quoteattr(name)}>{escape(value)}</param>" for name, value in settings.items()
    )
