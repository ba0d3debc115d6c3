"""The report of check in its three forms, and the page of its codes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from collector.hosts.check.report import FORMATS, masked, render
from collector.hosts.codes import codes_of
from collector.hosts.documents.check_codes import page
from collector.onboarding.checks import CHECKS, TROUBLES, Finding

FAILED = Finding("queue_open", "failed", "provider", "a: <b>", 'x & {"Effect": "Allow"}', "do it")
OK = Finding("role", "ok", "provider", "a: role", "arn", "")


def test_json_is_exactly_the_six_names():
    said = json.loads(render([FAILED], "json", at=0.0))
    assert said == {
        "findings": [
            {
                "code": "queue_open", "status": "failed", "owner": "provider", "tried": "a: <b>",
                "answer": 'x & {"Effect": "Allow"}', "fix": "do it",
            }
        ]
    }


def test_text_says_whose_move_a_failure_is_and_none_for_what_is_well():
    text = render([OK, FAILED], "text", at=0.0)
    assert text.count("whose move: provider.") == 1
    assert text.splitlines()[-1] == "1 failed, 1 ok; whose move: provider"


WELL = [
    Finding(code, "ok", "you", f"{name}: {code}", "fine", "") for name in "ab" for code in ("clock", "role")
]
SKIPPED = [
    Finding(code, "skipped", "you", f"a: {code}", "not with --offline", "") for code in ("queue", "object")
]
WARNING = Finding("list_denied", "warning", "provider", "b: listing", "denied", "Ask for it.")


def test_what_is_wrong_comes_first_and_what_is_well_is_one_line_for_all_inputs_that_are_alike():
    assert render([*WELL[:2], *SKIPPED, *WELL[2:], WARNING, FAILED], "text", at=0.0).splitlines() == [
        "failed  queue_open                a: <b>",
        '        x & {"Effect": "Allow"}',
        "        whose move: provider. do it",
        "warning list_denied               b: listing",
        "        denied",
        "        whose move: provider. Ask for it.",
        "ok      a, b: clock, role",
        "skipped a: queue, object: not with --offline",
        "1 failed, 1 warning, 2 skipped, 4 ok; whose move: provider",
    ]


def test_what_is_to_be_sent_after_our_own_step_is_a_line_of_its_own():
    both = replace(FAILED, owner="you", fix="Compare it. Send to the provider: please allow it.")
    assert render([both], "text", at=0.0).splitlines()[2:4] == [
        "        whose move: you. Compare it.", "        Send to the provider: please allow it.",
    ]


def test_ten_inputs_that_are_alike_take_no_more_lines_than_one_and_the_odd_one_has_its_own():
    def of(name):
        well = [Finding(code, "ok", "you", f"{name}: {code}", "fine", "") for code in ("clock", "role")]
        return [*well, Finding("versions", "skipped", "provider", f"{name}: versions", "nobody needs it", "")]

    alike = [one for number in range(9) for one in of(f"i{number}")]
    odd = [Finding("clock", "ok", "you", "odd: clock", "fine", "")]
    names = ", ".join(f"i{number}" for number in range(9))
    assert render([*alike, *odd], "text", at=0.0).splitlines() == [
        f"ok      {names}: clock, role", "ok      odd: clock", f"skipped {names}: versions: nobody needs it",
        "9 skipped, 19 ok",
    ]


def test_the_page_opens_with_what_is_wrong_and_keeps_every_answer():
    page = render([*WELL, *SKIPPED, WARNING, FAILED], "html", at=0.0)
    first, _, folded = page.partition("<details>")
    order = ['<tr class="failed">', '<tr class="warning">', "a, b: clock, role", "a: queue, object"]
    assert sorted(order, key=first.index) == order
    assert '<tr class="ok">' not in first
    assert (folded.count('<tr class="ok">'), folded.count('<tr class="skipped">')) == (4, 2)
    assert folded.count('<tr class="failed">') == 0


def test_each_policy_statement_is_code_and_the_words_between_them_are_none():
    fix = 'add {"Effect": "Allow", "Principal": {"AWS": "a"}, "Action": "b"} and to the key {"c": {"d": "e"}}'
    said = render([Finding("c", "failed", "you", "a: t", "no", fix)], "html", at=0.0)
    assert "}</code> and to the key <code>{" in said
    assert said.count("<code>") == said.count("}</code>") == 2


def test_html_escapes_what_comes_from_outside():
    said = render([FAILED], "html", at=0.0)
    assert "a: &lt;b&gt;" in said and "x &amp; <code>" in said
    assert "1970-01-01 00:00:00 UTC" in said


@pytest.mark.parametrize("form", FORMATS)
def test_no_form_shows_a_secret_or_obeys_what_it_shows(form):
    spoken = Finding("c", "failed", "you", "http://me:pass@h/", "s3cret\x1b[2J", "s3cret-and-more")
    said = render(masked([spoken], ["s3cret", "s3cret-and-more"]), form, at=0.0)
    assert "s3cret" not in said and "me:pass" not in said and "\x1b" not in said
    assert "-and-more" not in said


def test_words_too_short_to_be_secrets_are_left_alone():
    assert masked([OK], ["", "arn"])[0].answer == "arn"


def test_every_code_is_explained_with_a_step():
    codes = [*(check.code for check in CHECKS), *TROUBLES]
    assert [code for code in codes if not any(one.meaning and one.step for one in codes_of(code))] == []
    assert all(f"`{code}`" in page() for code in TROUBLES)
