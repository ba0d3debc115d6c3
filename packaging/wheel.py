"""The wheel, into dist/: the same bytes from the same commit, whoever builds it, where and when.

    python packaging/wheel.py [FOLDER]

It is built from a copy of what git tracks (else of what lies here), with modes of its own and the time of the
last commit; setuptools is the one of the interpreter that runs this, which requirements/*.lock pin.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[1]
#: What a wheel is made of; nothing else reaches the build.
SOURCES = ("collector", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
#: The first moment that a zip file can hold, for a copy without history.
_NO_HISTORY = "315532800"


def build(folder: Path) -> Path:
    """The wheel that was put into `folder`."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "source"
        for name in _files():
            _copy(ROOT / name, source / name)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": _moment(), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
                   "--disable-pip-version-check", "--wheel-dir", str(folder), str(source)]
        subprocess.run(command, check=True, env=environment, umask=0o022)
    return max(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)


def _files() -> List[str]:
    said = _git("ls-files", "-z", "--", *SOURCES)
    if said:
        return [name for name in said.split("\0") if name]
    found = [path for name in SOURCES for path in [ROOT / name, *sorted((ROOT / name).rglob("*"))]]
    return [str(path.relative_to(ROOT)) for path in found if path.is_file() and path.suffix != ".pyc"]


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(origin, target)
    target.chmod(0o644)


def _moment() -> str:
    return _git("log", "-1", "--format=%ct").strip() or _NO_HISTORY


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode() if done.returncode == 0 else ""


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")))
