"""`make install` and `make uninstall`: the program in an environment of its own, and what belongs to it.

    PREFIX/lib/audit-s3          the environment: requirements/runtime.lock, every package pinned by hash
    PREFIX/bin/audit-s3          the program
    /usr/local/bin/audit-s3      a link to it, where PREFIX is below /opt and so on no PATH
    PREFIX/share                 documents and manual pages
    ETC/audit-s3                 audit-s3.conf.sample; your audit-s3.conf is yours
    UNITS, SYSUSERS              the units with these paths, and the service's user

A PREFIX of /usr, /usr/local or below /opt is the system's: ETC is /etc, the units go to /etc/systemd/system.
Any other keeps all of it to itself (PREFIX/etc, PREFIX/lib/systemd/system). With DESTDIR everything is put
below that, to be moved to where it belongs. The new environment takes the old one's place when it is whole,
so that a service that runs meanwhile finds its modules until then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, Tuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from requirements import environment  # noqa: E402  (its folder is known only now)

NAME = "audit-s3"
DOCUMENTS = ("README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")
#: What the package is built from.
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "collector")


class Places:
    """Where everything goes. Attributes are final paths; `staged` is where one of them is written to."""

    def __init__(self, prefix: str, destdir: str) -> None:
        self.prefix = Path(prefix)
        if not self.prefix.is_absolute():
            sys.exit(f"PREFIX is an absolute path, not {prefix!r}")
        self.destdir = destdir
        self.is_system = prefix.rstrip("/") in ("/usr", "/usr/local") or prefix.startswith("/opt/")
        self.environment = self.prefix / "lib" / NAME
        self.program = self.prefix / "bin" / NAME
        #: Nobody's PATH has a folder below /opt; what lies there already and is not ours stays.
        self.link = Path("/usr/local/bin") / NAME if prefix.startswith("/opt/") else None
        self.documents = self.prefix / "share" / "doc" / NAME
        self.man = self.prefix / "share" / "man"
        self.etc = (Path("/etc") if self.is_system else self.prefix / "etc") / NAME
        self.units = Path("/etc/systemd/system") if self.is_system else self.prefix / "lib/systemd/system"
        self.sysusers = Path("/etc/sysusers.d") if self.is_system else self.prefix / "lib/sysusers.d"

    def staged(self, place: Path) -> Path:
        return Path(f"{self.destdir}{place}") if self.destdir else place

    def files(self) -> Iterator[Tuple[Path, Path]]:
        """Every file but the environment's: where it comes from, where it goes."""
        for name in DOCUMENTS:
            yield ROOT / name, self.documents / name
        for page in sorted((ROOT / "docs").rglob("*.md")):
            yield page, self.documents / page.relative_to(ROOT / "docs")
        for page in sorted((ROOT / "packaging" / "man").iterdir()):
            yield page, self.man / f"man{page.suffix[1:]}" / page.name
        for unit in sorted((ROOT / "packaging" / "systemd").glob("*.service")):
            yield unit, self.units / unit.name
        yield ROOT / "packaging" / "systemd" / f"{NAME}.sysusers", self.sysusers / f"{NAME}.conf"
        yield ROOT / "packaging" / f"{NAME}.conf.sample", self.etc / f"{NAME}.conf.sample"


