"""Every measurement, as one table and one JSON file: `make bench`.

    python -m benchmarks                        # all of it, about ten minutes on two idle cores
    python -m benchmarks --short                # everything once and small: does it work, not how fast
    python -m benchmarks --rounds 5 small_ndjson doubling

Fails if a run lost, repeated or changed an event, never because of time: what is slow is for the reader of
the table to see, who knows what else the machine was doing. It says what it can about that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.legs import ROOT, Theatre
from benchmarks.workloads import MEASUREMENTS, Row, Scale

__all__ = ["main"]

RESULTS = ROOT / "benchmarks" / "results"
SHORT = Scale(rounds=1, share=0.02)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("measurements", nargs="*", metavar="NAME", help=f"of {' '.join(MEASUREMENTS)}")
    parser.add_argument("--short", action="store_true", help="everything once and small")
    parser.add_argument("--rounds", type=int, default=3, help="how often each leg runs (3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of JSON file and sets")
    asked = parser.parse_args()
    unknown = sorted(set(asked.measurements) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"no such measurement: {' '.join(unknown)}")
    scale = SHORT if asked.short else Scale(rounds=asked.rounds)
    found = measure(asked.measurements or list(MEASUREMENTS), scale, objects=asked.output / "objects")
    asked.output.mkdir(parents=True, exist_ok=True)
    path = asked.output / f"{'short' if asked.short else 'full'}.json"
    path.write_text(json.dumps(found, indent=1))
    print(f"\n{path}")


def measure(names: List[str], scale: Scale, *, objects: Path) -> Dict[str, Any]:
    """One after the other; the table is printed as it grows."""
    results: Dict[str, Any] = {}
    loads, turns = [os.getloadavg()[0]], [calibrate()]
    if scale.is_short:
        print("Too little of everything to judge by: this shows that it works.")
    print(f"{'':52} {'measured':>10} {'goal':>10} {'ratio':>6}")
    with Theatre(objects, with_start_up=scale.is_short) as theatre:
        for name in names:
            began = time.monotonic()
            rows, found = MEASUREMENTS[name](theatre, scale)
            for row in rows:
                print(line(row, is_short=scale.is_short), flush=True)
            results[name] = {
                "rows": [{**row._asdict(), "ratio": row.ratio, "verdict": row.verdict} for row in rows],
                "seconds": time.monotonic() - began, **found,
            }
            loads.append(os.getloadavg()[0])
            turns.append(calibrate())
    spread = max(turns) / min(turns) - 1
    machine = {
        "cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine(),
        "load": loads, "calibration_seconds": turns, "calibration_spread": spread,
    }
    print(
        f"\n{machine['cores']} cores, Python {machine['python']}, load {min(loads):.1f} to {max(loads):.1f}; "
        f"the same work took up to {spread:.0%} more CPU time at one time than at another"
    )
    return {"machine": machine, "rounds": scale.rounds, "short": scale.is_short, "results": results}


def line(row: Row, *, is_short: bool) -> str:
    goal = "" if row.goal is None else f"{'<=' if row.is_most else '>='} {row.goal:.4g}"
    verdict = "" if is_short else row.verdict
    spread = f"  ({row.low:.3g} to {row.high:.3g})" if row.high else ""
    ratio = f"{row.ratio:.2f}" if row.goal is not None else ""
    return f"{row.what:52} {row.measured:>7.3g} {row.unit:2} {goal:>10} {ratio:>6}  {verdict}{spread}"


def calibrate() -> float:
    """CPU seconds of a fixed piece of work."""
    packed = zlib.compress(bytes(range(256)) * 40_000, 6)
    began = time.process_time()
    for _ in range(5):
        zlib.decompress(packed)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
