"""What a service needs is away when it boots: it waits, says for what, and begins by itself."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any, Dict, Tuple

import pytest

from collector.testing.proxy import Proxy
from tests.faults.scenario import Scenario, wait_for

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

class Road(Proxy):
    """The way to AWS: while it is closed, every call is answered 502."""

    is_closed = True

    def way_to(self, host: str) -> str:
        return "127.0.0.1:9" if self.is_closed else super().way_to(host)


def _ready(ours: Any) -> Tuple[int, Any]:
    url = re.search(r"url=(http://\S+)", ours.log).group(1)
    try:
        with _DIRECT.open(f"{url}readyz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _by_name(scenario: Any) -> Dict[str, str]:
    """A queue given by its name, whose account no role tells: it has to be looked up before all else."""
    name = scenario.provider.queue_url.rpartition("/")[2]
    return {"queue_url": name, "queue_region": scenario.provider.aws.region}


@pytest.mark.exhaustive
def test_f15_an_input_whose_aws_is_away_at_boot_begins_when_it_is_back(ministack, folder):
    with Road(origin=ministack.endpoint_url) as road, Scenario(ministack, folder, role=False) as scenario:
        scenario.upload("one", 20)
        ours = scenario.collector(endpoint_url=road.url, http_listen="127.0.0.1:0", **_by_name(scenario))
        ours.spec = {"start_again": 1.0}
        process = ours.start()
        wait_for(lambda: ours.log.count("cannot be started and is tried again") >= 2, seconds=60)
        assert process.poll() is None
        answered, body = _ready(ours)
        assert answered == 503
        assert body["reasons"][0]["input"] == "thrive"
        assert body["reasons"][0]["state"] == "not_started"
        assert "sqs:GetQueueUrl" in body["reasons"][0]["reason"]
        road.is_closed = False
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost(), seconds=60)
        wait_for(lambda: _ready(ours)[0] == 200)
        ours.stop(process)
        assert process.returncode == 0, ours.log[-4000:]
        assert "Traceback" not in ours.log
        scenario.check(repeats=0, proof="away at boot")


def test_a_drain_whose_aws_is_away_says_so_and_exits_1(ministack, folder):
    with Road(origin=ministack.endpoint_url) as road, Scenario(ministack, folder, role=False) as scenario:
        ours = scenario.collector(endpoint_url=road.url, **_by_name(scenario))
        done = ours.run("--once")
        assert done.returncode == 1
        assert b"An input cannot be started" in done.stderr


@pytest.mark.parametrize("flags", [(), ("--once",)])
def test_only_wrong_configuration_ends_a_service_that_cannot_start(ministack, folder, flags):
    with Scenario(ministack, folder) as scenario:
        ours = scenario.collector()
        known = {name: value for name, value in scenario.provider.handover().items() if "key" not in name}
        ours.configure({**known, "aws_profile": "nobody", "output": "stdout"})
        done = ours.run(*flags)
        assert done.returncode == 78, done.stderr.decode()
        assert b"nobody" in done.stderr
