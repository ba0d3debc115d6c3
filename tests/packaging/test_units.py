"""The unit files: what they promise, what systemd makes of them, and how little they expose."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.units import SYSTEMD, TEMPLATE, UNIT, directives

UNITS = [UNIT, TEMPLATE]
#: In tenths, as `--threshold` counts: 1.2 is the exposure that we promise.
EXPOSURE = 12
analyzed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def test_the_unit_runs_the_service_on_the_documented_paths() -> None:
    run = "/opt/audit-s3/bin/audit-s3 run --config /etc/audit-s3/audit-s3.conf"
    assert directives()["ExecStart"] == [run]


def test_an_instance_is_the_same_service_with_a_configuration_and_checkpoints_of_its_own() -> None:
    own = {"Description", "ExecStart", "StateDirectory", "WorkingDirectory"}
    service, instance = directives(UNIT), directives(TEMPLATE)
    assert {key for key in {*service, *instance} if service.get(key) != instance.get(key)} == own
    assert all("%i" in instance[key][0] for key in own)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_waits_until_inputs_run_and_watches_them(unit: Path) -> None:
    said = directives(unit)
    assert said["Type"] == ["notify"]
    assert said["NotifyAccess"] == ["main"]
    assert int(said["WatchdogSec"][0]) >= 60, "a look at an engine that stands still takes ten seconds"
    assert said["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_not_restarted_for_what_a_restart_cannot_mend(unit: Path) -> None:
    assert directives(unit)["Restart"] == ["on-failure"]
    assert sorted(directives(unit)["RestartPreventExitStatus"][0].split()) == ["2", "78"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_reload_too_early_for_python_is_no_end_of_the_service(unit: Path) -> None:
    """systemd counts a death by SIGHUP as clean, and on-failure would leave it at that."""
    assert directives(unit)["RestartForceExitStatus"] == ["SIGHUP"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_waits_longer_than_the_program_needs_to_stop(unit: Path) -> None:
    assert int(directives(unit)["TimeoutStopSec"][0]) > 10
    assert directives(unit)["KillMode"] == ["mixed"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_keeps_its_checkpoints_in_the_state_directory(unit: Path) -> None:
    said = directives(unit)
    assert said["WorkingDirectory"] == [f"%S/{said['StateDirectory'][0]}"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_service_s_user_can_reach_the_checkpoints_without_the_service(unit: Path) -> None:
    """DynamicUser, even with a lasting user, moves them below /var/lib/private, which is root's alone."""
    said = directives(unit)
    assert "DynamicUser" not in said
    assert said["User"] == said["Group"] == ["audit-s3"]
    kept = ["NoNewPrivileges", "PrivateTmp", "RemoveIPC", "RestrictSUIDSGID"]
    assert [said[name] for name in kept] == [["yes"]] * len(kept), "what DynamicUser would bring with it"
    assert said["ProtectSystem"] == ["strict"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_event_is_lost_to_a_rate_limit_of_the_journal(unit: Path) -> None:
    assert directives(unit)["LogRateLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_carries_no_secret(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    assert not re.search(r"(?i)(token|secret|password)\s*=\s*(?!credential:)\S", text)


@analyzed
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line_of_the_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@finance")
    text = unit.read_text(encoding="utf-8").replace("/opt/audit-s3/bin/audit-s3", sys.executable)
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@analyzed
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_exposes_no_more_than_it_must(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


@analyzed
def test_a_directive_less_exposes_more(tmp_path: Path) -> None:
    """Else the limit above would say nothing."""
    bare = tmp_path / UNIT.name
    bare.write_text(UNIT.read_text(encoding="utf-8").replace("PrivateUsers=yes\n", ""), encoding="utf-8")
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(bare)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode != 0


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_the_lasting_user_is_one_that_systemd_can_make(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "audit-s3.sysusers")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    group = (tmp_path / "etc" / "group").read_text(encoding="utf-8")
    assert re.search(r"^audit-s3:x:\d+:$", group, re.M)
    passwd = (tmp_path / "etc" / "passwd").read_text(encoding="utf-8")
    assert re.search(r"^audit-s3:x:\d+:\d+:audit-s3 collector:/var/lib/audit-s3:\S*/nologin$", passwd, re.M)
