"""The status page as a person sees it: in Chromium, of a real collector that works and is then cut off."""

from __future__ import annotations

import threading
from typing import Any, Iterator, List

import pytest

from collector.errors import Fatal
from collector.hosts.service.board import Board
from collector.hosts.web.assets import CHART_HEIGHT
from collector.hosts.web.server import Server
from collector.testing.local_aws import LocalAws
from tests.browser import complaints
from tests.e2e.collector_process import wait_for
from tests.pages.world import World

NASTY = (
    "</dd></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;"
)
#: Every piece of text with less contrast to what is behind it than WCAG 2.2 AA wants (4.5 to 1).
FAINT = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function light(colour) {
  const linear = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const [red, green, blue] = rgba(colour).slice(0, 3).map((one) => linear(one / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function behind(one) {
  while (one && rgba(getComputedStyle(one).backgroundColor)[3] === 0) one = one.parentElement;
  return one ? getComputedStyle(one).backgroundColor : "white";
}
function contrast(one) {
  const lights = [light(getComputedStyle(one).color), light(behind(one))];
  return (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
}
const hasText = (one) => [...one.childNodes].some((text) => text.nodeType === 3 && text.data.trim());
return [...document.querySelectorAll("body *:not(script)")]
  .filter((one) => one.checkVisibility() && hasText(one) && contrast(one) < 4.5)
  .map((one) => [one.textContent.slice(0, 40), contrast(one)]);
"""
TALLEST = """
return Math.max(...[...document.querySelectorAll("#input-0 rect")].map((one) => one.height.baseVal.value))
"""


@pytest.fixture(scope="module")
def world(ministack: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = World(ministack, tmp_path_factory.mktemp("world"), scenes=2)
    yield built
    built.close()


@pytest.fixture
def narrow(browser: Any) -> Iterator[Any]:
    """The same browser, 390 points wide, as a telephone is."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def texts(browser: Any, selector: str) -> List[str]:
    """The visible texts of these elements."""
    script = """return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())
                       .map((one) => one.innerText).filter((text) => text)"""
    return list(browser.execute_script(script, selector))


def open_live(browser: Any, world: World) -> None:
    """Open the page once the collector listens; what is written to the window is lost by a reload."""
    wait_for(lambda: "Status page and metrics are served" in world.log)
    complaints(browser)
    browser.get(world.url)
    browser.execute_script("window.opened = true")


def is_same_page(browser: Any) -> bool:
    return bool(browser.execute_script("return window.opened === true"))


def test_figures_and_the_chart_go_up_without_a_reload(browser: Any, world: World) -> None:
    open_live(browser, world)
    wait_for(lambda: texts(browser, "article .state") == ["collecting", "collecting"])
    before = texts(browser, ".figures dd")
    world.scenes[0].play()
    delivered = f"{len(world.scenes[0].audits.events)} events"
    wait_for(lambda: delivered in texts(browser, ".figures dd"))
    wait_for(lambda: browser.execute_script(TALLEST) == CHART_HEIGHT)
    wait_for(lambda: not texts(browser, ".figures dd")[0].startswith("0.0 "))
    assert texts(browser, ".figures dd") != before
    assert texts(browser, "#summary") == ["2 inputs: 2 collecting"]
    assert is_same_page(browser) and complaints(browser) == []


def test_an_output_that_is_gone_is_shown_with_what_to_do_and_so_is_its_return(
    browser: Any, world: World
) -> None:
    open_live(browser, world)
    wait_for(lambda: texts(browser, "article .state")[:1] == ["collecting"])
    world.hec.close()
    world.scenes[0].play_on()
    wait_for(lambda: texts(browser, "article .state")[:1] == ["blocked"])
    (note,) = texts(browser, "#input-0 .note")
    assert "HEC cannot be reached" in note and "What to do: Look at the host name" in note
    assert texts(browser, "#summary") == ["2 inputs: 1 collecting, 1 blocked"]
    world.hec.start()
    wait_for(lambda: texts(browser, "article .state")[:1] == ["collecting"], seconds=60)
    assert is_same_page(browser) and complaints(browser) == []


def test_it_fits_a_telephone_and_can_be_read_by_night(narrow: Any, world: World) -> None:
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        narrow.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        open_live(narrow, world)
        assert narrow.execute_script("return document.documentElement.scrollWidth") <= 390
        assert narrow.execute_script(FAINT) == []
        back = narrow.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (back == "rgb(13, 17, 23)") == (scheme == "dark")
    narrow.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_collector_that_ends_is_said_to_be_silent(browser: Any) -> None:
    with serving_board(Board(["thrive"])) as url:
        browser.get(url)
        assert texts(browser, "#silent") == []
    wait_for(lambda: texts(browser, "#silent") == ["The collector does not answer; what is shown is old."])
    complaints(browser)


def test_forty_inputs_with_hostile_names_and_errors_are_shown_as_text(browser: Any) -> None:
    names = [f"{number} {NASTY}" for number in range(40)]
    board = Board(names)
    board.watch([], {name: Fatal(NASTY, code=NASTY, where=NASTY, hint=NASTY) for name in names})
    complaints(browser)
    with serving_board(board) as url:
        browser.get(url)
        first = texts(browser, "article h2")
        wait_for(lambda: browser.execute_script("return performance.getEntriesByType('resource').length") > 1)
        assert texts(browser, "article h2") == first == names
        assert texts(browser, "nav tbody th") == names
        assert texts(browser, '.note [data-at*="hint"]') == [NASTY] * 40
        assert browser.title == "audit-s3"
        assert complaints(browser) == []


class serving_board:
    """A server of this process; gives its URL."""

    def __init__(self, board: Board) -> None:
        self._server = Server("127.0.0.1:0", board)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> str:
        self._thread.start()
        return self._server.url

    def __exit__(self, *how: Any) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
