"""What status page, JSON, metrics and probes say of an engine, and what they never let through.

No socket: a request is bytes in, an answer bytes out. tests/e2e/test_web.py asks a real process.
"""

from __future__ import annotations

import ast
import io
import json
import random
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector import logs
from collector.engine import admission, gate
from collector.engine.engine import Engine, Plan
from collector.engine.figures import figures
from collector.engine.station import perform_safely
from collector.engine.watch import WARNINGS
from collector.errors import CollectorError, Fatal, Retry
from collector.hosts.service.board import Board
from collector.hosts.service.observation import ITEM_STATES, STATES
from collector.hosts.status_report import Seen, lines
from collector.hosts.web import assets, document, metrics, page, server
from collector.model import Notification, ObjectRef
from collector.retention.lag import OWNERS
from collector.retention.silence import STATES as SILENCE_STATES
from collector.testing.memory_store import MemoryCheckpointStore
from collector.testing.twins import ManualClock, MemoryBucket, MemoryQueue, MemorySink

ROOT = Path(__file__).resolve().parents[3]
NASTY = "</dd></script><script>alert('x')</script><img src=x onerror=\"alert(1)\">&amp;"


class Refusing:
    """A queue that answers every receive with `error`."""

    def __init__(self, queue: MemoryQueue) -> None:
        self.inner = queue
        self.error: Optional[CollectorError] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, *args: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        return self.inner.receive(*args, **options)


class Input:
    """An engine between twins, watched as `collector.runtime` would let it be."""

    def __init__(self, name: str = "thrive", *, queue: bool = True) -> None:
        self.name = name
        self.stuck = ""
        self.calls: Dict[str, int] = {}
        self.clock = ManualClock()
        self.queue = Refusing(MemoryQueue(self.clock))
        plan = Plan(name, parse=lambda body: Notification("test", noop=body), decode=lambda chunks: iter(()))
        self.engine = Engine(
            plan, queue=self.queue if queue else None, objects=MemoryBucket(self.clock),
            sinks=[MemorySink(self.clock, name="hec")], clock=self.clock, rng=random.Random(1),
            store=MemoryCheckpointStore(clock=self.clock),
        )
        self.ledger = self.engine.ledger

    def observe(self, at: Callable[[Engine], Any]) -> Any:
        return at(self.engine)

    def aws_calls(self) -> Dict[str, int]:
        return self.calls

    def standstill(self) -> str:
        return self.stuck

    def poll(self, error: Optional[CollectorError] = None) -> None:
        self.queue.error = error
        self.clock.advance(120.0)
        receiver = next(station for station in self.engine.stations() if station.name == "receiver")
        work = receiver.take(self.ledger)
        receiver.record(self.ledger, work, perform_safely(receiver, work))


AWAY = Retry("no route to host", code="connection_failed", hint="Look at the network")


@pytest.fixture
def thrive() -> Input:
    """One input whose last poll was answered."""
    found = Input()
    found.poll()
    return found


@pytest.fixture(autouse=True)
def own_secrets() -> Iterator[None]:
    """What is a secret in one test is none in the next."""
    secrets = list(logs._secrets)
    yield
    logs._secrets[:] = secrets


def board_of(*inputs: Input, names: Optional[List[str]] = None) -> Board:
    """Those of `names` that are not among the inputs could not be started."""
    running = [one.name for one in inputs]
    board = Board(names or running)
    board.watch(inputs, dict.fromkeys(set(names or ()) - set(running), AWAY))  # type: ignore[arg-type]
    return board


class Answer:
    """One answer, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Wire:
    """As much of a socket as the request handler uses."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.sent = b""

    def makefile(self, mode: str, size: int = -1) -> io.BytesIO:
        return io.BytesIO(self.request)

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def sendall(self, data: bytes) -> None:
        self.sent += bytes(data)


def ask_raw(board: Board, request: bytes, *, local: bool = True) -> Answer:
    wire = _Wire(request)
    listening = SimpleNamespace(routes=server.routes(board), is_local=local)
    server.Conversation(wire, ("127.0.0.1", 1), listening)  # type: ignore[arg-type]
    return Answer(wire.sent)


