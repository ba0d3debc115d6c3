"""The figures of one input at one moment: what its progress line says, and what Splunk draws from it.

Counters never go back while the process lives, and one that is zero is left out; everything else is of this
moment. Times are seconds. The dashboard of the Splunk app reads these names: a test holds the two together.
"""

from __future__ import annotations

from typing import Dict, Iterator, Mapping, Optional, Tuple

from collector.engine.engine import Engine
from collector.engine.ledger import Ledger
from collector.engine.watch import Watched
from collector.errors import CollectorError, Fatal

__all__ = ["figures", "stops"]

QUARANTINE_FULL = Fatal(
    "The quarantine is full", code="quarantine_full", scope="object",
    hint="Look with `audit-s3 quarantine list`, then retry or drop what is there",
)


def stops(ledger: Ledger) -> Dict[str, Optional[CollectorError]]:
    """Everything that rule 7 lets receiving wait for, and why it does now; and a KMS key out of reach."""
    outputs = [output.breaker for output in ledger.outputs.values()]
    bucket = ledger.mismatch.breaker
    breakers = [ledger.source, ledger.objects, bucket, ledger.store, ledger.deletes, *outputs]
    return {
        **{breaker.name: breaker.error for breaker in breakers},
        "keys": next(iter(ledger.keys.errors), None),
        "disk": ledger.disk_low,
        "quarantine": QUARANTINE_FULL if ledger.is_quarantine_full() else None,
    }


def figures(engine: Engine) -> Mapping[str, str]:
    """The figures by name, as text; called under the engine's lock."""
    ledger = engine.ledger
    counted = {name: str(count) for name, count in sorted(ledger.status().items()) if count}
    stopped = [name for name, error in stops(ledger).items() if error is not None]
    if engine.receiver.failed_polls:  # no breaker is open for what is tried again, yet nothing comes
        stopped.append("queue")
    return {
        **counted,
        "quarantine_bytes": str(ledger.quarantine_bytes),
        **dict(_timely(engine.watch.picture(ledger))),
        "stopped_by": ",".join(stopped) or "nothing",
    }


def _timely(watched: Watched) -> Iterator[Tuple[str, str]]:
    """What the watch saw at its last look. A figure that is not known is left out."""
    for cliff, reading in watched.deadlines.items():
        if reading.left_seconds is not None:
            yield f"{cliff}_left_seconds", f"{reading.left_seconds:.0f}"
            yield f"{cliff}_used_ratio", f"{reading.share or 0.0:.3f}"
    for owner, lag in watched.lags.items():
        if lag.count:
            yield f"lag_{owner}_p50_seconds", f"{lag.p50_seconds:.1f}"
            yield f"lag_{owner}_p95_seconds", f"{lag.p95_seconds:.1f}"
    if watched.depth is not None:
        yield "queue_visible", str(watched.depth.visible)
    yield "silence", watched.silence_state
    yield "silence_seconds", f"{watched.silence_seconds:.0f}"
    yield "warnings", ",".join(watched.warnings) or "none"
