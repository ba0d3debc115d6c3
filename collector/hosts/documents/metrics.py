"""docs/reference/metrics.md, written from the tables of metrics.py, so that it cannot disagree with them."""

from __future__ import annotations

from typing import Dict, Iterator, Mapping, Sequence

from collector.engine.watch import WARNINGS
from collector.hosts.service.observation import ITEM_STATES, STATES
from collector.hosts.web.metrics import (
    COMMON,
    COUNTED,
    COUNTERS,
    GAUGES,
    OPERATIONS,
    QUANTILES,
    QUEUE_STATES,
    SUMMARIES,
    Family,
)
from collector.retention.clock import BUCKET, QUEUE
from collector.retention.lag import OWNERS
from collector.retention.silence import STATES as SILENCE_STATES

__all__ = ["PATH", "page"]

PATH = "docs/reference/metrics.md"

_HEAD = """# Metrics, status page and probes

Written by `python -m collector.hosts.documents` from `collector/hosts/web/metrics.py`.

Set `http_listen` (a port, which is then on loopback, or HOST:PORT), and `audit-s3 run` serves:

{paths}

- Only GET and HEAD are answered, there is no login, and nothing can be changed. Whoever can reach the
  address can read names of buckets, queues and keys in errors: give it another address than loopback only
  behind something that asks who is there; the collector warns of such an address when it starts. On
  loopback only requests to `localhost`, `127.0.0.1` and `[::1]` are answered, which keeps web pages that
  point a name of their own at your loopback (DNS rebinding) from reading it.
- With `processes = N` the first process listens and speaks for all: the others write a picture of
  themselves into `checkpoint_dir/processes` every two seconds. Each has its own series, told apart by
  `process` (`0` to N - 1), so sum them: `sum by (input) (rate(audit_s3_events_delivered_total[5m]))`. A
  process that is silent for ten seconds is left out until it speaks again.
- `run --once` does not listen, so it can be run beside the service with the same file.
- The Splunk modular input does not listen: splunkd starts one process per input, and shows their logs
  itself.
- Counters begin at zero with the process; `rate()` and `increase()` know that.

`packaging/grafana/dashboard.json` is a Grafana dashboard, `packaging/grafana/alerts.yml` are alert rules
for Prometheus. Beside these metrics there are Prometheus' own of a process, of the one that listens:
`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`,
`process_start_time_seconds` and so on (on Linux).
"""

_PATHS = (
    ("/", "people", "Each input, live: state, rate, the last hour, lag by who had it, how long what waits "
     "is kept, backlog, quarantine, the last error and what to do about it."),
    ("/status.json", "programs", "The same as JSON."),
    ("/metrics", "Prometheus", "The metrics below, as plain text or OpenMetrics, whichever is asked for."),
    ("/healthz", "a liveness probe", "200 as long as every engine moves; else 503, and which does not."),
    ("/readyz", "a readiness probe", "200 when the last poll of every input was answered and nothing stops "
     "receiving; else 503, and why, as JSON."),
)

_FOOT = """## What to watch

- Something will be lost unless somebody moves: `audit_s3_warning_active == 1`, and how soon:
  `audit_s3_retention_left_seconds < 3 * 86400`.
- A provider that promises 15 minutes: `audit_s3_lag_seconds{owner="provider",quantile="0.95"} > 900`.
- Nothing flows: `audit_s3_input_state{state!="collecting"} == 1` for five minutes.
- Something was set aside or lost: `increase(audit_s3_quarantined_total[1h]) > 0`,
  `increase(audit_s3_objects_finished_total{state=~"gone|expired"}[1h]) > 0`.
- Something fails again and again: `rate(audit_s3_errors_total[15m]) > 0`.
- Work comes back: `increase(audit_s3_leases_lapsed_total[1h]) > 0`,
  `increase(audit_s3_acks_timed_out_total[1h]) > 0`.

`packaging/grafana/alerts.yml` has these and more, with the time that each may take.
"""

_BREAKERS = {
    "source": "role and queue", "objects": "many cannot be read",
    "bucket": "the queue tells of other buckets only", "keys": "a KMS key is out of reach",
    "store": "the checkpoints", "deletes": "of messages, denied", "disk": "its floor is reached",
    "quarantine": "its cap is reached", "hec": "the output", "stdout": "the output", "splunkd": "the output",
}
_ITEM_STATES = {
    "held": "by another collector", "ready": "to be read, or being read", "waiting": "for another try",
    "asking": "whether an earlier run delivered it", "over": "its end is being written down",
}
_ENDS = {"gone": "deleted before it could be read", "expired": "the same after its retention"}
_LAG = {
    "provider": "from the first event of an object to the object in the bucket", "aws": "to the message",
    "collector": "to its events acknowledged and written down as done",
}
_SOURCES = {BUCKET: "objects", QUEUE: "messages in hand"}

