"""The Grafana dashboard and the alert rules: PromQL that parses, of metrics and labels that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Set, Tuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, ndjson, wait_for
from tests.e2e.test_web import ask, is_ready, sample

GRAFANA = Path(__file__).parents[2] / "packaging" / "grafana"
#: What Prometheus itself adds to what it scrapes.
ADDED = {"instance", "job"}
Series = Mapping[str, Mapping[str, Set[str]]]


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rules() -> List[Dict[str, Any]]:
    found = yaml.safe_load((GRAFANA / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


@pytest.fixture
def expressions(dashboard: Any, rules: List[Dict[str, Any]]) -> List[str]:
    """Every expression of both, with Grafana's variables filled in."""
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [query.replace("$input", ".*") for query in queries] + [rule["expr"] for rule in rules]


def selectors(expression: str) -> Iterator[Tuple[str, List[Tuple[str, str, str]]]]:
    """Each metric that an expression names, with its matchers."""
    promql = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    found: List[Any] = []

    def gather(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql.walk(promql.parse(expression), gather)
    for one in found:
        yield one.name, [(match.name, str(match.op), match.value) for match in one.matchers.matchers]


def groupings(expression: str) -> Set[str]:
    """The labels of every `by (...)` and `on (...)`."""
    return {
        label.strip()
        for group in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
        for label in group.split(",")
    }


def exposed(address: str) -> Series:
    """By metric, its labels and the values that each has."""
    series: Dict[str, Dict[str, Set[str]]] = {}
    for family in text_string_to_metric_families(ask(address, "/metrics")[1].decode()):
        for one in family.samples:
            labels = series.setdefault(one.name, {})
            for name, value in one.labels.items():
                labels.setdefault(name, set()).add(value)
    return series


def test_every_metric_and_label_of_dashboard_and_alerts_is_exposed_by_a_real_run(
    ministack: LocalAws, collector: Callable[..., Collector], address: str, expressions: List[str]
) -> None:
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 3))
    with FakeHec(acks=True) as hec:
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token})
        ours.start("--http-listen", address)
        wait_for(lambda: is_ready(address))
        wait_for(lambda: sample(address, "audit_s3_objects_finished_total", state="done") == 1)
        series = exposed(address)
    for expression in expressions:
        names = [name for name, _ in selectors(expression)]
        assert names, expression
        for name, matchers in selectors(expression):
            assert name in series, f"{name} of {expression}"
            for label, _, value in matchers:
                assert label in series[name], f"{label} of {expression}"
                for one in value.split("|") if value != ".*" else ():
                    assert one in series[name][label], f"{label}={one} of {expression}"
        known = {label for name in names for label in series[name]} | ADDED
        assert groupings(expression) <= known, expression


def test_every_alert_says_what_happened_and_what_to_do(rules: List[Dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert used <= groupings(rule["expr"]), rule["alert"]


@pytest.mark.parametrize(
    "needle", ["silence", "retention_used_ratio) > 0.5", "retention_used_ratio) > 0.8", "quarantined",
               "breaker_open", "lag_seconds", "backlog",
               "increase(audit_s3_objects_finished_total[30m])) == 0"],
)
def test_there_is_an_alert_for_each_thing_that_can_go_wrong(
    rules: List[Dict[str, Any]], needle: str
) -> None:
    assert any(needle in rule["expr"] for rule in rules)


def test_the_dashboard_is_one_that_grafana_can_import(dashboard: Any) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    cells = [(x, y) for one in places for x in range(one["x"], one["x"] + one["w"])
             for y in range(one["y"], one["y"] + one["h"])]
    assert len(cells) == len(set(cells)) and all(x < 24 for x, _ in cells), "panels do not overlap"
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert shown <= groupings(target["expr"]) | ADDED, panel["title"]
