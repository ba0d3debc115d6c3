"""The metrics for Prometheus: every counter of the engine, and gauges of what is in hand.

The numbers are read from the engines when they are asked for; nothing is counted twice. Names follow
https://prometheus.io/docs/practices/naming: one prefix, base units, `_total` on what only grows. Each process
of `processes = N` has series of its own (`process`), so that none goes back when one of them starts again.
docs/reference/metrics.md is written from these tables (hosts/documents/metrics.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from collector import __version__
from collector.engine.watch import WARNINGS, Watched
from collector.hosts.service.board import Board
from collector.hosts.service.observation import STATES, Observation
from collector.retention.silence import STATES as SILENCE_STATES

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = [
    "COMMON", "COUNTED", "COUNTERS", "GAUGES", "OPERATIONS", "QUANTILES", "QUEUE_STATES", "SUMMARIES",
    "Family", "exposition", "registry",
]

#: Where SQS counts messages.
QUEUE_STATES = ("visible", "in_flight", "delayed")
QUANTILES = ("0.5", "0.95")


#: Labels that every metric of an input has.
COMMON = ("input", "process")


class Family(NamedTuple):
    """One metric: its labels beside `input` and `process`, and what it says. A counter's `_total` is in its
    name."""

    name: str
    labels: Tuple[str, ...]
    help: str


COUNTERS: Sequence[Family] = (
    Family("audit_s3_receives_total", (), "Receive calls that the queue answered."),
    Family("audit_s3_receives_full_total", (), "Receive calls that gave as much as was asked for."),
    Family("audit_s3_messages_received_total", (), "Messages received from the queue."),
    Family("audit_s3_messages_received_again_total", (), "Messages received while in hand already."),
    Family("audit_s3_messages_without_work_total", (), "Messages that need no work, such as test events."),
    Family("audit_s3_messages_settled_total", ("state",), "Messages deleted, or returned to the queue."),
    Family("audit_s3_messages_unsettled_total", (), "Messages that could not be settled and come back."),
    Family("audit_s3_messages_unproven_total", (), "Messages kept until their sender could be checked."),
    Family("audit_s3_objects_read_total", (), "Objects and payloads read to their verified end."),
    Family("audit_s3_objects_known_total", (), "Objects and payloads announced again after their end."),
    Family("audit_s3_objects_finished_total", ("state",), "Objects and payloads, by how they ended."),
    Family("audit_s3_objects_reconciled_total", (), "Objects that a listing found and the ledger missed."),
    Family("audit_s3_objects_fenced_total", (), "Objects given up because another collector had taken over."),
    Family("audit_s3_events_delivered_total", (), "Events accepted by an output, counted once per output."),
    Family("audit_s3_events_filtered_total", (), "Events of objects that are ignored for what they say."),
    Family("audit_s3_events_untimed_total", (),
           "Events read without a time of their own; they have their object's."),
    Family("audit_s3_delivered_bytes_total", (),
           "Event bytes accepted, counted once per output."),
    Family("audit_s3_batches_sent_total", (), "Batches that an output has taken."),
    Family("audit_s3_batches_acknowledged_total", (), "Batches that indexers have acknowledged."),
    Family("audit_s3_batches_refused_total", (), "Batches that an output refused for their content."),
    Family("audit_s3_acks_timed_out_total", (), "Acknowledgements that never came; the events went again."),
    Family("audit_s3_quarantined_total", ("kind",), "What went to quarantine: bodies, objects, events."),
    Family("audit_s3_digests_total", ("result",), "CloudTrail digests verified, by their result."),
    Family("audit_s3_errors_total", ("call",), "Calls that failed and are tried again, by what was tried."),
    Family("audit_s3_leases_lapsed_total", (), "Messages whose lease ran out before they were settled."),
    Family("audit_s3_leases_lost_total", (), "Messages whose lease could not be extended any more."),
    Family("audit_s3_spooled_left_total", (), "Spooled messages put down unfinished, to be taken up again."),
    Family("audit_s3_reconciles_total", (), "Reconciles finished: the bucket compared with the ledger."),
    Family("audit_s3_list_calls_total", (), "Pages of a bucket listed."),
    Family("audit_s3_aws_calls_total", ("operation",),
           "Requests sent to AWS, those that boto3 made again included."),
)

#: Each counter of the engine: its metric, and the value of that metric's label.
COUNTED: Mapping[str, Tuple[str, str]] = {
    "receives": ("audit_s3_receives_total", ""),
    "full_receives": ("audit_s3_receives_full_total", ""),
    "messages": ("audit_s3_messages_received_total", ""),
    "received_again": ("audit_s3_messages_received_again_total", ""),
    "noop": ("audit_s3_messages_without_work_total", ""),
    "deleted": ("audit_s3_messages_settled_total", "deleted"),
    "returned": ("audit_s3_messages_settled_total", "returned"),
    "unsettled": ("audit_s3_messages_unsettled_total", ""),
    "unproven": ("audit_s3_messages_unproven_total", ""),
    "objects": ("audit_s3_objects_read_total", ""),
    "known": ("audit_s3_objects_known_total", ""),
    "done": ("audit_s3_objects_finished_total", "done"),
    "filtered": ("audit_s3_objects_finished_total", "filtered"),
    "gone": ("audit_s3_objects_finished_total", "gone"),
    "expired": ("audit_s3_objects_finished_total", "expired"),
    "quarantined": ("audit_s3_objects_finished_total", "quarantined"),
    "reconciled": ("audit_s3_objects_reconciled_total", ""),
    "fenced": ("audit_s3_objects_fenced_total", ""),
    "events": ("audit_s3_events_delivered_total", ""),
    "filtered_events": ("audit_s3_events_filtered_total", ""),
    "untimed_events": ("audit_s3_events_untimed_total", ""),
    "bytes": ("audit_s3_delivered_bytes_total", ""),
    "batches": ("audit_s3_batches_sent_total", ""),
    "acknowledged": ("audit_s3_batches_acknowledged_total", ""),
    "refused_batches": ("audit_s3_batches_refused_total", ""),
    "acks_timed_out": ("audit_s3_acks_timed_out_total", ""),
    "quarantined_bodies": ("audit_s3_quarantined_total", "body"),
    "quarantined_objects": ("audit_s3_quarantined_total", "object"),
    "quarantined_events": ("audit_s3_quarantined_total", "event"),
    "digests_valid": ("audit_s3_digests_total", "valid"),
    "digests_invalid": ("audit_s3_digests_total", "invalid"),
    "digests_gap": ("audit_s3_digests_total", "gap"),
    "digests_unsigned": ("audit_s3_digests_total", "unsigned"),
    "receive_errors": ("audit_s3_errors_total", "receive"),
    "object_errors": ("audit_s3_errors_total", "read"),
    "send_errors": ("audit_s3_errors_total", "send"),
    "ack_errors": ("audit_s3_errors_total", "acknowledge"),
    "settle_errors": ("audit_s3_errors_total", "settle"),
    "extend_errors": ("audit_s3_errors_total", "extend"),
    "store_errors": ("audit_s3_errors_total", "store"),
    "leases_lapsed": ("audit_s3_leases_lapsed_total", ""),
    "leases_lost": ("audit_s3_leases_lost_total", ""),
    "left_spooled": ("audit_s3_spooled_left_total", ""),
    "reconciles": ("audit_s3_reconciles_total", ""),
    "lists": ("audit_s3_list_calls_total", ""),
}

#: What every input asks of AWS sooner or later; others are counted from their first request on.
OPERATIONS = (
    "sqs:ReceiveMessage", "sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch",
    "sqs:GetQueueAttributes", "s3:GetObject", "s3:ListObjectsV2", "sts:AssumeRole",
)

GAUGES: Sequence[Family] = (
    Family("audit_s3_input_state", ("state",), "1 for the state that the input is in, 0 for the others."),
    Family("audit_s3_breaker_open", ("breaker",), "1 while this stops receiving, 0 otherwise."),
    Family("audit_s3_deliveries_in_hand", (), "Messages, listings and commands in hand."),
    Family("audit_s3_objects_in_hand", ("state",), "Objects and payloads in hand."),
    Family("audit_s3_held_bytes", (), "Event bytes read and not yet sent."),
    Family("audit_s3_quarantine_bytes", (), "What the quarantine takes on disk."),
    Family("audit_s3_receipts_open", ("output",), "Batches sent whose events are not yet all committed."),
    Family("audit_s3_warning_active", ("warning",), "1 while the collector warns of this, 0 otherwise."),
    Family("audit_s3_retention_left_seconds", ("source",),
           "Until what is not collected is deleted or forgotten; the whole window if nothing is."),
    Family("audit_s3_retention_used_ratio", ("source",), "How much of that window is over: 0 to 1, or more."),
    Family("audit_s3_silence_state", ("state",), "1 for what is known of a silence, 0 for the other states."),
    Family("audit_s3_silence_seconds", (), "For how long no message with work came while we listened."),
    Family("audit_s3_queue_messages", ("state",),
           "Messages in the queue as SQS counts them, NaN if unknown."),
)

SUMMARIES: Sequence[Family] = (
    Family("audit_s3_lag_seconds", ("owner",),
           "How late audits are, by who had them meanwhile; quantiles are of the last 1,000 objects."),
)

Sample = Tuple[Tuple[str, ...], float]


def registry(board: Board) -> CollectorRegistry:
    """A registry of our own: what some library registers globally is no concern of a scraper of ours."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.registry import Collector

    class Scrape(Collector):
        def describe(self) -> List[Metric]:
            return []  # so that registering does not observe

        def collect(self) -> Iterator[Metric]:
            return _collect(board.each())

    found = CollectorRegistry(auto_describe=False)
    found.register(Scrape())
    ProcessCollector(registry=found)
    return found


