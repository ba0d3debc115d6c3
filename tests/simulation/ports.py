"""The ports of the simulated world: as the real ones behave, with the world's faults around them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

from collector.errors import CollectorError, Poison, Refused, Retry
from collector.model import GATHERING, Block, Message, Notification, ObjectRef, Payload, Receipt
from collector.ports import Advance, Finish, Page, Quarantined, QueueDepth, Release, SaveReceipt
from tests.simulation.world import BUCKET

LISTED_MAX = 7


class SimQueue:
    """SQS: visibility, receive counts, stale handles, dead letters."""

    name = "queue"

    def __init__(self, world):
        self.world = world
        self.fifo = world.conditions.fifo

    def receive(self, count, *, wait_seconds, hide_seconds=None):
        world = self.world
        world.maybe_fail("receive")
        now = world.seconds
        self._bury(now)
        ready = [one for one in world.queue.values() if one.visible_at <= now]
        if self.fifo:
            blocked = {one.group for one in world.queue.values() if one.visible_at > now and one.receives}
            ready = [one for one in ready if one.group not in blocked]
        elif len(ready) > 1:
            world.rng.shuffle(ready)
        received = [self._hand_out(one, now + hide_seconds) for one in ready[:count]]
        if not received:
            world.took_seconds = wait_seconds
        world.maybe_ambiguous("receive")
        return received

    def _hand_out(self, one, visible_at):
        world = self.world
        one.handle = next(world.handles)
        one.receives += 1
        one.visible_at = visible_at
        if world.conditions.redeliver and world.rng.random() < world.conditions.redeliver:
            one.visible_at = world.seconds + 1.0
        return Message(
            one.message_id, one.body, str(one.handle), one.receives, one.sent_at, one.group or None
        )

    def _bury(self, now):
        most = self.world.conditions.max_receives
        for one in list(self.world.queue.values()) if most else ():
            if one.receives >= most and one.visible_at <= now:
                self.world.dead.append(self.world.queue.pop(one.message_id))

    def delete(self, messages):
        world = self.world
        world.maybe_fail("delete")
        for message in messages:
            one = world.queue.get(message.message_id)
            if one is not None and str(one.handle) == message.receipt_handle:
                world.check_delete(one)
                del world.queue[message.message_id]
        world.maybe_ambiguous("delete")
        return {}

    def change_visibility(self, messages, *, timeout_seconds):
        world = self.world
        world.maybe_fail("visibility")
        failures = {}
        for message in messages:
            one = world.queue.get(message.message_id)
            if one is None or str(one.handle) != message.receipt_handle:
                failures[message.message_id] = Poison("stale handle", code="lease_lost")
            else:
                one.visible_at = world.seconds + timeout_seconds
        return failures

    def measure(self):
        """Counts are about right at best; nobody may ask in some worlds."""
        world = self.world
        world.maybe_fail("measure")
        hidden = sum(one.visible_at > world.seconds for one in world.queue.values())
        return QueueDepth(len(world.queue) - hidden, hidden, 0, 4 * 86400.0)


def kms_key_of(key):
    """Two KMS keys, one for every other object."""
    return f"kms-key-{int(key[-1]) % 2}"


class SimObject:
    def __init__(self, world, ref, data, modified):
        self.world = world
        self.ref = ref
        self.last_modified = modified
        self.metadata = {}
        self.kms_key_arn = kms_key_of(ref.key)
        self._data = data
        self._steps = len(data) % 3

    def prepare(self):
        """Some objects take several steps before their first byte."""
        self._steps -= 1
        return self._steps >= 0

    def read(self):
        chance = self.world.conditions.cut_body
        if chance and self._data and self.world.rng.random() < chance:
            raise Retry("connection reset", code="simulated_reset")
        chunk, self._data = self._data[:700], self._data[700:]
        return chunk

    def close(self):
        self._data = b""


class SimBucket:
    """S3 without versions: an overwrite takes the old object away."""

    def __init__(self, world):
        self.world = world

    def open(self, ref):
        self.world.maybe_fail("open")
        found = self.world.objects.get(ref.key)
        if found is None:
            raise Poison("no such key", code="gone", sightings=3)
        etag, data, modified = found
        denial = self.world.denial_of(ref.key, kms_key_of(ref.key))
        if denial is not None:
            raise denial
        if ref.etag is not None and ref.etag != etag:
            raise Poison("changed", code="superseded")
        return SimObject(self.world, replace(ref, etag=etag, size=len(data)), data, modified)

    def foresee(self, refs):
        """What may be asked for ahead changes no answer."""

    def list(self, bucket, *, prefix="", start_after="", token=""):
        self.world.maybe_fail("list")
        keys = sorted(key for key in self.world.objects if key > (token or start_after))[:LISTED_MAX]
        refs = [self._listed(bucket, key) for key in keys]
        return Page(refs, keys[-1] if len(keys) == LISTED_MAX else "")

    def _listed(self, bucket, key):
        etag, data, modified = self.world.objects[key]
        return ObjectRef(bucket, key, etag=etag, size=len(data), event_time=modified)


class SimSink:
    """Splunk HEC towards one collector: a channel a lane, batches taken whole or refused."""

    lanes = 2

    def __init__(self, world, indexer, owner, clock):
        self.world = world
        self.indexer = indexer
        self.name = indexer.name
        self.owner = owner
        self.clock = clock
        self.channels = {lane: f"{owner}-{indexer.name}-{lane}" for lane in range(self.lanes)}
        self.renewals = itertools.count()

    def rendered_bytes(self, piece):
        return piece.size_bytes + piece.count * 100

    def send(self, batch, *, lane):
        world, indexer = self.world, self.indexer
        world.maybe_fail(f"send {self.name}")
        world.took_seconds = indexer.slow_seconds
        texts = [bytes(event.body).decode() for _, event in batch]
        for index, text in enumerate(texts):
            if text in world.refused:
                raise self._refuse(texts, index)
        indexer.take(self.owner, texts)
        channel = self.channels[lane]
        ack_id = indexer.promise(channel, texts)
        try:
            world.maybe_ambiguous(f"send {self.name}")
        except Retry:
            indexer.leave_in_doubt(self.owner, texts)
            raise
        indexer.answered(self.owner, lane, channel, ack_id)
        return Receipt(self.name, batch.spans, self.clock.now(), channel=channel, ack_id=ack_id)

    def _refuse(self, texts, index):
        """What comes before the bad event is taken; with acknowledgement no ackId says so."""
        accepted = 0 if self.indexer.acks else index
        self.indexer.take(self.owner, texts[:index])
        if self.indexer.acks:
            self.indexer.indexed.update(texts[:index])
            self.indexer.leave_in_doubt(self.owner, texts[:index])
        told = index if self.world.rng.random() < 0.5 or accepted else None
        return Refused("bad event", code="hec_event", accepted=accepted, offender=told)

    def ask(self, receipts):
        try:
            self.world.maybe_fail(f"ask {self.name}")
            answers = [self.indexer.answer(receipt) for receipt in receipts]
            self.world.maybe_ambiguous(f"ask {self.name}")
        except CollectorError:
            self.indexer.denied.update((receipt.channel, receipt.ack_id) for receipt in receipts)
            raise
        return answers

    def abandon(self, receipt):
        self.indexer.unanswered(receipt)
        for lane, channel in self.channels.items():
            if channel == receipt.channel:
                self.channels[lane] = f"{channel}.{next(self.renewals)}"

    def close(self):
        return None


class SimStore:
    """The checkpoint store's twin with faults around it, and the laws of rows checked at each write."""

    def __init__(self, world, inner, clock):
        self.world = world
        self.inner = inner
        self.owner = inner.owner
        self.clock = clock

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def claim(self, wanted):
        self.world.maybe_fail("claim")
        claims = []
        for row in wanted:
            before = self.inner.table.rows.get(row.oid)
            claims += self.inner.claim([row])
            if claims[-1].verdict == "yours":
                self.world.check_claim(self, before, claims[-1].row)
        self._commit("claim")
        return claims

    def apply(self, changes):
        self.world.maybe_fail("apply")
        answers = []
        for change in changes:
            row = None
            if isinstance(change, (Advance, Finish, Release)):
                row = self.inner.table.rows.get(change.oid)
            answers += self.inner.apply([change])
            if row is not None and answers[-1]:
                self.world.check_write(self, change, row)
                if isinstance(change, Finish):
                    self.world.finished[row.url] = self.world.seconds
                if isinstance(change, Release):
                    self.world.expose(change.oid)
            self._note(change)
        self._commit("apply")
        return answers

    def check(self):
        until, _ = self.world.troubles.get("apply", (0.0, None))
        if until > self.world.seconds:
            raise Retry("the disk is full", code="disk_low")

    def quarantine_bytes(self):
        """An operator looks after a full quarantine, after a while."""
        size_bytes = self.inner.quarantine_bytes()
        if size_bytes >= self.world.conditions.quarantine_bytes and self.world.rng.random() < 0.2:
            self.inner.unquarantine([entry.id for entry in self.inner.quarantine()])
        return size_bytes

    def _note(self, change):
        if isinstance(change, Quarantined):
            has_etag = change.row is not None and change.row.etag
            reference = change.oid if has_etag else change.url
            self.world.quarantined[change.body.decode() or reference] = change.reason
        elif isinstance(change, SaveReceipt):
            for output in self.world.outputs:
                if output.name == change.receipt.output:
                    output.saved.add((change.receipt.channel, change.receipt.ack_id))

    def missing(self, oids):
        self.world.maybe_fail("missing")
        return self.inner.missing(oids)

    def alive(self, until):
        self.world.maybe_fail("alive")
        self.inner.alive(until)
        self._commit("alive")

    def _commit(self, what):
        self.world.committed()
        self.world.maybe_ambiguous(what)


def parse(body):
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Poison("not JSON", code="unknown_body") from error
    if "audit" in content:
        text = "\n".join(content["audit"]).encode()
        return Notification("audit", payloads=(Payload(content["audit"][0], text),))
    if "refs" not in content:
        return Notification("noop", noop="nothing to do")
    bucket = content.get("bucket", BUCKET)
    refs = (
        ObjectRef(bucket, key, etag=etag if said else None, size=size)
        for key, etag, said, size in content["refs"]
    )
    return Notification("s3", refs=tuple(refs))


def decode(chunks, route):
    """Lines, a few at a time: the engine does not care what a format is."""
    rest, first = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield Block(first, lines, [None] * len(lines), False)
            first += len(lines)
        if len(rest) > 500:
            yield Block(first, [], [], False, GATHERING)
    if rest:
        yield Block(first, [rest], [None], False)
