"""The presets, as data: what is known of a provider before its first object is read.

To add one, add a Provider to PROVIDERS: nothing else that collects names a provider, and only `setup` has
texts for each. A preset's settings rank below everything that the operator writes and above the defaults.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Mapping, Tuple

from collector.model import Format

__all__ = ["COMMON_MARKERS", "PROVIDERS", "Provider"]

#: Files that AWS and its kin leave beside logs, and that hold no audits; see `routes.is_marker`.
COMMON_MARKERS = (
    "ELBAccessLogTestFile", "ConfigWritabilityCheckFile", "aws-logs-write-test", "*.instruction", "_SUCCESS",
)

_TIMES = Format().time_fields
#: A provider that writes every 15 minutes when there is activity is silent after three of them.
_QUARTERS = str(3 * 900)
#: Immuta exports once a day at the least; an hour for the export itself.
_DAY_AND_HOUR = str(25 * 3600)


@dataclass(frozen=True)
class Provider:
    """What one provider's input starts from.

    `settings` are preset values as a conf file would hold them. `bodies` says that a message's body is
    itself an audit, so that an unknown JSON body is delivered rather than quarantined. `markers` are
    files to filter, beside COMMON_MARKERS. `routes` are rules as in the setting, tried after the
    operator's. `queue_host` finds, as its first group in the queue's name, the host that the audits are
    about. `hands_over` are the settings that the provider tells the customer. `note` is one sentence for
    the documents, `caution` one for a dry run that meets log events which do not name their log.
    """

    name: str
    title: str
    settings: Mapping[str, str] = field(default_factory=dict)
    format: Format = field(default_factory=Format)
    bodies: bool = False
    markers: Tuple[str, ...] = ()
    routes: str = ""
    queue_host: str = ""
    hands_over: Tuple[str, ...] = ("role_arn", "bucket", "queue_url", "kms_key_arn")
    note: str = ""
    caution: str = ""

    @property
    def all_markers(self) -> Tuple[str, ...]:
        return (*COMMON_MARKERS, *self.markers)

    def host_of(self, queue_name: str) -> str:
        """The host that this queue's audits are about, or ""."""
        match = re.fullmatch(self.queue_host, queue_name) if self.queue_host else None
        return match.group(1) if match else ""


def _first(*names: str) -> Format:
    """A format that looks for these times before all others."""
    rest = tuple(name for name in _TIMES if name not in names)
    return dataclasses.replace(Format(), time_fields=(*names, *rest))


_ALL = (
    Provider(
        "custom",
        "Any bucket or queue",
        note="Everything is found out by looking: containers, shapes and times.",
    ),
    Provider(
        "thrive",
        "Thrive audit files",
        settings={"sourcetype": "thrive:audit", "expected_interval_seconds": _QUARTERS},
        # "updatedAt" is rather that of the record which was audited.
        format=_first("eventTime", "event_time", "timestamp", "@timestamp", "time", "ts", "createdAt"),
        note="The schema is not published: `audit-s3 run --dry-run` shows what was inferred.",
    ),
    Provider(
        "cloudtrail",
        "AWS CloudTrail, as Okera consumes it",
        settings={"sourcetype": "aws:cloudtrail", "expected_interval_seconds": _QUARTERS},
        format=Format(time_fields=("eventTime",)),
        routes="*/CloudTrail-Digest/* sourcetype=aws:cloudtrail:digest decoder=cloudtrail-digest",
        hands_over=("role_arn", "bucket", "queue_url", "queue_region", "bucket_region", "kms_key_arn"),
        note="CloudTrail's own SNS messages are understood, and queue and bucket may differ in region.",
    ),
    Provider(
        "privacera-pgaudit",
        "Privacera RDS PostgreSQL (pgAudit)",
        settings={"sourcetype": "postgresql:pgaudit"},
        bodies=True,
        queue_host=r"privacera-postgres-(.+)-audits(?:\.fifo)?",
        hands_over=("queue_url", "queue_region"),
        note="Each message is one CloudWatch log event; the queue's name gives `host`.",
        caution="These events do not name their log group, as those of Privacera's own Lambda function: "
        "it leaves out all logins and errors, and every statement in which an ignored user or database "
        "stands anywhere, even in a comment. Use integrations/pgaudit_lambda in its place.",
    ),
    Provider(
        "privacera-policysync",
        "Privacera PolicySync audits",
        settings={"sourcetype": "privacera:policysync"},
        format=_first("evtTime"),
        bodies=True,
        hands_over=("queue_url", "queue_region"),
        note="A message may hold several audits; times without a zone are UTC.",
    ),
    Provider(
        "immuta",
        "Immuta audit export",
        settings={"sourcetype": "immuta:uam", "expected_interval_seconds": _DAY_AND_HOUR},
        # "dateTime" is that of records from before the universal audit model.
        format=Format(time_fields=("eventTimestamp", "dateTime", "receivedTimestamp")),
        markers=(".immuta.export.log",),
        hands_over=("role_arn", "bucket", "queue_url", "kms_key_arn"),
        note="Events may be more than a day older than their object, which is normal.",
    ),
)

#: By name, `custom` (the default) first.
PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _ALL}
