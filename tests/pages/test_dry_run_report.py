"""The dry run's HTML report as a person sees it, with events and keys that would rather be markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.browser import complaints
from tests.e2e.collector_process import Collector
from tests.pages.test_status_page import FAINT, NASTY, texts


def test_the_report_is_one_file_that_shows_hostile_events_as_text(
    browser: Any, ministack: LocalAws, collector: Callable[..., Collector], tmp_path: Path
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    event = {"eventTime": "2026-05-04T10:15:02Z", "said": NASTY}
    provider.upload(f"k/{NASTY}.json", json.dumps(event).encode() + b"\nno time in here\n")
    provider.upload("k/torn.json.gz", b"\x1f\x8b\x08\x00 torn")
    done = collector(provider.handover()).run("--dry-run", "--peek", "--format", "html")
    assert done.returncode == 1, done.stderr.decode()
    file = tmp_path / "report.html"
    file.write_bytes(done.stdout)
    complaints(browser)
    browser.get(file.as_uri())
    assert browser.title == "audit-s3 dry run"
    (shown,) = [text for text in texts(browser, ".events pre") if "eventTime" in text]
    assert json.loads(shown)["event"] == event
    assert "2026-05-04T10:15:02Z" in texts(browser, ".events td") and "none" in texts(browser, ".events td")
    assert f"s3://{provider.bucket}/k/{NASTY}.json" in texts(browser, ".sample h3")
    assert any("This could not be read" in note for note in texts(browser, ".note"))
    assert browser.execute_script("return document.querySelectorAll('script, img, link, iframe').length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
    assert browser.execute_script(FAINT) == []
    assert complaints(browser) == []
