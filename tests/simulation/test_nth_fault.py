"""Every port call of a small scenario fails once, in every way: exhaustively, not by chance."""

from __future__ import annotations

import pytest

from tests.simulation.scenarios import fault_at


@pytest.mark.parametrize("kind", ["fail", "ambiguous", "kill"])
@pytest.mark.parametrize("seed", range(12))
def test_whichever_port_call_goes_wrong_nothing_is_lost_and_no_law_is_broken(seed, kind):
    _, calls = fault_at(seed, 0, "fail")
    assert calls > 25
    for number in range(1, calls + 1):
        report, _ = fault_at(seed, number, kind)
        assert not report.problems, (seed, number, report.problems)
        assert report.kills == (kind == "kill") or number == calls, "nobody is left to be killed"
