"""What is measured, and what is to be reached: docs/performance.md says why each goal is where it is.

Every measurement gives rows: what it is, what was measured, the goal. A ratio of CPU times is the median
over rounds in which the legs took turns, so that what else the machine does touches them alike.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from benchmarks import stream
from benchmarks.legs import LEGS, ROOT, Incomplete, Leg, Spent, Theatre, environment, spend
from benchmarks.objects import ObjectSet

__all__ = ["MEASUREMENTS", "Row", "Scale"]

_PYTHON = sys.executable


class Scale(NamedTuple):
    """How much is done: `share` of every set's size and number, over so many rounds."""

    rounds: int
    share: float = 1.0

    @property
    def is_short(self) -> bool:
        return self.share < 1.0

    def of(self, wanted: ObjectSet) -> ObjectSet:
        """Fewer of many, smaller of few."""
        if not self.is_short:
            return wanted
        if wanted.count >= 100:
            return wanted._replace(count=max(20, int(wanted.count * self.share)))
        small = max(20_000, int(wanted.raw_bytes * self.share))
        return wanted._replace(raw_bytes=small, members=max(1, int(wanted.members * self.share)))

    def copies(self, count: int) -> int:
        return 1 if self.is_short else count


class Row(NamedTuple):
    """`is_most`: the goal is a ceiling, else a floor. `why` it cannot be judged here, or ""."""

    what: str
    measured: float
    goal: Optional[float]
    unit: str = "x"
    is_most: bool = True
    low: float = 0.0
    high: float = 0.0
    why: str = ""

    @property
    def ratio(self) -> float:
        """Measured against the goal: at most 1 where it is met."""
        if not self.goal or not self.measured:
            return 0.0
        return self.measured / self.goal if self.is_most else self.goal / self.measured

    @property
    def verdict(self) -> str:
        if self.why:
            return self.why
        return "" if self.goal is None else "met" if self.ratio <= 1.0 else "missed"


Rows = Sequence[Row]
Outcome = Tuple[Rows, Dict[str, Any]]


# -- against the typical collector and the physical limit ---------------------------------------------------


class Comparison(NamedTuple):
    """`copies` of the set that each leg gets, so that each works long enough to be measured.

    Bodies have no copies: a second one with the same id is no second audit.
    """

    wanted: ObjectSet
    copies: Mapping[str, int]
    goals: Sequence[Tuple[str, str, float]]


_LARGE_COPIES = {
    "collector": 3, "limit": 6, "collector_gzip": 3, "limit_gzip": 6, "typical": 1, "pure_python": 1
}
_LARGE_GOALS = (
    ("collector", "limit", 4.0), ("collector_gzip", "limit_gzip", 3.0), ("pure_python", "typical", 0.25),
    ("collector", "typical", 0.1),
)
COMPARISONS: Dict[str, Comparison] = {
    "large_cloudtrail": Comparison(ObjectSet("cloudtrail", 3, 40_000_000), _LARGE_COPIES, _LARGE_GOALS),
    "large_ndjson": Comparison(ObjectSet("ndjson", 3, 40_000_000), _LARGE_COPIES, _LARGE_GOALS),
    "small_ndjson": Comparison(
        ObjectSet("ndjson", 1000, 20_000),
        {"collector": 3, "limit": 15, "collector_gzip": 3, "typical": 1, "pure_python": 2},
        (("collector", "limit", 7.0), ("pure_python", "typical", 0.25), ("collector", "typical", 1 / 7),
         ("collector_gzip", "typical", 1 / 7)),
    ),
    "pgaudit_bodies": Comparison(
        ObjectSet("pgaudit", 5000), {"collector": 1, "typical": 1, "pure_python": 1},
        (("collector", "typical", 0.2), ("pure_python", "typical", 0.25)),
    ),
}


def comparison(name: str) -> Callable[[Theatre, Scale], Outcome]:
    def measure(theatre: Theatre, scale: Scale) -> Outcome:
        return _compare(name, COMPARISONS[name], theatre, scale)

    return measure