def ask(
    board: Board, path: str = "/", *, method: str = "GET", host: str = "127.0.0.1:9090", **options: Any
) -> Answer:
    return ask_raw(board, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), **options)


# -- readiness --------------------------------------------------------------------------------------


def test_an_input_whose_last_poll_was_answered_is_ready(thrive: Input) -> None:
    answer = ask(board_of(thrive), "/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True, "reasons": []})


def test_before_the_first_poll_is_over_nothing_is_ready_but_the_process_is_alive() -> None:
    board = board_of(Input())
    answer = ask(board, "/readyz")
    assert (answer.status, answer.json["reasons"][0]["state"]) == (503, "starting")
    assert (ask(board, "/healthz").status, ask(board, "/healthz").text) == (200, "ok\n")


def test_an_engine_that_stands_still_is_not_alive(thrive: Input) -> None:
    board = board_of(thrive)
    thrive.stuck = "the thread thrive/reader-0 died"
    answer = ask(board, "/healthz")
    assert (answer.status, answer.text) == (503, "thrive: the thread thrive/reader-0 died\n")
    thrive.stuck = ""
    assert ask(board, "/healthz").status == 200


def test_an_input_without_queue_needs_no_poll_to_be_ready() -> None:
    assert ask(board_of(Input(queue=False)), "/readyz").status == 200


def test_a_poll_that_failed_says_why_and_the_next_that_works_makes_it_ready_again(thrive: Input) -> None:
    board = board_of(thrive)
    error = Retry("The endpoint cannot be reached", code="unreachable", where="sqs", hint="Look at proxy_url")
    thrive.poll(error)
    (reason,) = ask(board, "/readyz").json["reasons"]
    assert ask(board, "/readyz").status == 503
    assert (reason["input"], reason["state"], reason["hint"]) == ("thrive", "retrying", "Look at proxy_url")
    assert "The endpoint cannot be reached [unreachable] at sqs" in reason["reason"]
    thrive.poll()
    assert ask(board, "/readyz").status == 200


def test_an_open_breaker_is_named_with_its_hint(thrive: Input) -> None:
    thrive.poll(Fatal("AccessDenied", code="role_denied", scope="role", hint="Ask the provider"))
    answer = ask(board_of(thrive), "/readyz")
    assert answer.status == 503
    assert answer.json["reasons"] == [
        {"input": "thrive", "state": "blocked", "breaker": "source", "reason": "AccessDenied [role_denied]",
         "hint": "Ask the provider"}
    ]


@pytest.mark.parametrize("which", ["objects", "store", "deletes", "hec", "disk", "quarantine"])
def test_whatever_stops_receiving_makes_the_input_not_ready(thrive: Input, which: str) -> None:
    error = Fatal("denied", code="denied", scope="output")
    ledger = thrive.ledger
    if which == "disk":
        ledger.disk_low = error
    elif which == "quarantine":
        ledger.quarantine_bytes = ledger.limits.quarantine_bytes
    elif which == "hec":
        ledger.outputs["hec"].breaker.open(error, now=0.0)
    else:
        getattr(ledger, which).open(error, now=0.0)
    assert not gate.may_receive(ledger)
    answer = ask(board_of(thrive), "/readyz")
    assert (answer.status, answer.json["reasons"][0]["breaker"]) == (503, which)


def test_an_input_that_could_not_be_started_is_not_ready_whatever_the_others_do(thrive: Input) -> None:
    board = board_of(thrive, names=["thrive", "immuta"])
    answer = ask(board, "/readyz")
    assert answer.status == 503
    (reason,) = answer.json["reasons"]
    assert (reason["input"], reason["state"], reason["hint"]) == ("immuta", "not_started", AWAY.hint)
    assert AWAY.what in reason["reason"]


def test_a_stopping_input_is_not_ready(thrive: Input) -> None:
    thrive.engine.stop()
    assert ask(board_of(thrive), "/readyz").json["reasons"][0]["state"] == "stopping"


# -- the document and the page ----------------------------------------------------------------------


def test_the_document_shows_what_is_in_hand_and_every_counter(thrive: Input) -> None:
    ledger = thrive.ledger
    ledger.counters.update(events=12, new_kind=3)
    ledger.held_bytes = 4096
    admission.admit(ledger, Notification("test", refs=(ObjectRef("b", "k", "e"),)), origin="command")
    status = ask(board_of(thrive), "/status.json").json
    (shown,) = status["inputs"]
    assert (status["ready"], shown["state"], shown["last_error"]) == (True, "collecting", None)
    assert (shown["counters"]["events"], shown["counters"]["new_kind"]) == (12, 3)
    assert set(metrics.COUNTED) <= set(shown["counters"])
    assert shown["in_hand"] == {
        "deliveries": 1, "objects": 1, "objects_by_state": {"new": 1}, "held_bytes": 4096,
        "receipts": {"hec": 0},
    }


def test_the_page_shows_every_input_and_loads_nothing_from_elsewhere(thrive: Input) -> None:
    thrive.ledger.counters["events"] = 1234567
    answer = ask(board_of(thrive, Input("immuta")))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("thrive", "immuta", "1,234,567", "collecting", "starting", 'name="viewport"'):
        assert text in answer.text
    links = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"'\s)>]+)", answer.text)
    assert set(links) == {
        "data:,", "/status.json", "/metrics", "/readyz", "/healthz", "#input-0", "#input-1",
    }


