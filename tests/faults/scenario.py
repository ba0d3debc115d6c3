"""What every proof here has in common: known events, the real program behind the launcher, and the count.

`check` is the oracle: every uploaded event arrived, none that was not uploaded, no message is left, none
was given up to the DLQ, and repeats stay within what the fault allows.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Dict, List, Optional

from collector.model import SLICE_MAX_BYTES
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector, wait_for

__all__ = ["EVERYTHING", "LEASE_SECONDS", "OUTPUTS", "Scenario", "note", "wait_for"]

LAUNCHER = Path(__file__).with_name("crash.py")
#: The shortest lease that still leaves time for its extension at a third of it.
LEASE_SECONDS = 3
#: Small enough that the scenario takes many requests, and a lane has little of it in flight.
BATCH_MAX_BYTES = 30_000
#: Of the events of the large object; a slice, which no batch parts, is 65 of them.
LARGE_EVENT_BYTES = 4_000
OUTPUTS = ("hec-acks", "hec", "stdout")
#: Senders of the HEC output.
LANES = 4
#: A bound for what may all come twice: the ledger was lost.
EVERYTHING = 1_000_000
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Launched(Collector):
    """The real program, started through the launcher with `spec`."""

    spec: Dict[str, Any] = {}  # noqa: RUF012  one per instance, set by whoever starts it

    def counters(self) -> Dict[str, int]:
        """What the last run that came to its end had counted, as its last line tells it."""
        stopped = [line for line in self.log.splitlines() if "Stopped." in line][-1]
        words = (word.partition("=") for word in stopped.split())
        return {name: int(value) for name, _, value in words if value.isdigit()}

    def _command(self, *flags: str, config: bool = True) -> List[str]:
        program = super()._command(*flags, config=config)
        return [sys.executable, str(LAUNCHER), json.dumps(self.spec), *program[3:]]


class Scenario:
    """One provider, one output and its collectors. A context manager; everything it starts ends with it."""

    def __init__(self, aws: LocalAws, folder: Path, *, output: str = "hec-acks", **provider: Any) -> None:
        aws.reset()
        self.folder = folder
        self.output = output
        self.expected: Counter[str] = Counter()
        self._fallen = ExitStack()
        self.hec: Optional[FakeHec] = None
        if output != "stdout":
            self.hec = self._fallen.enter_context(FakeHec(acks=output == "hec-acks"))
        provider = {"delivery": "none", "max_receive_count": 1000, **provider}
        self.provider = Provider(aws, "thrive", **provider)
        self.collectors: List[Launched] = []

    def __enter__(self) -> Scenario:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.collectors:
            one.end()
        self._fallen.close()

    # what there is to collect

    def upload(self, name: str, count: int, *, size: int = 100) -> None:
        """`count` events of `size` bytes in one object, uncompressed, and the message that names it."""
        self.put(name, count, size=size)
        self.provider.notify(f"k/{name}")

    def put(self, name: str, count: int, *, size: int = 100) -> None:
        """The object without a message."""
        lines = [_event(f"{name}-{number}", size) for number in range(count)]
        self.expected.update(f"{name}-{number}" for number in range(count))
        self.provider.upload(f"k/{name}", b"".join(lines))

    def fill(self) -> None:
        """Small objects, one of several slices, several records in one message, and a repeated message."""
        self.upload("large", 900, size=LARGE_EVENT_BYTES)
        for number in range(45):
            self.upload(f"small{number}", 20)
        for name in ("one", "two", "three"):
            self.put(name, 20)
        self.provider.notify("k/one", "k/two", "k/three")
        self.provider.notify("k/small1")

    def send_bodies(self, count: int) -> None:
        """Audits in message bodies: what a FIFO queue carries."""
        for number in range(count):
            self.expected[f"body-{number}"] += 1
            audit = {"eventId": f"body-{number}", "evtTime": "2026-05-04 10:20:11"}
            self.provider.send_body(json.dumps(audit))

    # who collects it

    def collector(self, *, name: str = "", **settings: Any) -> Launched:
        """A collector of its own folder; collectors share a checkpoint_dir if told to."""
        folder = self.folder / f"collector{len(self.collectors)}{name}"
        folder.mkdir()
        hec = {"output": "stdout"}
        if self.hec:
            hec = {"hec_url": self.hec.url, "hec_token": self.hec.token, "hec_gzip": "on"}
        common = {"batch_max_bytes": BATCH_MAX_BYTES, "reconcile_interval_seconds": 0, "processes": 1}
        made = Launched(folder, {**self.provider.handover(), **common, **hec, **settings})
        made.spec = {"visibility": LEASE_SECONDS, "ack_resume": 2.0}
        self.collectors.append(made)
        return made

    def drain(self, one: Launched, *, seconds: float = 60) -> None:
        """Run it as a service until the queue is empty, then stop it in order."""
        process = one.start()
        # A signal before it has begun would end it as Python ends, not as the program does.
        began = one.log.count("Collecting.")
        wait_for(lambda: one.log.count("Collecting.") > began or process.poll() is not None)
        wait_for(lambda: self.depth() == 0 or process.poll() is not None, seconds=seconds)
        assert process.poll() is None, one.log[-4000:]
        one.stop(process)
        assert process.returncode in (0, 1), one.log[-4000:]  # 1: the scenario has a body for quarantine
        assert "Traceback" not in one.log, one.log[-4000:]

    # what has arrived

    def arrived(self) -> Counter[str]:
        if self.hec is not None:
            return Counter(event["event"]["eventId"] for event in self.hec.events)
        lines = [line for one in self.collectors if (one.folder / "out").exists() for line in one.output()]
        return Counter(json.loads(line)["eventId"] for line in lines if _is_whole(line))

    def repeated(self) -> int:
        arrived = self.arrived()
        return sum(arrived.values()) - len(arrived)

    def lost(self) -> int:
        return len(set(self.expected) - set(self.arrived()))

    def depth(self) -> int:
        return self.provider.queue_depth()

    def batch_a_lane(self) -> int:
        """How many events all lanes together had in one request each, at most."""
        if self.hec is None:
            return max(SLICE_MAX_BYTES // LARGE_EVENT_BYTES + 1, BATCH_MAX_BYTES // 99)  # one lane
        return sum(sorted(chain(*self.hec_batches().values()), reverse=True)[:LANES])

    def hec_batches(self) -> Dict[str, List[int]]:
        """By channel, the number of events in each request, in the order of their ackIds."""
        assert self.hec is not None
        batches: Dict[str, List[int]] = {}
        for one in self.hec.requests:
            if one.path.startswith("/services/collector/event"):
                channel = one.headers.get("x-splunk-request-channel", "")
                batches.setdefault(channel, []).append(one.body.count(b'"eventId"'))
        return batches

    def asked_a_lane(self) -> int:
        """How many events all lanes together had in one question to HEC each, at most."""
        assert self.hec is not None
        batches, asked = self.hec_batches(), dict.fromkeys(self.hec_batches(), 0)
        for one in self.hec.requests:
            channel = one.headers.get("x-splunk-request-channel", "")
            if "/ack" in one.path and channel in batches:
                ids = [ack_id for ack_id in json.loads(one.body)["acks"] if ack_id < len(batches[channel])]
                asked[channel] = max(asked[channel], sum(batches[channel][ack_id] for ack_id in ids))
        return sum(sorted(asked.values(), reverse=True)[:LANES])

    def receives(self) -> List[int]:
        """How often each message in the queue was received so far."""
        query = urllib.parse.urlencode({"QueueUrl": self.provider.queue_url})
        url = f"{self.provider.aws.endpoint_url}/_ministack/sqs/messages?{query}"
        with _DIRECT.open(url, timeout=10) as answer:
            accounts = json.load(answer)["messages"]
        return [
            int(message["ReceiveCount"])
            for regions in accounts.values() for queues in regions.values()
            for messages in queues.values() for message in messages
        ]

    def in_flight(self) -> int:
        """Messages that somebody has received and not given back."""
        counts = self.provider.client("sqs").get_queue_attributes(
            QueueUrl=self.provider.queue_url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
        )
        return int(counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"])

    def check(self, *, repeats: int, proof: str) -> None:
        """Nothing lost, nothing invented, nothing left, at most `repeats` events twice."""
        arrived, repeated = self.arrived(), self.repeated()
        note(proof, output=self.output, expected=len(self.expected), lost=self.lost(), repeated=repeated,
             bound=repeats, left=self.depth(), dead=self.provider.dlq_depth())
        assert repeats < len(self.expected) or repeats == EVERYTHING, "a bound that nothing could break"
        assert not set(self.expected) - set(arrived), "lost"
        assert not set(arrived) - set(self.expected), "invented"
        assert self.depth() == 0
        assert self.provider.dlq_depth() == 0
        assert repeated <= repeats


def note(proof: str, **figures: Any) -> None:
    """Keep a figure for docs/reliability.md, where FAULTS_REPORT names a file."""
    path = os.environ.get("FAULTS_REPORT")
    if path:
        with open(path, "a", encoding="utf-8") as report:
            report.write(json.dumps({"proof": proof, "at": round(time.time()), **figures}) + "\n")


def _is_whole(line: bytes) -> bool:
    """Who is killed in the middle of a write leaves the beginning of a line, which counts as not arrived."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _event(name: str, size: int) -> bytes:
    text = json.dumps({"eventTime": "2026-05-04T10:15:02.412Z", "eventId": name, "pad": ""})
    return text.replace('"pad": ""', f'"pad": "{"x" * max(0, size - len(text) - 1)}"').encode() + b"\n"
