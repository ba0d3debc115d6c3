"""Events on stdout, for pipes, files and people: `raw`, `json` or `hec` lines.

stdout carries events and nothing else. A batch is one write and one flush, so that two processes that
share a pipe mix whole lines where the system lets them.
"""

from __future__ import annotations

import contextlib
import threading
from typing import BinaryIO, Callable, Dict, Sequence

from collector.errors import Fatal
from collector.model import Batch, Receipt, Slice
from collector.ports import Clock
from collector.sinks.envelope import enveloped_bytes, render_envelopes, render_json_lines, render_raw_lines
from collector.sinks.stream import translate, write_all

__all__ = ["StdoutSink"]

Render = Callable[[Sequence[Slice]], bytes]


class StdoutSink:
    """Implements `ports.Sink` over a binary stream. Its receipts are final: written is delivered.

    `format` is "raw" (the bytes and a newline), "json" (one object per event, with its id) or "hec" (the
    envelope HEC would get). The stream is the caller's: `close` flushes it and leaves it open.
    """

    name = "stdout"
    lanes = 1

    def __init__(
        self, stream: BinaryIO, *, clock: Clock, format: str = "raw", event_identity: bool = True
    ) -> None:
        def envelopes(slices: Sequence[Slice]) -> bytes:
            return render_envelopes(slices, identity=event_identity, lines=True)

        formats: Dict[str, Render] = {"raw": render_raw_lines, "json": render_json_lines, "hec": envelopes}
        if format not in formats:
            raise Fatal(
                f"stdout has no format {format!r}", code="stdout_format", where="stdout_format",
                hint="Use raw, json or hec",
            )
        self._is_raw = format == "raw"
        self._render = formats[format]
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._torn = False

    def rendered_bytes(self, piece: Slice) -> int:
        return piece.size_bytes + piece.count if self._is_raw else enveloped_bytes(piece)

    def send(self, batch: Batch, *, lane: int) -> Receipt:
        """Write the batch. Fatal "stdout_closed" once nobody reads; Retry "stdout_write_failed"."""
        rendered = self._render(batch.slices)
        with self._lock:
            if rendered:
                self._write(rendered)
        return Receipt(self.name, batch.spans, self._clock.now())

    def _write(self, rendered: bytes) -> None:
        try:
            # A write that failed half way left a torn line; the batch must not be glued to it.
            write_all(self._stream, b"\n" + rendered if self._torn else rendered)
            self._torn = False
        except (OSError, ValueError) as error:
            self._torn = True
            raise translate(error, output=self.name) from error

    def ask(self, receipts: Sequence[Receipt]) -> Sequence[bool]:
        """What was written was delivered."""
        return [True] * len(receipts)

    def abandon(self, receipt: Receipt) -> None:
        """Nothing to renew: there are no channels."""

    def close(self) -> None:
        """Flush. A reader that is gone took what it wanted."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