def _compare(name: str, one: Comparison, theatre: Theatre, scale: Scale) -> Outcome:
    runs: Dict[str, List[Spent]] = {leg: [] for leg in one.copies}
    for _ in range(scale.rounds):
        for leg, copies in one.copies.items():
            runs[leg].append(theatre.net(LEGS[leg], scale.of(one.wanted), copies=scale.copies(copies)))
    each = {leg: [_per_event(spent) for spent in spents] for leg, spents in runs.items()}
    rows = [_ratio_row(f"{name}: {leg} / {other}", each[leg], each[other], goal)
            for leg, other, goal in one.goals]
    rows += _counted(name, runs["collector"])
    found = {
        leg: {
            "us_per_event": each[leg],
            "ms_per_object": [_per_object(spent) for spent in spents],
            "raw_mb_per_cpu_second": [one.report["raw_bytes"] / 1e6 / one.cpu_seconds for one in spents],
            "peak_mb": max(spent.peak_mb for spent in spents),
            "start_up_seconds": theatre.start_up(LEGS[leg]),
            "last": spents[-1].report,
        }
        for leg, spents in runs.items()
    }
    return rows, found


def _counted(name: str, spents: Sequence[Spent]) -> Rows:
    report = spents[-1].report
    if report["bodies"]:
        return [Row(f"{name}: messages joined in one request", report["bodies"] / report["posts"], 10.0,
                    "", is_most=False)]
    rows = [Row(f"{name}: peak memory", max(spent.peak_mb for spent in spents), None, "MB")]
    if report["objects"] >= 100:
        calls = sum(report["calls"].values()) / report["objects"]
        rows.append(Row(f"{name}: AWS calls per object", calls, 1.25, ""))
    return rows


def _per_event(spent: Spent) -> float:
    return spent.cpu_seconds * 1e6 / spent.report["events"]


def _per_object(spent: Spent) -> float:
    return spent.cpu_seconds * 1e3 / max(1, spent.report["objects"] or spent.report["bodies"])


def _ratio_row(what: str, ours: Sequence[float], others: Sequence[float], goal: float, **more: Any) -> Row:
    ratios = [one / other for one, other in zip(ours, others)]
    return Row(what, statistics.median(ratios), goal, low=min(ratios), high=max(ratios), **more)


# -- twice as much takes twice as long ----------------------------------------------------------------------

#: A set and its double, and how many copies of either are run.
DOUBLES: Dict[str, Tuple[ObjectSet, ObjectSet, int]] = {
    "object": (ObjectSet("cloudtrail", 1, 20_000_000), ObjectSet("cloudtrail", 1, 40_000_000), 5),
    "objects": (ObjectSet("ndjson", 500, 20_000), ObjectSet("ndjson", 1000, 20_000), 1),
    "messages": (ObjectSet("pgaudit", 2000), ObjectSet("pgaudit", 4000), 1),
    "event": (ObjectSet("long", 1, 2_000_000), ObjectSet("long", 1, 4_000_000), 50),
    "members": (ObjectSet("ndjson", 1, 5_000_000, 4000), ObjectSet("ndjson", 1, 10_000_000, 8000), 2),
    "nested": (ObjectSet("nested", 1, 10_000_000), ObjectSet("nested", 1, 20_000_000), 5),
}


def doubling(theatre: Theatre, scale: Scale) -> Outcome:
    rows, found = [], {}
    for name in ["members", "nested"] if scale.is_short else DOUBLES:
        one, two, copies = DOUBLES[name]
        runs: Tuple[List[float], List[float]] = ([], [])
        for _ in range(scale.rounds):
            for wanted, into in zip((one, two), runs):
                spent = theatre.net(Leg(), scale.of(wanted), copies=scale.copies(copies))
                into.append(spent.cpu_seconds)
        rows.append(_ratio_row(f"twice the {name}: CPU", runs[1], runs[0], 2.3))
        found[name] = {"cpu_seconds": runs}
    return rows, found


# -- waiting for S3, and more than one process --------------------------------------------------------------


def latency(theatre: Theatre, scale: Scale) -> Outcome:
    """30 ms on every GET. Rates are of wall time: a delay dominates it, not the machine.

    One worker of ours is not sequential: it has the requests of ten small objects under way together.
    """
    wanted = ObjectSet("ndjson", 100, 20_000)
    alone = theatre.run(Leg("typical"), scale.of(wanted), get_delay_ms=30)
    many = Leg(settings={"workers": 64})
    both = [theatre.run(many, scale.of(wanted), copies=scale.copies(20), get_delay_ms=30)
            for _ in range(scale.rounds)]
    rates = [_rate(spent) for spent in both]
    rows = [_ratio_row("30 ms a GET: rate / sequential", rates, [_rate(alone)] * len(rates), 40.0,
                       is_most=False)]
    return rows, {"sequential": _rate(alone), "rates": rates}


