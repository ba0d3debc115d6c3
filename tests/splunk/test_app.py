"""The files that Splunk reads agree with each other and with the code."""

from __future__ import annotations

import json
import re
import struct
from configparser import ConfigParser
from pathlib import Path

import pytest

import collector
from collector.config.providers import PROVIDERS
from collector.config.rules import parse_rules
from collector.config.settings import SETTINGS
from collector.hosts.splunkd.rest import APP_ID, SECRETS

ROOT = Path(__file__).resolve().parents[2]
CONF_FILES = [*sorted((ROOT / "default").glob("*.conf")), ROOT / "metadata" / "default.meta"]


def _conf(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((ROOT / "default" / name).read_text(encoding="utf-8"))
    return parser


def test_one_version_everywhere() -> None:
    app = _conf("app.conf")
    manifest = json.loads((ROOT / "app.manifest").read_text(encoding="utf-8"))
    versions = {
        app["launcher"]["version"],
        app["id"]["version"],
        manifest["info"]["id"]["version"],
        collector.__version__,
    }
    assert len(versions) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", versions.pop())  # Splunk wants semver


def test_one_app_id_everywhere() -> None:
    app = _conf("app.conf")
    manifest = json.loads((ROOT / "app.manifest").read_text(encoding="utf-8"))
    assert {app["package"]["id"], app["id"]["name"], manifest["info"]["id"]["name"]} == {APP_ID}


def test_the_manifest_is_of_the_schema_that_splunk_reads() -> None:
    manifest = json.loads((ROOT / "app.manifest").read_text(encoding="utf-8"))
    assert manifest["schemaVersion"] == "2.0.0"
    assert set(manifest["targetWorkloads"]) <= {"_search_heads", "_indexers", "_forwarders"}


@pytest.mark.parametrize("path", CONF_FILES, ids=lambda path: path.name)
def test_a_conf_file_has_no_trailing_space_and_ends_with_a_newline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_every_sourcetype_of_a_preset_is_defined_but_those_of_other_apps() -> None:
    named = {preset.settings.get("sourcetype", "") for preset in PROVIDERS.values()}
    routed = {rule.sourcetype for preset in PROVIDERS.values() for rule in parse_rules(preset.routes)}
    emitted = (named | routed) - {""}
    defined = {name for name in _conf("props.conf").sections() if "::" not in name}
    assert emitted - defined == {"aws:cloudtrail"}
    assert defined - emitted == {"audit_s3", "audit_s3:log"}


def test_no_sourcetype_shortens_an_event_or_joins_two() -> None:
    props = _conf("props.conf")
    for name in props.sections():
        if "::" not in name:
            assert props[name]["TRUNCATE"] == "0", name
            assert props[name]["SHOULD_LINEMERGE"] == "false", name


def test_the_identity_of_events_is_searchable() -> None:
    fields = _conf("fields.conf")
    indexed = {name: fields[name]["INDEXED"] for name in fields.sections()}
    assert indexed == {"s3_oid": "true", "s3_seq": "true", "s3_note": "true"}


def test_every_secret_setting_can_live_in_storage_passwords() -> None:
    assert set(SECRETS) == {name for name, row in SETTINGS.items() if row.secret}


@pytest.mark.parametrize(
    ("name", "size"), [("appIcon", 36), ("appIconAlt", 36), ("appIcon_2x", 72), ("appIconAlt_2x", 72)]
)
def test_an_icon_is_a_png_of_the_size_that_splunk_web_wants(name: str, size: int) -> None:
    head = (ROOT / "static" / f"{name}.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (size, size)
