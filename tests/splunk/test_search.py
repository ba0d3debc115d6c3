"""Searches on a search head, over TLS and splunklib: all of the answer, or a clear word why not."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from collector.errors import CollectorError, Fatal, Retry
from collector.hosts.coverage.search import SearchHead
from collector.testing.certificate import self_signed
from collector.testing.fake_splunkd import FakeSplunkd

SEARCH = "| tstats count where index=* by source"


def head(splunkd: FakeSplunkd, *, token: str = "", **options: object) -> SearchHead:
    waits: List[float] = []
    return SearchHead(splunkd.server_uri, token or splunkd.token, sleep=waits.append, **options)  # type: ignore[arg-type]


def test_every_row_comes_and_every_time_is_searched(splunkd: FakeSplunkd) -> None:
    splunkd.events += [
        {"index": "audit", "source": f"s{n:03}", "time": time}
        for n in range(150)
        for time in (0, 1_700_000_000.5, 2_000_000_000)
    ]
    rows = head(splunkd).rows(SEARCH)
    assert [(row["source"], row["count"]) for row in rows] == [(f"s{n:03}", "3") for n in range(150)]
    assert splunkd.searches == [SEARCH]


def test_no_row_is_an_answer(splunkd: FakeSplunkd) -> None:
    assert head(splunkd).rows(SEARCH) == []


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, Fatal, "splunk_search_denied"),
        (404, Fatal, "splunk_search_refused"),
        (503, Retry, "splunkd_busy"),
    ],
)
def test_a_refusal_says_what_to_do(splunkd: FakeSplunkd, status: int, kind: type, code: str) -> None:
    splunkd.fail_with = status
    with pytest.raises(kind) as caught:
        head(splunkd).rows(SEARCH)
    assert isinstance(caught.value, CollectorError)
    assert caught.value.code == code


def test_a_wrong_token_is_refused_and_never_shown(splunkd: FakeSplunkd) -> None:
    with pytest.raises(Fatal) as caught:
        head(splunkd, token="very-secret").rows(SEARCH)
    assert caught.value.code == "splunk_token_refused"
    assert "very-secret" not in f"{caught.value!r} {caught.value}"


def test_what_cannot_be_searched_is_refused(splunkd: FakeSplunkd) -> None:
    with pytest.raises(Fatal, match="400"):
        head(splunkd).rows("| makeresults")


def test_an_answer_with_a_complaint_is_no_answer(splunkd: FakeSplunkd) -> None:
    splunkd.complaint = "Unable to distribute to peer"
    with pytest.raises(Retry, match="Unable to distribute"):
        head(splunkd).rows(SEARCH)
    assert len(splunkd.searches) == 4, "and it was asked again before that was believed"


def test_a_busy_search_head_is_asked_again(splunkd: FakeSplunkd) -> None:
    splunkd.events.append({"index": "audit", "source": "s"})
    splunkd.fail_with = 503
    waits: List[float] = []

    def rest(seconds: float) -> None:
        waits.append(seconds)
        splunkd.fail_with = None

    found = SearchHead(splunkd.server_uri, splunkd.token, sleep=rest).rows(SEARCH)
    assert (len(found), len(waits)) == (1, 1)


def test_nobody_there_is_tried_again_and_said() -> None:
    waits: List[float] = []
    with pytest.raises(Retry) as caught:
        SearchHead("https://127.0.0.1:1", "token", sleep=waits.append).rows(SEARCH)
    assert (caught.value.code, len(waits)) == ("splunkd_unreachable", 3)


def test_a_certificate_that_nobody_vouches_for_is_refused_where_it_is_checked(
    splunkd: FakeSplunkd, tmp_path: Path
) -> None:
    another = tmp_path / "another.pem"
    another.write_bytes(self_signed("another"))
    with pytest.raises(Fatal) as caught:
        head(splunkd, ca_file=str(another)).rows(SEARCH)
    assert caught.value.code == "splunkd_certificate"
    assert head(splunkd, ca_file=str(another), verify=False).rows(SEARCH) == []
    with pytest.raises(Fatal, match="cannot be read"):
        head(splunkd, ca_file="/nonexistent.pem")