class _Elements(HTMLParser):
    """Start tags of a page, the text of each element that shows a value, and which are hidden."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: List[str] = []
        self.attributes: List[str] = []
        self.places: Dict[str, str] = {}
        self.conditions: Dict[str, bool] = {}
        self.bars: List[float] = []
        self.shape = ""
        self._at = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        said = dict(attrs)
        self._at = said.get("data-at", "")
        self.shape = said.get("data-shape", self.shape)
        if "data-if" in said:
            self.conditions[said["data-if"]] = "hidden" in said
        if tag == "rect":
            self.bars.append(float(said["height"]))
        if self._at:
            self.places[self._at] = ""

    def handle_endtag(self, tag: str) -> None:
        self._at = ""

    def handle_data(self, data: str) -> None:
        if self._at:
            self.places[self._at] += data


@pytest.fixture
def attacked() -> Board:
    """Everything that comes from outside tries to be markup."""
    found = Input(NASTY)
    found.poll(Fatal(NASTY, code=NASTY, scope="queue", where=f"s3://b/{NASTY}", hint=NASTY))
    found.ledger.counters["events"] = 5
    return board_of(found)


def test_keys_names_and_errors_never_become_markup(attacked: Board, thrive: Input) -> None:
    page = ask(attacked).text
    harmless = _Elements(ask(board_of(thrive)).text)
    shown = _Elements(page)
    assert shown.tags == harmless.tags
    assert not [name for name in shown.attributes if name.startswith("on") or name == "style"]
    assert shown.places['["inputs", 0, "last_error", "hint"]'] == NASTY
    assert shown.places['["inputs", 0, "name"]'] == NASTY
    assert NASTY not in page


def test_the_policy_lets_only_our_own_style_and_script_run(thrive: Input) -> None:
    answer = ask(board_of(thrive))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag, text in (("style", assets.STYLE), ("script", assets.SCRIPT)):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert inline == text
        assert assets.hash_of(inline) in policy


def test_the_script_never_makes_markup_of_what_it_reads() -> None:
    ways = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval", "Function(", "setAttribute")
    assert [way for way in ways if way in assets.SCRIPT] == []


#: A document with just enough elements for the script; it prints what they hold after one refresh.
NODE = """
const {status, places, conditions, shape, script} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const elements = {
  "[data-at]": places.map((at) => ({textContent: "", dataset: {at}})),
  "[data-if]": conditions.map((one) => ({hidden: false, dataset: {if: one}})),
  "meter": [{dataset: {value: '["inputs", 0, "retention", "bucket", "used_ratio"]'}}],
  "svg": [{dataset: {bars: '["inputs", 0, "last_hour", "minutes"]'},
           children: status.inputs[0].last_hour.minutes.map(
             () => ({height: {baseVal: {}}, y: {baseVal: {}}}))}],
};
const silent = {hidden: true}, due = [];
global.document = {body: {dataset: {shape}}, querySelectorAll: (wanted) => elements[wanted],
                   getElementById: () => silent};
