"""What the package and the unit file promise to those who install them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Set

import pytest

import collector

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging" / "systemd" / "audit-s3.service"
#: Which extras each lock serves.
SERVED = [
    ("demo", "demo"), ("test", "test"), ("test", "demo"), ("lint", "lint"), ("py39", "test"),
    ("s3-encryption", "s3-encryption"),
]  # fmt: skip
#: Need Python 3.10: the older legs use those of the main environment.
EMULATORS = {"ministack", "moto", "cfn-lint"}
LOCKS = ("demo", "lint", "py39", "runtime", "s3-encryption", "test")


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


def unit() -> Dict[str, List[str]]:
    """Every directive of the unit file with its values; section names are unique to a directive here."""
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line[:1] not in "#[ "]
    values: Dict[str, List[str]] = {}
    for key, _, value in (line.partition("=") for line in lines if line):
        values.setdefault(key, []).append(value)
    return values


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_pins_every_runtime_dependency(lock: str) -> None:
    assert names(setup_cfg()["options"]["install_requires"]) <= names(lock_text(lock))


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


def test_the_unit_runs_the_service_on_the_documented_paths() -> None:
    assert unit()["ExecStart"] == ["/opt/audit-s3/bin/audit-s3 run --config /etc/audit-s3/audit-s3.conf"]


def test_the_unit_is_not_restarted_for_what_a_restart_cannot_mend() -> None:
    assert unit()["Restart"] == ["on-failure"]
    assert sorted(unit()["RestartPreventExitStatus"][0].split()) == ["2", "78"]


def test_the_unit_waits_longer_than_the_program_needs_to_stop() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > 10
    assert unit()["KillMode"] == ["mixed"]


def test_the_unit_keeps_its_checkpoints_in_the_state_directory() -> None:
    assert unit()["DynamicUser"] == ["yes"]
    assert unit()["StateDirectory"] == ["audit-s3"], "systemd names it to the program in $STATE_DIRECTORY"


def test_the_unit_carries_no_secret() -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert not re.search(r"(?i)(token|secret|password)\s*=\s*(?!credential:)\S", text)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/audit-s3/bin/audit-s3", sys.executable)
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
