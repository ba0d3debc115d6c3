"""`audit-s3 init` for a service: the shell looks where it writes, and it may read its secrets."""

from __future__ import annotations

import grp
import os
import stat

import pytest
from click.testing import CliRunner

from collector.hosts.cli import init as verb
from collector.onboarding import init

FLAGS = ("--provider", "privacera-policysync", "--hec-url", "https://splunk:8088",
         "--queue-url", "https://sqs.eu-west-1.amazonaws.com/111111111111/q")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Runs `init` where the services' configurations are in a folder of the test; gives what it said."""
    monkeypatch.setattr(init, "SERVICE_ETC", tmp_path / "etc")

    def run(*words, group=None, root=True, **environ):
        monkeypatch.setattr(verb, "_is_root", lambda: root)
        monkeypatch.setattr(verb, "SERVICE_GROUP", group or grp.getgrgid(os.getegid()).gr_name)
        done = CliRunner().invoke(verb.command, [*FLAGS, "--output", str(tmp_path / words[0]), *words[1:]],
                                  env=environ)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_the_configuration_of_a_service_names_its_ledgers_place_and_no_other_does(written, tmp_path):
    for name in ("etc/audit-s3.conf", "own.conf"):
        written(name)
    assert "\ncheckpoint_dir = /var/lib/audit-s3\n" in (tmp_path / "etc" / "audit-s3.conf").read_text()
    assert "checkpoint_dir" not in (tmp_path / "own.conf").read_text()
    written("etc/own.conf", "--checkpoint-dir", "/srv/a")
    assert "\ncheckpoint_dir = /srv/a\n" in (tmp_path / "etc" / "own.conf").read_text()


def test_root_gives_a_secret_to_the_services_group_or_says_how(written, tmp_path):
    token = tmp_path / "hec-token"

    def mode():
        return stat.S_IMODE(token.stat().st_mode)

    said = written("a.conf", AUDIT_S3_HEC_TOKEN="hush")
    assert mode() == 0o640 and "which root and the group" in said
    said = written("a.conf", "--force", group="no-such-group", AUDIT_S3_HEC_TOKEN="hush")
    assert mode() == 0o600 and f"chgrp no-such-group {token} && chmod 640 {token}" in said
    said = written("a.conf", "--force", root=False, AUDIT_S3_HEC_TOKEN="hush")
    assert mode() == 0o600 and "which only you may read" in said and "chgrp" not in said


def test_a_secret_that_is_put_there_later_comes_with_the_commands_for_its_reader(written, tmp_path):
    token = tmp_path / "hec-token"
    assert f"put the secret into {token}, then, for the service: chgrp" in written("a.conf")
    assert f"put the secret into {token}, and chmod 600 it." in written("b.conf", root=False)