global.setTimeout = (job) => due.push(job);
global.fetch = async () => ({ok: true, json: async () => status});
(0, eval)(script);
due.shift()().then(() => process.stdout.write(JSON.stringify({
  silent: silent.hidden, again: due.length, meter: elements.meter[0].value,
  bars: elements.svg[0].children.map((one) => one.height.baseVal.value),
  texts: Object.fromEntries(elements["[data-at]"].map((one) => [one.dataset.at, one.textContent])),
  hidden: Object.fromEntries(elements["[data-if]"].map((one) => [one.dataset.if, one.hidden]))})));
"""


def test_the_script_writes_the_same_as_the_server(attacked: Board, thrive: Input, warned: Input) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    thrive.ledger.counters["events"] = 1234567
    for board in (attacked, board_of(thrive), board_of(warned)):
        board.tick()
        status = document.document(board)
        shown = _Elements(page.page(status))
        given = json.dumps({
            "status": status, "places": list(shown.places), "conditions": list(shown.conditions),
            "shape": shown.shape, "script": assets.SCRIPT,
        })
        done = subprocess.run([node, "-e", NODE], input=given, capture_output=True, text=True, check=True)
        written = json.loads(done.stdout)
        assert written["texts"] == shown.places
        assert written["hidden"] == shown.conditions
        assert (written["silent"], written["again"]) == (True, 1)
        assert written["meter"] == (status["inputs"][0]["retention"]["bucket"]["used_ratio"] or 0)
        assert written["bars"] == shown.bars


def test_secrets_are_masked_in_errors_whenever_they_were_read(thrive: Input) -> None:
    secret = "0b9c-secret"
    thrive.poll(Retry(f"token {secret} refused", code="token", where=f"https://h/?t={secret}", hint=secret))
    board = board_of(thrive)
    logs.mask([secret])  # as a rotated token is
    for path in ("/", "/status.json", "/readyz", "/metrics"):
        assert "0b9c" not in ask(board, path).text
    assert "token ******** refused" in ask(board).text


@pytest.fixture
def warned(thrive: Input) -> Input:
    """An object that is refused has used most of its window; everything about it tries to be markup."""
    ref = ObjectRef("b", NASTY, "etag", event_time=thrive.clock.now() - 25 * 86_400)
    admission.admit(thrive.ledger, Notification("test", refs=(ref,)), origin="command")
    (item,) = thrive.ledger.items.values()
    item.error = Fatal(f"0b9c-secret {NASTY}", code="denied", hint=f"Provider: 0b9c-secret {NASTY}")
    watch = thrive.engine.watch
    work = watch.take(thrive.ledger)
    watch.record(thrive.ledger, work, watch.perform(work))
    return thrive


def test_a_warning_is_shown_with_whose_move_it_is_and_is_counted(warned: Input) -> None:
    board = board_of(warned)
    (shown,) = ask(board, "/status.json").json["inputs"]
    assert list(shown["warnings"]) == ["bucket_deadline"]
    assert shown["warnings"]["bucket_deadline"]["owner"] == "provider"
    assert shown["retention"]["bucket"]["left_seconds"] == 5 * 86_400
    assert shown["queue"] == {"visible": 0, "in_flight": 0, "delayed": 0, "retention_seconds": 4 * 86_400}
    found = _families(board)
    active = {one.labels["warning"]: one.value for one in found["audit_s3_warning_active"].samples}
    assert active == {**dict.fromkeys(WARNINGS, 0.0), "bucket_deadline": 1.0}
    left = {one.labels["source"]: one.value for one in found["audit_s3_retention_left_seconds"].samples}
    assert left == {"bucket": 5 * 86_400, "queue": 4 * 86_400}


def test_the_table_of_inputs_says_beside_the_state_why_it_stands_and_what_else_there_is(
    warned: Input,
) -> None:
    def beside(number: int) -> str:
        shown = _Elements(ask(board_of(warned, Input("quiet"))).text)
        return shown.places[f'["inputs", {number}, "attention"]']

    assert (beside(0), beside(1)) == ("1 warning", "")
    warned.ledger.quarantine_bytes = 1234
    assert (beside(0), beside(1)) == ("quarantine 1.2 kB, 1 warning", "")
    warned.ledger.source.open(Fatal("refused", code="role_denied"), now=warned.clock.monotonic())
    assert beside(0) == "role_denied, quarantine 1.2 kB, 1 warning"


def test_after_an_error_that_stopped_it_page_and_status_say_since_when_it_collects_again() -> None:
    thrive = Input()
    board = board_of(thrive)
    place = '["inputs", 0, "last_error", "collecting_again_since"]'
    thrive.ledger.counters["receives"] = 1
    thrive.ledger.last_error = error = Fatal("refused", code="role_denied", hint="Provider: trust our role")
    thrive.ledger.source.open(error, now=thrive.clock.monotonic())
    board.tick()
    assert _Elements(ask(board).text).places[place] == ""
    thrive.ledger.source.close()
    board.tick()
    since = _Elements(ask(board).text).places[place]
    assert since.endswith("Z")
    (told,) = ask(board, "/status.json").json["inputs"]
    (said,) = [one for one in lines([Seen("thrive", {}, running=told)], width=None, bars=False)
               if "last error" in one]
    assert f"collecting again since {since}" in said


def test_what_a_blocked_input_shows_of_its_deadlines_says_how_old_it_is(warned: Input) -> None:
    def clock() -> str:
        (told,) = ask(board_of(warned), "/status.json").json["inputs"]
        return str(told["retention"]["bucket"]["text"])

    warned.ledger.counters["receives"] = 1
    warned.engine.watch._looked_at = 0.0
    assert clock().endswith(", not looked at yet")
    warned.engine.watch._looked_at = time.time() - 240
    assert "ago" not in clock() and "not looked at" not in clock()
    warned.ledger.source.open(AWAY, now=warned.clock.monotonic())
    assert clock().endswith("(seen 4 min ago)")


def test_a_warning_is_masked_and_never_becomes_markup(warned: Input) -> None:
    board = board_of(warned)
    logs.mask(["0b9c-secret"])
    page = ask(board).text
    assert "0b9c" not in page + ask(board, "/status.json").text
    shown = _Elements(page)
    assert NASTY not in page
    assert NASTY in shown.places['["inputs", 0, "warnings", "bucket_deadline", "text"]']
    assert NASTY in shown.places['["inputs", 0, "retention", "bucket", "oldest"]']


def test_what_is_not_known_is_null_in_the_document_and_nan_in_the_metrics(thrive: Input) -> None:
    board = board_of(thrive)
    (shown,) = ask(board, "/status.json").json["inputs"]
    assert (shown["queue"], shown["retention"]["queue"]["left_seconds"]) == (None, None)
    assert shown["lag"]["aws"] == {
        "p50_seconds": None, "p95_seconds": None, "objects": 0, "text": "nothing yet", "p50": "none yet",
        "p95": "none yet",
    }
    found = _families(board)
    unknown = found["audit_s3_queue_messages"].samples + found["audit_s3_lag_seconds"].samples
    values = [one.value for one in unknown if "owner" not in one.labels or "quantile" in one.labels]
    assert values and all(value != value for value in values)


def test_an_endless_error_is_cut(thrive: Input) -> None:
    thrive.poll(Retry("x" * 1_000_000, code="long"))
    assert len(ask(board_of(thrive)).body) < 50_000


# -- metrics ----------------------------------------------------------------------------------------


def _families(board: Board) -> Dict[str, Any]:
    families = text_string_to_metric_families(ask(board, "/metrics").text)
    return {family.name: family for family in families if family.name.startswith("audit_s3_")}


def _exposed_name(family: Any) -> str:
    """The parser takes `_total` from a counter's name."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def _documented() -> Dict[str, Tuple[str, str, str]]:
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(audit_s3_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", text, re.MULTILINE)
    return {name: (kind, ", ".join(sorted(labels.split(", "))), what) for name, kind, labels, what in rows}


def test_the_reference_lists_exactly_the_metrics_that_are_exposed(thrive: Input) -> None:
    exposed = {}
    for family in _families(board_of(thrive)).values():
        labels = ", ".join(f"`{label}`" for label in sorted(family.samples[0].labels))
        exposed[_exposed_name(family)] = (family.type, labels, family.documentation)
    assert exposed == _documented()


def test_the_reference_lists_the_values_of_the_labels() -> None:
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    values = [*STATES, *ITEM_STATES, *(label for _, label in metrics.COUNTED.values() if label)]
    values += [*WARNINGS, *SILENCE_STATES, *OWNERS, *metrics.QUEUE_STATES]
    assert [value for value in values if f"`{value}`" not in text] == []


def _engine_counters() -> Iterator[str]:
    """Every name that the source of the collector counts under, as far as it is written out."""
    for file in (ROOT / "collector").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
                if ast.unparse(node.target.value).split(".")[-1] != "counters":
                    continue
                values = (one.value for one in ast.walk(node.target.slice) if isinstance(one, ast.Constant))
                yield from (value for value in values if isinstance(value, str))


def test_every_counter_of_the_engine_has_a_metric() -> None:
    counted = set(_engine_counters())
    assert len(counted) > 20
    assert counted - set(metrics.COUNTED) == set(), "name them in COUNTED of collector/hosts/web/metrics.py"


def test_each_counter_goes_to_one_series_of_its_own(thrive: Input) -> None:
    numbers = {name: number for number, name in enumerate(metrics.COUNTED, 100)}
    thrive.ledger.counters.clear()
    thrive.ledger.counters.update(numbers)
    series = {}
    for family in _families(board_of(thrive)).values():
        if family.type == "counter" and family.name != "audit_s3_aws_calls":
            series.update({(one.name, *one.labels.values()): one.value for one in family.samples})
    assert sorted(series.values()) == sorted(numbers.values())
    assert series["audit_s3_quarantined_total", "thrive", "body", "0"] == numbers["quarantined_bodies"]
    assert series["audit_s3_events_delivered_total", "thrive", "0"] == numbers["events"]


def test_calls_of_aws_are_there_by_operation_also_those_that_only_some_inputs_make(thrive: Input) -> None:
    thrive.calls = {"s3:GetObject": 12, "kms:Decrypt": 3}
    family = _families(board_of(thrive))["audit_s3_aws_calls"]
    found = {one.labels["operation"]: one.value for one in family.samples}
    assert found == {**dict.fromkeys(metrics.OPERATIONS, 0), "s3:GetObject": 12, "kms:Decrypt": 3}
    board = board_of(thrive)
    each = [(0, board.own()[0]), (1, board.own()[0])]
    assert board.observe(each)[0].aws_calls == {"s3:GetObject": 24, "kms:Decrypt": 6}


def test_a_counter_is_there_before_it_has_counted() -> None:
    family = _families(board_of(Input()))["audit_s3_quarantined"]
    assert {one.labels["kind"]: one.value for one in family.samples} == {"body": 0, "object": 0, "event": 0}


def test_the_gauges_tell_states_and_breakers_apart(thrive: Input) -> None:
    thrive.ledger.outputs["hec"].breaker.open(Retry("down", code="down"), now=0.0)
    thrive.ledger.held_bytes = 77
    found = _families(board_of(thrive, names=["thrive", "immuta"]))
    states = {tuple(one.labels.values()): one.value for one in found["audit_s3_input_state"].samples}
    present = {key for key, value in states.items() if value}
    assert present == {("thrive", "0", "blocked"), ("immuta", "0", "not_started")}
    assert len(states) == 2 * len(STATES)
    breakers = {one.labels["breaker"]: one.value for one in found["audit_s3_breaker_open"].samples}
    stops = ("source", "objects", "bucket", "keys", "store", "deletes", "disk", "quarantine")
    assert breakers == {**dict.fromkeys(stops, 0), "hec": 1}
    assert found["audit_s3_held_bytes"].samples[0].value == 77


def test_the_name_of_an_input_cannot_break_the_exposition() -> None:
    name = 'a"} 1\nevil_total{x="\\'
    samples = _families(board_of(Input(name)))["audit_s3_receives"].samples
    assert [one.labels for one in samples] == [{"input": name, "process": "0"}]


def test_a_scraper_that_asks_for_openmetrics_gets_it(thrive: Input) -> None:
    request = b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n"
    answer = ask_raw(board_of(thrive), request)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert ask(board_of(thrive), "/metrics").headers["content-type"].startswith("text/plain; version=")


# -- the protocol -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/healthz", "/readyz", "/nowhere"])
def test_every_answer_forbids_sniffing_framing_and_keeping(thrive: Input, path: str) -> None:
    headers = ask(board_of(thrive), path).headers
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert headers["server"] == "audit-s3"


@pytest.mark.parametrize("path", ["/", "/status.json", "/healthz", "/readyz"])
def test_head_says_the_same_without_a_body(thrive: Input, path: str) -> None:
    board = board_of(thrive)
    got, head = ask(board, path), ask(board, path, method="HEAD")
    assert (head.status, head.body) == (got.status, b"")
    lengths = [answer.headers["content-length"] for answer in (got, head)]
    assert lengths == [str(len(got.body))] * 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "<script>"])
