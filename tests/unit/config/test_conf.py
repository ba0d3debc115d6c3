"""Splunk's conf grammar."""

from __future__ import annotations

from typing import Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.conf import parse


def values(text: str) -> Dict[str, Dict[str, str]]:
    found = parse(text)
    assert found.malformed == ()
    return {
        name: {key: value.text for key, value in stanza.items()} for name, stanza in found.stanzas.items()
    }


def test_repeated_stanzas_merge_and_the_later_value_wins() -> None:
    text = "[a]\nx = 1\ny = 1\n[b]\nx = 2\n[a]\ny = 3\nz = 4\n"
    assert values(text) == {"a": {"x": "1", "y": "3", "z": "4"}, "b": {"x": "2"}}


def test_keys_keep_their_case() -> None:
    assert values("[a]\nQueue = 1\nqueue = 2") == {"a": {"Queue": "1", "queue": "2"}}


@pytest.mark.parametrize(
    "text", ["100%", "%(x)s", "a=b=c", "a:b", "a;b", "a # b", '"quoted"', "$HOME", "[x]"]
)
def test_everything_after_the_first_equals_sign_is_plain(text: str) -> None:
    assert values(f"[a]\nkey = {text}") == {"a": {"key": text}}


def test_a_trailing_backslash_goes_on_with_the_next_line() -> None:
    assert values("[a]\nroutes = x drop; \\\n   y drop; \\\n  z drop\nk = 1") == {
        "a": {"routes": "x drop; y drop; z drop", "k": "1"}
    }


def test_a_comment_or_blank_line_does_not_count_inside_a_continuation() -> None:
    assert values("[a]\nx = 1 \\\n# 2") == {"a": {"x": "1 # 2"}}


def test_a_backslash_at_the_end_of_the_file_ends_the_value() -> None:
    assert values("[a]\nx = 1\\") == {"a": {"x": "1"}}


def test_comments_stand_at_the_start_of_a_line_only() -> None:
    assert values("# [b]\n[a]\n  # x = 1\n#y = 2\nz = 3 # not a comment") == {"a": {"z": "3 # not a comment"}}


def test_a_byte_order_mark_and_crlf_are_tolerated() -> None:
    assert values("\ufeff[a]\r\nx = 1\\\r\n2\r\n") == {"a": {"x": "1 2"}}


def test_values_and_names_are_stripped_and_may_be_empty() -> None:
    assert values("[ a ]\n  x  =   1  \ny =") == {"a": {"x": "1", "y": ""}}


def test_every_value_knows_its_line() -> None:
    found = parse("\n# c\n[a]\nx = 1 \\\n 2\ny = 3\n[b]\n[a]\nx = 4")
    assert (found.stanzas["a"]["y"].line, found.stanzas["a"]["x"].line) == (6, 9)
    assert found.lines == {"a": 3, "b": 7}


def test_a_setting_before_any_stanza_is_malformed_at_its_line() -> None:
    found = parse("# c\nx = 1\n[a]\ny = 2")
    assert [(bad.line, "before any stanza" in bad.what) for bad in found.malformed] == [(2, True)]
    assert found.stanzas["a"]["y"].text == "2"


@pytest.mark.parametrize("line", ["just words", "= value", "x"])
def test_a_line_without_a_name_and_a_value_is_malformed(line: str) -> None:
    assert [bad.line for bad in parse(f"[a]\n{line}\ny = 1").malformed] == [2]


def test_an_unclosed_header_is_malformed_and_still_begins_its_stanza() -> None:
    found = parse("[a\nx = 1\n")
    assert [bad.line for bad in found.malformed] == [1]
    assert found.stanzas["a"]["x"].text == "1"


def test_a_malformed_line_is_not_shown_whole_for_it_may_hold_a_secret() -> None:
    (bad,) = parse("[a]\nhec_token 00000000-1111-2222-3333-444444444444").malformed
    assert "1111" not in bad.what


@pytest.mark.parametrize("text", ["[a]\n\\", "[a]\n \\\n \\\n"])
def test_a_backslash_that_goes_on_with_nothing_is_malformed(text: str) -> None:
    (bad,) = parse(text).malformed
    assert bad.line == 2


def test_a_nested_header_is_just_a_stanza_with_an_odd_name() -> None:
    assert list(parse("[a]\n[[b]]\nx = 1").stanzas) == ["a", "[b]"]


@given(st.text())
def test_no_text_makes_the_grammar_raise(text: str) -> None:
    found = parse(text)
    assert set(found.stanzas) == set(found.lines)


def test_a_value_that_another_of_its_stanza_replaces_is_told_with_both_lines() -> None:
    found = parse("[a]\nx = 1\ny = 1\n[b]\nx = 2\n[a]\nx = 3\ny = 1\nx = 4")
    assert [(one.key, one.earlier_line, one.line, one.by_header) for one in found.replaced] == [
        ("x", 2, 7, True),
        ("x", 7, 9, False),
    ]
