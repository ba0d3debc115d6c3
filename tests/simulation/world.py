"""The world around the engine: a queue, a bucket, an output and a disk that behave like the real ones.

Everything runs on one virtual clock. `Faults` decides, from the seed, what fails, what fails after it
took effect, and what is lost. Invariants are checked where they can be broken: at the delete, at the end.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from collector.errors import Fatal, Poison, Refused, Retry
from collector.model import Block, Message, ObjectRef, Receipt
from collector.ports import Page

LISTED_MAX = 7


class VirtualClock:
    def __init__(self):
        self.seconds = 1_800_000_000.0
        self.skew = 0.0

    def now(self):
        return self.seconds + self.skew

    def monotonic(self):
        return self.seconds


@dataclass
class Faults:
    """Chances of what may go wrong at one port call. All zero: a quiet world."""

    fail: float = 0.0
    ambiguous: float = 0.0
    kill: float = 0.0
    lose_notification: float = 0.0
    repeat_notification: float = 0.0
    redeliver: float = 0.0
    forget_acks: float = 0.0
    fatal: float = 0.0
    cut_body: float = 0.0
    poison_event: float = 0.0

    def quiet(self):
        return Faults(repeat_notification=self.repeat_notification)


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
    """What the collectors share. `events` are the audits that must arrive, by their text."""

    def __init__(self, seed, faults, *, fifo=False, acks=True):
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.faults = faults
        self.fifo = fifo
        self.acks = acks
        self.objects = {}
        self.queue = {}
        self.handles = itertools.count(1)
        self.indexed = Counter()
        self.sent = Counter()
        self.pending = {}
        self.ack_ids = Counter()
        self.refused = set()
        self.quarantined = {}
        self.expected = {}
        self.violations = []
        self.broken_until = 0.0
        self.calls = Counter()
        self.table = None
        self.visibility = 300

    # -- the provider ---------------------------------------------------------------------------

    def write(self, number, events, *, payload=False):
        """One object (or one body that is the audit), and its notification, perhaps lost or repeated."""
        texts = []
        for index in range(max(events, 1 if payload else 0)):
            bad = self.rng.random() < self.faults.poison_event
            name = f"{'bad' if bad else 'event'}-{number}-{index}-"
            texts.append(name + "x" * self.rng.choice((5, 300, 900)))
            if bad:
                self.refused.add(texts[-1])
        if payload:
            body = json.dumps({"audit": texts})
            self.expected[f"payload-{number}"] = texts
            self._notify(body, lossless=True)
            return
        key = f"k/{number:05d}"
        data = ("\n".join(texts) + "\n").encode() if texts else b""
        self.objects[key] = (f"etag{number}", data, self.clock.now())
        self.expected[key] = texts
        self._notify(json.dumps({"keys": [key]}), lossless=False)

    def write_noise(self):
        self._notify(self.rng.choice(("not understood", '{"noop": 1}')), lossless=True)

    def _notify(self, body, *, lossless):
        if not lossless and self.rng.random() < self.faults.lose_notification:
            return
        copies = 2 if self.rng.random() < self.faults.repeat_notification and not self.fifo else 1
        for _ in range(copies):
            name = f"m{self.calls['notify']}"
            self.calls["notify"] += 1
            at = self.clock.monotonic() + self.rng.choice((0, 0, 30))
            self.queue[name] = Envelope(name, body, at, self.clock.now())

    def needed(self, body):
        """The events that must be safe before the message with this body may be deleted."""
        try:
            content = json.loads(body)
        except ValueError:
            return [], body
        if "audit" in content:
            return content["audit"], ""
        return [text for key in content.get("keys", ()) for text in self.expected[key]], ""

    def restart_hec(self):
        """The indexer forgets its ackIds; what it had not written yet is gone."""
        for at, texts in self.pending.values():
            if at <= self.clock.monotonic():
                self.indexed.update(texts)
        self.pending.clear()

    def is_safe(self, text):
        return self.indexed[text] > 0 or text in self.quarantined

    # -- faults ---------------------------------------------------------------------------------

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


class SimQueue:
    """SQS: visibility, receive counts, stale handles."""

    name = "queue"

    def __init__(self, world):
        self.world = world
        self.fifo = world.fifo

    def receive(self, count, *, wait_seconds, hide_seconds=None):
        world = self.world
        world.maybe_fail("receive")
        now = world.clock.monotonic()
        ready = [one for one in world.queue.values() if one.visible_at <= now]
        if self.fifo:
            blocked = any(one.visible_at > now and one.receives for one in world.queue.values())
            ready = [] if blocked else ready
        else:
            world.rng.shuffle(ready)
        received = []
        for one in ready[:count]:
            one.handle = next(world.handles)
            one.receives += 1
            one.visible_at = now + (hide_seconds or world.visibility)
            if world.rng.random() < world.faults.redeliver:
                one.visible_at = now + 1.0
            received.append(
                Message(one.message_id, one.body, str(one.handle), one.receives, one.sent_at,
                        "group" if self.fifo else None)
            )  # fmt: skip
        world.maybe_ambiguous("receive")
        return received

    def delete(self, messages):
        world = self.world
        world.maybe_fail("delete")
        for message in messages:
            one = world.queue.get(message.message_id)
            if one is None or str(one.handle) != message.receipt_handle:
                continue
            texts, body = world.needed(one.body)
            unsafe = [text for text in texts if not world.is_safe(text)]
            spooled = message.message_id in world.table.spool
            if unsafe and not spooled:
                world.violations.append(f"{message.message_id} deleted before {unsafe[:3]} was safe")
            if body and body not in world.quarantined:
                world.violations.append(f"{message.message_id} deleted, and its body is not in quarantine")
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
        self._data = data

    def read(self):
        if self._data and self.world.rng.random() < self.world.faults.cut_body:
            raise Retry("connection reset", code="simulated_reset")
        chunk, self._data = self._data[:700], self._data[700:]
        return chunk

    def close(self):
        self._data = b""


class SimBucket:
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

    def current(self, ref):
        return replace(ref, etag=None, version_id=None)

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

    def __init__(self, world, lifetime):
        self.world = world
        self.channels = {lane: f"c{lifetime}-{lane}" for lane in range(self.lanes)}
        self.renewals = itertools.count()

    def send(self, batch, *, lane):
        world = self.world
        world.maybe_fail("send")
        texts = [bytes(event.body).decode() for _, event in batch]
        for index, text in enumerate(texts):
            if text in world.refused:
                raise self._refuse(texts, index)
        channel = self.channels[lane]
        if world.acks:
            ack_id = world.ack_ids[channel]
            world.ack_ids[channel] += 1
            at = world.clock.monotonic() + world.rng.choice((0.5, 3.0, 20.0))
            world.pending[channel, ack_id] = (at, texts)
        else:
            ack_id = None
            world.indexed.update(texts)
        world.sent.update(texts)
        world.maybe_ambiguous("send")
        return Receipt(self.name, batch.spans, world.clock.now(), channel=channel, ack_id=ack_id)

    def _refuse(self, texts, index):
        accepted = 0
        if not self.world.acks:
            accepted = index
            self.world.indexed.update(texts[:index])
            self.world.sent.update(texts[:index])
        told = index if self.world.rng.random() < 0.5 or accepted else None
        return Refused("bad event", code="hec_event", accepted=accepted, offender=told)

    def ask(self, receipts):
        world = self.world
        world.maybe_fail("ask")
        answers = []
        for receipt in receipts:
            pending = world.pending.get((receipt.channel, receipt.ack_id))
            done = pending is not None and pending[0] <= world.clock.monotonic()
            if done:
                world.indexed.update(world.pending.pop((receipt.channel, receipt.ack_id))[1])
            answers.append(done)
        world.maybe_ambiguous("ask")
        return answers

    def abandon(self, receipt):
        for lane, channel in self.channels.items():
            if channel == receipt.channel:
                self.channels[lane] = f"{channel}.{next(self.renewals)}"

    def check(self):
        return None

    def close(self):
        return None


@dataclass
class SimStore:
    """The checkpoint store's twin with faults around it."""

    inner: object
    world: World
    names: frozenset = field(default=frozenset(("claim", "apply", "missing", "alive")))

    def __getattr__(self, name):
        method = getattr(self.inner, name)
        if name not in self.names:
            return method

        def call(*args):
            self.world.maybe_fail(name)
            result = method(*args)
            for entry in self.world.table.entries.values():
                self.world.quarantined[entry.body.decode()] = entry.reason
            self.world.maybe_ambiguous(name)
            return result

        return call


def parse(body):
    from collector.model import Notification, Payload

    try:
        content = json.loads(body)
    except ValueError as error:
        raise Poison("not JSON", code="unknown_body") from error
    if "audit" in content:
        text = "\n".join(content["audit"]).encode()
        return Notification("audit", payloads=(Payload(content["audit"][0], text),))
    if "keys" not in content:
        return Notification("noop", noop="nothing to do")
    return Notification("s3", refs=tuple(ObjectRef("b", key) for key in content["keys"]))


def decode(chunks):
    """Lines, a few at a time: the engine does not care what a format is."""
    rest, first = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield Block(first, lines, [None] * len(lines), False)
            first += len(lines)
    if rest:
        yield Block(first, [rest], [None], False)
