"""`--scheme`: what splunkd asks of every input whenever it starts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from collector.config.settings import SETTINGS

#: inputs.conf knows these for every input; a scheme that lists them is refused.
IMPLICIT = {"source", "sourcetype", "host", "index", "disabled", "interval"}


@pytest.fixture
def scheme(run_input) -> ElementTree.Element:
    finished = run_input("--scheme")
    assert (finished.returncode, finished.stderr) == (0, b"")
    return ElementTree.fromstring(finished.stdout)


def test_the_scheme_asks_for_one_process_per_input_and_our_own_validation(scheme) -> None:
    said = {child.tag: child.text for child in scheme if child.tag != "endpoint"}
    assert said["use_single_instance"] == "false"
    assert said["use_external_validation"] == "true"
    assert said["streaming_mode"] == "xml"
    assert said["title"]
    assert said["description"]


def test_the_scheme_lists_the_settings_table(scheme) -> None:
    names = [argument.get("name") for argument in scheme.iter("arg")]
    assert len(names) == len(set(names))
    assert set(names) - {"validate_online"} == set(SETTINGS) - IMPLICIT


def test_every_argument_has_a_legal_name_a_type_and_words_for_a_person(scheme) -> None:
    for argument in scheme.iter("arg"):
        name = argument.get("name")
        assert re.fullmatch(r"[0-9a-zA-Z][0-9a-zA-Z_-]*", name), name
        assert argument.findtext("data_type", "").upper() in {"STRING", "NUMBER", "BOOLEAN"}, name
        assert argument.findtext("title"), name
        assert argument.findtext("description"), name


def test_no_argument_is_demanded_beyond_what_every_provider_hands_over(scheme) -> None:
    demanded = {a.get("name") for a in scheme.iter("arg") if a.findtext("required_on_create") == "true"}
    assert demanded <= {"name"}


def test_the_scheme_costs_no_heavy_import(run_input) -> None:
    finished = run_input("--scheme", options=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.decode().splitlines()}
    assert "collector.config.generate" in imported
    heavy = {"boto3", "botocore", "cryptography", "apscheduler", "sqlite3", "click", "rich", "hypothesis"}
    heavy |= {"splunklib", "http", "asyncio"}
    assert not {name for name in imported if name.partition(".")[0] in heavy}
    assert not {name for name in imported if name.startswith(("collector.aws", "collector.engine"))}
