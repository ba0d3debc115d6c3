"""The page on Splunk: its stanzas load, its searches find fields that are there, its messages are ours."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

import pytest
import requests

from collector.config import load
from collector.config.conf import parse
from collector.config.load import from_stanza
from collector.hosts.splunkd import log
from collector.hosts.splunkd.log import log_file
from collector.hosts.splunkd.rest import APP_ID, SecretStore, stored_settings
from collector.testing.fake_splunkd import FakeSplunkd
from tests.docs.shown import ROOT, blocks, configured, stanzas
from tests.splunk.knowledge import Knowledge, Seen, conf
from tests.splunk.logged import COUNTERS, logged_lines
from tests.splunk.samples import all_samples
from tests.splunk.spl import columns_of

PAGE = (ROOT / "docs" / "splunk.md").read_text(encoding="utf-8")
KNOWLEDGE = Knowledge(ROOT / "default")
MACROS = conf(ROOT / "default" / "macros.conf")
SAVED = conf(ROOT / "default" / "savedsearches.conf")


def test_lines_are_not_long_and_links_lead_somewhere() -> None:
    prose = re.sub(r"^\|.*$", "", PAGE, flags=re.MULTILINE)
    assert max(map(len, prose.splitlines())) <= 120
    for target in re.findall(r"\]\((?!https:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@cache
def audits() -> Sequence[Tuple[str, Mapping[str, Sequence[str]]]]:
    """The sourcetype and the fields of every sample."""
    return [(one.sourcetype, KNOWLEDGE.search(Seen(one.raw, one.sourcetype))) for one in all_samples()]


# -- stanzas and secrets ----------------------------------------------------------------------------


def _settings(stanza: str) -> Dict[str, str]:
    return dict(re.findall(r"^(\w+) = (.*)$", stanza, re.MULTILINE))


def test_the_first_stanza_is_an_input_in_splunk_and_outside(tmp_path: Path) -> None:
    stanza = stanzas(PAGE)[0]
    path = configured(stanza, tmp_path)
    for secret in tmp_path.iterdir():
        secret.chmod(0o600)
    (outside,) = load(config_path=str(path), flags={"output": "stdout"}, environ={})
    inside = from_stanza("thrive", {**_settings(path.read_text()), "output": "splunkd"}, environ={})
    differ = {"output", "checkpoint_dir"}
    here, there = (vars(one.settings) for one in (inside, outside))
    assert {name for name in here if here[name] != there[name]} <= differ
    assert (inside.settings.provider, inside.warnings) == ("thrive", ())


def test_with_the_lines_for_hec_the_first_stanza_is_an_input_that_sends_there(tmp_path: Path) -> None:
    (lines,) = blocks(PAGE, "ini", name="hec")
    settings = {**_settings(stanzas(PAGE)[0]), **_settings(lines)}
    for name in ("aws_secret_access_key", "hec_token"):
        secret = tmp_path / name
        secret.touch(mode=0o600)
        secret.write_text("11111111-2222-3333-4444-555555555555\n")
        settings[name] = f"file:{secret}"
    found = from_stanza("thrive", settings, environ={})
    assert (found.settings.output, found.settings.hec_ack, found.warnings) == (("hec",), "auto", ())
    assert settings["index"] == "audit" and "`audit` in all that follows" in PAGE


def test_what_the_program_makes_of_an_input_of_the_add_on_is_one_in_splunk(tmp_path: Path) -> None:
    (theirs,) = stanzas((ROOT / "docs" / "migrating-from-the-splunk-add-on.md").read_text(encoding="utf-8"))
    (tmp_path / "inputs.conf").write_text(theirs)
    (tmp_path / "aws_iam_roles.conf").write_text("[reader]\narn = arn:aws:iam::111111111111:role/reader\n")
    words = "init --from-splunk inputs.conf --bucket-of trail=example-trail-logs --output ours.conf".split()
    command = [sys.executable, "-m", "collector", *words]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=known, check=True, capture_output=True, timeout=60)
    ((header, settings),) = parse((tmp_path / "ours.conf").read_text()).stanzas.items()
    given = {name: each.text for name, each in settings.items()}
    found = from_stanza(header.partition("://")[2], given, environ={}, checkpoint_dir=str(tmp_path))
    assert (found.settings.output, found.settings.sourcetype) == (("splunkd",), "aws:cloudtrail")


def test_what_is_to_be_pressed_is_on_the_page() -> None:
    page = (ROOT / "appserver" / "static" / "setup.js").read_text(encoding="utf-8")
    view = (ROOT / "default" / "data" / "ui" / "views" / "setup.xml").read_text(encoding="utf-8")
    told = " ".join(PAGE.split())
    assert "open the app, *Set up*, *Add an input*" in told
    assert "<label>Set up</label>" in view and 'button("Add an input"' in page
    (box,) = re.findall(r"page's box \*([^*]+)\*", told)
    assert f'"{box}; ' in page


def test_what_a_forwarder_has_written_is_kept_of_the_app_that_there_is() -> None:
    (stanza,) = blocks(PAGE, "ini", name="serverclass")
    assert re.match(rf"\[serverClass:\w+:app:{APP_ID}\]\n", stanza)


def test_what_the_command_stores_is_what_the_stanza_refers_to(tmp_path: Path) -> None:
    (command,) = blocks(PAGE, "sh", name="splunkd")
    (tmp_path / "aws-secret").write_text("s3cr3t\n")
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:4] == ["curl", "-k", "-u", "admin"]
    url, given = words[4], words[5:]
    data: Dict[str, str] = {}
    for flag, value in zip(given[::2], given[1::2]):
        name, sign, text = re.match(r"(\w+)([=@])(.*)", value).groups()  # type: ignore[union-attr]
        assert flag == ("-d" if sign == "=" else "--data-urlencode")
        data[name] = text if sign == "=" else (tmp_path / text).read_text()
    settings = _settings(stanzas(PAGE)[1])
    with FakeSplunkd() as splunkd:
        where = url.replace("https://localhost:8089", splunkd.server_uri)
        key = {"Authorization": f"Splunk {splunkd.session_key}"}
        with pytest.warns(Warning):
            done = requests.post(where, data=data, headers=key, verify=False, timeout=10)
        assert done.status_code == 201
        store = SecretStore(splunkd.server_uri, splunkd.session_key)
        found = stored_settings(settings, input_name="thrive", store=store)
    again = from_stanza("thrive", {**settings, "output": "splunkd"}, secrets=found, environ={})
    secret = again.settings.aws_secret_access_key
    assert secret is not None and (secret.reveal(), again.warnings) == ("s3cr3t", ())


# -- searches ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logged() -> frozenset[str]:
    seen = (KNOWLEDGE.search(Seen(line, "audit_s3:log")) for line in logged_lines())
    return COUNTERS.union(*seen)


def test_every_search_finds_its_fields(logged: frozenset[str]) -> None:
    of_audits = {name for _, fields in audits() for name in fields}
    of_audits.update(conf(ROOT / "default" / "fields.conf").sections())
    searches = blocks(PAGE, "spl")
    assert len(searches) == 9
    for search in searches:
        fields = of_audits if "audit_s3_index" in search else set(logged)
        assert columns_of(search.strip().replace("\n", " "), fields, MACROS)


def test_a_search_over_audits_names_tags_and_actions_that_there_are() -> None:
    found = [fields for _, fields in audits()]
    for search in blocks(PAGE, "spl"):
        for name, value in re.findall(r"\b(tag|action)=(\w+)", search):
            assert any(value in fields.get(name, []) for fields in found), (name, value)


def test_its_table_of_models_is_that_of_the_tags() -> None:
    columns = {"authentication": 2, "change": 3, "data": 4, "database": 5}
    for row in re.findall(r"^\| `[\w:]+` \|.*\|$", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        own = [fields["tag"] for sourcetype, fields in audits() if sourcetype == cells[1].strip("`")]
        tags = {tag for each in own for tag in each}
        assert {tag for tag, column in columns.items() if cells[column]} == tags & set(columns), row
    assert len(re.findall(r"^\| `[\w]+:[\w]+` \|", PAGE, re.MULTILINE)) == 4


# -- what it says -----------------------------------------------------------------------------------


def _pieces() -> Iterator[str]:
    """What the program can print, in the pieces between what varies."""
    for path in (ROOT / "collector").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (piece for piece in re.split(r"%[.\d]*[a-z]", node.value) if len(piece) >= 10)


def test_every_message_is_one_that_the_program_prints() -> None:
    rows = PAGE.partition("| you see |")[2]
    messages = re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE)
    assert len(messages) >= 10
    pieces = list(_pieces())
    for message in messages:
        assert any(message in piece or message.startswith(piece) for piece in pieces), message


def test_files_are_where_it_says_and_as_large() -> None:
    assert "$SPLUNK_HOME/var/log/splunk/audit_s3_<input>.log" in PAGE
    assert log_file("/opt/splunk", "thrive").as_posix() == "/opt/splunk/var/log/splunk/audit_s3_thrive.log"
    assert (log._FILE_MAX_BYTES, log._FILES_KEPT) == (25_000_000, 5)
    assert "six files of 25 MB" in PAGE


def test_its_figures_are_those_that_were_measured() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    counted = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    sizing = PAGE.partition("## Sizing")[2].partition("\n## ")[0]
    for figure in ("76 MB", "132 MB"):
        assert figure in sizing and figure in measured
    assert "300 small objects a second" in sizing and "300 objects a second" in counted
    assert "a twentieth of a core" in sizing and "1, a twentieth of it" in counted


def test_every_saved_search_and_the_report_are_named() -> None:
    told = " ".join(PAGE.lower().split())
    names: List[str] = [name.partition(" - ")[2].lower() for name in SAVED.sections()]
    for name in names:
        assert re.sub(r"^a cloudtrail", "a", name) in told, name


def test_the_package_is_made_by_a_target_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert blocks(PAGE, "sh") == ["make app\n"]
    assert re.search(r"^app:", makefile, re.MULTILINE)
    assert "PLATFORM)" in makefile and "PLATFORM=linux_x86_64" in PAGE
