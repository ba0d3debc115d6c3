"""`make simulate SEEDS=n FIRST=s`: many seeds on all cores, and how to repeat each that breaks a law."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import run

#: Seeds that a process plays before it reports.
CHUNK = 50


def commit():
    """What a seed is to be repeated on."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def play(seeds):
    """The sums over these seeds, and those that broke a law."""
    logging.disable(logging.CRITICAL)
    total, failed = Counter(), []
    for report in map(run, seeds):
        total.update(
            seeds=1, events=report.events, port_calls=report.calls, kills=report.kills,
            repeats=report.repeated, virtual_days=report.seconds / 86400.0,
        )
        if report.problems:
            failed.append(report)
    return total, failed


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    end, began = asked.first + asked.seeds, time.monotonic()
    chunks = [range(at, min(at + CHUNK, end)) for at in range(asked.first, end, CHUNK)]
    total, failures = Counter(), 0
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(chunks) or 1)) as processes:
        for sums, failed in processes.map(play, chunks):
            total.update(sums)
            failures += len(failed)
            for report in failed:
                print(f"{report.again(commit())}: {report.problems[:3]}", flush=True)
    figures = ", ".join(f"{number:,.0f} {name.replace('_', ' ')}" for name, number in total.items())
    print(f"{figures}, {failures} failed, {time.monotonic() - began:.0f} s, commit {commit()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
