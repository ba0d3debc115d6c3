"""A container that is read from its end is first written to a file that has no name.

zip keeps its directory, and Parquet its schema, at the end. The file lies in Python's temporary
directory (TMPDIR, else /tmp), is unlinked as soon as it is open, and vanishes with the decoding; its
size is bounded by the Budget.
"""

from __future__ import annotations

import tempfile
from typing import IO

from collector.decode.budget import Budget
from collector.decode.tape import Tape, rest_of
from collector.errors import Poison, Retry

__all__ = ["spooled"]


def spooled(tape: Tape, *, budget: Budget) -> IO[bytes]:
    """All of the tape in a file, to be closed by the caller.

    Retry "spool_failed" if the disk is full; else whatever ended the source early.
    """
    try:
        file = tempfile.TemporaryFile(prefix="audit-s3-")  # noqa: SIM115  # the caller closes it
    except OSError as error:
        raise _failed(error) from error
    try:
        _fill(file, tape, budget)
    except BaseException:
        file.close()
        raise
    return file


def _fill(file: IO[bytes], tape: Tape, budget: Budget) -> None:
    size = 0
    for piece in rest_of(tape):
        size += len(piece)
        budget.stored += len(piece)
        if size > budget.max_bytes:
            raise Poison(
                f"the container is larger than {budget.max_bytes} bytes", code="bomb",
                hint="look at the object; if it is genuine, ask its producer for smaller ones",
            )
        try:
            file.write(piece)
        except OSError as error:
            raise _failed(error) from error


def _failed(error: OSError) -> Retry:
    return Retry(
        f"an archive or table could not be put on disk: {error}", code="spool_failed",
        hint="make room in the temporary directory, or name another one in TMPDIR",
    )
