"""Any Unicode encoding that announces itself with a byte order mark, as UTF-8 without one; and its lines.

What a UTF-16 or UTF-32 decoder cannot read becomes the byte 0xFF, which no UTF-8 text contains: the
event it falls into is then flagged like any other event with invalid UTF-8.
"""

from __future__ import annotations

import codecs
from io import BytesIO
from operator import itemgetter
from typing import Iterable, Iterator, List, Tuple

from collector.decode.tape import Tape, rest_of

__all__ = ["lines_of", "newlines_in", "to_utf8"]

# UTF-32's mark begins with UTF-16's, so it is looked for first.
_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARK_BYTES = 4
_BARE = itemgetter(slice(None, -1))


def lines_of(text: bytes) -> List[bytes]:
    """The lines without their newlines. `bytes.split` looks at byte after byte: five times the cost."""
    lines = BytesIO(text).readlines()
    rest = [lines.pop()] if lines and not text.endswith(b"\n") else []
    return [*map(_BARE, lines), *rest]


def newlines_in(text: bytes) -> int:
    """How many there are. `bytes.count` looks at byte after byte too: four times the cost of making lines."""
    return len([*map(len, BytesIO(text))]) - (text[-1:] not in (b"", b"\n"))


def to_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8. UTF-8 passes as it is, valid or not. Errors of the source pass through."""
    tape = Tape(chunks)
    mark, encoding = _announced(tape.look(_MARK_BYTES))
    tape.drop(len(mark))
    text = rest_of(tape)
    return _transcoded(text, encoding) if encoding else text


def _announced(head: bytes) -> Tuple[bytes, str]:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    return b"", ""


def _transcoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors=_UNREADABLE)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", True).encode("utf-8", "surrogateescape")


def _as_byte_ff(error: UnicodeError) -> Tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


_UNREADABLE = "audit_s3.byte_ff"
codecs.register_error(_UNREADABLE, _as_byte_ff)
