"""The world around the engine: provider, queue, bucket, outputs and disk, in one virtual time.

Laws are checked where they can be broken: at the delete, at the claim, at each write of a row, at each
send, at the end. What happens to a copy of an event, the outputs' `Indexer` writes down.
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
from tests.simulation.indexer import Indexer

__all__ = ["BUCKET", "INPUT", "HostClock", "World"]

#: Virtual time begins at 0; this is the wall clock then.
EPOCH = 1_800_000_000.0
BUCKET = "b"
INPUT = "sim"


class HostClock:
    """One host's clocks: `skew` is what was done to the wall clock, `slept` what monotonic time missed."""

    def __init__(self, world):
        self.world = world
        self.skew = 0.0
        self.slept = 0.0

    def now(self):
        return EPOCH + self.world.seconds + self.skew

    def monotonic(self):
        return self.world.seconds - self.slept


@dataclass
class Envelope:
    """A message as the queue holds it."""

    message_id: str
    body: str
    visible_at: float
    sent_at: float
    group: str = ""
    handle: int = 0
    receives: int = 0


class World:
    """What the collectors share. `texts_of` are the audits that must arrive, by identity."""

    def __init__(self, seed, conditions):
        self.rng = random.Random(seed)
        self.seconds = 0.0
        self.conditions = conditions
        #: What the collectors take for the provider's bucket.
        self.configured = BUCKET
        self.clocks = [HostClock(self) for _ in range(conditions.hosts)]
        # the provider's side
        self.objects = {}
        self.texts_of = {}
        self.place_of = {}
        self.taken_away = set()
        self.unheard = set()
        self.unsent = []
        self.has_told = False
        self.queue = {}
        self.dead = []
        self.handles = itertools.count(1)
        self.denied = {}
        self.tries = Counter()
        self.finished = {}
        # the outputs' side
        self.outputs = [
            Indexer(self, f"output{number}", acks=acks, slow_seconds=0 if number else conditions.slow_output)
            for number, acks in enumerate(conditions.acks)
        ]
        self.refused = set()
        # the collectors' disk
        self.table = MemoryTable()
        self.synced = copy.copy(self.table)
        self.quarantined = {}
        self.living = set()
        # the judge's side
        self.identity_of = {}
        self.violations = []
        self.troubles = {}
        self.calls = Counter()
        self.took_seconds = 0.0

    # -- the provider ---------------------------------------------------------------------------

    def write(self, number, events, *, payload=False):
        """One object (or one body that is the audit), and its notification, perhaps lost or repeated."""
        texts = self._texts(number, max(events, 1 if payload else 0))
        if payload:
            self._write_payload(texts)
            return
        chance, key = self.conditions, f"k/{number:05d}"
        if self.objects and self.rng.random() < chance.overwrite:
            key = self.rng.choice(sorted(self.objects))
            self._take_away(key)
        etag = f"etag{number}"
        data = ("\n".join(texts) + "\n").encode() if texts else b""
        self.objects[key] = (etag, data, EPOCH + self.seconds)
        self._remember(object_identity(INPUT, ObjectRef(BUCKET, key, etag=etag)), (key, etag), texts)
        if self.rng.random() < chance.denied:
            self.denied[key] = self.seconds + self.rng.choice(chance.denied_seconds)
        self.unsent.append([key, etag, self.rng.random() >= chance.without_etag, len(data)])
        if self.rng.random() >= chance.several_refs:
            self.notify()
        if self.rng.random() < chance.remove:
            self._take_away(self.rng.choice(sorted(self.objects)))

    def notify(self):
        """Name everything that was written since, in one message."""
        refs, self.unsent = self.unsent, []
        if refs and self.rng.random() >= self.conditions.lose_notification:
            self._send(json.dumps({"refs": refs}))
            self.has_told = True
        else:
            self.unheard.update((key, etag) for key, etag, *_ in refs)

    def write_noise(self):
        """What nobody understands, what needs no work, and once ours was named what names another bucket."""
        kinds = ["not understood", '{"noop": 1}']
        if self.has_told:
            kinds.append(json.dumps({"bucket": "a-strangers", "refs": [["k", "etag", True, 9]]}))
        self._send(self.rng.choice(kinds))

    def _texts(self, number, count):
        texts = []
        for index in range(count):
            bad = self.rng.random() < self.conditions.poison_event
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
        self.denied.pop(key, None)
        self.taken_away.add((key, etag))

    def _send(self, body):
        twice = self.rng.random() < self.conditions.repeat_notification and not self.conditions.fifo
        for _ in range(2 if twice else 1):
            name = f"m{self.calls['notify']}"
            self.calls["notify"] += 1
            at = self.seconds + self.rng.choice((0, 0, 30))
            group = self.rng.choice(("one", "other")) if self.conditions.fifo else ""
            self.queue[name] = Envelope(name, body, at, EPOCH + self.seconds, group)

    # -- laws -----------------------------------------------------------------------------------

    def violate(self, what):
        self.violations.append(what)

    def is_safe(self, text):
        """Every output has it, or it is in quarantine: by its bytes, or by reference with its object."""
        if all(output.indexed[text] for output in self.outputs) or text in self.quarantined:
            return True
        identity = self.identity_of[text]
        url = f"s3://{BUCKET}/{self.place_of[identity][0]}"
        return identity in self.quarantined or url in self.quarantined

    def check_delete(self, envelope):
        """A message is deleted only when all it names is safe, and what nobody understands is kept."""
        try:
            content = json.loads(envelope.body)
        except ValueError:
            content = None
        if envelope.message_id in self.table.spool:
            return
        if content is None or "bucket" in content:
            if envelope.body not in self.quarantined:
                self.violate(f"{envelope.message_id} deleted, and its body is not in quarantine")
            return
        texts = list(content.get("audit", ()))
        for key, etag, *_ in content.get("refs", ()):
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
            self.expose(after.oid)
        if self.table.owners.get(before.owner, 0.0) + 10.0 >= store.clock.now():
            self.violate(f"{after.url} taken from {before.owner}, who is alive")

    def check_write(self, store, change, row):
        """An accepted write comes from the row's owner under the row's epoch, and never goes back."""
        if row.epoch != change.epoch or row.owner != store.owner:
            self.violate(f"{row.url} written by {store.owner}, epoch {change.epoch}, not its owner's")

    def expose(self, oid):
        for output in self.outputs:
            output.expose(oid)

    def died(self, owner):
        """A collector is gone without a word. On its own host that is noticed at once."""
        self.living.discard(owner)
        for oid in list(self.table.open):
            if self.table.rows[oid].owner == owner:
                self.expose(oid)
        if self.conditions.hosts == 1:
            self.table.owners.pop(owner, None)

    # -- disasters ------------------------------------------------------------------------------

    def trouble(self, what, seconds, error):
        """From now on for so many seconds, this call fails alike."""
        self.troubles[what] = (self.seconds + seconds, error)

    def denial_of(self, key, kms_key):
        """Why this object may not be read now, if so: it is denied itself, or its KMS key is."""
        self.tries[key] += 1
        if self.denied.get(key, 0.0) > self.seconds:
            return Fatal("access denied", code="access_denied", scope="object")
        until, error = self.troubles.get(kms_key, (0.0, None))
        return error if until > self.seconds else None

    def cut_power(self):
        """The disk comes back as it was last synced; with synchronous=full that is how it is."""
        if self.conditions.synchronous != "full":
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
        if self.conditions.synchronous != "full" and self.rng.random() < 0.05:
            self.sync()

    def maybe_fail(self, what):
        """Before the effect: nothing has happened."""
        self.calls[what] += 1
        until, error = self.troubles.get(what, (0.0, None))
        if until > self.seconds:
            raise error
        if self.conditions.fail and self.rng.random() < self.conditions.fail:
            raise Retry(f"{what} failed", code="simulated", after_seconds=self.rng.choice((None, 2.0)))

    def maybe_ambiguous(self, what):
        """After the effect: it has happened, but nobody knows."""
        if self.conditions.ambiguous and self.rng.random() < self.conditions.ambiguous:
            raise Retry(f"{what} timed out", code="simulated_timeout")
