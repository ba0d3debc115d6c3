"""What a demo has to show at its end: whether every event arrived once, and what it took."""

from __future__ import annotations

from collections import Counter
from typing import Any, List, Mapping, Sequence, Tuple

from rich import box
from rich.table import Table

from collector.config.providers import PROVIDERS
from collector.testing.call_counter import CallCounter
from collector.testing.demo_stage import Scene
from collector.testing.hec_indexer import Received

__all__ = ["Verdict", "summary_table"]

_Key = Tuple[str, bytes]


class Verdict:
    """What was written against what arrived: by sourcetype and bytes, each event once."""

    def __init__(self, scenes: Sequence[Scene], received: Sequence[Received]) -> None:
        written = Counter((_sourcetype(scene), event) for scene in scenes for event in scene.audits.events)
        self.arrived: Counter[_Key] = Counter(_key(each) for each in received)
        self.missing = sum((written - self.arrived).values())
        self.repeated = sum((self.arrived - written).values())
        self.written = sum(written.values())

    @property
    def complete(self) -> bool:
        return not self.missing and not self.repeated

    def of(self, scene: Scene) -> List[bytes]:
        """The events that arrived from one system, repeats included."""
        mine = _sourcetype(scene)
        return [event for sourcetype, event in self.arrived.elements() if sourcetype == mine]

    def __str__(self) -> str:
        if self.complete:
            return f"All {self.written} events written arrived, each exactly once, byte for byte."
        return (f"Of {self.written} events written {self.missing} are missing; {self.repeated} arrived that "
                "should not have, or twice.")


def _key(received: Received) -> _Key:
    """Sourcetype and the event's own bytes: JSON as it was spelled, text without its JSON quotes."""
    event = received.envelope["event"]
    return str(received.envelope.get("sourcetype", "")), (
        event.encode() if isinstance(event, str) else received.event
    )


def _sourcetype(scene: Scene) -> str:
    return PROVIDERS[scene.audits.preset].settings["sourcetype"]


def summary_table(
    scenes: Sequence[Scene], verdict: Verdict, counters: Mapping[str, Mapping[str, int]],
    counter: CallCounter,
) -> Table:
    """A row per system and their sum; `counters` is what each input of the collector counted."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=True)
    rows = [_row(scene, verdict.of(scene), counters.get(scene.name, {}), counter) for scene in scenes]
    totals = ["all", *(f"{sum(row[column] for row in rows):,}" for column in range(4)), "",
              f"{sum(row[5] for row in rows):,}"]
    for title, total in zip(
        ("provider", "messages", "objects", "events", "bytes", "seconds", "calls"), totals
    ):
        table.add_column(title, total, justify="left" if title == "provider" else "right")
    for scene, row in zip(scenes, rows):
        table.add_row(
            scene.name, *(f"{value:.1f}" if isinstance(value, float) else f"{value:,}" for value in row)
        )
    return table


def _row(
    scene: Scene, events: Sequence[bytes], counted: Mapping[str, int], counter: CallCounter
) -> List[Any]:
    """Messages and objects as the collector counted, events and bytes as they arrived, calls on the wire."""
    objects = counted.get("objects", 0) if scene.audits.uploads else 0
    calls = sum(counter.calls(scene.name).values())
    size = sum(len(event) for event in events)
    return [counted.get("messages", 0), objects, len(events), size, counter.seconds(scene.name), calls]
