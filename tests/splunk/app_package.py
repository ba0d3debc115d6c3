"""The Splunk app as it is installed: built by packaging/splunk, unpacked, run on Splunk's own Pythons.

    app = unpack(package, home / "etc" / "apps")
    done = subprocess.run([*bare(python), str(app / "bin" / "audit_s3.py"), "--scheme"], ...)
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tarfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import List

import pytest

from requirements.environment import find

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "packaging" / "splunk"
APP_ID = "audit_s3_collector"
#: What Splunk ships; those in between are what a checkout may be run with.
SPLUNKS_PYTHONS = ("3.9", "3.13")
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


def build(folder: Path, *, platform: str = "", interpreter: str = sys.executable) -> Path:
    """The package; skips where what the app brings along cannot be downloaded."""
    command = [interpreter, str(BUILDER / "build.py"), "--into", str(folder), "--platform", platform]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    said = done.stderr.decode()
    if done.returncode and "cannot be downloaded" in said:
        pytest.skip("what the app brings along cannot be downloaded")
    assert done.returncode == 0, said
    return Path(done.stdout.decode().strip())


def builder(name: str) -> ModuleType:
    """A module of packaging/splunk, which is no package: it would hide the one of that name on PyPI."""
    if str(BUILDER) not in sys.path:
        sys.path.append(str(BUILDER))
    return importlib.import_module(name)


def unpack(package: Path, apps: Path) -> Path:
    """As `splunk install app` does: over what is there. Returns the folder of the app."""
    apps.mkdir(parents=True, exist_ok=True)
    with tarfile.open(package) as tar:
        tar.extractall(apps, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return apps / APP_ID


@lru_cache(maxsize=8)
def _found(version: str) -> str:
    return find(version) or ""


def python(version: str) -> str:
    """The interpreter of this version; skips where there is none."""
    found = _found(version)
    if not found:
        pytest.skip(f"python{version} not found")
    return found


def bare(version: str) -> List[str]:
    """That interpreter with nothing but the standard library: no site-packages, no PYTHON* variables."""
    return [python(version), "-E", "-s", "-S"]
