"""The ports of the simulated world: as the real ones behave, with the world's faults around them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

from collector.errors import Poison, Refused, Retry
from collector.model import Block, Message, Notification, ObjectRef, Payload, Receipt
from collector.ports import Advance, Finish, Page, Release
from tests.simulation.world import BUCKET

LISTED_MAX = 7


class SimQueue:
    """SQS: visibility, receive counts, stale handles, dead letters."""

    name = "queue"

    def __init__(self, world):
        self.world = world
        self.fifo = world.fifo

    def receive(self, count, *, wait_seconds, hide_seconds=None):
        world = self.world
        world.maybe_fail("receive")
        now = world.clock.monotonic()
        self._bury(now)
        ready = [one for one in world.queue.values() if one.visible_at <= now]
        if self.fifo:
            blocked = any(one.visible_at > now and one.receives for one in world.queue.values())
            ready = [] if blocked else ready
        else:
            world.rng.shuffle(ready)
        received = [self._hand_out(one, now + (hide_seconds or world.visibility)) for one in ready[:count]]
        world.maybe_ambiguous("receive")
        return received

    def _hand_out(self, one, visible_at):
        world = self.world
        one.handle = next(world.handles)
        one.receives += 1
        one.visible_at = visible_at
        if world.rng.random() < world.faults.redeliver:
            one.visible_at = world.clock.monotonic() + 1.0
        group = "group" if self.fifo else None
        return Message(one.message_id, one.body, str(one.handle), one.receives, one.sent_at, group)

    def _bury(self, now):
        world = self.world
        for one in list(world.queue.values()):
            if world.max_receives and one.receives >= world.max_receives and one.visible_at <= now:
                world.dead.append(world.queue.pop(one.message_id))

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
                one.visible_at = world.clock.monotonic() + timeout_seconds
        return failures

    def check(self):
        return None


class SimObject:
    def __init__(self, world, ref, data, modified):
        self.world = world
        self.ref = ref
        self.last_modified = modified
        self.metadata = {}
        self.kms_key_arn = ""
        self._data = data

    def read(self):
        if self._data and self.world.rng.random() < self.world.faults.cut_body:
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
        if ref.etag is not None and ref.etag != etag:
            raise Poison("changed", code="superseded")
        return SimObject(self.world, replace(ref, etag=etag, size=len(data)), data, modified)

    def list(self, bucket, *, prefix="", start_after="", token=""):
        self.world.maybe_fail("list")
        keys = sorted(key for key in self.world.objects if key > token)[:LISTED_MAX]
        refs = [self._listed(bucket, key) for key in keys]
        return Page(refs, keys[-1] if len(keys) == LISTED_MAX else "")

    def _listed(self, bucket, key):
        etag, data, modified = self.world.objects[key]
        return ObjectRef(bucket, key, etag=etag, size=len(data), event_time=modified)

    def check(self):
        return None


class SimHec:
    """Splunk HEC, with indexer acknowledgement where the world says so."""

    name = "hec"
    lanes = 2
    envelope_bytes = 100

    def __init__(self, world, owner):
        self.world = world
        self.owner = owner
        self.channels = {lane: f"{owner}-{lane}" for lane in range(self.lanes)}
        self.renewals = itertools.count()

    def send(self, batch, *, lane):
        world = self.world
        world.maybe_fail("send")
        texts = [bytes(event.body).decode() for _, event in batch]
        for index, text in enumerate(texts):
            if text in world.refused:
                raise self._refuse(texts, index)
        channel, ack_id = self.channels[lane], None
        if world.acks:
            ack_id = world.ack_ids[channel]
            world.ack_ids[channel] += 1
            at = world.clock.monotonic() + world.rng.choice((0.5, 3.0, 20.0))
            world.pending[channel, ack_id] = (at, texts)
        self._take(texts)
        try:
            world.maybe_ambiguous("send")
        except Retry:
            world.excuse(texts)
            raise
        return Receipt(self.name, batch.spans, world.clock.now(), channel=channel, ack_id=ack_id)

    def _take(self, texts):
        """Indexed at once without acknowledgement. A collector that was taken over may send once more."""
        world = self.world
        world.sent.update(texts)
        if not world.acks:
            world.indexed.update(texts)
        for text in texts:
            row = world.table.rows.get(world.identity_of[text])
            if row is not None and row.owner != self.owner:
                world.excuse([text])

    def _refuse(self, texts, index):
        accepted = 0
        if not self.world.acks:
            accepted = index
            self._take(texts[:index])
        told = index if self.world.rng.random() < 0.5 or accepted else None
        return Refused("bad event", code="hec_event", accepted=accepted, offender=told)

    def ask(self, receipts):
        world = self.world
        world.maybe_fail("ask")
        answers, told = [], []
        for receipt in receipts:
            pending = world.pending.get((receipt.channel, receipt.ack_id))
            answers.append(pending is not None and pending[0] <= world.clock.monotonic())
            if answers[-1]:
                told += world.pending.pop((receipt.channel, receipt.ack_id))[1]
        world.indexed.update(told)
        try:
            world.maybe_ambiguous("ask")
        except Retry:
            world.excuse(told)
            raise
        return answers

    def abandon(self, receipt):
        for span in receipt.spans:
            self.world.excuse(self.world.texts_of.get(span.oid, ())[span.first : span.end])
        for lane, channel in self.channels.items():
            if channel == receipt.channel:
                self.channels[lane] = f"{channel}.{next(self.renewals)}"

    def check(self):
        return None

    def close(self):
        return None


class SimStore:
    """The checkpoint store's twin with faults around it, and the laws of rows checked at each write."""

    def __init__(self, world, inner):
        self.world = world
        self.inner = inner
        self.owner = inner.owner

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
            if isinstance(change, Release):
                self.world.excuse(self.world.exposed(change.oid))
            answers += self.inner.apply([change])
            if row is not None and answers[-1]:
                self.world.check_write(self, change, row)
        for entry in self.inner.table.entries.values():
            self.world.quarantined[entry.body.decode()] = entry.reason
        self._commit("apply")
        return answers

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
    named = ((key, etag if said else None) for key, etag, said in content["refs"])
    return Notification("s3", refs=tuple(ObjectRef(BUCKET, key, etag=etag) for key, etag in named))


def decode(chunks, route):
    """Lines, a few at a time: the engine does not care what a format is."""
    rest, first = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield Block(first, lines, [None] * len(lines), False)
            first += len(lines)
    if rest:
        yield Block(first, [rest], [None], False)
