"""The world around the engine: provider, queue, bucket, indexer and disk, on one virtual clock.

`Faults` decides, from the seed, what fails, what fails after it took effect, and what is lost. Laws are
checked where they can be broken: at the delete, at the claim, at each write of a row, at the end. Each
fault excuses the repeats that it may lead to, event by event; a repeat without an excuse breaks a law.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass

from collector.errors import Fatal, Retry
from collector.model import ObjectRef, Payload, object_identity, payload_identity
from collector.testing.memory_store import MemoryTable

BUCKET = "b"
INPUT = "sim"


class VirtualClock:
    """`skew` is what somebody did to the wall clock; monotonic time does not see it."""

    def __init__(self):
        self.seconds = 1_800_000_000.0
        self.skew = 0.0

    def now(self):
        return self.seconds + self.skew

    def monotonic(self):
        return self.seconds


@dataclass
class Faults:
    """Chances of what may go wrong at one port call or one step. All zero: a quiet world."""

    fail: float = 0.0
    ambiguous: float = 0.0
    kill: float = 0.0
    power_cut: float = 0.0
    restart: float = 0.0
    pause: float = 0.0
    clock_jump: float = 0.0
    lose_notification: float = 0.0
    repeat_notification: float = 0.0
    several_refs: float = 0.0
    overwrite: float = 0.0
    remove: float = 0.0
    redeliver: float = 0.0
    forget_acks: float = 0.0
    fatal: float = 0.0
    cut_body: float = 0.0
    poison_event: float = 0.0

    def quiet(self):
        return Faults(repeat_notification=self.repeat_notification, several_refs=self.several_refs)


@dataclass
class Envelope:
    """A message as the queue holds it."""

    message_id: str
    body: str
    visible_at: float
    sent_at: float
    handle: int = 0
    receives: int = 0


class World:
    """What the collectors share. `texts_of` are the audits that must arrive, by identity.

    `synchronous` is SQLite's word: after a power cut, a disk that is not "full" may have forgotten its
    last commits. A message received `max_receives` times is dead.
    """

    def __init__(self, seed, faults, *, fifo=False, acks=True, synchronous="full", max_receives=0):
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.faults = faults
        self.fifo = fifo
        self.acks = acks
        self.synchronous = synchronous
        self.max_receives = max_receives
        self.visibility = 300
        # the provider's side
        self.objects = {}
        self.texts_of = {}
        self.place_of = {}
        self.taken_away = set()
        self.unsent = []
        self.queue = {}
        self.dead = []
        self.handles = itertools.count(1)
        # the indexer's side
        self.indexed = Counter()
        self.sent = Counter()
        self.pending = {}
        self.ack_ids = Counter()
        self.refused = set()
        # the collectors' disk
        self.table = MemoryTable()
        self.synced = copy.copy(self.table)
        self.quarantined = {}
        self.living = set()
        # the judge's side
        self.identity_of = {}
        self.excuses = Counter()
        self.violations = []
        self.broken_until = 0.0
        self.calls = Counter()

    # -- the provider ---------------------------------------------------------------------------

    def write(self, number, events, *, payload=False):
        """One object (or one body that is the audit), and its notification, perhaps lost or repeated."""
        texts = self._texts(number, max(events, 1 if payload else 0))
        if payload:
            self._write_payload(texts)
            return
        key = f"k/{number:05d}"
        if self.objects and self.rng.random() < self.faults.overwrite:
            key = self.rng.choice(sorted(self.objects))
            self._take_away(key)
        etag = f"etag{number}"
        data = ("\n".join(texts) + "\n").encode() if texts else b""
        self.objects[key] = (etag, data, self.clock.now())
        self._remember(object_identity(INPUT, ObjectRef(BUCKET, key, etag=etag)), (key, etag), texts)
        self.unsent.append([key, etag, self.rng.random() < 0.5])
        if self.rng.random() >= self.faults.several_refs:
            self.notify()
        if self.rng.random() < self.faults.remove:
            self._take_away(self.rng.choice(sorted(self.objects)))

    def notify(self):
        """Name everything that was written since, in one message."""
        refs, self.unsent = self.unsent, []
        if refs and self.rng.random() >= self.faults.lose_notification:
            self._send(json.dumps({"refs": refs}))

    def write_noise(self):
        self._send(self.rng.choice(("not understood", '{"noop": 1}')))

    def _texts(self, number, count):
        texts = []
        for index in range(count):
            bad = self.rng.random() < self.faults.poison_event
            name = f"{'bad' if bad else 'event'}-{number}-{index}-"
            texts.append(name + "x" * self.rng.choice((5, 300, 900)))
            if bad:
                self.refused.add(texts[-1])
        return texts

    def _write_payload(self, texts):
        identity = payload_identity(INPUT, Payload(texts[0], b""))
        self._remember(identity, ("", texts[0]), texts)
        self._send(json.dumps({"audit": texts}))

    def _remember(self, identity, place, texts):
        self.texts_of[identity] = texts
        self.place_of[identity] = place
        for text in texts:
            self.identity_of[text] = identity

    def _take_away(self, key):
        """The provider overwrites or deletes an object: what was not read of it is nobody's to read."""
        etag = self.objects.pop(key)[0]
        self.taken_away.add((key, etag))

    def _send(self, body):
        copies = 2 if self.rng.random() < self.faults.repeat_notification and not self.fifo else 1
        for _ in range(copies):
            name = f"m{self.calls['notify']}"
            self.calls["notify"] += 1
            at = self.clock.monotonic() + self.rng.choice((0, 0, 30))
            self.queue[name] = Envelope(name, body, at, self.clock.now())

    # -- laws -----------------------------------------------------------------------------------

    def violate(self, what):
        self.violations.append(what)

    def is_safe(self, text):
        return self.indexed[text] > 0 or text in self.quarantined

    def check_delete(self, envelope):
        """A message is deleted only when all it names is safe, and what nobody understands is kept."""
        try:
            content = json.loads(envelope.body)
        except ValueError:
            if envelope.body not in self.quarantined:
                self.violate(f"{envelope.message_id} deleted, and its body is not in quarantine")
            return
        if envelope.message_id in self.table.spool:
            return
        texts = list(content.get("audit", ()))
        for key, etag, _ in content.get("refs", ()):
            if (key, etag) not in self.taken_away:
                texts += self.texts_of[object_identity(INPUT, ObjectRef(BUCKET, key, etag=etag))]
        unsafe = [text for text in texts if not self.is_safe(text)]
        if unsafe:
            self.violate(f"{envelope.message_id} deleted before {unsafe[0][:30]} was safe")

    def check_claim(self, store, before, after):
        """A row is taken only from an owner whose word has run out."""
        if before is None or before.owner in ("", after.owner):
            return
        if before.owner in self.living:
            self.excuse(self.exposed(after.oid))
        if self.table.owners.get(before.owner, 0.0) + 10.0 >= self.clock.now():
            self.violate(f"{after.url} taken from {before.owner}, who is alive")

    def check_write(self, store, change, row):
        """An accepted write comes from the row's owner under the row's epoch, and never goes back."""
        if row.epoch != change.epoch or row.owner != store.owner:
            self.violate(f"{row.url} written by {store.owner}, epoch {change.epoch}, not its owner's")

    # -- excuses --------------------------------------------------------------------------------

    def excuse(self, texts):
        """These events may arrive once more, and no law is broken."""
        self.excuses.update(texts)

    def exposed(self, oid):
        """Events of an object that were sent, are not committed, and that no saved receipt speaks for."""
        row = self.table.rows.get(oid)
        texts = self.texts_of.get(oid, ())
        if row is None or row.state != "open":
            return []
        covered = set()
        for receipt_id in self.table.receipts_of.get(oid, ()):
            receipt = self.table.receipts[receipt_id]
            if receipt.ack_id is None or (receipt.channel, receipt.ack_id) in self.pending:
                for span in receipt.spans:
                    covered.update(range(span.first, span.end) if span.oid == oid else ())
        return [
            text for at, text in enumerate(texts)
            if at >= row.offset and at not in covered and self.sent[text]
        ]  # fmt: skip

    def died(self, owner):
        """A collector is gone without a word."""
        self.living.discard(owner)
        for row in list(self.table.rows.values()):
            if row.owner == owner:
                self.excuse(self.exposed(row.oid))

    # -- disasters ------------------------------------------------------------------------------

    def restart_indexer(self):
        """The indexer forgets its ackIds; what it had not written yet is gone."""
        for at, texts in self.pending.values():
            if at <= self.clock.monotonic():
                self.indexed.update(texts)
                self.excuse(texts)
        self.pending.clear()

    def cut_power(self):
        """The disk comes back as it was last synced; with synchronous=full that is how it is."""
        if self.synchronous != "full":
            self.table = self.synced
            self.quarantined = {one.body.decode(): one.reason for one in self.table.entries.values()}
            self.sync()

    def sync(self):
        """What the disk will remember over a power cut."""
        kept = copy.copy(self.table)
        for name in ("rows", "open", "owners", "receipts", "entries", "spool"):
            setattr(kept, name, copy.copy(getattr(self.table, name)))
        kept.receipts_of = {oid: dict(ends) for oid, ends in self.table.receipts_of.items()}
        self.synced = kept

    def committed(self):
        """After each commit: a disk that is not synced at each of them is so once in a while."""
        if self.synchronous != "full" and self.rng.random() < 0.05:
            self.sync()

    def jump(self):
        """Somebody sets the wall clock."""
        self.clock.skew += self.rng.choice((-3600.0, -30.0, 30.0, 90.0, 3600.0))

    def maybe_fail(self, what):
        """Before the effect: nothing has happened."""
        self.calls[what] += 1
        if self.rng.random() < self.faults.fail:
            raise Retry(f"{what} failed", code="simulated", after_seconds=self.rng.choice((None, 2.0)))
        if self.rng.random() < self.faults.fatal:
            self.broken_until = self.clock.monotonic() + self.rng.choice((10.0, 200.0, 4000.0))
        if self.clock.monotonic() < self.broken_until and what in ("send", "open"):
            scope = "output" if what == "send" else "object"
            raise Fatal(f"{what} denied", code="simulated_denial", scope=scope)

    def maybe_ambiguous(self, what):
        """After the effect: it has happened, but nobody knows."""
        if self.rng.random() < self.faults.ambiguous:
            raise Retry(f"{what} timed out", code="simulated_timeout")
