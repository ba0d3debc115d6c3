"""Build the Splunk app: `make app [PLATFORM=linux_x86_64]` writes dist/audit_s3_collector-<version>[-<platform>].tgz.

Without a platform it runs on every machine that Splunk runs on. A platform adds compiled packages:
cryptography (without which client-side encrypted objects wait) and the accelerators.

The same files give the same bytes: sorted, owned by nobody, 644 and 755, one time for all. That time is
made from the contents: Python takes a .pyc for that of a source of the same time and size, so an upgrade
that changed neither would go on running the old code.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import sys
import tarfile
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Dict, Iterator

from vendored import PLATFORMS, ROOT, vendored

APP_ID = "audit_s3_collector"
FOLDERS = ("appserver", "bin", "default", "lookups", "metadata", "README", "static")
FILES = ("LICENSE", "README.md", "CHANGELOG.md", "app.manifest")
#: What lies about in a checkout and is no part of it.
_LITTER = re.compile(r"(\..*|.*~|.*\.py[co]|__pycache__)")
_EPOCH = 1_577_836_800  # 2020-01-01
_FIVE_YEARS_SECONDS = 157_680_000


def build(folder: Path, platform: str) -> Path:
    """Write the package into `folder`; returns its path."""
    version = re.search(r'__version__ = "(.+)"', (ROOT / "collector/__init__.py").read_text(encoding="utf-8"))
    assert version is not None
    name = "-".join(part for part in (APP_ID, version[1], platform) if part)
    path = folder / f"{name}.tgz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_archive(app_files(platform)))
    return path


def app_files(platform: str) -> Dict[str, bytes]:
    """Every file of the app, by its path in it."""
    own = [path for folder in FOLDERS for path in _tree(ROOT / folder)] + [ROOT / name for name in FILES]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in own}
    files.update({f"lib/{path.relative_to(ROOT).as_posix()}": path.read_bytes() for path in _collector()})
    files.update({f"lib/{name}": content for name, content in vendored(platform).items()})
    return files


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(_LITTER.fullmatch(part) for part in path.relative_to(folder).parts):
            yield path


def _collector() -> Iterator[Path]:
    """The modules that the app's own scripts can come to import, and the files that lie beside them.

    What else the collector has is the program's: its verbs, its web pages, what it ships for tests.
    """
    packages = set()
    for script in _tree(ROOT / "bin"):
        finder = ModuleFinder(path=[str(ROOT)])
        finder.run_script(str(script))
        found = [Path(module.__file__) for module in finder.modules.values() if module.__file__ and module.__name__ != "__main__"]
        packages.update(found)
    yield from sorted(packages)
    for package in sorted(path.parent for path in packages if path.name == "__init__.py"):
        yield from (path for path in sorted(package.iterdir()) if path.suffix in (".json", ".txt", ".html", ".css"))


def _archive(files: Dict[str, bytes]) -> bytes:
    contents = hashlib.sha256()
    for name, content in sorted(files.items()):
        contents.update(f"{name} {len(content)}\n".encode() + content)
    mtime = _EPOCH + int.from_bytes(contents.digest()[:8], "big") % _FIVE_YEARS_SECONDS
    folders = {parent.as_posix() for name in files for parent in Path(APP_ID, name).parents} - {"."}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(folders | {f"{APP_ID}/{name}" for name in files}):
            entry = tarfile.TarInfo(name)
            entry.mtime = mtime
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                content = files[name[len(APP_ID) + 1 :]]
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 9, mtime=0)


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    if chosen and chosen not in PLATFORMS:
        sys.exit(f"PLATFORM is one of {', '.join(PLATFORMS)}, or nothing; not {chosen}")
    print(build(ROOT / "dist", chosen).relative_to(ROOT))
