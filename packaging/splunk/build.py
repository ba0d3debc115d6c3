"""Build the Splunk app: `make app [PLATFORM=linux_x86_64]`.

    python packaging/splunk/build.py [--platform linux_x86_64] [--into dist]

writes audit_s3_collector-<version>[-<platform>].tgz and prints its path. Without a platform the app runs on
every machine that Splunk runs on; a platform adds compiled packages: cryptography (without which client-side
encrypted objects wait) and the accelerators.

The same files give the same bytes: sorted, owned by nobody, 644 and 755, one time for all. That time is
made from the contents: Python takes a .pyc for that of a source of the same time and size, so an upgrade
that changed neither would go on running the old code.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import tarfile
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Dict, Iterator, Mapping, Set

from vendored import PLATFORMS, ROOT, vendored

APP_ID = "audit_s3_collector"
FOLDERS = ("appserver", "bin", "default", "lookups", "metadata", "README", "static")
FILES = ("LICENSE", "README.md", "CHANGELOG.md", "app.manifest")
#: What lies about in a checkout and is no part of it.
_LITTER = re.compile(r"(\..*|.*~|.*\.py[co]|__pycache__)")
_DATA = (".json", ".txt", ".html", ".css", ".js")
_EPOCH = 1_577_836_800  # 2020-01-01
_FIVE_YEARS_SECONDS = 157_680_000


def build(folder: Path, platform: str) -> Path:
    """Write the package into `folder`; returns its path."""
    version = re.search(r'__version__ = "(.+)"', (ROOT / "collector" / "__init__.py").read_text("utf-8"))
    assert version is not None
    name = "-".join(part for part in (APP_ID, version[1], platform) if part)
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"{name}.tgz"
    package.write_bytes(archive(app_files(platform)))
    return package


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


def _collector() -> Set[Path]:
    """The modules that the app's own scripts can come to import, and the files that lie beside them.

    What else the collector has is the program's: its verbs, its web pages, what it ships for tests.
    """
    found: Set[Path] = set()
    for script in _tree(ROOT / "bin"):
        finder = ModuleFinder(path=[str(ROOT)])
        finder.run_script(str(script))
        files = (getattr(module, "__file__", None) for module in finder.modules.values())
        found.update(Path(file) for file in files if file and Path(file) != script)
    packages = [path.parent for path in found if path.name == "__init__.py"]
    return found.union(path for package in packages for path in package.iterdir() if path.suffix in _DATA)


def archive(files: Mapping[str, bytes]) -> bytes:
    """The app with these files, as a .tgz."""
    contents = {f"{APP_ID}/{name}": content for name, content in files.items()}
    folders = {parent.as_posix() for name in contents for parent in Path(name).parents} - {"."}
    mtime = _time_of(contents)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(folders | set(contents)):
            entry = tarfile.TarInfo(name)
            entry.mtime = mtime
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.size, entry.mode = len(contents[name]), 0o644
                tar.addfile(entry, io.BytesIO(contents[name]))
    zipped = io.BytesIO()
    # Not gzip.compress(), whose header is another in some versions of Python.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=zipped, mtime=0) as stream:
        stream.write(packed.getvalue())
    return zipped.getvalue()


def _time_of(contents: Mapping[str, bytes]) -> int:
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return _EPOCH + int.from_bytes(digest.digest()[:8], "big") % _FIVE_YEARS_SECONDS


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Splunk app.")
    parser.add_argument("--platform", choices=("", *PLATFORMS), default="", help="for compiled packages")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder of the package")
    chosen = parser.parse_args()
    print(build(chosen.into, chosen.platform))


if __name__ == "__main__":
    main()
