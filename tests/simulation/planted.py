"""Twelve ways to be wrong, planted into the production engine from outside: the proof of the proof.

Each is a context manager; production code knows nothing of them. `tests/simulation/test_planted.py`
demands that the simulation catches every one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

from collector.engine import admission
from collector.engine import reconciler as reconciler_module
from collector.engine.acknowledger import Acknowledger
from collector.engine.breaker import Breaker
from collector.engine.engine import Engine
from collector.engine.progress import Progress
from collector.engine.sender import Sender
from collector.model import object_identity
from collector.testing.memory_store import MemoryCheckpointStore

__all__ = ["PLANTED"]


@contextmanager
def delete_first():
    """The message is deleted as soon as it is understood."""
    admit = admission.admit

    def wrong(ledger, notification, **how):
        delivery = admit(ledger, notification, **how)
        if delivery is not None and not delivery.settling:
            delivery.disposition, delivery.settling = "delete", True
            ledger.to_settle.append(delivery)
        return delivery

    with mock.patch.object(admission, "admit", wrong):
        yield


@contextmanager
def ckpt_before_ack():
    """A batch counts as accepted when HEC has answered 200, acknowledged or not."""
    sent = Sender._record_sent

    def wrong(self, ledger, output, work, receipt):
        sent(self, ledger, output, work, replace(receipt, ack_id=None))

    with mock.patch.object(Sender, "_record_sent", wrong):
        yield


@contextmanager
def first_record_only():
    """Of several records in a message only the first is followed."""
    admit = admission.admit

    def wrong(ledger, notification, **how):
        return admit(ledger, replace(notification, refs=notification.refs[:1]), **how)

    with mock.patch.object(admission, "admit", wrong):
        yield


@contextmanager
def busy_is_done():
    """An object that another collector holds counts as done."""
    claimed = admission.claimed

    def wrong(ledger, item, claim):
        claimed(ledger, item, replace(claim, verdict="final") if claim.verdict == "held" else claim)

    with mock.patch.object(admission, "claimed", wrong):
        yield


@contextmanager
def dedupe_by_key():
    """What has this key was seen before."""

    def wrong(input_name, ref):
        return object_identity(input_name, replace(ref, etag="any"))

    with mock.patch.object(admission, "object_identity", wrong), \
            mock.patch.object(reconciler_module, "object_identity", wrong):  # fmt: skip
        yield


@contextmanager
def no_lease():
    """A row is taken whoever holds it."""
    with mock.patch.object(MemoryCheckpointStore, "_living", lambda self: frozenset((self.owner,))):
        yield


@contextmanager
def no_fence():
    """A row is written by whoever comes, under whatever epoch."""
    with mock.patch.object(MemoryCheckpointStore, "_fenced", lambda self, oid, _: self.table.rows.get(oid)):
        yield


@contextmanager
def max_ack():
    """The highest acknowledged event counts, whatever lies before it."""
    wrong = property(lambda self: max((high for _, high in self._accepted), default=0))
    with mock.patch.object(Progress, "prefix", wrong):
        yield


@contextmanager
def ackto_drop():
    """What is not acknowledged in time is taken as delivered."""
    with mock.patch.object(Acknowledger, "_give_up", Acknowledger._confirm):
        yield


@contextmanager
def no_reconcile():
    """The bucket is never compared with the ledger."""
    with mock.patch.object(Engine, "reconcile", lambda self: None):
        yield


@contextmanager
def no_breaker():
    """Trouble is each batch's own: receiving goes on, and messages come and go."""
    with mock.patch.object(Breaker, "open", lambda self, error, *, now, probe_after=0.0: True):
        yield


#: sync_normal is the twelfth: `run(synchronous="normal")` lets the disk forget at a power cut.
PLANTED = {
    plant.__name__: plant
    for plant in (
        delete_first, ckpt_before_ack, first_record_only, busy_is_done, dedupe_by_key, no_lease, no_fence,
        max_ack, ackto_drop, no_reconcile, no_breaker,
    )
}  # fmt: skip
