"""`make test`: the whole suite here, then its parts without accelerators and on other Pythons.

Each leg is one pytest. The first, whose tests wait for processes half of their time, has the others beside
it, one after the other: what they say is kept until they end. The legs on other Pythons have environments
of their own and no emulators in them: `collector.testing` starts those with the interpreter named in
AUDIT_S3_TEST_PYTHON, which is this one. The run ends with the seconds of each leg, one table of what was
skipped and why, and one line of totals over all legs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from requirements.environment import OLD_PYTHON, ROOT, ensure, ensure_newest, find
from tests.skips import NO_SKIPS, REPORT, Tally, read

#: A single test that takes longer hangs: it fails, with the stacks of all threads.
TEST_TIMEOUT_SECONDS = 180
PURE = ("tests/unit", "tests/golden", "tests/contract")
OTHERS = (*PURE, "tests/splunk")
#: What the accelerators have a hand in: reading objects, and packing request bodies.
ACCELERATED = ("tests/unit/decode", "tests/unit/sinks", "tests/golden")
#: Blocks of seeds need no common set-up: any worker takes the next.
SIMULATION = "tests/simulation"
#: What the first leg has run already is run again on one emulator, with fewer drawn examples.
AGAIN = {"AUDIT_S3_TEST_AGAIN": "1"}
#: Python of a leg and the lock it installs; one that is the main interpreter's is not run twice.
OTHER_PYTHONS = ((OLD_PYTHON, "py39"), ("3.13", "test"))


@dataclass(frozen=True)
class Leg:
    """One pytest run: the folders it runs, what it adds to the environment.

    `python` gives the interpreter, and first makes the environment of it where there is none.
    """

    name: str
    python: Callable[[], Path]
    folders: Sequence[str] = ("tests",)
    options: Sequence[str] = ()
    environment: Dict[str, str] = field(default_factory=dict)
    #: Of each processor: half of the time a test of the first leg waits for what it has started.
    workers: int = 1

    def run(self, options: Sequence[str], *, beside: bool = False) -> Tuple[Tally, float]:
        """Run to the end, and in how many seconds; `beside` another leg it speaks once it is over.

        A pytest that dies or cannot start is one failure more than it counted.
        """
        began = time.monotonic()
        if not beside:
            print(f"\n-- {self.name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "report.json")
            environment = {
                **os.environ, **self.environment, REPORT: report, "AUDIT_S3_TEST_PYTHON": sys.executable,
            }
            # Hundreds of programs are started: each would compile all that it imports anew, in a second.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            done = subprocess.run(
                [str(self.python()), "-m", "pytest", *self._options(), *options, *self._present()],
                cwd=str(ROOT), env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if beside else None, stderr=subprocess.STDOUT if beside else None,
            )
            tally = read(report) if os.path.exists(report) else Tally()
        if done.returncode and not tally.failed and tally.executed:
            tally.failed += 1
        if beside:
            print(f"\n-- {self.name}\n{done.stdout.decode(errors='replace')}", flush=True)
        return tally, time.monotonic() - began

    def _present(self) -> List[str]:
        return [folder for folder in self.folders if (ROOT / folder).is_dir()]

    def _options(self) -> List[str]:
        workers = self.workers * min(2, os.cpu_count() or 1)
        return [
            "-q", f"--timeout={TEST_TIMEOUT_SECONDS}", f"--numprocesses={workers}", "--dist=loadfile",
            "--no-loadscope-reorder",  # as they stand: long files first, those of a second in the end
            *self.options,
        ]


def _ours() -> Path:
    return Path(sys.executable)


def legs() -> Tuple[List[Leg], List[str]]:
    """The legs that this machine can run, and why it cannot run the others."""
    chosen = [
        Leg("all tests, accelerators on", _ours, options=[f"--ignore={SIMULATION}"], workers=2),
        Leg("a thousand simulated histories", _ours, (SIMULATION,), ["--dist=load"]),
        Leg(
            "accelerators off", _ours, ACCELERATED,
            environment={"AUDIT_S3_ACCELERATORS": "off", **AGAIN},
        ),
    ]
    absent = []
    for version, lock in OTHER_PYTHONS:
        if version == ".".join(map(str, sys.version_info[:2])):
            continue
        if find(version) is None:
            absent.append(f"python{version}: not found")
            continue
        python = partial(ensure, ROOT / f".venv-{version}", [lock], version=version)
        chosen.append(Leg(f"python{version}", python, OTHERS, environment=AGAIN))
    return chosen, absent


def newest() -> Leg:
    """`make test-latest`: every test on the newest of every dependency, ministack's pins aside."""
    python = ensure_newest(ROOT / ".venv-latest", "test")
    return Leg("newest of everything", lambda: python, workers=2)


def main(options: Sequence[str]) -> int:
    """Run every leg even if one fails. The exit code is 1 if a test failed or a leg executed none."""
    started = time.monotonic()
    latest, options = "--latest" in options, [option for option in options if option != "--latest"]
    chosen, absent = ([newest()], []) if latest else legs()
    total, complaints = Tally(), []
    with ThreadPoolExecutor(1) as beside:
        waiting = [beside.submit(leg.run, options, beside=True) for leg in chosen[1:]]
        ended = [chosen[0].run(options), *(each.result() for each in waiting)]
    print()
    for leg, (tally, seconds) in zip(chosen, ended):
        print(f"{seconds:7.0f} s  {leg.name}: {tally.passed} passed, {tally.failed} failed")
        total.add(tally, where=leg.name)
        if tally.verdict():
            complaints.append(f"{leg.name}: {tally.verdict()}")
    for reason in absent:
        total.skip(f"leg {reason}")
    if absent and os.environ.get(NO_SKIPS) == "1":
        complaints.extend(absent)
    print(f"\n-- what was skipped, and why ({time.monotonic() - started:.0f} s in all)")
    print("\n".join([*total.table(), "", *complaints, *([""] if complaints else [])]))
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
