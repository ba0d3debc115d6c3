"""The text of one object as it arrives, with a cursor: bytes are looked at ahead, then taken.

A source that fails half-way is not raised at once. The tape ends early and keeps the error, so that
every complete event before the damage can be cut first; `raise_damage` comes last.
"""

from __future__ import annotations

from typing import Iterable, Iterator, Optional

from collector.errors import CollectorError

__all__ = ["Tape", "WINDOW_BYTES", "rest_of"]

#: Large enough to make per-window costs vanish, small enough to stay in the processor's cache.
WINDOW_BYTES = 256 * 1024


class Tape:
    """`held` is what was read and not yet taken; `ended` says that nothing follows it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = _bounded(chunks)
        self.held = b""
        self.ended = False
        self.damage: Optional[CollectorError] = None

    def look(self, wanted: int) -> bytes:
        """At least `wanted` bytes ahead of the cursor, fewer only at the end. Takes nothing."""
        if len(self.held) >= wanted or self.ended:
            return self.held
        # One piece alone is joined without a copy.
        pieces, size = [self.held] if self.held else [], len(self.held)
        while size < wanted and not self.ended:
            chunk = self._read()
            pieces.append(chunk)
            size += len(chunk)
        self.held = b"".join(pieces)
        return self.held

    def take(self, count: int) -> bytes:
        """Move the cursor over `count` bytes that were looked at."""
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def drop(self, count: int) -> None:
        """Like `take`, for bytes that nobody wants."""
        self.held = self.held[count:]

    @property
    def torn(self) -> bool:
        """Whether the text may stop in the middle of an event.

        Junk behind a complete stream leaves the text itself whole.
        """
        return self.damage is not None and self.damage.code != "trailing_junk"

    @property
    def whole(self) -> bool:
        """Whether nothing follows what is held, because the text ends there."""
        return self.ended and not self.torn

    def raise_damage(self) -> None:
        """Raise what ended the source early, if anything did."""
        if self.damage is not None:
            raise self.damage

    def _read(self) -> bytes:
        try:
            chunk = next(self._chunks, None)
        except CollectorError as error:
            self.damage = error
            chunk = None
        if chunk is None:
            self.ended = True
            return b""
        return chunk


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at most WINDOW_BYTES: what is held is copied with every take."""
    for chunk in chunks:
        if len(chunk) <= WINDOW_BYTES:
            yield chunk
        else:
            for start in range(0, len(chunk), WINDOW_BYTES):
                yield bytes(chunk[start : start + WINDOW_BYTES])


def rest_of(tape: Tape) -> Iterator[bytes]:
    """Everything from the cursor on, as it comes; at last the source's own error, if it had one."""
    while not tape.ended or tape.held:
        yield tape.take(len(tape.look(1)))
    tape.raise_damage()
