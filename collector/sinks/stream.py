"""A stream that somebody else reads, stdout's and splunkd's common ground: writing it, and what is known of
its reader."""

from __future__ import annotations

import os
import select
import selectors
import stat
import struct
import sys
from typing import BinaryIO, Optional

from collector.errors import CollectorError, Fatal, Retry

__all__ = ["is_reader_gone", "translate", "unread_bytes", "write_all"]


def write_all(stream: BinaryIO, rendered: bytes) -> None:
    """Write every byte and flush; blocks while the reader is slow. Raises OSError or ValueError (closed).

    An unbuffered stream may take a part of what it is given; a stream that another program set to
    non-blocking says so by BlockingIOError: neither may tear a line.
    """
    left = memoryview(rendered)
    while left:
        taken = _write_some(stream, left)
        if not taken:
            _wait_until_writable(stream)
        left = left[taken:]
    _flush(stream)


def translate(error: Exception, *, output: str) -> CollectorError:
    """A full disk gets better; a reader that went away does not come back."""
    if isinstance(error, (BrokenPipeError, ConnectionError, ValueError)):
        return Fatal(
            f"{output} is closed: nobody reads it any more", code=f"{output}_closed", where=output,
            hint="Start the program that reads it again; what was not delivered will be sent then",
            scope="output",
        )
    return Retry(
        f"{output} cannot be written: {error}", code=f"{output}_write_failed", where=output,
        hint="Look whether the disk that it is redirected to is full",
    )


def unread_bytes(stream: BinaryIO) -> Optional[int]:
    """How many bytes of what was written to a pipe its reader has not taken; None where nobody can tell.

    Linux answers FIONREAD at either end of a pipe (pipe(7)); a socket, a file, and the pipes of other
    systems answer of something else or not at all.
    """
    if not sys.platform.startswith("linux"):
        return None
    import fcntl
    import termios

    try:
        if not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return None
        answer = fcntl.ioctl(stream.fileno(), termios.FIONREAD, struct.pack("i", 0))
    except (OSError, ValueError):
        return None
    return int(struct.unpack("i", answer)[0])


def is_reader_gone(stream: BinaryIO) -> bool:
    """Whether the other end of a pipe is closed, without writing to it. Always False on Windows."""
    if not hasattr(select, "poll"):
        return False
    poller = select.poll()
    try:
        poller.register(stream.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poller.poll(0))


def _write_some(stream: BinaryIO, left: memoryview) -> int:
    """How many bytes the stream took; 0 if it is non-blocking and full."""
    try:
        taken: Optional[int] = stream.write(left)
    except BlockingIOError as full:
        return full.characters_written
    return taken or 0


def _flush(stream: BinaryIO) -> None:
    while True:
        try:
            stream.flush()
            return
        except BlockingIOError:
            _wait_until_writable(stream)


def _wait_until_writable(stream: BinaryIO) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_WRITE)
        selector.select()
