"""What each stage of one object costs, in one thread: `python -m benchmarks.stages ndjson cloudtrail`.

CPU seconds a GB of plain bytes, and microseconds an event; the cheapest of some runs, as noise only adds.
The real functions are called in their real order, on windows as the program meets them, and a clock is put
around those that are called once a window. What has no clock of its own is `rest`.
"""

from __future__ import annotations

import argparse
import gzip
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from benchmarks.__main__ import RESULTS
from benchmarks.objects import ObjectSet, ensure, load_manifest
from collector import accel
from collector.decode import decode, inflate, values
from collector.decode.records import Records
from collector.decode.tape import Tape
from collector.decode.times import Times
from collector.engine import slicer
from collector.model import Block, Format, Origin
from collector.sinks.envelope import enveloped_bytes, envelopes

__all__ = ["main", "measure"]

_CHUNK_BYTES = 256 * 1024
_BATCH_BYTES = 1_000_000
#: Owner, attribute, and the stage that its calls are.
_CLOCKED: Tuple[Tuple[Any, str, str], ...] = (
    (inflate._Deflate, "pull", "inflate"),
    (accel, "crc32", "crc"),
    (Tape, "look", "windows"),
    (Tape, "drop", "windows"),
    (accel, "is_utf8", "utf-8"),
    (accel.JsonWindows, "element_times", "parsing"),
    (accel.JsonWindows, "line_times", "parsing"),
    (accel.JsonWindows, "elements", "cutting"),
    (accel.TimeFields, "column", "columns"),
    (Times, "read_all", "times"),
    (values.JsonReader, "lines", "lines"),
    (Records, "_cut", "records"),
    (values.JsonReader, "gapped", "gaps"),
    (values.JsonReader, "usual", "walking"),
    (Block, "within", "slicing"),
    (Block, "split", "slicing"),
)


class Clock:
    """CPU time by stage, each without the stages that it calls."""

    def __init__(self) -> None:
        self.spent: Dict[str, float] = {}
        self._stack: List[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._turn()
        self._stack.append(name)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def clocked(*given: Any, **named: Any) -> Any:
            self._turn()
            self._stack.append(name)
            try:
                return function(*given, **named)
            finally:
                self._turn()
                self._stack.pop()

        return clocked

    def _turn(self) -> None:
        now = time.thread_time()
        if self._stack:
            self.spent[self._stack[-1]] = self.spent.get(self._stack[-1], 0.0) + now - self._since
        self._since = now


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages")
    parser.add_argument("shapes", nargs="*", default=["ndjson", "cloudtrail"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--file", type=Path, help="a gzip object of your own instead")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the sets")
    asked = parser.parse_args()
    stored = {asked.file.name: asked.file.read_bytes()} if asked.file else {
        shape: _object(asked.output / "objects", shape, asked.megabytes) for shape in asked.shapes
    }
    for name, packed in stored.items():
        spent, events, raw_bytes = measure(packed, runs=asked.runs)
        print(f"{name}: {events} events of {raw_bytes / events:.0f} bytes")
        for stage, seconds in {**spent, "all": sum(spent.values())}.items():
            a_gb, an_event = seconds / raw_bytes * 1e9, seconds / events * 1e6
            print(f"  {stage:10} {a_gb:6.2f} s/GB {an_event:6.2f} us/event")


def _object(folder: Path, shape: str, megabytes: int) -> bytes:
    place = ensure(folder, ObjectSet(shape, 1, megabytes * 1_000_000))
    return (place / load_manifest(place)["objects"][0]["file"]).read_bytes()


def measure(packed: bytes, *, runs: int) -> Tuple[Dict[str, float], int, int]:
    """CPU seconds by stage of the cheapest run, the number of events, and the plain bytes."""
    plain = len(gzip.decompress(packed))
    found = [_run(packed) for _ in range(runs)]
    spent, events = min(found, key=lambda one: sum(one[0].values()))
    return spent, events, plain


def _run(packed: bytes) -> Tuple[Dict[str, float], int]:
    clock, events, waiting, size = Clock(), 0, [], 0
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in _CLOCKED]
    for (owner, name, stage), (_, _, function) in zip(_CLOCKED, kept):
        setattr(owner, name, clock.around(function, stage))
    try:
        with clock.stage("rest"):
            chunks = (packed[at : at + _CHUNK_BYTES] for at in range(0, len(packed), _CHUNK_BYTES))
            origin = Origin("0" * 32, "s3://audit-logs/AWSLogs/111111111111/CloudTrail/0.json.gz", "1.000")
            for piece in slicer.cut(decode(chunks, format=Format(), now=time.time()), origin):
                events += piece.count
                waiting.append(piece)
                size += enveloped_bytes(piece)
                if size + 300_000 > _BATCH_BYTES:
                    with clock.stage("rendering"):
                        pieces = [*envelopes(waiting)]
                    with clock.stage("gzip"):
                        accel.gzip_compress(pieces)
                    waiting, size, pieces = [], 0, []
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
    return clock.spent, events


if __name__ == "__main__":
    main()