def test_nothing_but_get_and_head_is_allowed(thrive: Input, method: str) -> None:
    answer = ask(board_of(thrive), method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "script" not in answer.text


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/etc/passwd", "/static/", "/status.json/", f"/{NASTY.split()[0]}"]
)
def test_other_paths_are_nothing_and_are_not_said_back(thrive: Input, path: str) -> None:
    answer = ask(board_of(thrive), path)
    assert (answer.status, answer.text) == (404, "There is nothing here.\n")


def test_a_query_changes_nothing(thrive: Input) -> None:
    assert ask(board_of(thrive), "/healthz?x=<script>").text == "ok\n"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"rubbish", 400), (b"GET / HTTP/9.9", 505), (b"GET /" + b"x" * 70_000 + b" HTTP/1.1", 414)],
)
def test_what_is_no_request_is_refused_without_saying_it_back(
    thrive: Input, request_line: bytes, status: int
) -> None:
    answer = ask_raw(board_of(thrive), request_line + b"\r\n\r\n")
    assert answer.status == status
    assert "rubbish" not in answer.text and "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["localhost:9090", "127.0.0.1", "[::1]:9090", "LOCALHOST"])
def test_on_loopback_loopback_names_are_answered(thrive: Input, host: str) -> None:
    assert ask(board_of(thrive), "/status.json", host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example.com", "localhost.example.com:9090", "10.0.0.1:9090", ""])
def test_on_loopback_other_names_are_refused(thrive: Input, host: str) -> None:
    answer = ask(board_of(thrive), "/status.json", host=host)
    assert answer.status == 421
    assert "inputs" not in answer.text


def test_on_an_address_that_was_asked_for_every_name_is_answered(thrive: Input) -> None:
    assert ask(board_of(thrive), "/status.json", host="collector.example.com", local=False).status == 200


def test_the_line_of_progress_does_not_say_that_nothing_stops_while_polls_fail(thrive: Input) -> None:
    told = []
    for error in (None, AWAY, None):
        thrive.poll(error)
        told.append(figures(thrive.engine)["stopped_by"])
    assert told == ["nothing", "queue", "nothing"]
    assert figures(thrive.engine)["silence"] != "hearing", "no message came yet"
