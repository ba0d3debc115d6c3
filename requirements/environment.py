"""Make the virtual environments of this repository, from nothing but a Python.

    python3 requirements/environment.py .venv test lint    # requirements/{test,lint}.lock and this package
    python3 requirements/environment.py --lock             # write the locks again from setup.cfg

`.venv` has the newest Python from 3.10 to 3.13 that this machine offers; the emulators of the tests need
3.10. An environment is stamped with the hashes of its locks: while they agree it is left alone, a lock that
is new to it is installed over it, and one that has changed means an environment made again from nothing.
Every package is pinned by hash; this one is installed editable, without build isolation, so that
setuptools is pinned too. Runs on Python 3.7 and later, since it runs before there is a choice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCKS = Path(__file__).resolve().parent
MAIN_VERSIONS = ("3.13", "3.12", "3.11", "3.10")
#: Resolved on the oldest Python that each lock serves: what runs there runs on the later ones.
LOCK_PYTHON = "3.10"
OLD_PYTHON = "3.9"
#: The oldest that atheris has wheels of its newest release for.
FUZZ_PYTHON = "3.12"


def ensure(folder: Path, locks: Sequence[str], *, version: str = "") -> Path:
    """The interpreter of an environment that holds these locks; made or renewed where it must be."""
    stamp = _read_stamp(folder)
    wanted = sorted({name for name in stamp if (LOCKS / f"{name}.lock").exists()} | set(locks))
    target = {name: _digest(LOCKS / f"{name}.lock") for name in wanted}
    target["setup"] = _digest(ROOT / "setup.cfg", ROOT / "pyproject.toml")
    if stamp == target:
        return python_of(folder)
    if not stamp or any(stamp[name] != target.get(name) for name in stamp if name != "setup"):
        _create(folder, _find_or_complain(version))
        stamp = {}
    for name in wanted:
        if name not in stamp:
            install(folder, LOCKS / f"{name}.lock")
    pip(folder, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    (folder / "stamp.json").write_text(json.dumps(target, indent=1), encoding="utf-8")
    return python_of(folder)


def ensure_newest(folder: Path, extra: str) -> Path:
    """The interpreter of an environment with the newest release of everything: no lock, no promise."""
    if not version_of(str(python_of(folder))):
        _create(folder, _find_or_complain(""))
    pip(folder, "--upgrade", "--upgrade-strategy=eager", "-e", f"{ROOT}[{extra}]")
    return python_of(folder)


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def find(version: str) -> Optional[str]:
    """The path of a working interpreter of exactly this version ("3.9"), or None."""
    return next((path for path in _candidates(version) if version_of(path) == version), None)


def newest() -> Optional[str]:
    """The newest Python that the program supports and the emulators run on, else `python3` if later."""
    for version in MAIN_VERSIONS:
        found = find(version)
        if found:
            return found
    later = shutil.which("python3")
    return later if later and _number(version_of(later)) >= _number(MAIN_VERSIONS[-1]) else None


def _find_or_complain(version: str) -> str:
    python = find(version) if version else newest()
    if python is None:
        sys.exit(
            f"no Python {version or '3.10 or later'} with venv and sqlite3 is on PATH or under pyenv. "
            "Install one (on Debian: python3 and python3-venv) and run this again."
        )
    return python


def _candidates(version: str) -> Iterator[str]:
    """Where such a Python may be: pyenv's own folders first, since its shims on PATH only may work."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for folder in sorted(pyenv.glob(f"{version}*"), key=lambda path: _number(path.name), reverse=True):
        yield str(folder / "bin" / "python")
    for name in (f"python{version}", "python3", "python"):
        found = shutil.which(name)
        if found:
            yield found
    yield sys.executable


def version_of(python: str) -> str:
    """major.minor of an interpreter that can make environments and run us, or "" for all others."""
    probe = "import ensurepip, sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode().strip() if answer.returncode == 0 else ""


def _number(version: str) -> List[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _read_stamp(folder: Path) -> Dict[str, str]:
    """What the environment holds; nothing if it is not there, not ours, unfinished or its Python is gone."""
    try:
        stamp: Dict[str, str] = json.loads((folder / "stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if version_of(str(python_of(folder))) else {}


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _create(folder: Path, python: str) -> None:
    print(f"{folder.name}: Python {version_of(python)}", flush=True)
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)


def install(folder: Path, lock: Path) -> None:
    """Everything in a lock; setuptools first, because what comes as source only is built with that one.

    A lock is whole, so nothing is resolved. Little of it is ever imported: that is compiled when it is.
    """
    print(f"{folder.name}: installing requirements/{lock.name}", flush=True)
    text = lock.read_text(encoding="utf-8")
    setuptools = re.search(r"^setuptools==.*(?:\n +--hash.*)+", text, re.MULTILINE)
    if setuptools is None:
        sys.exit(f"requirements/{lock.name} pins no setuptools; write it again with `make lock`")
    first = folder / "setuptools.lock"
    first.write_text(setuptools.group() + "\n", encoding="utf-8")
    pinned = ("--require-hashes", "--no-deps", "--no-compile")
    pip(folder, *pinned, "-r", str(first))
    pip(folder, *pinned, "--no-build-isolation", "-r", str(lock))


def pip(folder: Path, *arguments: str) -> None:
    """`pip install` in an environment; ends the program if it fails."""
    command = [str(python_of(folder)), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    environment = {**os.environ, "PIP_USE_PEP517": "1"}
    done = subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        sys.exit(f"{folder.name}: pip failed with {done.returncode}; run the same command again to go on")


def lock() -> None:
    """Write every lock again: the newest of everything that setup.cfg and the other locks allow."""
    main = _compiler(LOCK_PYTHON)
    _compile(main, "test", extras=("demo", "test"))
    for name in ("browser", "demo", "faults", "lint", "promql", "runtime"):
        _compile(main, name, extras=() if name == "runtime" else (name,), within="test")
    _compile(main, "s3-encryption", extras=("s3-encryption",))  # apart: it pins an older cryptography
    _compile(main, "appinspect", extras=("appinspect",))
    _compile(main, "supply-chain", extras=("supply-chain",))
    _compile(_compiler(FUZZ_PYTHON), "fuzz", extras=("fuzz", "parquet"))
    _compile(_compiler(OLD_PYTHON), "py39", extras=("test",))


def _compiler(version: str) -> Path:
    folder = ROOT / f".venv-lock-{version}"
    if not python_of(folder).exists():
        _create(folder, _find_or_complain(version))
        pip(folder, "pip-tools")
    return folder / "bin" / "pip-compile"


def _compile(compiler: Path, name: str, *, extras: Sequence[str], within: str = "") -> None:
    """One lock. It names no index: where packages come from is the machine's own affair."""
    options = [f"--extra={extra}" for extra in extras]
    if within:
        options.append(f"--constraint=requirements/{within}.lock")
    command = [
        str(compiler), "--quiet", "--upgrade", "--generate-hashes", "--allow-unsafe", "--strip-extras",
        "--build-deps-for=editable", "--no-header", "--no-emit-options", "--no-emit-index-url",
        "--no-emit-find-links", "--no-emit-trusted-host", *options,
        f"--output-file=requirements/{name}.lock", "setup.cfg",
    ]
    print(f"requirements/{name}.lock", flush=True)
    subprocess.run(command, check=True, cwd=str(ROOT))


if __name__ == "__main__":
    if sys.argv[1:] == ["--lock"]:
        lock()
    elif len(sys.argv) > 2:
        ensure(ROOT / sys.argv[1], sys.argv[2:])
    else:
        sys.exit(__doc__)
