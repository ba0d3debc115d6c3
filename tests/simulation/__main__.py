"""`make simulate SEEDS=n FIRST=s`: many seeds, and one line for each that breaks a law."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, failed, kills, repeated, events = time.monotonic(), 0, 0, 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        report = run(
            seed, collectors=1 + seed % 2, acks=bool(seed % 3), fifo=seed % 5 == 0, reconcile=bool(seed % 7)
        )  # fmt: skip
        kills, repeated, events = kills + report.kills, repeated + report.repeated, events + report.events
        if report.problems:
            failed += 1
            print(f"seed {seed}: {report.problems[:3]}")
    seconds = time.monotonic() - began
    print(f"{asked.seeds} seeds, {events} events, {kills} kills, {repeated} repeated, {failed} failed")
    print(f"{seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
