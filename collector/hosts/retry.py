"""Quarantined work, delivered again through the same engine, and taken out of quarantine once it arrived.

The collector of the input may be running: rows say who has an object, as between any two collectors.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Dict, Sequence, Set

from collector.config import Input
from collector.errors import CollectorError, Poison, Retry
from collector.model import Notification, ObjectRef, Payload, object_identity, payload_identity
from collector.ports import Checkpoint, CheckpointStore, Finish, Forget, Quarantined
from collector.runtime.adapters import Adapters
from collector.runtime.runner import Runner

__all__ = ["deliver_again"]

#: What has not ended by then stays in quarantine.
_LONGEST_SECONDS = 3600.0


def deliver_again(found: Input, entries: Sequence[Quarantined]) -> Dict[str, str]:
    """Why the entries that stayed did so, by their ids; the others arrived and are in quarantine no more."""
    adapters = Adapters(found, stdout=sys.stdout.buffer, queue=False)
    runner = Runner(found, adapters, once=True)
    adapters.store.alive(time.time() + 60.0)
    notifications = {entry.id: _identified(adapters, _meant(runner, entry)) for entry in entries}
    identities = {name: _identities(found, each) for name, each in notifications.items()}
    _reopen(adapters.store, {oid for oids in identities.values() for oid in oids})
    runner.start()
    runner.admit([each for each in notifications.values() if each.refs or each.payloads])
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not runner.is_finished() and time.monotonic() < deadline:
        time.sleep(0.05)
    runner.begin_stop()
    runner.drain(time.monotonic() + 8.0)
    done = [name for name, oids in identities.items() if oids and _all_delivered(adapters.store, oids)]
    _finish_stand_ins(adapters.store, [entry for entry in entries if entry.id in done])
    adapters.store.unquarantine(done)
    stayed = {
        entry.id: _why(adapters.store, runner, entry, identities[entry.id])
        for entry in entries if entry.id not in done
    }
    runner.close()
    return stayed


def _why(store: CheckpointStore, runner: Runner, entry: Quarantined, oids: Set[str]) -> str:
    """What is said of an entry now; what stops the whole input, where nothing new was."""
    same = [one for one in store.quarantine() if one.id == entry.id or (one.oid and one.oid in oids)]
    latest = max(same, key=lambda one: one.created, default=entry)
    stopped = runner.shortcomings(asked=True) if oids and latest.created <= entry.created else []
    return "; ".join(stopped) or f"{latest.reason}: {latest.detail}"


def _meant(runner: Runner, entry: Quarantined) -> Notification:
    """What an entry stands for now; nothing for a body that is still not understood."""
    row = entry.row
    if entry.kind == "event":
        name = f"{entry.oid}:{entry.ordinal}"
        return Notification("retry", payloads=(Payload(name, entry.body, whole=True, origin=entry.url),))
    if entry.kind == "body":
        try:
            return runner.engine.plan.parse(entry.body.decode("utf-8", "surrogatepass"))
        except (Poison, Retry):
            return Notification("retry", noop="still not understood")
    if row is not None and not row.bucket:
        return Notification("retry", payloads=(Payload(row.etag, entry.body),))
    return Notification("retry", refs=(_ref(entry.url, row),))


def _identified(adapters: Adapters, notification: Notification) -> Notification:
    """With the etags that were never learnt: rows are known by them."""
    refs = tuple(ref if ref.etag else _opened(adapters, ref) for ref in notification.refs)
    return replace(notification, refs=refs)


def _opened(adapters: Adapters, ref: ObjectRef) -> ObjectRef:
    """What S3 answers with now; the ref as it is where that is refused: the engine will say why."""
    if adapters.objects is None:
        return ref
    try:
        opened = adapters.objects.open(ref)
    except CollectorError:
        return ref
    opened.close()
    return replace(ref, etag=opened.ref.etag, size=opened.ref.size)


def _finish_stand_ins(store: CheckpointStore, entries: Sequence[Quarantined]) -> None:
    """Rows that stood for objects of unknown etag are over: they have rows of their own by now."""
    rows = [entry.row for entry in entries if entry.row is not None and entry.row.key and not entry.row.etag]
    store.apply([Forget(row.oid) for row in rows])
    ours = [claim.row for claim in store.claim(rows) if claim.verdict == "yours"]
    store.apply([Finish(row.oid, row.epoch, "filtered", reason="identified") for row in ours])


def _ref(url: str, row: Checkpoint | None) -> ObjectRef:
    if row is not None:
        return ObjectRef(
            row.bucket, row.key, etag=row.etag or None, version_id=row.version_id or None,
            event_time=row.object_time,
        )
    bucket, _, key = url[len("s3://") :].partition("/")
    return ObjectRef(bucket, key)


def _identities(found: Input, notification: Notification) -> Set[str]:
    """The rows that will say whether it arrived; none if a part of it is still not understood or in no bucket
    of ours, or if an object whose etag was never learnt cannot be opened."""
    ours = found.settings.bucket
    if notification.problems or any(ref.etag is None or ref.bucket not in ours for ref in notification.refs):
        return set()
    objects = {object_identity(found.name, ref) for ref in notification.refs}
    return objects | {payload_identity(found.name, payload) for payload in notification.payloads}


def _states(store: CheckpointStore, oids: Set[str]) -> Dict[str, Checkpoint]:
    claims = store.claim([Checkpoint(oid=oid, url="", object_time=time.time()) for oid in sorted(oids)])
    return {claim.row.oid: claim.row for claim in claims if claim.verdict == "final"}


def _reopen(store: CheckpointStore, oids: Set[str]) -> None:
    """Quarantined rows are open again, from what was accepted on; `events` is how far that was."""
    known = set(oids) - set(store.missing(sorted(oids)))
    rows = _states(store, known)
    store.apply([Forget(oid, row.events) for oid, row in rows.items() if row.state == "quarantined"])


def _all_delivered(store: CheckpointStore, oids: Set[str]) -> bool:
    if store.missing(sorted(oids)):
        return False
    return all(row.state != "quarantined" for row in _states(store, oids).values())
