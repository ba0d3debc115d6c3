"""A pytest plugin: every run ends with what it skipped and why, and a run that executed nothing fails.

Loaded by setup.cfg. `tests.legs` runs pytest several times and wants one table at its own end: it names
a file in AUDIT_S3_TEST_REPORT, and the tally goes there instead of to the terminal. With
AUDIT_S3_NO_SKIPS=1 (`make test-full`) a skip fails the run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, List

import pytest

REPORT = "AUDIT_S3_TEST_REPORT"
NO_SKIPS = "AUDIT_S3_NO_SKIPS"


@dataclass
class Tally:
    """Outcomes of one run. `skips` counts tests by the reason why they did not run."""

    passed: int = 0
    failed: int = 0
    skips: Dict[str, int] = field(default_factory=Counter)

    @property
    def skipped(self) -> int:
        return sum(self.skips.values())

    @property
    def executed(self) -> int:
        return self.passed + self.failed

    def skip(self, reason: str, count: int = 1) -> None:
        self.skips[reason] = self.skips.get(reason, 0) + count

    def add(self, other: Tally, *, where: str = "") -> None:
        """Add another run's outcomes; `where` is put before its reasons."""
        self.passed += other.passed
        self.failed += other.failed
        for reason, count in other.skips.items():
            self.skip(f"{where}: {reason}" if where else reason, count)

    def count(self, report: Any) -> None:
        """Count one phase of one test: its call, or a set-up or tear-down that went wrong."""
        if report.skipped:
            self.skip(_reason(report))
        elif report.failed:
            self.failed += 1
        elif report.when == "call":
            self.passed += 1

    def table(self) -> List[str]:
        """Lines: how many tests, and why they were skipped; the most numerous first."""
        if not self.skips:
            return ["skipped: nothing"]
        rows = sorted(self.skips.items(), key=lambda row: (-row[1], row[0]))
        return ["skipped  why", *(f"{count:7}  {reason}" for reason, count in rows)]

    def verdict(self) -> str:
        """Why this run must fail, or nothing."""
        if self.failed:
            return f"{self.failed} failed"
        if not self.executed:
            return "no test was executed"
        if self.skips and os.environ.get(NO_SKIPS) == "1":
            return f"{self.skipped} skipped, and {NO_SKIPS}=1 allows none"
        return ""


def read(path: str) -> Tally:
    """The tally that a run left in a file."""
    with open(path, encoding="utf-8") as stream:
        return Tally(**json.load(stream))


def _reason(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).replace("Skipped: ", "", 1)
    return str(report.longrepr)


class Plugin:
    """Counts in the process that reports: under xdist its workers only execute."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tally = Tally()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tally.count(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped or report.failed:
            self.tally.count(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self.tally.verdict():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if REPORT in os.environ:
            with open(os.environ[REPORT], "w", encoding="utf-8") as stream:
                json.dump(vars(self.tally), stream)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if REPORT in os.environ:
            return
        terminalreporter.section("skipped, and why")
        for line in self.tally.table():
            terminalreporter.write_line(line)
        if self.tally.verdict():
            terminalreporter.write_line(self.tally.verdict(), red=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(Plugin(config), "audit-s3-skips")
