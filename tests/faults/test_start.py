"""What a service needs is away when it boots: it waits, says for what, and begins by itself."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any, Tuple

import pytest

from tests.faults.scenario import Scenario, wait_for

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

AWAY = {
    "the queue cannot be looked up": {"service": "sqs", "operation": "GetQueueUrl"},
    "the role cannot be assumed": {"service": "sts", "operation": "AssumeRole"},
}


def _ready(ours: Any) -> Tuple[int, Any]:
    url = re.search(r"url=(http://\S+)", ours.log).group(1)
    try:
        with _DIRECT.open(f"{url}readyz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.exhaustive
@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("status", [503, 403])
def test_f15_an_input_whose_aws_is_away_at_boot_begins_when_it_is_back(
    unsigned_aws, burst, folder, away, status
):
    burst.forget()
    with Scenario(unsigned_aws, folder) as scenario:
        scenario.upload("one", 20)
        name = scenario.provider.queue_url.rpartition("/")[2]
        queue = {"queue_url": name, "queue_region": unsigned_aws.region}
        ours = scenario.collector(endpoint_url=burst.url, http_listen="127.0.0.1:0", **queue)
        ours.spec = {"start_again": 1.0}
        code = "ServiceUnavailable" if status == 503 else "AccessDenied"
        burst.rules({**AWAY[away], "error": {"code": code, "status": status}})
        process = ours.start()
        wait_for(lambda: ours.log.count("is tried again in") >= 2, seconds=60)
        assert process.poll() is None
        answered, body = _ready(ours)
        assert answered == 503
        assert body["reasons"][0]["input"] == "thrive"
        assert AWAY[away]["operation"] in body["reasons"][0]["reason"]
        burst.rules()
        wait_for(lambda: scenario.depth() == 0 and not scenario.lost(), seconds=60)
        wait_for(lambda: _ready(ours)[0] == 200)
        ours.stop(process)
        assert process.returncode == 0, ours.log[-4000:]
        assert "Traceback" not in ours.log
        scenario.check(repeats=0, proof=f"start: {away}")


@pytest.mark.exhaustive
def test_a_drain_whose_aws_is_away_says_so_and_exits_1(unsigned_aws, burst, folder):
    burst.forget()
    with Scenario(unsigned_aws, folder) as scenario:
        name = scenario.provider.queue_url.rpartition("/")[2]
        ours = scenario.collector(endpoint_url=burst.url, queue_url=name, queue_region=unsigned_aws.region)
        away = AWAY["the queue cannot be looked up"]
        burst.rules({**away, "error": {"code": "InternalError", "status": 500}})
        done = ours.run("--once")
        burst.rules()
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
