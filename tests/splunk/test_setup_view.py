"""The set-up page, as a person uses it: in a browser, through Splunk Web's proxy, with the real checks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from urllib.parse import parse_qs

import pytest

from collector.hosts.splunkd.rest import REALM
from collector.testing.fake_splunk_web import FakeSplunkWeb
from collector.testing.fake_splunkd import FakeSplunkd
from tests.browser import complaints

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "11111111-2222-3333-4444-555555555555"
GIVEN = {
    "role_arn": "arn:aws:iam::111111111111:role/audit-access",
    "bucket": "thrive-audit-logs",
    "queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue",
    "kms_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "output": "hec",
    "hec_url": "https://splunk.example.com:8088",
    "hec_token": TOKEN,
}
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


class Page:
    """The page in a browser, spoken to by what a person sees."""

    def __init__(self, browser: Any, web: FakeSplunkWeb) -> None:
        self.browser, self.web, self.splunkd = browser, web, web.splunkd

    def open(self) -> None:
        self.browser.get(self.web.page("setup"))
        self.wait("header h2, .notice")

    def all(self, selector: str) -> List[Any]:
        return list(self.browser.find_elements("css selector", f"#audit-s3-setup {selector}"))

    def one(self, selector: str) -> Any:
        return self.browser.find_element("css selector", f"#audit-s3-setup {selector}")

    def wait(self, selector: str) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 30).until(lambda _: self.all(selector))
        return self.one(selector)

    def press(self, text: str) -> None:
        (found,) = [button for button in self.all("button") if button.text == text]
        found.click()

    def fill(self, values: Dict[str, str]) -> None:
        for name, value in values.items():
            control = self.one(f'[name="{name}"]')
            if control.tag_name != "select":
                control.clear()
            control.send_keys(value)

    def add(self, name: str, values: Dict[str, str]) -> None:
        self.press("Add an input")
        self.fill({"name": name, **values})
        self.press("Save and start")

    def error_of(self, setting: str) -> str:
        return str(self.one(f"#s3-{setting}-error").text)

    def shoot(self, name: str) -> None:
        """A picture of the whole page, where SHOTS names a folder to look into."""
        folder = os.environ.get("SHOTS")
        if folder:
            width = self.browser.get_window_size()["width"]
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
            self.browser.set_window_size(width, max(900, height + 200))
            self.browser.save_screenshot(str(Path(folder) / f"{name}.png"))
            self.browser.set_window_size(width, 900)


@pytest.fixture
def page(browser: Any, splunkd: FakeSplunkd, environment: Dict[str, str]) -> Iterator[Page]:
    splunkd.inputs.program = (sys.executable, str(ROOT / "bin" / "audit_s3.py"))
    splunkd.inputs.environment = environment
    with FakeSplunkWeb(splunkd, ROOT) as web:
        yield Page(browser, web)
    browser.delete_all_cookies()


def test_a_person_fills_the_form_and_the_input_and_its_secret_arrive_apart(page: Page) -> None:
    page.open()
    page.shoot("empty")
    page.add("thrive", GIVEN)
    assert page.wait(".notice.good").text == "thrive is saved."
    assert page.splunkd.inputs.stanzas == {
        "thrive": {"provider": "thrive", **GIVEN, "hec_token": "********", "disabled": "0"}
    }
    assert page.splunkd.passwords == {(REALM, "thrive:hec_token"): TOKEN}
    assert page.splunkd.is_configured
    sent = [parse_qs(body) for _, path, body in page.web.requests if TOKEN in body]
    assert [list(form) for form in sent] == [["realm", "name", "password"]]
    assert page.one(".badge").text == "Enabled"
    assert page.all(".missing") == []
    assert page.web.refused == []
    assert complaints(page.browser) == []


def test_a_wrong_value_is_told_next_to_its_field_and_leaves_nothing_behind(page: Page) -> None:
    page.open()
    page.add("thrive", {**GIVEN, "role_arn": "arn:aws:iam::1:role", "hec_url": "splunk"})
    page.wait("[aria-invalid]")
    page.shoot("wrong")
    assert page.error_of("role_arn").startswith("role_arn = arn:aws:iam::1:role: it is not the ARN")
    assert page.error_of("hec_url").startswith("hec_url = splunk: ")
    assert page.error_of("bucket") == ""
    assert page.browser.switch_to.active_element.get_attribute("name") == "role_arn"
    assert (page.splunkd.inputs.stanzas, page.splunkd.passwords) == ({}, {})
    page.fill({name: GIVEN[name] for name in ("role_arn", "hec_url")})
    page.press("Save and start")
    page.wait(".card")
    assert page.splunkd.passwords == {(REALM, "thrive:hec_token"): TOKEN}


def test_an_edit_sends_all_that_is_set_and_keeps_the_secret_that_was_not_touched(page: Page) -> None:
    before = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.inputs.stanzas["thrive"] = {**before, "index": "default", "host": "$decideOnStartup"}
    page.splunkd.store(REALM, "thrive:hec_token", TOKEN)
    page.open()
    page.press("Edit")
    assert page.one('[name="hec_token"]').get_attribute("value") == ""
    page.fill({"index": "audit"})
    page.one("details summary").click()
    page.fill({"workers": "8", "hec_gzip": "off"})
    page.shoot("edit")
    page.press("Save")
    page.wait(".notice.good")
    ((_, _, body),) = [one for one in page.web.requests if one[1].endswith("/data/inputs/audit_s3/thrive")]
    changed = {"index": "audit", "workers": "8", "hec_gzip": "off"}
    assert {name: value for name, (value,) in parse_qs(body).items()} == {**before, **changed}
    assert page.splunkd.passwords == {(REALM, "thrive:hec_token"): TOKEN}


def test_a_new_secret_replaces_the_old_one_and_a_reference_is_no_secret(page: Page) -> None:
    page.splunkd.inputs.stanzas["thrive"] = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.store(REALM, "thrive:hec_token", "old")
    page.open()
    page.press("Edit")
    page.fill({"hec_token": TOKEN, "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"})
    page.fill({"aws_secret_access_key": "storage:shared"})
    page.splunkd.store(REALM, "shared", '{"secret_access_key": "s3cr3t"}')
    page.press("Save")
    page.wait(".notice.good")
    assert page.splunkd.passwords[(REALM, "thrive:hec_token")] == TOKEN
    saved = page.splunkd.inputs.stanzas["thrive"]
    assert (saved["hec_token"], saved["aws_secret_access_key"]) == ("********", "storage:shared")
    assert (REALM, "thrive:aws_secret_access_key") not in page.splunkd.passwords


def test_a_refused_edit_leaves_no_new_secret_and_says_which_old_one_it_has_replaced(page: Page) -> None:
    before = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.inputs.stanzas["thrive"] = dict(before)
    page.splunkd.store(REALM, "thrive:hec_token", "old")
    page.open()
    page.press("Edit")
    page.fill({"role_arn": "arn:aws:iam::1:role", "hec_token": TOKEN})
    page.fill({"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "s3cr3t"})
    page.press("Save")
    page.wait("[aria-invalid]")
    said = [each.text for each in page.all(".general .notice")]
    assert any(text.startswith("The old hec_token cannot be put back") for text in said)
    assert page.splunkd.inputs.stanzas == {"thrive": before}
    assert page.splunkd.passwords == {(REALM, "thrive:hec_token"): TOKEN}


def test_a_name_that_is_taken_is_refused_before_the_secrets_of_its_input_are_replaced(page: Page) -> None:
    taken = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.inputs.stanzas["thrive"] = dict(taken)
    page.splunkd.store(REALM, "thrive:hec_token", "its own")
    page.open()
    page.add("thrive", {**GIVEN, "bucket": "another"})
    assert page.wait(".notice.bad").text.startswith("There is an input of this name.")
    assert page.splunkd.passwords == {(REALM, "thrive:hec_token"): "its own"}
    assert page.splunkd.inputs.stanzas == {"thrive": taken}


def test_each_input_says_what_it_lacks(page: Page) -> None:
    page.splunkd.inputs.stanzas = {
        "bare": {"provider": "thrive", "hec_url": GIVEN["hec_url"]},
        "masked": {"provider": "thrive", **GIVEN, "hec_token": "********"},
        "off": {"provider": "custom", "queue_url": GIVEN["queue_url"], "disabled": "1"},
    }
    page.open()
    page.shoot("list")
    said = {card.get_attribute("data-input"): card.text for card in page.all(".card")}
    assert "Missing: role_arn, bucket, queue_url, kms_key_arn" in said["bare"]
    assert "Queue\nnot set\nOutput\nsplunkd, not the HEC URL" in said["bare"]
    facts = ["Provider", "Thrive audit files", "Queue", GIVEN["queue_url"], "Output", "hec", "Index"]
    assert said["masked"].split("\n")[2:9] == facts
    assert "Missing: hec_token" in said["masked"]
    assert "Disabled" in said["off"]
    assert "Missing" not in said["off"]


def test_a_search_head_without_inputs_can_be_told_that_it_has_none(page: Page) -> None:
    page.open()
    page.press("Only search here")
    assert page.wait(".notice.good").text == "The app is ready to search with."
    assert page.splunkd.is_configured
    assert [button.text for button in page.all("button")] == ["Add an input"]


def test_a_change_from_elsewhere_does_not_have_the_form_key_and_changes_nothing(page: Page) -> None:
    page.open()
    status = page.browser.execute_async_script(
        "const done = arguments[0]; fetch('/en-US/splunkd/__raw/servicesNS/nobody/audit_s3_collector/'"
        "+ 'data/inputs/audit_s3', {method: 'POST', body: 'name=x', headers: {'X-Requested-With':"
        "'XMLHttpRequest'}}).then((answer) => done(answer.status));"
    )
    assert status == 401
    assert len(page.web.refused) == 1
    assert page.splunkd.inputs.stanzas == {}


def test_what_the_server_says_is_text_whatever_it_is(page: Page) -> None:
    page.splunkd.inputs.stanzas[HOSTILE] = {"provider": HOSTILE, "bucket": HOSTILE, "queue_url": HOSTILE}
    page.open()
    assert page.one(".card h3").text == HOSTILE
    page.press("Edit")
    assert page.one('[name="bucket"]').get_attribute("value") == HOSTILE
    page.press("Save")
    page.wait(".notice.bad, [aria-invalid]")
    assert page.all("img") + page.all("script") == []
    assert page.browser.title == "Set up"


def test_a_stored_value_never_reaches_the_browser(page: Page) -> None:
    page.splunkd.inputs.stanzas["thrive"] = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.store(REALM, "thrive:hec_token", "s3cr3t-canary")
    page.open()
    page.press("Edit")
    seen = page.browser.execute_async_script(
        "const done = arguments[0]; const found = performance.getEntriesByType('resource')"
        ".map((entry) => entry.name).filter((name) => name.includes('__raw'));"
        "Promise.all(found.map((url) => fetch(url, {headers: {'X-Requested-With': 'XMLHttpRequest'}})"
        ".then((answer) => answer.text()))).then((texts) => done(texts.join('\\n')));"
    )
    assert "thrive:hec_token" in seen
    assert "s3cr3t-canary" not in seen + page.browser.page_source


def test_disabling_enabling_and_deleting_ask_splunkd_for_just_that(page: Page) -> None:
    page.splunkd.inputs.stanzas["thrive"] = {"provider": "thrive", **GIVEN, "hec_token": "********"}
    page.splunkd.store(REALM, "thrive:hec_token", TOKEN)
    page.splunkd.store(REALM, "other:hec_token", TOKEN)
    page.open()
    page.press("Disable")
    page.wait(".badge.disabled")
    assert page.splunkd.inputs.stanzas["thrive"]["disabled"] == "1"
    page.press("Enable")
    page.wait(".badge.enabled")
    page.press("Delete")
    page.browser.switch_to.alert.accept()
    page.wait(".empty")
    assert page.splunkd.inputs.stanzas == {}
    assert page.splunkd.passwords == {(REALM, "other:hec_token"): TOKEN}


def test_a_session_that_has_ended_and_a_right_that_is_missing_are_said(page: Page) -> None:
    page.open()
    page.press("Add an input")
    page.fill({"name": "thrive", **GIVEN})
    page.splunkd.fail_with = 403
    page.press("Save and start")
    assert page.wait(".notice.bad").text == "injected failure"
    page.splunkd.fail_with = None
    page.web.session = "another"
    page.press("Save and start")
    page.wait(".notice.bad")
    assert "session has ended" in page.one(".general").text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 480])
def test_the_page_is_readable_in_both_themes_and_fits_a_narrow_window(
    page: Page, theme: str, width: int, readable: Callable[[Any], List[str]]
) -> None:
    page.web.theme = theme
    page.splunkd.inputs.stanzas = {"bare": {"provider": "thrive"}, "thrive": {"provider": "thrive", **GIVEN}}
    page.browser.set_window_size(width, 900)
    try:
        page.open()
        page.shoot(f"list-{theme}-{width}")
        assert page.browser.find_element("id", "audit-s3-setup").get_attribute("data-theme") == theme
        assert readable(page.browser) == []
        page.browser.set_window_size(width, 900)
        page.press("Add an input")
        page.shoot(f"form-{theme}-{width}")
        assert readable(page.browser) == []
        assert page.browser.execute_script(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    finally:
        page.browser.set_window_size(1280, 900)


@pytest.fixture
def readable() -> Callable[[Any], List[str]]:
    """The texts whose contrast is below 4.5 (WCAG 2.1, 1.4.3), as the browser paints them."""
    script = """
    const light = ([r, g, b]) => {
      const part = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
      return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const ground = (place) => {
      for (; place; place = place.parentElement) {
        const found = rgb(getComputedStyle(place).backgroundColor);
        if (found.length === 3 || found[3] > 0) return found;
      }
      return [255, 255, 255];
    };
    const poor = [];
    for (const place of document.querySelectorAll("#audit-s3-setup *")) {
      const own = [...place.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!(own || place.matches("input:not([type=checkbox]), select")) || !place.checkVisibility()) continue;
      const pair = [light(rgb(getComputedStyle(place).color)), light(ground(place))].sort((a, b) => b - a);
      const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
      if (ratio < 4.5) poor.push(`${ratio.toFixed(1)} ${place.tagName} ${place.textContent.slice(0, 40)}`);
    }
    return poor;
    """
    return lambda browser: list(browser.execute_script(script))
