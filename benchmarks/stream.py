"""The stream of a modular input, written by this program or by splunklib.

    python -m benchmarks.stream collector|splunklib|nobody COUNT > events.xml

Both write the same events with the same times and metadata; what making them costs is what nobody costs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List, Tuple
from xml.etree import ElementTree

from benchmarks.objects import digest_of, ndjson_events

__all__ = ["arrived", "main"]

_SOURCE, _SOURCETYPE, _INDEX = "s3://audits/AWSLogs/2026/05/04/1.json.gz", "example:audit", "audit"
_SLICE = 500


def with_collector(events: List[bytes], times: List[str]) -> None:
    from collector.model import Batch, Block, Origin, Slice
    from collector.runtime.adapters import SystemClock
    from collector.sinks.splunkd import SplunkdSink

    sink = SplunkdSink(sys.stdout.buffer, clock=SystemClock())
    origin = Origin(oid="", source=_SOURCE, fallback_time="", sourcetype=_SOURCETYPE, index=_INDEX, host="")
    for first in range(0, len(events), _SLICE):
        bodies = events[first : first + _SLICE]
        block = Block(first, bodies, times[first : first + _SLICE], True)
        piece = Slice(origin, first, block.end, (block,), sum(map(len, bodies)))
        sink.send(Batch((piece,)), lane=0)
    sink.close()


def with_splunklib(events: List[bytes], times: List[str]) -> None:
    from splunklib.modularinput import Event, EventWriter

    writer = EventWriter(output=sys.stdout)
    for body, time in zip(events, times):
        writer.write_event(
            Event(data=body.decode(), time=time, source=_SOURCE, sourcetype=_SOURCETYPE, index=_INDEX)
        )
    writer.close()


def with_nobody(events: List[bytes], times: List[str]) -> None:
    """Written by nobody."""


WRITERS = {"collector": with_collector, "splunklib": with_splunklib, "nobody": with_nobody}


def arrived(path: Path) -> Tuple[int, int]:
    """The events that a reader of the stream gets, as `digest_of` says it."""
    found = (node for _, node in ElementTree.iterparse(str(path)) if node.tag == "event")
    return digest_of(f"{node.findtext('time')} {node.findtext('data')}".encode() for node in found)


def main(writer: str, count: int) -> None:
    times = [f"{1_777_889_702 + number // 40}.{number % 1000:03d}" for number in range(count)]
    WRITERS[writer](ndjson_events(count), times)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
