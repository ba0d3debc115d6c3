"""`audit-s3 coverage` on a real bucket: every object is counted once, and what is missing is named."""

from __future__ import annotations

import json
import sqlite3
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from collector.stores.dynamodb import create_table
from collector.testing.fake_hec import FakeHec
from collector.testing.fake_splunkd import FakeSplunkd
from collector.testing.local_aws import CUSTOMER, LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, ndjson

Make = Callable[..., Collector]
FOLDER = "audits/2026/05/04"


def stage(aws: LocalAws, **settings: Any) -> Tuple[Provider, Dict[str, Any]]:
    """One delivered, one never told of, one broken, one left out, and one deleted before it was read."""
    aws.reset()
    provider = Provider(aws, "thrive", delivery="none")
    provider.upload(f"{FOLDER}/whole.json.gz", ndjson("whole", 5))
    provider.upload(f"{FOLDER}/broken.json.gz", ndjson("broken", 50)[:-20])
    provider.upload(f"{FOLDER}/left.tmp", ndjson("left", 2))
    provider.upload(f"{FOLDER}/deleted.json.gz", ndjson("deleted", 1))
    for name in ("whole.json.gz", "broken.json.gz", "left.tmp", "deleted.json.gz"):
        provider.notify(f"{FOLDER}/{name}")
    provider.client("s3").delete_object(Bucket=provider.bucket, Key=f"{FOLDER}/deleted.json.gz")
    provider.upload(f"{FOLDER}/forgotten.json.gz", ndjson("forgotten", 3))
    return provider, {**provider.handover(), "exclude": "*.tmp", "reconcile_grace_seconds": 0, **settings}


def entries(ours: Collector, *flags: str, code: int) -> List[Dict[str, Any]]:
    answer = json.loads(ours.verb("coverage", "--format", "json", *flags, code=code).stdout)
    found: List[Dict[str, Any]] = answer["entries"]
    return found


def of(found: List[Dict[str, Any]], kind: str) -> List[Dict[str, Any]]:
    return [entry for entry in found if entry["kind"] == kind]


def total(found: List[Dict[str, Any]]) -> Dict[str, int]:
    """The kinds of the total that are not zero."""
    (one,) = of(found, "total")
    kinds = ("delivered", "late", "missing", "quarantined", "filtered", "gone", "expired", "before_start")
    return {kind: one[kind] for kind in kinds if one[kind]}


def test_everything_in_the_bucket_is_one_thing_and_what_is_missing_is_named(
    ministack: LocalAws, collector: Make
) -> None:
    provider, settings = stage(ministack)
    ours = collector(settings)
    ours.once(code=1)
    found = entries(ours, code=1)
    assert total(found) == {"delivered": 1, "missing": 1, "quarantined": 1, "filtered": 1, "gone": 1}
    (window,) = of(found, "window")
    assert (window["prefix"], window["objects"]) == ("audits/", 5)
    unread = {(entry["what"], entry["key"].rpartition("/")[2]) for entry in of(found, "unread")}
    assert unread == {("missing", "forgotten.json.gz"), ("gone", "deleted.json.gz")}

    text = ours.verb("coverage", code=1).stdout.decode()
    assert "1 object is missing. To fetch: audit-s3 backfill --input thrive --missing" in text
    assert f"missing: s3://{provider.bucket}/{FOLDER}/forgotten.json.gz" in text

    provider.send_body("what is this")
    ours.once(code=1)
    assert of(entries(ours, code=1), "total")[0]["quarantined_bodies"] == 1

    ours.verb("backfill", "--missing")
    again = entries(ours, code=0)
    assert total(again) == {"delivered": 2, "quarantined": 1, "filtered": 1, "gone": 1}
    assert of(again, "total")[0]["delivered_sha256"] != window["delivered_sha256"]
    said = b"nothing is missing; 2 objects (quarantined 1, gone 1) and 1 message (in quarantine) were not"
    assert said in ours.verb("coverage").stdout