#: What the values of a metric's own label mean; those of counters come from COUNTED.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "audit_s3_input_state": STATES,
    "audit_s3_breaker_open": _BREAKERS,
    "audit_s3_objects_in_hand": {state: _ITEM_STATES.get(state, "") for state in ITEM_STATES},
    "audit_s3_objects_finished_total": _ENDS,
    "audit_s3_aws_calls_total": dict.fromkeys(OPERATIONS, ""),
    "audit_s3_receipts_open": {"hec": "", "stdout": "", "splunkd": ""},
    "audit_s3_warning_active": dict.fromkeys(WARNINGS, ""),
    "audit_s3_retention_left_seconds": _SOURCES,
    "audit_s3_retention_used_ratio": _SOURCES,
    "audit_s3_silence_state": SILENCE_STATES,
    "audit_s3_queue_messages": dict.fromkeys(QUEUE_STATES, ""),
    "audit_s3_lag_seconds": {owner: _LAG[owner] for owner in OWNERS},
}
_MORE: Mapping[str, str] = {
    "audit_s3_aws_calls_total": "Others (`kms:Decrypt` for client-side encryption, DynamoDB's) are there "
    "from their first request on. AWS bills by the request; a day's are "
    "`increase(audit_s3_aws_calls_total[1d])`.",
    "audit_s3_input_state": "An input is ready when it is `collecting`.",
    "audit_s3_breaker_open": "While any is 1, nothing is received; for `keys` only if nothing under another "
    "key could be read for an hour.",
    "audit_s3_warning_active": "What each means and whose move it is: [watching](../watching.md).",
    "audit_s3_retention_left_seconds": "They show the last look, which is at most five minutes old. Below "
    "zero: it may be lost by now. NaN: the queue's retention may not be asked.",
    "audit_s3_lag_seconds": "`audit_s3_lag_seconds_count` and `_sum` are of all objects since the start.",
}
_BUILD = Family("audit_s3_build_info", ("version",), "1, with the program's version.")


def page() -> str:
    """The whole file."""
    paths = "\n".join(f"| `{path}` | {whose} | {what} |" for path, whose, what in _PATHS)
    lines = [_HEAD.replace("{paths}", f"| Path | For | What |\n|---|---|---|\n{paths}")]
    for title, kind, families in (
        ("Counters", "counter", COUNTERS), ("Gauges", "gauge", GAUGES), ("Summaries", "summary", SUMMARIES),
    ):
        lines += [f"## {title}", "", "| Metric | Type | Labels | What it says |", "|---|---|---|---|"]
        if kind == "gauge":
            lines.append(_row(_BUILD, kind, _BUILD.labels))
        more = ("quantile",) if kind == "summary" else ()
        lines += [_row(family, kind, (*COMMON, *family.labels, *more)) for family in families]
        lines += ["", *(note for family in families for note in _notes(family)), ""]
    return "\n".join([*lines, _FOOT])


def _row(family: Family, kind: str, labels: Sequence[str]) -> str:
    named = ", ".join(f"`{label}`" for label in labels)
    return f"| `{family.name}` | {kind} | {named} | {family.help} |"


def _notes(family: Family) -> Iterator[str]:
    """The values that the metric's own label has, and what else is to be known of it."""
    values = _values(family)
    if values:
        told = ", ".join(_told(*one) for one in values.items())
        either = " or ".join(f"`{one}`" for one in QUANTILES)
        quantiles = f" `quantile` is {either}." if family in SUMMARIES else ""
        more = f" {_MORE[family.name]}" if family.name in _MORE else ""
        yield f"- `{family.name}`: `{family.labels[0]}` is {told}.{quantiles}{more}"


def _values(family: Family) -> Dict[str, str]:
    meant = _VALUES.get(family.name, {})
    counted = [label for name, label in COUNTED.values() if name == family.name and label]
    return {value: meant.get(value, "") for value in counted} or dict(meant)


def _told(value: str, meaning: str) -> str:
    within = meaning[:1].lower() + meaning[1:].rstrip(".")
    return f"`{value}`" + (f" ({within})" if within else "")
