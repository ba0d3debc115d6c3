"""`make soak MINUTES=n`: two real collectors at work for a long time, while everything around them fails.

    python -m tests.faults.soak --minutes 60 [--seed 1] [--report FILE]

A provider writes steadily: small objects, a large one now and then, some announced twice, some not at all.
The AWS in front is microburst's, HEC refuses, forgets and restarts, one collector is killed again and again
and the other never: its memory, descriptors and threads are what this looks at. At the end the faults stop,
and whatever was written must have arrived. Prints one line a minute and a table; exits 1 if an event is lost,
left or invented, or if the collector that lived grew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.collector_process import Collector
from tests.faults.microburst import Microburst
from tests.faults.test_wire_faults import FAULTS

OBJECTS_A_SECOND = 3.0
EVENTS = 10
LARGE_EVENTS = 2_000
PHASE_SECONDS = 20.0
KILL_EVERY_SECONDS = (20.0, 90.0)
SAMPLE_SECONDS = 5.0
#: A young process fills caches and pools; growth is looked for after that.
WARM_SHARE = 0.25
MOST_GROWTH = 1.25
DRAIN_SECONDS = 600.0
#: Settings of a service, but for what would make a fault last longer than a soak's phase.
SETTINGS = {
    "visibility_timeout_seconds": 30, "reconcile_interval_seconds": 120, "reconcile_grace_seconds": 30,
    "wait_time_seconds": 5,
}


class Writer:
    """The provider, in a thread of its own: `expected` is what it has written."""

    def __init__(self, provider: Provider, rng: random.Random) -> None:
        self._provider, self._rng = provider, rng
        self.expected: Counter[str] = Counter()
        self.objects = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: Optional[BaseException] = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._rng.expovariate(OBJECTS_A_SECOND)):
                self._write_one()
        except BaseException as error:
            self.failure = error

    def _write_one(self) -> None:
        self.objects += 1
        name, count = f"o{self.objects}", LARGE_EVENTS if self.objects % 100 == 0 else EVENTS
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ids = [f"{name}-{number}" for number in range(count)]
        lines = (json.dumps({"eventTime": when, "eventId": one, "pad": "x" * 200}) for one in ids)
        key = time.strftime(f"audits/%Y/%m/%d/%H/{name}.json", time.gmtime())
        self._provider.upload(key, "".join(f"{line}\n" for line in lines).encode())
        self.expected.update(ids)
        if self.objects % 50:  # one in fifty is never announced
            self._provider.notify(key)
        if self.objects % 20 == 0:
            self._provider.notify(key)


class Watched:
    """One collector, its process of the moment, and samples of that process."""

    def __init__(self, folder: Path, settings: Dict[str, Any]) -> None:
        folder.mkdir()
        self._collector = Collector(folder, settings)
        self._process = self._collector.start()
        self.samples: List[Dict[str, int]] = []

    def sample(self) -> None:
        process = f"/proc/{self._process.pid}"
        status = dict(line.split(":", 1) for line in Path(f"{process}/status").read_text().splitlines())
        self.samples.append({
            "rss_kib": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(f"{process}/fd")),
        })

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = self._collector.start()

    def stop(self) -> float:
        return self._collector.stop(self._process, number=signal.SIGTERM)

    def end(self) -> None:
        self._collector.end()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return self._collector.log


def phases(burst: Microburst, hec: FakeHec, rng: random.Random) -> Iterator[str]:
    """Each next() ends the last trouble and begins another; its name."""
    while True:
        burst.rules()
        hec.heal()
        kind = rng.choice(("quiet", "aws", "aws", "busy", "token", "restart", "drops"))
        if kind == "aws":
            name = rng.choice(sorted(FAULTS))
            burst.rules(*FAULTS[name])
            yield f"aws: {name}"
            continue
        if kind == "busy":
            hec.busy = True
        elif kind == "token":
            hec.fail_next(403, 4, times=10_000)
        elif kind == "restart":
            hec.restart()
        elif kind == "drops":
            hec.fail_next(503, reset=True, after_taking=True, times=3)
        yield f"hec: {kind}"


def soak(minutes: float, *, seed: int, folder: Path) -> Dict[str, Any]:
    """Run it all; returns the figures."""
    rng = random.Random(seed)
    with contextlib.ExitStack() as stack:
        aws = stack.enter_context(LocalAws.ministack(auth=False))
        burst = stack.enter_context(Microburst(aws.endpoint_url))
        hec = stack.enter_context(FakeHec(acks=True))
        provider = Provider(aws, "thrive", delivery="none", max_receive_count=1000)
        settings = {
            **provider.handover(), **SETTINGS, "endpoint_url": burst.url, "hec_url": hec.url,
            "hec_token": hec.token, "hec_gzip": "on", "checkpoint_dir": folder / "state",
        }
        steady = Watched(folder / "steady", settings)
        stack.callback(steady.end)
        unlucky = Watched(folder / "unlucky", settings)
        stack.callback(unlucky.end)
        writer = Writer(provider, random.Random(seed + 1))
        writer.start()
        troubles = phases(burst, hec, rng)
        counts = _live(minutes * 60.0, steady=steady, unlucky=unlucky, troubles=troubles, hec=hec, rng=rng,
                       writer=writer)
        burst.rules()
        hec.heal()
        writer.stop()
        waited = _drain(provider, hec, writer)
        arrived = Counter(event["event"]["eventId"] for event in hec.events)
        stops = [one.stop() for one in (steady, unlucky)]
        return {
            "minutes": minutes, "seed": seed, **counts, "objects": writer.objects,
            "events": len(writer.expected), "lost": len(set(writer.expected) - set(arrived)),
            "invented": len(set(arrived) - set(writer.expected)),
            "repeated": sum(arrived.values()) - len(arrived), "left": provider.queue_depth(),
            "dead": provider.dlq_depth(), "drained_seconds": round(waited, 1),
            "stopped_seconds": round(max(stops), 1),
            "tracebacks": sum(one.log.count("Traceback") for one in (steady, unlucky)),
            **_grown(steady.samples),
        }


def _live(
    seconds: float, *, steady: Watched, unlucky: Watched, troubles: Iterator[str], hec: FakeHec,
    rng: random.Random, writer: Writer,
) -> Dict[str, Any]:
    began = time.monotonic()
    next_phase = next_sample = next_line = began
    next_kill = began + rng.uniform(*KILL_EVERY_SECONDS)
    seen: Counter[str] = Counter()
    kills = 0
    while time.monotonic() < began + seconds:
        now = time.monotonic()
        if not steady.is_alive:
            raise SystemExit(f"the collector ended by itself:\n{steady.log[-4000:]}")
        if now >= next_phase:
            next_phase = now + PHASE_SECONDS
            seen[next(troubles)] += 1
        if now >= next_kill:
            next_kill = now + rng.uniform(*KILL_EVERY_SECONDS)
            unlucky.kill()
            kills += 1
        if now >= next_sample:
            next_sample = now + SAMPLE_SECONDS
            steady.sample()
            hec.requests.clear()  # they are counted by what was indexed; an hour of them is a lot
        if now >= next_line:
            next_line = now + 60.0
            said = " ".join(f"{name}={value}" for name, value in steady.samples[-1].items())
            written = len(writer.expected)
            print(f"{(now - began) / 60:.0f} min: events={written} kills={kills} {said}", flush=True)
        time.sleep(0.2)
    return {"kills": kills, "troubles": sum(seen.values()), "kinds_of_trouble": len(seen)}


def _drain(provider: Provider, hec: FakeHec, writer: Writer) -> float:
    """Seconds until all that was written has arrived and the queue is empty, or until patience ends."""
    began = time.monotonic()
    while time.monotonic() < began + DRAIN_SECONDS:
        arrived = {event["event"]["eventId"] for event in hec.events}
        if not set(writer.expected) - arrived and not provider.queue_depth():
            break
        time.sleep(2.0)
    return time.monotonic() - began


def _grown(samples: Sequence[Dict[str, int]]) -> Dict[str, Any]:
    """Of each figure, the median when warm, the median at the end, and the most."""
    warm = samples[int(len(samples) * WARM_SHARE) :]
    part = max(1, len(warm) // 5)
    found: Dict[str, Any] = {}
    for name in ("rss_kib", "descriptors", "threads"):
        values = [sample[name] for sample in warm]
        first, last = sorted(values[:part])[part // 2], sorted(values[-part:])[part // 2]
        found[name] = {"warm": first, "end": last, "most": max(values)}
    return found


def verdict(figures: Dict[str, Any]) -> List[str]:
    """What is wrong, in words."""
    wrong = [f"{name}: {figures[name]}" for name in ("lost", "invented", "left", "dead", "tracebacks")
             if figures[name]]
    for name in ("rss_kib", "descriptors", "threads"):
        one = figures[name]
        if one["end"] > one["warm"] * MOST_GROWTH + (16_384 if name == "rss_kib" else 8):
            wrong.append(f"{name} grew from {one['warm']} to {one['end']}")
    return wrong


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="the figures, as JSON")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(options.minutes, seed=options.seed, folder=Path(folder))
    if options.report:
        options.report.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name, value in figures.items():
        print(f"{name:18} {value}")
    wrong = verdict(figures)
    print("\n".join(wrong) or "nothing lost, nothing left, nothing grown")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