def processes(theatre: Theatre, scale: Scale) -> Outcome:
    """The emulators need a core of their own, so two collectors have two only where there are three."""
    wanted, rates = ObjectSet("ndjson", 1000, 20_000), []
    for _ in range(scale.rounds):
        rates.append([
            _rate(theatre.run(Leg(settings={"processes": count}), scale.of(wanted), copies=scale.copies(3)))
            for count in (1, 2)
        ])
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    why = "" if cores > 2 and load < cores - 2 else f"not judged: {cores} cores, load {load:.1f}"
    one, two = zip(*rates)
    return [_ratio_row("two processes: rate / one", two, one, 1.8, is_most=False, why=why)], {"rates": rates}


def _rate(spent: Spent) -> float:
    return float(spent.report["objects"] / spent.report["active_seconds"])


# -- nothing to do -------------------------------------------------------------------------------------------


def idle(theatre: Theatre, scale: Scale) -> Outcome:
    """The service on an empty queue, with polls of one second: how many, and how many at once."""
    theatre.load(None, ends=False)
    leg, seconds = Leg(settings={"wait_time_seconds": 1}), 4.0 if scale.is_short else 10.0
    spent = spend(theatre.command(leg, once=False), environment=environment(), stop_after_seconds=seconds)
    report = theatre.ask("/_report", {})
    if spent.code:
        raise Incomplete(f"an idle collector ended with {spent.code}")
    a_second = report["calls"].get("ReceiveMessage", 0) / spent.wall_seconds
    rows = [
        Row("idle: polls at once", report["most_polls"], 1.0, ""),
        Row("idle: receives a day, at polls of 20 s", a_second * 86_400 / 20, 4400.0, ""),
        Row(f"idle: CPU of {seconds:.0f} seconds and start-up", spent.cpu_seconds, None, "s"),
    ]
    return rows, {"report": report}


def start_up(theatre: Theatre, scale: Scale) -> Outcome:
    """What splunkd waits for, and what a person does."""
    commands = {
        "--help": [_PYTHON, "-m", "collector", "--help"],
        "--scheme": [_PYTHON, str(ROOT / "bin" / "audit_s3.py"), "--scheme"],
    }
    found = {name: [spend(command).cpu_seconds for _ in range(max(3, scale.rounds))]
             for name, command in commands.items()}
    rows = [Row(f"{name}: CPU", min(seconds), 0.15, "s", low=min(seconds), high=max(seconds))
            for name, seconds in found.items()]
    return rows, {name: {"cpu_seconds": seconds} for name, seconds in found.items()}


# -- a modular input's stream, and memory --------------------------------------------------------------------


def modular_input(theatre: Theatre, scale: Scale) -> Outcome:
    count = 2000 if scale.is_short else 100_000
    each: Dict[str, List[float]] = {"collector": [], "splunklib": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for _ in range(scale.rounds):
            for writer, spent in each.items():
                spent.append(_writing(path / writer, writer, count) * 1e6 / count)
        ours, theirs = stream.arrived(path / "collector"), stream.arrived(path / "splunklib")
    if ours != theirs or ours[0] != count:
        raise Incomplete(f"the streams differ: {ours} and {theirs}")
    row = _ratio_row("modular input: collector / splunklib", each["collector"], each["splunklib"], 1 / 20)
    return [row], {writer: {"us_per_event": spent} for writer, spent in each.items()}


def _writing(path: Path, writer: str, count: int) -> float:
    """CPU seconds of writing the stream, to a pipe as splunkd's is; what came out of it is in `path`."""
    command = [_PYTHON, "-m", "benchmarks.stream", writer, str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        with path.open("wb") as arrived:
            shutil.copyfileobj(process.stdout, arrived)
        said = process.stderr.read()
    if process.returncode:
        raise Incomplete(f"{command} ended with {process.returncode}: {said.decode()}")
    return float(said)


def memory(theatre: Theatre, scale: Scale) -> Outcome:
    """One object of one line: 830 MB of it."""
    wanted = ObjectSet("cloudtrail", 1, 830_000_000)
    spent = theatre.run(Leg(gzip=True), scale.of(wanted))
    raw_mb = spent.report["raw_bytes"] / 1e6
    row = Row(f"one line of {raw_mb:.0f} MB: peak memory", spent.peak_mb, 128.0, "MB")
    return [row], {"peak_mb": spent.peak_mb, "report": spent.report}


#: By name, in the order of the table.
MEASUREMENTS: Dict[str, Callable[[Theatre, Scale], Outcome]] = {
    **{name: comparison(name) for name in COMPARISONS},
    "latency": latency,
    "processes": processes,
    "doubling": doubling,
    "modular_input": modular_input,
    "start_up": start_up,
    "idle": idle,
    "memory": memory,
}
