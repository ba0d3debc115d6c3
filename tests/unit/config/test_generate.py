"""The generated files say what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import load
from collector.config.conf import parse
from collector.config.derive import SERVICE_STATE
from collector.config.generate import FILES, flags, sample, scheme_arguments, scheme_stanza, spec
from collector.config.settings import SETTINGS


def test_the_spec_names_every_setting_in_both_stanzas_with_its_default() -> None:
    for section in spec().split("\n[audit_s3")[1:]:
        names = [line.split(" = ")[0] for line in section.splitlines() if " = <" in line]
        assert set(SETTINGS) <= set(names)
        assert section.count("* Default: ") == len(SETTINGS)


def test_the_scheme_stanza_is_what_appinspect_wants() -> None:
    (stanza,) = parse(scheme_stanza()).stanzas.items()
    name, values = stanza
    assert name == "audit_s3"
    assert {key: value.text for key, value in values.items()} == {
        "python.version": "python3",
        "python.required": "3.9, 3.13",
        "start_by_shell": "false",
        "interval": "60",
    }


@pytest.mark.parametrize("name", [name for name in FILES if "conf" in name])
def test_no_generated_conf_has_trailing_blanks_or_a_default_stanza(name: str) -> None:
    text = FILES[name]()
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "[default]" not in text


def test_the_sample_shows_every_everyday_setting_and_the_services_place_and_no_other() -> None:
    shown = {line.lstrip("# ").split(" = ")[0] for line in sample().splitlines() if " = " in line}
    assert shown == {name for name, row in SETTINGS.items() if row.kind == "everyday"} | {"checkpoint_dir"}
    assert f"\ncheckpoint_dir = {SERVICE_STATE}\n" in sample()


def test_the_sample_is_a_configuration_that_loads_once_its_token_exists(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "token").chmod(0o600)
    path = tmp_path / "audit-s3.conf"
    path.write_text(sample().replace("/etc/audit-s3/hec-token", f"{tmp_path}/token"))
    (found,) = load(config_path=str(path), environ={"HOME": "/h"})
    assert (found.name, found.settings.provider, found.warnings) == ("thrive", "thrive", ())


def test_uncommenting_the_whole_sample_still_loads(tmp_path: Path) -> None:
    text = "\n".join(
        line[2:] if line.startswith("# ") and " = " in line else line for line in sample().splitlines()
    )
    for name in ("hec-token", "aws-secret"):
        (tmp_path / name).write_text("t\n")
    path = tmp_path / "audit-s3.conf"
    path.write_text(text.replace("/etc/audit-s3/", f"{tmp_path}/"))
    (found,) = load(config_path=str(path), environ={"HOME": "/h"})
    assert found.settings.external_id


def test_secrets_have_no_flag_and_everything_else_has() -> None:
    assert {flag.name for flag in flags()} == {name for name, row in SETTINGS.items() if not row.secret}
    assert all(flag.flag == "--" + flag.name.replace("_", "-") and flag.help for flag in flags())


def test_the_scheme_names_all_but_what_splunk_knows_by_itself() -> None:
    arguments = scheme_arguments()
    of_splunk = {"host", "index", "source", "sourcetype"}
    assert {a["name"] for a in arguments} == set(SETTINGS) - of_splunk | {"validate_online"}
    assert {a["data_type"] for a in arguments} == {"STRING", "NUMBER", "BOOLEAN"}
