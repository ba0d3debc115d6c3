"""The pages on providers: every stanza loads, every command runs, every body becomes the events shown."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any, List

import pytest

from collector.config import load
from collector.config.providers import PROVIDERS
from collector.decode import decode
from collector.notifications import parse
from collector.testing.demo_audits import SYSTEMS
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, Shell, blocks, commands, configured, files, stanzas

FOLDER = ROOT / "docs" / "providers"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
PAGES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.md"))
    if path.name != "README.md"
}
PLAYED = {audits.preset: audits for audits in (play(now=time.time()) for play in SYSTEMS)}


@pytest.fixture(params=sorted(PAGES))
def name(request: pytest.FixtureRequest) -> str:
    """A page's, which is its provider's."""
    return str(request.param)


def test_every_provider_has_its_page() -> None:
    assert set(PAGES) == set(PROVIDERS) - {"custom"}


def test_the_index_is_one_screen_and_names_every_provider_by_its_title() -> None:
    assert INDEX.count("\n") <= 40
    rows = re.findall(r"^\| \[?`([\w-]+)`\S*(?: \(the default\))? \| ([^|]*) \|", INDEX, re.MULTILINE)
    titles = {provider.name: provider.title for provider in PROVIDERS.values()}
    assert dict(rows) == {**titles, "custom": "any bucket or queue"}
    for target in re.findall(r"\]\(([^)#]+)", INDEX):
        assert (FOLDER / target).exists(), target


def test_a_page_is_short_and_its_lines_are_not_long(name: str) -> None:
    assert PAGES[name].count("\n") <= 100
    prose = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    assert max(map(len, prose.splitlines())) <= 120


def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)#]+)", PAGES[name]):
        assert (FOLDER / target).exists(), target


def test_a_stanza_loads_as_it_is_shown(name: str, tmp_path: Path) -> None:
    assert stanzas(PAGES[name])
    for stanza in stanzas(PAGES[name]):
        (found,) = load(config_path=str(configured(stanza, tmp_path)), environ={})
        assert (found.settings.provider, found.warnings) == (name, ())
        written = re.findall(r"^(\w+) =", stanza, re.MULTILINE)
        assert len(written) == len(set(written))


def test_the_commands_run_and_bring_every_event_once(name: str, ministack: LocalAws, tmp_path: Path) -> None:
    ministack.reset()
    stanza = stanzas(PAGES[name])[0]
    played = _play(ministack, name, stanza=stanza)
    with FakeHec() as hec:
        ours = {**played.handover(), "hec_url": hec.url, "hec_token": hec.token}
        ours.update(start_from="retention", wait_time_seconds="1", checkpoint_dir=str(tmp_path / "state"))
        shell = Shell(ministack, tmp_path, config=configured(stanza, tmp_path, **ours))
        for file, text in files(PAGES[name]).items():
            (tmp_path / file).write_text(text)
        for words in commands(PAGES[name]):
            shell.run(words)
        found = Counter(_plain(body) for body in hec.bodies)
    assert found == Counter(event.decode() for event in PLAYED[name].events)
    assert played.queue_depth() == 0


def _play(aws: LocalAws, name: str, *, stanza: str) -> Provider:
    """A provider as the page's first stanza knows it, with audits to collect."""
    queue = re.search(r"^queue_url = .*?([^/:\s]+)$", stanza, re.MULTILINE)
    assert queue
    audits = PLAYED[name]
    played = Provider(aws, audits.name, bucket=bool(audits.uploads), fifo=queue[1].endswith(".fifo"),
                      queue_name=queue[1])
    for upload in audits.uploads:
        played.upload(upload.key, upload.body, **upload.headers)
    for body in audits.bodies:
        played.send_body(body.text)
    return played


def _plain(body: bytes) -> str:
    """An event as the provider wrote it: HEC gets text as a JSON string, JSON as it is."""
    text = body.decode()
    return json.loads(text) if text.startswith('"') else text


def test_a_body_becomes_the_events_shown(name: str) -> None:
    shown = blocks(PAGES[name], "text", name="event")
    assert shown
    found = [event for body in blocks(PAGES[name], "json", name="body") for event in _events(body, name)]
    found += [event for text in blocks(PAGES[name], "json", name="object") for event in _decoded(text, name)]
    assert found == [event.rstrip("\n") for event in shown]


def _events(body: str, name: str) -> List[str]:
    """What an SQS body holds."""
    payloads = parse(body, bodies_are_audits=PROVIDERS[name].bodies).payloads
    wholes = [[each.body.decode()] if each.whole else _decoded(each.body.decode(), name) for each in payloads]
    return [event for events in wholes for event in events]


def _decoded(text: str, name: str) -> List[str]:
    found = decode([text.encode()], format=PROVIDERS[name].format, now=time.time())
    return [bytes(body).decode() for block in found for body in block.bodies]


def test_a_search_asks_for_what_is_delivered(name: str) -> None:
    searches = blocks(PAGES[name], "spl")
    assert searches
    sourcetypes = _sourcetypes(name)
    for search in searches:
        assert set(re.findall(r'sourcetype="?([\w:]+)', search)) <= sourcetypes
        assert "sourcetype=" in search
        for pattern in re.findall(r'rex "((?:[^"\\]|\\.)+)"', search):
            ours = re.compile(pattern.replace('\\"', '"').replace("(?<", "(?P<"))
            assert any(ours.search(event.decode()) for event in PLAYED[name].events), pattern


def _sourcetypes(name: str) -> Any:
    """Those of the preset and its rules."""
    provider = PROVIDERS[name]
    return {provider.settings["sourcetype"], *re.findall(r"sourcetype=(\S+)", provider.routes)}
