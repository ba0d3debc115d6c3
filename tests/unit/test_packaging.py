"""What the package and its locks promise to those who install them; tests/packaging has the rest."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Dict, Set

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import collector

ROOT = Path(__file__).resolve().parents[2]
#: Which extras each lock serves.
SERVED = [
    ("demo", "demo"), ("test", "test"), ("test", "demo"), ("lint", "lint"), ("py39", "test"),
    ("s3-encryption", "s3-encryption"), ("fuzz", "fuzz"), ("fuzz", "parquet"),
    ("supply-chain", "supply-chain"),
]
#: Need Python 3.10: the older legs use those of the main environment.
EMULATORS = {"ministack", "moto", "cfn-lint"}
LOCKS = ("demo", "fuzz", "lint", "py39", "runtime", "s3-encryption", "supply-chain", "test")


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")


def names(requirements: str) -> Set[str]:
    """Normalised project names of a block of requirements."""
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", requirements.strip(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_pins_every_runtime_dependency(lock: str) -> None:
    assert names(setup_cfg()["options"]["install_requires"]) <= names(lock_text(lock))


def test_the_lower_bound_of_a_dependency_is_the_oldest_release_that_any_lock_has() -> None:
    places = [*(ROOT / "requirements").glob("*.lock"), *(ROOT / "packaging" / "splunk").glob("*.lock")]
    assert len(places) > len(LOCKS)
    pinned: Dict[str, Set[Version]] = {}
    for place in places:
        text = place.read_text(encoding="utf-8")
        for name, version in re.findall(r"^([a-z0-9.-]+)==([^\s\\;]+)", text, re.MULTILINE):
            pinned.setdefault(name, set()).add(Version(version))
    for line in setup_cfg()["options"]["install_requires"].strip().splitlines():
        wanted = Requirement(line)
        bounds = {Version(each.version) for each in wanted.specifier if each.operator == ">="}
        assert bounds == {min(pinned[wanted.name])}, line
        assert all(version in wanted.specifier for version in pinned[wanted.name]), line


@pytest.mark.parametrize(("lock", "extra"), SERVED)
def test_a_lock_pins_what_its_extra_declares(lock: str, extra: str) -> None:
    declared = names(setup_cfg()["options.extras_require"][extra])
    if lock == "py39":
        declared -= EMULATORS
    assert declared <= names(lock_text(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_a_lock_has_hashes_and_one_version(lock: str) -> None:
    text = lock_text(lock).replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert requirements
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_place_on_a_disk(lock: str) -> None:
    assert not re.search(r"://|--index|--extra-index|--find-links|file:/|\s/\w", lock_text(lock))


def test_the_locks_that_share_an_environment_agree_on_versions() -> None:
    versions: Dict[str, Set[str]] = {}
    for name in ("demo", "test", "lint", "runtime"):
        for project, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock_text(name), re.MULTILINE):
            versions.setdefault(project, set()).add(version)
    assert {project: found for project, found in versions.items() if len(found) > 1} == {}


def test_the_version_is_said_once() -> None:
    assert setup_cfg()["metadata"]["version"] == "attr: collector.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", collector.__version__)
    assert collector.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