def exposition(found: CollectorRegistry, *, accept: str) -> Tuple[bytes, str]:
    """The metrics and their content type: what the scraper prefers, OpenMetrics or the plain text format."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    body: bytes = encode(found)
    return body, content_type


def _collect(seen: Sequence[Tuple[int, Observation]]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    build = GaugeMetricFamily("audit_s3_build_info", "1, with the program's version.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    kinds: Sequence[Tuple[Any, Sequence[Family], Any]] = (
        (CounterMetricFamily, COUNTERS, _counted), (GaugeMetricFamily, GAUGES, _gauged),
    )
    for make, families, samples_of in kinds:
        samples = [(one.name, str(process), samples_of(one)) for process, one in seen]
        for family in families:
            metric = make(family.name, family.help, labels=[*COMMON, *family.labels])
            for name, process, found in samples:
                for labels, value in found[family.name]:
                    metric.add_metric([name, process, *labels], value)
            yield metric
    yield from _summaries(seen)


def _summaries(seen: Sequence[Tuple[int, Observation]]) -> Iterator[Metric]:
    """prometheus_client's own summaries have no quantiles; the text formats do."""
    from prometheus_client.core import Metric

    (family,) = SUMMARIES
    metric = Metric(family.name, family.help, "summary")
    for process, one in seen:
        for owner, lag in one.watched.lags.items():
            labels = {"input": one.name, "process": str(process), "owner": owner}
            for quantile, value in zip(QUANTILES, (lag.p50_seconds, lag.p95_seconds)):
                metric.add_sample(family.name, {**labels, "quantile": quantile}, value)
            metric.add_sample(f"{family.name}_count", labels, lag.count)
            metric.add_sample(f"{family.name}_sum", labels, lag.total_seconds)
    yield metric


