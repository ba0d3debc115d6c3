"""A shell that looks for ledgers at another place than the service says so, and builds nothing upon it."""

from __future__ import annotations

import os
from importlib import import_module

import pytest
from click.testing import CliRunner

from collector.config import load
from collector.errors import Fatal
from collector.hosts import stores
from collector.hosts.check.doors import Doors

CONFIG = """[audit_s3://thrive]
provider = thrive
bucket = audit-bucket
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q
endpoint_url = http://127.0.0.1:9
{more}
"""


@pytest.fixture
def verb(tmp_path, monkeypatch):
    """Runs a verb in a home of its own; gives its result."""
    monkeypatch.setattr(stores, "SERVICE_STATE", str(tmp_path / "var" / "audit-s3"))

    def run(*words, more="", **environ):
        (tmp_path / "a.conf").write_text(CONFIG.format(more=more))
        env = {"XDG_STATE_HOME": str(tmp_path / "home"), "STATE_DIRECTORY": None, **environ}
        flags = ["--config", str(tmp_path / "a.conf")]
        return CliRunner().invoke(import_module(f"collector.hosts.cli.{words[0]}").command,
                                  [*words[1:], *flags], env=env)

    return run


@pytest.fixture
def services(tmp_path):
    """The service's ledger of this input."""
    path = tmp_path / "var" / "audit-s3-finance" / "thrive.sqlite3"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize("words", [("status",), ("quarantine", "list")])
def test_a_verb_that_finds_no_ledger_names_the_place_and_the_services_own(verb, tmp_path, request, words):
    here = f"thrive: there is no ledger at {tmp_path}/home/audit-s3/thrive.sqlite3"
    assert f"{here}\n" in verb(*words).output
    other = request.getfixturevalue("services")
    said = verb(*words).output
    assert f"{here}, but at {other}: set checkpoint_dir = {other.parent} in the configuration" in said


@pytest.mark.parametrize("words", [("--since", "30d"), ("--missing",), ("--missing", "--plan")])
def test_a_backfill_does_not_begin_a_second_ledger_beside_the_services(verb, services, tmp_path, words):
    error = verb("backfill", *words).exception
    assert isinstance(error, Fatal) and (error.code, error.scope) == ("ledger_elsewhere", "config")
    assert f"checkpoint_dir = {services.parent}" in error.hint
    assert not (tmp_path / "home").exists()


def test_where_somebody_said_where_to_look_it_is_only_named(verb, services, tmp_path):
    said = verb("status", more=f"checkpoint_dir = {tmp_path}/mine").output
    assert f"there is no ledger at {tmp_path}/mine/thrive.sqlite3\n" in said
    told = verb("status", STATE_DIRECTORY=str(tmp_path / "state")).output
    assert f"there is no ledger at {tmp_path}/state/thrive.sqlite3\n" in told


def test_a_place_that_this_user_may_not_look_into_is_one_line_and_not_an_empty_ledger(tmp_path):
    (tmp_path / "a.conf").write_text(CONFIG.format(more=f"checkpoint_dir = {tmp_path}/closed"))
    (found,) = load(config_path=str(tmp_path / "a.conf"), environ={})
    (tmp_path / "closed").mkdir(mode=0)
    ours = os.geteuid()
    if ours == 0:
        os.seteuid(65534)  # nothing is closed to root
    try:
        with pytest.raises(Fatal) as caught, stores.opened(found):
            pass
    finally:
        os.seteuid(ours)
    assert caught.value.code == "store_unreadable"


def test_a_ledger_that_is_there_is_not_spoken_of(verb, services):
    assert "there is no ledger" not in verb("status", more=f"checkpoint_dir = {services.parent}").output


def test_where_this_user_may_not_look_no_collector_is_known_to_run(tmp_path):
    (tmp_path / "a.conf").write_text(CONFIG.format(more=f"checkpoint_dir = {tmp_path}/closed"))
    doors = Doors(load(config_path=str(tmp_path / "a.conf"), environ={})[0])
    (tmp_path / "closed").mkdir(mode=0)
    ours = os.geteuid()
    if ours == 0:
        os.seteuid(65534)  # nothing is closed to root
    try:
        assert not doors.is_running()
    finally:
        os.seteuid(ours)
