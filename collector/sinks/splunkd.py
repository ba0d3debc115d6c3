"""Events for splunkd: the XML stream that a modular input writes to its stdout.

One `<stream>` per process, one `<event>` per event with its own time. splunkd drops the whole stream at
the first byte that is not well-formed, so an event's bytes are made fit: what is not UTF-8 and what XML
1.0 cannot carry becomes U+FFFD, a carriage return becomes `&#13;` (a parser would make it a newline), and
`]]>` is split over two CDATA sections. Written by hand because splunklib's EventWriter does none of this,
and takes some forty times as long.

When splunkd's queues are full it stops reading and the write blocks: that is how it says "slower". It
never says "taken". What it has read of the pipe is known to the system, though: a batch counts as taken
when splunkd has read past its last byte and has lived on for five seconds, in which it hands the events
to its own queue. Page: Splunk docs, "Create modular inputs", streaming mode xml.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import deque
from typing import BinaryIO, Deque, List, Sequence, Tuple
from xml.sax.saxutils import escape

from collector.model import Batch, Block, Origin, Receipt, Slice
from collector.ports import Clock
from collector.sinks.stream import is_reader_gone, translate, unread_bytes, write_all

__all__ = ["SplunkdSink"]

_OPEN, _CLOSE = b"<stream>\n", b"</stream>\n"
_TIMED, _UNTIMED = b"<event><time>%b</time><data><![CDATA[", b"<event><data><![CDATA["
#: What XML 1.0 has no spelling for. UTF-8 decoding never yields surrogates.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: Changes every byte that cannot stand in a CDATA section as it is. Without any, `translate` gives back the
#: same object, which is the quickest of all ways to look for a set of bytes.
_CONTROL = bytes(0x3F if code < 0x20 and code not in b"\t\n" else code for code in range(0x100))
#: `close` does not wait for a splunkd that stopped reading.
_CLOSE_WAIT_SECONDS = 1.0
#: For how long splunkd must live on after it has read a batch,
_SETTLE_SECONDS = 5.0
#: and after we have written it, where nobody can tell what was read.
_BLIND_SETTLE_SECONDS = 30.0
#: What an element with usual names adds to an event.
_ELEMENT_BYTES = 250


class SplunkdSink:
    """Implements `ports.Sink` and `ports.Fleeting` over the stream that splunkd reads.

    The ackId of a receipt is the position in the stream behind its last byte. It is confirmed once splunkd
    has taken it; during a stop the five seconds are not waited for while splunkd is there.
    Events are sent already cut (no `unbroken`, no `<done/>`), so props.conf needs SHOULD_LINEMERGE=false
    and TRUNCATE=0 for our sourcetypes, and breaks nothing.
    """

    name = "splunkd"
    lanes = 1

    def __init__(self, stream: BinaryIO, *, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._state = "new"
        self._channel = str(uuid.uuid4())
        self._written = 0
        self._looking = threading.Lock()
        self._is_blind = unread_bytes(stream) is None
        self._is_parting = False
        self._seen: Deque[Tuple[float, int]] = deque()
        self._taken = 0

    def rendered_bytes(self, piece: Slice) -> int:
        return piece.size_bytes + piece.count * _ELEMENT_BYTES

    def send(self, batch: Batch, *, lane: int) -> Receipt:
        """Write the batch, waiting as long as splunkd is slow. Fatal "splunkd_closed" once it is gone."""
        rendered = b"".join(part for piece in batch.slices for part in _render(piece))
        with self._lock:
            if rendered:
                self._write(rendered)
            position = self._written
        self._look()
        return Receipt(
            self.name, batch.spans, self._clock.now(), endpoint="stdout", channel=self._channel,
            ack_id=position,
        )

    def _write(self, rendered: bytes) -> None:
        if self._state == "closed":
            raise translate(BrokenPipeError(), output=self.name)
        rendered = _OPEN + rendered if self._state == "new" else rendered
        try:
            write_all(self._stream, rendered)
            self._state = "open"
            self._written += len(rendered)
        except (OSError, ValueError) as error:
            # Half an event is in the stream and nothing can be well-formed after it: splunkd has to
            # start us again.
            self._state = "closed"
            raise translate(BrokenPipeError(), output=self.name) from error

    def ask(self, receipts: Sequence[Receipt]) -> Sequence[bool]:
        """Whether splunkd has taken it. What another run has written, nobody can tell."""
        self._look()
        with self._looking:
            taken = self._taken
        return [
            receipt.channel == self._channel and receipt.ack_id is not None and receipt.ack_id <= taken
            for receipt in receipts
        ]

    def _look(self) -> None:
        """Note how far splunkd has read by now, and how far it had by the time that counts.

        What is being written meanwhile counts as unread before it counts as written: at worst, less is
        known to be read than was. A reader that is gone has read, and may have lost what it read last.
        """
        now, written = self._clock.monotonic(), self._written
        unread = 0 if self._is_blind else unread_bytes(self._stream)
        if unread is None or is_reader_gone(self._stream):
            return
        settle_seconds = _BLIND_SETTLE_SECONDS if self._is_blind else _SETTLE_SECONDS
        with self._looking:
            if written - unread > (self._seen[-1][1] if self._seen else self._taken):
                self._seen.append((now, written - unread))
            at_once = self._is_parting and not self._is_blind
            while self._seen and (at_once or self._seen[0][0] + settle_seconds <= now):
                self._taken = self._seen.popleft()[1]

    def part(self) -> None:
        """A stop has begun: what splunkd has read counts as taken while it is there."""
        self._is_parting = True

    def abandon(self, receipt: Receipt) -> None:
        """Nothing to renew: the one stream is the one channel."""

    def close(self) -> None:
        """End the stream, unless splunkd is gone or a blocked write still holds it."""
        if not self._lock.acquire(timeout=_CLOSE_WAIT_SECONDS):
            return
        try:
            if self._state != "closed":
                write_all(self._stream, _CLOSE if self._state == "open" else _OPEN + _CLOSE)
        except (OSError, ValueError):
            return
        finally:
            self._state = "closed"
            self._lock.release()


def _render(piece: Slice) -> List[bytes]:
    tail = b"]]></data>" + _metadata(piece.origin) + b"</event>\n"
    parts: List[bytes] = []
    for block in piece.blocks:
        clean = _is_clean(block)
        bodies = block.bodies if clean else [_character_data(body) for body in block.bodies]
        times = [time or piece.origin.fallback_time for time in block.times]
        columns = [tail] * (3 * len(times))
        columns[0::3] = [_TIMED % time.encode() if time else _UNTIMED for time in times]
        columns[1::3] = bodies
        parts += columns
    return parts


def _metadata(origin: Origin) -> bytes:
    named = (
        ("source", origin.source),
        ("sourcetype", origin.sourcetype),
        ("index", origin.index),
        ("host", origin.host),
    )
    return "".join(f"<{name}>{_escaped(value)}</{name}>" for name, value in named if value).encode()


def _escaped(value: str) -> str:
    text = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _is_clean(block: Block) -> bool:
    """Whether every body may stand in CDATA as it is: one look at the block, not one per event.

    The newline between the bodies keeps two halves of a character from passing for a whole one.
    """
    joined = b"\n".join(block.bodies)
    if (b">" in joined and b"]]>" in joined) or joined.translate(_CONTROL) != joined:
        return False
    if joined.isascii():
        return True
    try:
        text = joined.decode()
    except UnicodeDecodeError:
        return False
    # What is left of _NOT_XML: looked for by name, which is ten times quicker than by the expression.
    return "\ufffe" not in text and "\uffff" not in text


def _character_data(body: bytes) -> bytes:
    text = _NOT_XML.sub("\ufffd", str(body, "utf-8", "replace"))
    text = text.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return text.encode()