def _counted(seen: Observation) -> Dict[str, List[Sample]]:
    """Every counter, also those that have not begun to count: a rate needs its zero."""
    found: Dict[str, List[Sample]] = {family.name: [] for family in COUNTERS}
    for counter, (name, label) in COUNTED.items():
        found[name].append(((label,) if label else (), seen.counters.get(counter, 0)))
    calls = {**dict.fromkeys(OPERATIONS, 0), **seen.aws_calls}
    found["audit_s3_aws_calls_total"] = [((operation,), count) for operation, count in calls.items()]
    return found


def _gauged(seen: Observation) -> Dict[str, List[Sample]]:
    return {
        "audit_s3_input_state": [((state,), float(state == seen.state)) for state in STATES],
        "audit_s3_breaker_open": [((name,), float(bool(why))) for name, why in seen.breakers.items()],
        "audit_s3_deliveries_in_hand": [((), seen.deliveries)],
        "audit_s3_objects_in_hand": [((state,), count) for state, count in seen.objects.items()],
        "audit_s3_held_bytes": [((), seen.held_bytes)],
        "audit_s3_quarantine_bytes": [((), seen.quarantine_bytes)],
        "audit_s3_receipts_open": [((output,), count) for output, count in seen.receipts.items()],
        "audit_s3_warning_active": [((name,), float(name in seen.warnings)) for name in WARNINGS],
        **_watched(seen.watched),
    }


def _watched(watched: Watched) -> Dict[str, List[Sample]]:
    """What the watch saw at its last look; NaN is what it could not see."""
    clocks, depth = watched.deadlines.items(), watched.depth
    counts = (depth.visible, depth.in_flight, depth.delayed) if depth is not None else (math.nan,) * 3
    return {
        "audit_s3_retention_left_seconds": [((of,), _or_nan(clock.left_seconds)) for of, clock in clocks],
        "audit_s3_retention_used_ratio": [((of,), _or_nan(clock.share)) for of, clock in clocks],
        "audit_s3_silence_state": [
            ((state,), float(state == watched.silence_state)) for state in SILENCE_STATES
        ],
        "audit_s3_silence_seconds": [((), watched.silence_seconds)],
        "audit_s3_queue_messages": [((state,), count) for state, count in zip(QUEUE_STATES, counts)],
    }


def _or_nan(value: Optional[float]) -> float:
    return math.nan if value is None else value
