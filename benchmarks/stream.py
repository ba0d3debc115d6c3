"""The stream of a modular input, written by this program or by splunklib.

    python -m benchmarks.stream collector|splunklib COUNT | cat > events.xml

Both write the same events with the same times and metadata. On stderr it says what writing them took:
CPU seconds, without starting, importing and making the events, which would take far more.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Callable, List, Tuple
from xml.etree import ElementTree

from benchmarks.objects import digest_of, ndjson_events

__all__ = ["arrived", "main"]

_SOURCE, _SOURCETYPE, _INDEX = "s3://audits/AWSLogs/2026/05/04/1.json.gz", "example:audit", "audit"
_SLICE = 500

#: Writes events and their times.
Writer = Callable[[List[bytes], List[str]], None]


def collector() -> Writer:
    from collector.model import Batch, Block, Origin, Slice
    from collector.runtime.adapters import SystemClock
    from collector.sinks.splunkd import SplunkdSink

    sink = SplunkdSink(sys.stdout.buffer, clock=SystemClock())
    origin = Origin(oid="", source=_SOURCE, fallback_time="", sourcetype=_SOURCETYPE, index=_INDEX, host="")

    def write(events: List[bytes], times: List[str]) -> None:
        for first in range(0, len(events), _SLICE):
            bodies = events[first : first + _SLICE]
            block = Block(first, bodies, times[first : first + _SLICE], True)
            piece = Slice(origin, first, block.end, (block,), sum(map(len, bodies)))
            sink.send(Batch((piece,)), lane=0)
        sink.close()

    return write


def splunklib() -> Writer:
    from splunklib.modularinput import Event, EventWriter

    writer = EventWriter(output=sys.stdout)

    def write(events: List[bytes], times: List[str]) -> None:
        for body, said in zip(events, times):
            writer.write_event(
                Event(data=body.decode(), time=said, source=_SOURCE, sourcetype=_SOURCETYPE, index=_INDEX)
            )
        writer.close()

    return write


WRITERS = {"collector": collector, "splunklib": splunklib}


def arrived(path: Path) -> Tuple[int, int]:
    """The events that a reader of the stream gets, as `digest_of` says it."""
    found = (node for _, node in ElementTree.iterparse(str(path)) if node.tag == "event")
    return digest_of(f"{node.findtext('time')} {node.findtext('data')}".encode() for node in found)


def main(writer: str, count: int) -> None:
    times = [f"{1_777_889_702 + number // 40}.{number % 1000:03d}" for number in range(count)]
    events = ndjson_events(count)
    write = WRITERS[writer]()
    began = time.process_time()
    write(events, times)
    print(time.process_time() - began, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
