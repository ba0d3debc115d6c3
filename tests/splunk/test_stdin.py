"""What comes on stdin is believed only as far as splunkd would have written it."""

from __future__ import annotations

import pytest

from collector.errors import Fatal
from collector.hosts.splunkd.definition import parse_items, parse_run

BOMB = b"""<?xml version="1.0"?><!DOCTYPE input [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<input><configuration><stanza name="audit_s3://x"><param name="bucket">&b;</param></stanza>
</configuration></input>"""


def test_a_run_is_its_one_stanza_and_the_way_back_to_splunkd(run_document, splunkd) -> None:
    definition = parse_run(run_document("thrive", {"bucket": "a & <b>", "prefix": ""}))
    assert definition.name == "thrive"
    assert definition.settings == {"bucket": "a & <b>", "prefix": ""}
    assert (definition.server_uri, definition.session_key) == (splunkd.server_uri, splunkd.session_key)
    assert definition.checkpoint_dir.endswith("audit_s3")


def test_a_validation_is_its_one_item(items, splunkd) -> None:
    definition = parse_items(items("thrive", {"bucket": "b"}))
    assert (definition.name, definition.settings) == ("thrive", {"bucket": "b"})
    assert definition.session_key == splunkd.session_key


def test_a_list_of_values_is_a_comma_separated_setting() -> None:
    definition = parse_items(
        b'<items><item name="x"><param_list name="bucket"><value>a</value><value>b</value></param_list>'
        b"</item></items>"
    )
    assert definition.settings == {"bucket": "a,b"}


def test_the_host_that_splunkd_decides_on_is_left_to_splunkd(run_document) -> None:
    assert parse_run(run_document("x", {"host": "$decideOnStartup"})).settings == {}
    assert parse_run(run_document("x", {"host": "db1"})).settings == {"host": "db1"}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (BOMB, "document type"),
        (b'<!DOCTYPE input SYSTEM "file:///etc/passwd"><input/>', "document type"),
        (b"", "no element found"),
        (b"\x00\x01\x02", "not well-formed"),
        (b"<input><configuration>", "no element found"),
        (b"<input><a>\x0b</a></input>", "not well-formed"),
        (b"<input><a>&#0;</a></input>", "reference to invalid character number"),
        (b"<input/>", "expected one stanza, found 0"),
        (
            b'<input><configuration><stanza name="audit_s3://a"/><stanza name="audit_s3://b"/>'
            b"</configuration></input>",
            "found 2",
        ),
        (b'<input><configuration><stanza name="audit_s3://"/></configuration></input>', "no name"),
        (b'<input><configuration><stanza name="a"><x/></stanza></configuration></input>', "unexpected"),
    ],
)
def test_what_splunkd_would_not_write_is_refused_with_the_reason(document: bytes, why: str) -> None:
    with pytest.raises(Fatal) as caught:
        parse_run(document)
    assert caught.value.code == "input_definition_malformed"
    assert why in caught.value.what


@pytest.mark.parametrize("mode", [(), ("--validate-arguments",)])
def test_an_entity_bomb_ends_the_process_before_it_goes_off(run_input, mode) -> None:
    finished = run_input(*mode, stdin=BOMB)
    assert finished.returncode != 0
    assert b"document type" in finished.stdout + finished.stderr
    assert b"Traceback" not in finished.stderr


def test_a_definition_without_end_is_not_read_to_its_end(run_input) -> None:
    finished = run_input("--validate-arguments", stdin=b"<items>" + b" " * 2_000_000)
    assert finished.returncode == 1
    assert b"longer than 1048576 bytes" in finished.stdout


def test_an_unknown_argument_is_a_usage_error_on_stderr(run_input) -> None:
    finished = run_input("--help")
    assert (finished.returncode, finished.stdout) == (2, b"")
    assert finished.stderr.startswith(b"ERROR unknown argument '--help'")
