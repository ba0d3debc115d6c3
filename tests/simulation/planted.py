"""Ways to be wrong, planted into the production engine from outside: the proof of the proof.

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
from collector.engine.items import Item
from collector.engine.ledger import Ledger
from collector.engine.progress import Progress
from collector.engine.reader import Reader
from collector.engine.receiver import Receiver
from collector.engine.sender import Sender
from collector.model import object_identity
from collector.ports import Spool
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
            mock.patch.object(reconciler_module, "object_identity", wrong):
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
def first_of_several():
    """What the first of several objects in one read came to is taken for what all of them did."""
    record = Reader.record

    def wrong(self, ledger, work, result):
        record(self, ledger, work, [result[0]] * len(work) if isinstance(result, list) else result)

    with mock.patch.object(Reader, "record", wrong):
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


@contextmanager
def any_output_is_enough():
    """With two outputs, what one of them has counts as accepted."""
    wrong = property(lambda self: max((one.prefix for one in self.outputs.values()), default=0))
    with mock.patch.object(Item, "prefix", wrong):
        yield


@contextmanager
def spool_after_delete():
    """FIFO: the message goes first, then its body is written down."""

    def wrong(self, ledger, message, notification):
        delivery = admission.hold(ledger, message)
        if delivery is not None:
            ledger.settle_if_over(delivery)
            how = {"origin": "spool", "message": message}
            ledger.change(Spool(message), lambda _: admission.admit(ledger, notification, **how))

    with mock.patch.object(Receiver, "_spool", wrong):
        yield


@contextmanager
def first_etag_wins():
    """A key that is named without etag holds what it held when it was first read."""
    known, admit, identify = {}, admission._admit_object, admission.identify

    def learn(ledger, item, ref):
        known.setdefault((id(ledger), ref.key), ref.etag)
        return identify(ledger, item, ref)

    def wrong(ledger, delivery, ref):
        admit(ledger, delivery, replace(ref, etag=ref.etag or known.get((id(ledger), ref.key))))

    with mock.patch.object(admission, "identify", learn), \
            mock.patch.object(admission, "_admit_object", wrong):
        yield


@contextmanager
def send_without_asking():
    """The receipts of an earlier run are not asked about."""
    with mock.patch.object(admission, "_resume_receipt", lambda ledger, item, receipt: None):
        yield


@contextmanager
def lane_runs_ahead():
    """A lane sends its next batch while the last one is not safe."""

    def wrong(self, ledger, output):
        return next((lane for lane in output.lanes if not lane.busy), None)

    with mock.patch.object(Sender, "_free_lane", wrong):
        yield


@contextmanager
def prune_by_own_clock():
    """What is old is judged by the wall clock of the host."""

    def wrong(self, *, after_seconds):
        return self.ledger.clock.now() - self.plan.limits.retention_seconds - after_seconds

    with mock.patch.object(Engine, "oldest_kept", wrong):
        yield


@contextmanager
def nobody_is_woken():
    """What is free again is told to nobody: it is found when somebody looks by chance."""
    tell = Ledger.tell

    def wrong(self, *stations):
        tell(self, *(name for name in stations if name != "receiver"))

    with mock.patch.object(Ledger, "tell", wrong):
        yield


#: And one more: a world that is `synchronous="normal"` lets the disk forget at a power cut.
PLANTED = {
    plant.__name__: plant
    for plant in (
        delete_first, ckpt_before_ack, first_record_only, busy_is_done, dedupe_by_key, no_lease, no_fence,
        max_ack, ackto_drop, no_reconcile, no_breaker, any_output_is_enough, spool_after_delete,
        first_etag_wins, send_without_asking, lane_runs_ahead, prune_by_own_clock, nobody_is_woken,
        first_of_several,
    )
}
