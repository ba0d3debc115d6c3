"""What the end of every test run promises: nothing is skipped unsaid, and running nothing is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skips import NO_SKIPS, REPORT, Tally, read

pytest_plugins = ("pytester",)

ROOT = Path(__file__).resolve().parents[2]
PASSING = "def test_passes():\n    pass\n"
SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='no Chromium')\ndef test_page():\n    pass\n"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner runs know nothing of the run they are part of."""
    for name in (NO_SKIPS, REPORT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(str(ROOT))


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", "tests.skips", "-p", "no:cacheprovider")


def test_a_run_says_what_it_skipped_and_why(pytester: pytest.Pytester) -> None:
    result = run(pytester, PASSING + SKIPPED)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*skipped, and why*", "*1  no Chromium"])


def test_a_run_that_executed_no_test_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, SKIPPED)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no test was executed"])


def test_a_full_run_fails_on_any_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_SKIPS, "1")
    assert run(pytester, PASSING + SKIPPED).ret == 1
    assert run(pytester, PASSING).ret == 0


def test_a_leg_leaves_its_tally_in_the_file_it_was_given(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = pytester.path / "report.json"
    monkeypatch.setenv(REPORT, str(report))
    run(pytester, PASSING + SKIPPED + "\ndef test_fails():\n    assert not test_passes\n")
    tally = read(str(report))
    assert (tally.passed, tally.failed, tally.skips) == (1, 1, {"no Chromium": 1})


def test_totals_keep_the_reasons_of_each_leg_apart() -> None:
    total = Tally()
    total.add(Tally(passed=2, skips={"no Chromium": 1}), where="here")
    total.add(Tally(passed=3, failed=1, skips={"no Chromium": 4}), where="there")
    assert (total.passed, total.failed, total.skipped) == (5, 1, 5)
    assert total.table() == ["skipped  why", "      4  there: no Chromium", "      1  here: no Chromium"]
