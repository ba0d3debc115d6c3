"""What is installed is what was pinned; what is built is the same anywhere, and nothing else is in it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
SOURCES = sorted((ROOT / "collector").rglob("*.py"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """One from here, and one from elsewhere: another folder, times, modes, umask and zone."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("a wheel is the same for the same commit, and here is no history")
    here, there = tmp_path_factory.mktemp("here") / "source", tmp_path_factory.mktemp("there") / "a copy"
    _clone(ROOT, here)
    _clone(here, there)
    for path in there.rglob("*.py"):
        path.chmod(0o755)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return [
        _built(here, here.parent, umask=0o022, zone="UTC"),
        _built(there, there.parent, umask=0o002, zone="Asia/Tokyo"),
    ]


def _clone(origin, folder):
    subprocess.run(["git", "clone", "-q", str(origin), str(folder)], check=True, stdin=subprocess.DEVNULL)


def _built(source, folder, *, umask, zone):
    command = [sys.executable, str(source / "packaging" / "wheel.py"), str(folder / "dist")]
    environ = {**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": "1"}
    subprocess.run(command, check=True, umask=umask, env=environ, stdout=subprocess.DEVNULL)
    (found,) = (folder / "dist").glob("*.whl")
    return found


def test_t20_two_builds_of_one_commit_are_the_same_bytes(wheels):
    first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels)
    assert first == second


def test_t20_a_wheel_holds_the_package_and_its_data_and_nothing_else(wheels):
    names = zipfile.ZipFile(wheels[0]).namelist()
    assert {name.split("/")[0] for name in names} == {
        "collector", next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    }
    assert not [name for name in names if "test_" in name or "conftest" in name or name.endswith(".pyc")]
    tree = ["git", "ls-tree", "-r", "--name-only", "HEAD", "collector"]
    source = wheels[0].parents[1] / "source"
    expected = subprocess.run(tree, cwd=source, capture_output=True, check=True).stdout.decode().split()
    ours = {name for name in names if name.startswith("collector/")}
    data = (".py", ".json", ".html", ".css", ".txt", "py.typed")
    assert ours == {name for name in expected if name.endswith(data)}
    assert "collector/py.typed" in ours


@pytest.mark.parametrize("lock", LOCKS, ids=[path.name for path in LOCKS])
def test_t20_every_requirement_of_a_lock_is_pinned_with_its_hashes_and_names_no_index(lock):
    text = lock.read_text("utf-8")
    pins = re.findall(r"^[A-Za-z0-9._-]+==\S+.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) == len(lines) > 5
    assert "://" not in re.sub(r"#.*", "", text)


#: The first release without the flaws that could unpack an answer without end (CVE-2025-66418, -66471).
FLOORS = {"urllib3": (2, 7)}


@pytest.mark.parametrize("name", FLOORS)
def test_t20_what_is_pinned_is_not_older_than_its_last_known_flaw(name):
    text = (ROOT / "requirements" / "runtime.lock").read_text("utf-8")
    found = [tuple(map(int, one.split("."))) for one in re.findall(rf"^{name}==([\d.]+)", text, re.MULTILINE)]
    assert found and all(version >= FLOORS[name] for version in found)


FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "yaml", "telnetlib", "ftplib"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_t18_nothing_makes_objects_or_code_of_what_it_reads():
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        assert not FORBIDDEN & set(_imports(tree)), path
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not CALLS & calls, path
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "shell"]
