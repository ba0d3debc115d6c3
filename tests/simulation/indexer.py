"""One output of the simulated world, and the law of repeats: no copy without a reason for it.

A second copy of an event may be sent only if something happened to every earlier one: it was lost, or
nobody can know that it was not. `excuse` says so at the moment it happens, and at no other.
"""

from __future__ import annotations

from collections import Counter

from collector.engine import slicer
from collector.model import Block, Origin

__all__ = ["Indexer"]


class Indexer:
    """Splunk, with indexer acknowledgement or without. It says true to an ackId once."""

    def __init__(self, world, name, *, acks, slow_seconds):
        self.world = world
        self.name = name
        self.acks = acks
        self.slow_seconds = slow_seconds
        self.indexed = Counter()
        self.sent = Counter()
        self.excused = Counter()
        self.late = set()
        self.pending = {}
        self.ack_ids = Counter()
        self.lanes = {}
        self.saved = set()
        self.denied = set()

    def take(self, owner, texts):
        """These events have arrived. A collector that was taken over may send each once more."""
        world, sent = self.world, self.sent
        rows, identity_of = world.table.rows, world.identity_of
        for text in texts:
            row = rows.get(identity_of[text])
            late = row is not None and row.owner != owner and (owner, text, row.epoch)
            if sent[text] > self.excused[text] and (not late or late in self.late):
                world.violate(f"{owner} sent {text[:25]} to {self.name} again: nothing befell the last copy")
            sent[text] += 1
            if late:
                self.late.add(late)
                self.excused[text] += 1
        if not self.acks:
            self.indexed.update(texts)

    def promise(self, channel, texts):
        """An ackId for these events, which will be indexed in a while; None without acknowledgement."""
        if not self.acks:
            return None
        ack_id = self.ack_ids[channel]
        self.ack_ids[channel] += 1
        at = self.world.seconds + self.world.rng.choice((0.5, 3.0, 20.0))
        self.pending[channel, ack_id] = (at, texts)
        return ack_id

    def answer(self, receipt):
        """Whether it is indexed; who is told so will not be told again."""
        key = (receipt.channel, receipt.ack_id)
        at, texts = self.pending.get(key, (None, ()))
        if at is None or at > self.world.seconds:
            self.denied.add(key)
            return False
        del self.pending[key]
        self.indexed.update(texts)
        return True

    def unanswered(self, receipt):
        """A collector hears nothing of this receipt: what it speaks of may be sent again.

        But not if another one was told: it has written that down, and the store is to be asked first.
        """
        key = (receipt.channel, receipt.ack_id)
        kept = self.world.table.receipts.get(receipt.id)
        if key not in self.denied:
            self.world.violate(f"{key} was given up, but the output never said no")
        if kept is not None and kept.ack_id is None:
            return
        for span in receipt.spans:
            self.excuse(self.world.texts_of.get(span.oid, ())[span.first : span.end])

    def excuse(self, texts):
        """Whatever was sent of these until now may arrive once more, and no law is broken."""
        for text in texts:
            self.excused[text] = self.sent[text]

    def leave_in_doubt(self, owner, texts):
        """The sender cannot know that these arrived: it sends them again, though another has the object."""
        self.excuse(texts)
        self.late -= {one for one in self.late if one[0] == owner and one[1] in texts}

    def expose(self, oid):
        """Who worked on this object is gone: what no saved offset or receipt speaks for is sent again."""
        table, texts = self.world.table, self.world.texts_of.get(oid, ())
        row = table.rows.get(oid)
        if row is None or row.state != "open":
            return
        for lane, (rows_sent, *_) in self.lanes.items():
            if any(span.oid == oid for span, _ in rows_sent):
                self.lanes[lane] = ((), "", None)
        covered = set(range(row.offset))
        for receipt_id in table.receipts_of.get(oid, ()):
            receipt = table.receipts[receipt_id]
            known = receipt.ack_id is None or (receipt.channel, receipt.ack_id) in self.pending
            if receipt.output == self.name and known:
                for span in receipt.spans:
                    covered.update(range(span.first, span.end) if span.oid == oid else ())
        self.excuse([text for at, text in enumerate(texts) if at not in covered])

    def check_lane(self, owner, lane, batch):
        """A lane sends only when its last batch is safe, so that a crash repeats one batch a lane."""
        rows = self.world.table.rows
        rows_sent = [(span, rows.get(span.oid)) for span in batch.spans]
        last, channel, ack_id = self.lanes.get((owner, lane), ((), "", None))
        self.lanes[owner, lane] = (rows_sent, "", None)
        if ack_id is not None and (channel, ack_id) not in self.saved:
            self.world.violate(f"{owner} sends on lane {lane}, and the last receipt is not saved")
        if not channel or ack_id is not None or len(self.world.outputs) > 1:
            return
        for span, then in last:
            row = rows.get(span.oid)
            ours = row is not None and row.state == "open" and row.owner == owner and row.epoch == then.epoch
            if ours and row.offset == span.first and self._is_whole_slice(span):
                self.world.violate(f"{owner} sends on lane {lane}, and {row.url} is not committed")

    def _is_whole_slice(self, span):
        """Not a part of one, or what was left of it: a refused batch is halved wherever its middle is."""
        texts = self.world.texts_of[span.oid]
        if self.world.refused.intersection(texts):
            return False
        block = Block(0, [text.encode() for text in texts], [None] * len(texts), False)
        return span.end in {piece.end for piece in slicer.cut(iter([block]), Origin(span.oid, "", ""))}

    def answered(self, owner, lane, channel, ack_id):
        """The answer to the batch in this lane reached the collector."""
        rows_sent, *_ = self.lanes[owner, lane]
        self.lanes[owner, lane] = (rows_sent, channel, ack_id)

    def restart(self):
        """The indexer forgets its ackIds; what it had not written yet is gone."""
        for at, texts in self.pending.values():
            if at <= self.world.seconds:
                self.indexed.update(texts)
        self.denied.update(self.pending)
        self.pending.clear()
