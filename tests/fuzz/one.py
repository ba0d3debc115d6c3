"""One target under atheris: python -m tests.fuzz.one NAME SECONDS; exits at its first find, or in time."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["collector"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.seeds import seeds_of

_MOST_MEMORY_MIB = 1024
_LONGEST_INPUT_BYTES = 16_384
_LONGEST_RUN_SECONDS = 30


def main(name: str, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds_of(name)):
            (Path(corpus) / f"{number:05d}").write_bytes(seed)
        options = [
            f"-max_total_time={seconds}", f"-timeout={_LONGEST_RUN_SECONDS}",
            f"-artifact_prefix=found-{name}-",
            f"-rss_limit_mb={_MOST_MEMORY_MIB}", f"-max_len={_LONGEST_INPUT_BYTES}",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