def install(places: Places) -> None:
    _install_environment(places, _python(places))
    for source, place in places.files():
        target = places.staged(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".service":
            text = _with_paths(text, places)
        target.write_text(text, encoding="utf-8")
    program = places.staged(places.program)
    program.parent.mkdir(parents=True, exist_ok=True)
    program.unlink(missing_ok=True)
    program.symlink_to(os.path.relpath(places.environment / "bin" / NAME, places.program.parent))
    _link(places)
    print(f"{NAME} is installed: {places.program}")
    config = places.etc / f"{NAME}.conf"
    print(f"1. cp {config}.sample {config}, and edit it, or: {places.program} init")
    print(f"2. {places.program} check --config {config}")
    link = "" if places.is_system else f"systemctl link {places.units / NAME}.service && "
    print(f"3. systemd-sysusers && systemctl daemon-reload && {link}systemctl enable --now {NAME}")


def uninstall(places: Places) -> None:
    shutil.rmtree(places.staged(places.environment), ignore_errors=True)
    gone = [place for _, place in places.files()]
    if places.link is not None and _is_ours(places):
        places.staged(places.link).unlink()
    for place in (*gone, places.program):
        places.staged(place).unlink(missing_ok=True)
    for place in sorted({place.parent for place in gone} | {places.program.parent}, reverse=True):
        _remove_empty(places.staged(place), up_to=places.staged(places.prefix))
    print(f"{NAME} is removed from {places.prefix}.")
    print(f"Kept: the configuration and secrets in {places.etc}, the checkpoints in /var/lib/{NAME}*,")
    print(f"the user {NAME}. If the service still runs: systemctl disable --now {NAME}")


def _link(places: Places) -> None:
    """Put the program on the PATH, in place of nothing but an older link of ours."""
    if places.link is None:
        return
    link = places.staged(places.link)
    if _is_ours(places):
        link.unlink()
    elif os.path.lexists(link):
        print(f"Beware: {places.link} is something else, and stays; call {places.program}")
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(places.program)


def _is_ours(places: Places) -> bool:
    assert places.link is not None
    link = places.staged(places.link)
    return link.is_symlink() and os.readlink(link) == str(places.program)


def _python(places: Places) -> str:
    """The system's own Python if it is late enough: one in somebody's home is hidden from a service."""
    for path in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if environment.version_of(path) in environment.MAIN_VERSIONS:
            return path
    found = environment.newest()
    if found is None:
        sys.exit("there is no Python 3.10 or later with venv; on Debian: apt install python3-venv")
    if places.is_system and os.path.realpath(found).startswith(("/home/", "/root/")):
        print(f"Beware: the units hide {found} from the service. On Debian: apt install python3-venv")
    return found


def _install_environment(places: Places, python: str) -> None:
    """Made beside the old one and put in its place; scripts and byte code then name the final path."""
    final, new = places.staged(places.environment), places.staged(places.environment.with_name(f"{NAME}.new"))
    old = new.with_name(f"{NAME}.old")
    new.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", "--clear", str(new)], check=True)
    environment.install(new, ROOT / "requirements" / "runtime.lock")
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        for name in SOURCES:
            _copy(ROOT / name, Path(folder) / name)
        environment.pip(new, "--no-deps", "--no-build-isolation", "--no-compile", folder)
    for script in (new / "bin").iterdir():
        if script.is_file() and not script.is_symlink():
            text = script.read_text(encoding="utf-8", errors="surrogateescape")
            text = text.replace(str(new), str(places.environment))
            script.write_text(text, encoding="utf-8", errors="surrogateescape")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    moved = ["-s", places.destdir, "-p", "/"] if places.destdir else []
    compile_all = ["-m", "compileall", "-q", "-j0", *moved, str(final / "lib")]
    subprocess.run([str(environment.python_of(final)), *compile_all], check=True)


def _with_paths(unit: str, places: Places) -> str:
    changed: Dict[str, str] = {f"/opt/{NAME}": str(places.prefix), f"/etc/{NAME}": str(places.etc)}
    for before, after in changed.items():
        unit = unit.replace(before, after)
    return unit


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def _remove_empty(folder: Path, *, up_to: Path) -> None:
    """Folders that hold nothing any more, from this one upwards within `up_to`."""
    while folder.is_dir() and not any(folder.iterdir()) and up_to in (folder, *folder.parents):
        folder.rmdir()
        folder = folder.parent


def main() -> None:
    parser = argparse.ArgumentParser(description="Install or uninstall audit-s3; see the Makefile.")
    parser.add_argument("what", choices=("install", "uninstall"))
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--destdir", default="")
    given = parser.parse_args()
    places = Places(given.prefix, given.destdir.rstrip("/"))
    (install if given.what == "install" else uninstall)(places)


if __name__ == "__main__":
    main()
