"""`make install` gives a program that runs by itself, and `make uninstall` takes it away and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator

import pytest

import collector
from tests.e2e.collector_process import environment
from tests.packaging.units import ROOT, directives

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(not shutil.which("make"), reason="make is not installed"),
]
_OFFLINE = re.compile(r"NewConnectionError|Failed to establish|Name or service not known|name resolution")


def _make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), target, *given],
        env={**os.environ, "MAKEFLAGS": ""}, capture_output=True, text=True, timeout=600,
    )


def _install(**variables: str) -> str:
    done = _make("install", **variables)
    if done.returncode and _OFFLINE.search(done.stderr + done.stdout):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(prefix: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    alone: Dict[str, str] = {name: text for name, text in environment().items() if name != "PYTHONPATH"}
    program = [str(prefix / "bin" / "audit-s3"), *words]
    return subprocess.run(program, env=alone, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("installed")
    said = _install(PREFIX=str(folder))
    assert f"audit-s3 is installed: {folder}/bin/audit-s3" in said
    yield folder


def test_the_installed_program_runs_by_itself(prefix, tmp_path):
    version = _run(prefix, "--version", cwd=tmp_path)
    assert (version.returncode, version.stdout) == (0, f"audit-s3, version {collector.__version__}\n")
    sample = prefix / "etc" / "audit-s3" / "audit-s3.conf.sample"
    for name in ("hec-token", "aws-secret"):
        (tmp_path / name).write_text("not-a-secret")
    config = tmp_path / "audit-s3.conf"
    text = sample.read_text().replace("/etc/audit-s3/", f"{tmp_path}/")
    config.write_text(text.replace("/var/lib/", f"{tmp_path}/"))
    shown = _run(prefix, "config", "--config", str(config), cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "thrive-audit-logs" in shown.stdout
    checked = _run(prefix, "check", "--offline", "--config", str(config), cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_what_the_lock_pins_is_in_its_environment(prefix):
    pip = [prefix / "lib" / "audit-s3" / "bin" / "pip", "list", "--format=freeze"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+==[^\s\\;]+)", lock, re.MULTILINE)
    found = {line.lower().replace("_", "-") for line in listed.splitlines() if not line.startswith("pip==")}
    own = f"audit-s3-collector=={collector.__version__}"
    assert found - {name.replace("_", "-") for name in pinned} == {own}


def test_the_units_have_the_paths_of_this_installation(prefix):
    units = prefix / "lib" / "systemd" / "system"
    run = f"{prefix}/bin/audit-s3 run --config {prefix}/etc/audit-s3/audit-s3.conf"
    assert directives(units / "audit-s3.service")["ExecStart"] == [run]
    assert (units / "audit-s3@.service").exists()
    assert "/opt/audit-s3" not in (units / "audit-s3.service").read_text()


def test_its_manual_pages_lie_where_man_looks(prefix):
    pages = sorted(path.relative_to(prefix) for path in (prefix / "share" / "man").rglob("*.*"))
    assert [str(page) for page in pages] == ["share/man/man1/audit-s3.1", "share/man/man5/audit-s3.conf.5"]


def test_it_was_compiled_for_a_service_that_may_not_write_there(prefix):
    packages = next((prefix / "lib" / "audit-s3" / "lib").glob("python*/site-packages/collector"))
    assert any((packages / "__pycache__").glob("model.*.pyc"))
    assert ".new" not in (prefix / "lib" / "audit-s3" / "bin" / "audit-s3").read_text()


def test_uninstall_takes_away_what_install_brought_and_keeps_what_is_yours(prefix):
    config = prefix / "etc" / "audit-s3" / "audit-s3.conf"
    config.write_text("[audit_s3://mine]\n")
    done = _make("uninstall", PREFIX=str(prefix))
    assert done.returncode == 0, done.stderr
    assert f"Kept: the configuration and secrets in {prefix}/etc/audit-s3" in done.stdout
    assert "checkpoints" in done.stdout
    assert [path for path in prefix.rglob("*") if path.is_file()] == [config]


@pytest.mark.exhaustive
def test_a_staged_installation_names_the_places_it_is_meant_for(tmp_path):
    _install(PREFIX="/opt/audit-s3", DESTDIR=str(tmp_path))
    script = (tmp_path / "opt/audit-s3/lib/audit-s3/bin/audit-s3").read_text()
    assert script.startswith("#!/opt/audit-s3/lib/audit-s3/bin/python")
    assert os.readlink(tmp_path / "opt/audit-s3/bin/audit-s3") == "../lib/audit-s3/bin/audit-s3"
    on_the_path = os.readlink(tmp_path / "usr/local/bin/audit-s3")
    assert on_the_path == "/opt/audit-s3/bin/audit-s3", "the documents say audit-s3 and no more"
    unit = tmp_path / "etc/systemd/system/audit-s3.service"
    assert unit.read_text() == (ROOT / "packaging/systemd/audit-s3.service").read_text()
    assert (tmp_path / "etc/sysusers.d/audit-s3.conf").exists()
    done = _make("uninstall", PREFIX="/opt/audit-s3", DESTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == []


def test_what_is_called_audit_s3_already_is_neither_replaced_nor_removed(tmp_path):
    mine = tmp_path / "usr/local/bin/audit-s3"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    said = _install(PREFIX="/opt/audit-s3", DESTDIR=str(tmp_path))
    assert "/usr/local/bin/audit-s3 is something else, and stays" in said
    assert _make("uninstall", PREFIX="/opt/audit-s3", DESTDIR=str(tmp_path)).returncode == 0
    assert mine.read_text() == "mine"


def test_a_prefix_is_an_absolute_path():
    done = _make("install", PREFIX="here")
    assert done.returncode != 0
    assert "PREFIX is an absolute path" in done.stderr
