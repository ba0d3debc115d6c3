"""The dashboard, the searches and the macros find what the collector's log really says."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Dict, List, Set, Tuple
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from tests.splunk.knowledge import Knowledge, Seen, conf
from tests.splunk.logged import COUNTERS, logged_lines
from tests.splunk.samples import all_samples
from tests.splunk.spl import Unsearchable, columns_of, expanded, macros_in

DEFAULT = Path(__file__).resolve().parents[2] / "default"
KNOWLEDGE = Knowledge(DEFAULT)
MACROS = conf(DEFAULT / "macros.conf")
SAVED = conf(DEFAULT / "savedsearches.conf")
VIEWS = sorted((DEFAULT / "data" / "ui" / "views").glob("*.xml"))
HEALTH = ElementTree.parse(DEFAULT / "data" / "ui" / "views" / "health.xml").getroot()


# -- what the log says ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines() -> List[str]:
    return logged_lines()


def fields_of(line: str) -> Dict[str, List[str]]:
    return KNOWLEDGE.search(
        Seen(line, "audit_s3:log", source="/opt/splunk/var/log/splunk/audit_s3_thrive.log")
    )


@pytest.fixture(scope="module")
def logged(lines: List[str]) -> Set[str]:
    """Every field that a search may look for in the log."""
    return {name for line in lines for name in fields_of(line)} | COUNTERS


def test_every_line_of_the_log_is_read_with_the_time_at_which_it_was_written(lines: List[str]) -> None:
    assert any("Read an object to its end" in line for line in lines)
    for line in lines:
        told = json.loads(line)
        found = KNOWLEDGE.props["audit_s3:log"]
        prefix = re.search(found["TIME_PREFIX"], line)
        assert prefix and line[prefix.end() :].startswith(told["time"])
        assert len(told["time"]) <= int(found["MAX_TIMESTAMP_LOOKAHEAD"])
        assert fields_of(line)["input"] == ["thrive"]


def test_the_source_of_the_log_is_the_file_that_is_written() -> None:
    (stanza,) = (name for name in KNOWLEDGE.props.sections() if name.startswith("source::"))
    assert KNOWLEDGE.props[stanza]["sourcetype"] == "audit_s3:log"
    pattern = re.escape(stanza[len("source::") :]).replace(r"\.\.\.", ".*").replace(r"\*", "[^/]*")
    for name in ("audit_s3_thrive.log", "audit_s3_thrive.log.1", "audit_s3_a_b-0123abcd.log"):
        assert re.fullmatch(pattern, f"/opt/splunk/var/log/splunk/{name}")
    assert not re.fullmatch(pattern, "/opt/splunk/var/log/splunk/splunkd.log")


def test_the_progress_line_says_every_figure_that_the_dashboard_draws(lines: List[str]) -> None:
    progress = [fields_of(line) for line in lines if '"message": "Progress. ' in line]
    last = progress[-1]
    assert (last["done"], last["events"], last["stopped_by"]) == (["1"], ["1"], ["nothing"])
    assert last["quarantined_bodies"] == ["1"]
    assert (last["silence"], last["warnings"]) == (["hearing"], ["bucket_deadline"])
    assert 0 <= float(last["lag_collector_p95_seconds"][0]) < 20
    assert 55 < float(last["lag_provider_p50_seconds"][0]) < 90
    assert 13 < float(last["bucket_left_seconds"][0]) / 86400 < 15
    assert 0 <= float(last["queue_used_ratio"][0]) < 0.01
    assert all(len(values) == 1 for values in last.values() if values), "every figure is told once"


def test_an_error_says_its_fate_and_its_code(lines: List[str]) -> None:
    told = {(one["fate"][0], one["code"][0]) for one in map(fields_of, lines) if "fate" in one}
    assert {
        ("fatal", "object_denied"),
        ("poison", "odd_shape"),
        ("retry", "hec_busy"),
        ("bug", "bug"),
    } <= told


def test_a_key_can_put_no_figure_of_its_own_into_a_progress_line(lines: List[str]) -> None:
    assert any("a b.json" in line for line in lines)
    for line in lines:
        message = json.loads(line)["message"]
        assert ("s3://" in message) <= (not message.startswith("Progress. "))


# -- searches ---------------------------------------------------------------------------------------


@cache
def _of_audits() -> Set[str]:
    return {name for one in all_samples() for name in KNOWLEDGE.search(Seen(one.raw, one.sourcetype))}


def _searches(root: ElementTree.Element) -> Dict[str, ElementTree.Element]:
    return {one.get("id", f"#{number}"): one for number, one in enumerate(root.iter("search"))}


def _columns(root: ElementTree.Element, search: ElementTree.Element, logged: Set[str]) -> Set[str]:
    """What a search of a view leaves, through its base."""
    base = search.get("base")
    below = logged if base is None else _columns(root, _searches(root)[base], logged)
    return columns_of(str(search.findtext("query")).replace('"$input$"', "*"), below, MACROS)


def test_every_search_of_the_dashboard_finds_its_fields(logged: Set[str]) -> None:
    searches = _searches(HEALTH)
    assert len(searches) > 10
    for search in searches.values():
        assert _columns(HEALTH, search, logged)


@pytest.mark.parametrize("name", SAVED.sections())
def test_every_saved_search_finds_its_fields(name: str, logged: Set[str]) -> None:
    search = SAVED[name]["search"]
    of_audits = "audit_s3_index" in search
    assert columns_of(search, _of_audits() if of_audits else logged, MACROS)


@pytest.mark.parametrize("name", SAVED.sections())
def test_a_saved_search_ships_unscheduled_with_bounds_and_says_what_it_is_for(name: str) -> None:
    stanza = SAVED[name]
    assert (stanza["enableSched"], stanza["dispatch.latest_time"]) == ("0", "now")
    assert re.fullmatch(r"-\d+[mhd](@d)?", stanza["dispatch.earliest_time"])
    assert len(stanza["cron_schedule"].split()) == 5
    assert name.startswith("Audit S3 - ")
    assert stanza["description"].endswith(".")


def test_every_macro_is_used_and_there() -> None:
    texts = [stanza["search"] for stanza in (SAVED[name] for name in SAVED.sections())]
    texts += [str(one.text) for one in HEALTH.iter("query")]
    used = {
        f"{call.partition('(')[0]}(1)" if "(" in call else call for text in texts for call in macros_in(text)
    }
    assert used == set(MACROS.sections())


def test_no_search_looks_into_every_index() -> None:
    for name in MACROS.sections():
        assert not re.search(r"index\s*=\s*\*", MACROS[name]["definition"])
    for search in [SAVED[name]["search"] for name in SAVED.sections()]:
        assert re.match(r"index=(main|_internal) ", expanded(search, MACROS) + " ")


@pytest.mark.parametrize(
    "search",
    [
        "`audit_s3_log` nosuch=1",
        "`audit_s3_log` | stats count by nosuch",
        "`audit_s3_log` | stats count by input | table level",
        "`audit_s3_log` | eval a=round(nosuch)",
        "`audit_s3_log` | rename nosuch_* AS *",
        "`audit_s3_log` | rename level AS grade | table level",
        "`audit_s3_log` | where md5(level)=1",
        "`audit_s3_log` | rex x",
        "`no_such_macro`",
        "index=* level=ERROR",
        "`audit_s3_log` word",
        "`audit_s3_log` | timechart median(_time)",
    ],
)
def test_a_search_that_would_find_nothing_is_refused(search: str) -> None:
    with pytest.raises(Unsearchable):
        columns_of(search, {"level", "input"}, MACROS)


def test_a_field_that_is_renamed_is_found_under_its_new_name() -> None:
    search = "`audit_s3_log` | rename lag_*_seconds AS * | table aws_p50 input"
    assert columns_of(search, {"lag_aws_p50_seconds", "input"}, MACROS) == {"aws_p50", "input"}


# -- views ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_a_view_is_of_the_version_that_splunk_accepts(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.tag in ("form", "dashboard")
    assert root.get("version") == "1.1"


def test_every_base_search_is_there() -> None:
    searches = _searches(HEALTH)
    assert {one.get("base") for one in searches.values() if one.get("base")} == {"progress"}


def test_every_token_is_set_by_an_input_or_by_the_row_that_is_clicked(logged: Set[str]) -> None:
    own = {f"{one.get('token')}" for one in HEALTH.iter("input")} | {"time.earliest", "time.latest"}
    for panel in [*HEALTH.iter("table"), *HEALTH.iter("chart")]:
        search = panel.find("search")
        assert search is not None
        columns = _columns(HEALTH, search, logged)
        known = own | {f"row.{column}" for column in columns}
        text = ElementTree.tostring(panel, encoding="unicode")
        assert {token.partition("|")[0] for token in re.findall(r"\$([\w.|]+)\$", text)} <= known


def test_every_drilldown_leads_to_a_search_that_finds_something(logged: Set[str]) -> None:
    links = [str(link.text) for link in HEALTH.iter("link")]
    assert len(links) == 3
    for link in links:
        path, _, query = link.partition("?")
        assert path == "search"
        asked = dict(part.split("=", 1) for part in query.split("&"))
        assert set(asked) == {"q", "earliest", "latest"}
        search = re.sub(r"\$row\.\w+\|u\$", "x", unquote(asked["q"]))
        assert columns_of(search, logged, MACROS)


def test_a_row_that_can_be_clicked_is_said_to_be() -> None:
    for table in HEALTH.iter("table"):
        options = {one.get("name"): one.text for one in table.iter("option")}
        assert (options["drilldown"] == "row") == (table.find("drilldown") is not None)


def test_the_navigation_leads_to_views_that_are_there() -> None:
    root = ElementTree.parse(DEFAULT / "data" / "ui" / "nav" / "default.xml").getroot()
    splunks_own = {"search", "reports", "alerts"}
    views: List[Tuple[str, bool]] = [(str(one.get("name")), one.get("default") == "true") for one in root]
    assert {name for name, _ in views} - splunks_own <= {path.stem for path in VIEWS}
    assert [name for name, is_default in views if is_default] == ["health"]


def test_the_navigation_bar_is_dark_in_every_theme_because_the_logo_on_it_is_white() -> None:
    root = ElementTree.parse(DEFAULT / "data" / "ui" / "nav" / "default.xml").getroot()
    colour = re.fullmatch(r"#(\w\w)(\w\w)(\w\w)", str(root.get("color")))
    assert colour and all(int(part, 16) < 0x60 for part in colour.groups())