def test_what_the_queue_told_of_is_delivered_though_it_was_written_before_start_from(
    ministack: LocalAws, collector: Make
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    for name in ("told", "untold"):
        provider.upload(f"{FOLDER}/{name}.json.gz", ndjson(name, 5))
    provider.notify(f"{FOLDER}/told.json.gz")
    time.sleep(1.1)  # S3's times are whole seconds
    ours = collector({**provider.handover(), "start_from": "now"})
    ours.once()
    assert total(entries(ours, code=0)) == {"delivered": 1, "before_start": 1}
    text = ours.verb("coverage", code=0).stdout.decode()
    (fetch,) = [line for line in text.splitlines() if "To fetch: audit-s3 backfill" in line]
    assert "1 object was written before start_from, " in text
    ours.verb("backfill", *fetch.partition("backfill ")[2].split())
    assert total(entries(ours, code=0)) == {"delivered": 2}
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    later = ours.verb("coverage", "--since", begin, "--until", "2099-01-01", code=0).stdout.decode()
    assert "Not counted: 2 objects that are listed and were written earlier, the first " in later
    (count,) = [line for line in later.splitlines() if "To count: audit-s3 coverage" in line]
    flags = count.partition("coverage ")[2].split()
    assert total(entries(ours, *flags, code=0)) == {"delivered": 2}


@pytest.mark.exhaustive
def test_grace_start_and_span_decide_what_is_asked_about(ministack: LocalAws, collector: Make) -> None:
    _, settings = stage(ministack, reconcile_grace_seconds=3600)
    ours = collector(settings)
    ours.once(code=1)
    assert total(entries(ours, code=0))["late"] == 1
    assert total(entries(ours, "--until", "1d", "--since", "2d", code=0)) == {}
    late = collector({**settings, "start_from": "now"})
    time.sleep(1.1)  # S3's times are whole seconds
    late.once()
    assert total(entries(late, "--since", "1d", code=0)) == {"before_start": 3, "filtered": 1}


def test_an_export_shows_what_was_changed_in_it(
    ministack: LocalAws, collector: Make, tmp_path: Path
) -> None:
    _, settings = stage(ministack)
    ours = collector(settings)
    ours.once(code=1)
    done = ours.verb("coverage", "--format", "json", code=1)
    export = tmp_path / "coverage.json"
    export.write_bytes(done.stdout)
    audited = ours.verb("coverage", "--audit", str(export)).stdout
    assert done.stderr.split()[-1] in audited, "the seal"
    export.write_bytes(done.stdout.replace(b'"missing": 1', b'"missing": 0', 1))
    said = ours.verb("coverage", "--audit", str(export), code=1).stdout
    assert b"entry 2 (window thrive " in said and b"was changed" in said
    export.write_bytes(b"\xff")
    assert b"no coverage report" in ours.verb("coverage", "--audit", str(export), code=1).stdout


class Page(HTMLParser):
    """Its tables' cells, its list, and every address that it would load; tags must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: List[str] = []
        self.words: Dict[str, List[str]] = {"td": [], "li": [], "th": []}
        self.loads: List[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.loads += [value for name, value in attrs if name in ("src", "href", "action")]
        assert tag not in ("script", "link", "img", "iframe")
        if tag != "meta":
            self.open.append(tag)
        if tag in self.words:
            self.words[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] in self.words:
            self.words[self.open[-1]][-1] += text


@pytest.mark.exhaustive
def test_the_page_is_whole_by_itself_and_runs_nothing(ministack: LocalAws, collector: Make) -> None:
    provider, settings = stage(ministack)
    provider.upload("<script>alert(1)</script>/x.json.gz", ndjson("x", 1))
    ours = collector(settings)
    ours.once(code=1)
    text = ours.verb("coverage", "--format", "html", code=1).stdout.decode()
    page = Page(text)
    assert page.loads == []
    assert "http" not in text.replace("http-equiv", "")
    assert "<script>" in page.words["td"][1], "as text"
    assert any("alert(1)" in item for item in page.words["li"])
    assert page.words["td"][-len(page.words["th"]) :][:6] == ["all", "", "6", "1", "0", "2"]


@pytest.mark.exhaustive
def test_an_input_of_messages_has_nothing_to_be_compared_with(ministack: LocalAws, collector: Make) -> None:
    ministack.reset()
    provider = Provider(ministack, "policysync", fifo=True, bucket=False)
    provider.send_body(json.dumps({"id": "a-1", "evtTime": "2026-05-04 10:20:11.120"}))
    ours = collector({**provider.handover(), "provider": "privacera-policysync"})
    ours.once()
    found = entries(ours, code=0)
    assert (total(found), of(found, "head")[0]["compared_with_listing"]) == ({"delivered": 1}, False)
    said = ours.verb("coverage").stdout.decode()
    assert "(messages)" in said and "no listing to compare" in said


@pytest.mark.exhaustive
def test_without_the_right_to_list_what_is_missing_is_unknown(ministack: LocalAws, collector: Make) -> None:
    provider, settings = stage(ministack)
    ours = collector(settings)
    ours.once(code=1)
    provider.set_rights(provider.least_privilege(without="s3:ListBucket"))
    found = entries(ours, code=1)
    assert total(found) == {"delivered": 1, "quarantined": 1, "filtered": 1, "gone": 1}
    assert list(of(found, "head")[0]["unlisted"]) == [settings["bucket"]]
    assert b"What is missing in s3://thrive-audit-logs is unknown" in ours.verb("coverage", code=1).stdout


@pytest.mark.exhaustive
def test_an_input_that_was_never_started_knows_only_the_listing(ministack: LocalAws, collector: Make) -> None:
    _, settings = stage(ministack)
    ours = collector(settings)
    found = entries(ours, code=1)
    assert (total(found), of(found, "head")[0]["started"]) == ({"missing": 3, "filtered": 1}, False)
    assert not (ours.folder / "state").exists(), "and it leaves nothing behind"


def test_a_shared_ledger_is_counted_from_anywhere(ministack: LocalAws, collector: Make) -> None:
    _, settings = stage(ministack, checkpoint_store="dynamodb", checkpoint_table="audit-s3")
    create_table(ministack.client("dynamodb", account=CUSTOMER), "audit-s3")
    rights = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    ministack.client("iam", account=CUSTOMER).put_user_policy(
        UserName="thrive-collector", PolicyName="ledger",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rights]}),
    )
    collector(settings).once(code=1)
    elsewhere = collector(settings)
    assert total(entries(elsewhere, code=1)) == {
        "delivered": 1, "missing": 1, "quarantined": 1, "filtered": 1, "gone": 1,
    }


# -- Splunk


@pytest.fixture
def splunkd() -> Iterator[FakeSplunkd]:
    with FakeSplunkd() as running:
        yield running


def asked(ours: Collector, splunkd: FakeSplunkd) -> List[str]:
    token = ours.folder / "search-token"
    token.write_text(f"{splunkd.token}\n")
    return ["--splunk", "--splunk-url", splunkd.server_uri, "--splunk-token", f"file:{token}"]


def settle(ours: Collector) -> None:
    """What was delivered is three minutes old."""
    ledger = sqlite3.connect(ours.folder / "state" / "thrive.sqlite3")
    with ledger:
        ledger.execute("UPDATE checkpoints SET updated = updated - 180")
    ledger.close()


@pytest.mark.parametrize("identity", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_what_splunk_does_not_hold_is_named(
    ministack: LocalAws, collector: Make, splunkd: FakeSplunkd, identity: bool
) -> None:
    provider, settings = stage(ministack)
    for name in ("short", "repeated", "absent"):
        provider.upload(f"{FOLDER}/{name}.json.gz", ndjson(name, 4))
        provider.notify(f"{FOLDER}/{name}.json.gz")
    with FakeHec() as hec:
        ours = collector({**settings, "hec_url": hec.url, "hec_token": hec.token, "index": "audit",
                          "event_identity": str(identity).lower()})
        ours.once(code=1)
        ours.verb("backfill", "--missing")
        events = hec.events
    splunkd.events += events
    assert of(entries(ours, *asked(ours, splunkd), code=0), "splunk")[0]["too_new"] == 6
    settle(ours)
    assert of(entries(ours, *asked(ours, splunkd), code=0), "splunk")[0]["objects"] == 6

    def named(name: str) -> List[Any]:
        return [event for event in events if name in event["source"]]

    lost = [*named("absent"), named("short")[1]]
    splunkd.events[:] = [event for event in events if event not in lost] + named("repeated")[:2]
    found = entries(ours, *asked(ours, splunkd), code=1)
    named_ones = of(found, "difference")
    differing = {(one["source"].rpartition("/")[2], one["what"], one["found"]) for one in named_ones}
    assert differing == {
        ("absent.json.gz", "absent", 0), ("short.json.gz", "missing_events", 3),
        ("repeated.json.gz", "surplus", 4 if identity else 6),
    }
    said = ours.verb("coverage", *asked(ours, splunkd), code=1).stdout.decode()
    assert "Splunk holds something else of 3 objects." in said
    assert f"1 of 4 events missing: s3://{provider.bucket}/{FOLDER}/short.json.gz" in said
    assert all('index="audit"' in search for search in splunkd.searches)


@pytest.mark.exhaustive
def test_an_event_that_was_refused_is_not_expected_and_found_once_it_was_retried(
    ministack: LocalAws, collector: Make, splunkd: FakeSplunkd
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    lines = [json.dumps({"n": number, "pad": "x" * (9000 if number == 3 else 1)}) for number in range(6)]
    provider.upload("k/one", "\n".join(lines).encode())
    with FakeHec() as hec:
        hec.policy.max_event_bytes = 5000
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token})
        ours.once(code=1)
        settle(ours)
        splunkd.events[:] = hec.events
        assert len(splunkd.events) == 5
        assert of(entries(ours, *asked(ours, splunkd), code=0), "splunk")[0]["differing"] == 0
        hec.policy.max_event_bytes = 10_000
        ours.verb("quarantine", "retry")
        settle(ours)
        splunkd.events[:] = hec.events
    assert len(splunkd.events) == 6
    assert of(entries(ours, *asked(ours, splunkd), code=0), "splunk")[0]["differing"] == 0


@pytest.mark.exhaustive
def test_usage_is_2_and_configuration_78(ministack: LocalAws, collector: Make, splunkd: FakeSplunkd) -> None:
    _, settings = stage(ministack)
    ours = collector(settings)
    ours.once(code=1)
    ours.verb("coverage", "--since", "yesterday", code=2)
    ours.verb("coverage", "--since", "1d", "--until", "2d", code=2)
    ours.verb("coverage", "--splunk", code=2)
    ours.verb("coverage", "--audit", str(ours.folder / "none.json"), code=2)
    plain = ["--splunk", "--splunk-url", splunkd.server_uri, "--splunk-token", splunkd.token]
    ours.verb("coverage", *plain, code=2)
    ours.verb("coverage", *asked(ours, splunkd), code=78)  # it delivers to stdout
    ours.configure({**settings, "hec_url": "https://127.0.0.1:1", "hec_token": "t"})
    settle(ours)
    flags = asked(ours, splunkd)
    splunkd.token = "another"
    assert b"does not take the token" in ours.verb("coverage", *flags, code=78).stderr
    ours.verb("coverage", *flags[:-1], "env:NOT_THERE_AT_ALL", code=78)
    ours.configure({**settings, "workers": "many"})
    ours.verb("coverage", code=78)
