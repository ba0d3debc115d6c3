"""The pure half of an input: settings -> what the engine is told of how to read, cut, route and bound."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional

from collector.config.inputs import Input
from collector.config.routes import Route
from collector.decode import decode
from collector.decode.pgaudit import ignoring
from collector.engine.engine import Plan
from collector.engine.opener import Labels
from collector.engine.outputs import Limits
from collector.model import Block, Message
from collector.notifications import parse
from collector.notifications.body import Fetch
from collector.ports import Digests
from collector.runtime.adapters import SystemClock

__all__ = ["plan_of"]

ONCE_POLL_SECONDS = 5


def plan_of(
    configured: Input, *, once: bool, verify: Callable[[Mapping[str, Any]], None], fetch: Fetch,
    digests: Optional[Digests],
) -> Plan:
    """How to read, cut, route and bound what an input collects; and whose messages are opened."""
    settings, provider = configured.settings, configured.provider
    queue_name = configured.queue.name if configured.queue else ""
    bodies = configured.bodies

    def decode_now(
        chunks: Iterable[bytes], route: Route, inflated: Optional[Callable[[bytes], None]] = None
    ) -> Iterator[Block]:
        form = configured.format_of(route)
        return decode(chunks, format=form, now=SystemClock().now(), inflated=inflated)

    def payload_url(message: Message) -> str:
        return f"sqs://{queue_name}/{message.message_id}"

    return Plan(
        configured.name,
        parse=partial(parse, bodies_are_audits=bodies, fetch=fetch),
        parse_received=partial(parse, bodies_are_audits=bodies, fetch=fetch, verify=verify),
        decode=decode_now,
        digests=digests,
        labels=Labels(
            sourcetype=settings.sourcetype, index=settings.index,
            host=settings.host or provider.host_of(queue_name), source=settings.source,
        ),
        route=configured.route,
        payload_url=payload_url,
        ignores=ignoring(databases=settings.ignore_databases, users=settings.ignore_users),
        buckets=frozenset(settings.bucket),
        prefix=settings.prefix,
        limits=Limits(
            once=once,
            workers=settings.workers,
            max_number_of_messages=settings.max_number_of_messages,
            wait_time_seconds=min(settings.wait_time_seconds, ONCE_POLL_SECONDS) if once
            else settings.wait_time_seconds,
            visibility_timeout_seconds=settings.visibility_timeout_seconds,
            batch_max_bytes=settings.batch_max_bytes,
            held_bytes=max(Limits.held_bytes, 2 * settings.batch_max_bytes),
            batch_linger_seconds=settings.batch_linger_seconds,
            retention_seconds=settings.retention_days * 86400.0,
        ),
        listing_grace_seconds=float(settings.reconcile_grace_seconds),
        reconcile_interval_seconds=float(settings.reconcile_interval_seconds),
        expected_interval_seconds=float(settings.expected_interval_seconds),
    )

