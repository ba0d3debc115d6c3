"""Where a JSON value ends: a tokeniser that needs no recursion, for what the fast paths refuse.

It is the referee of the decoder: it accepts what the standard library accepts (so also NaN and lone
surrogate escapes), at any depth, and tells input that has ended too early from input that is wrong.
More input never changes WRONG into anything else, so the answer does not depend on how the bytes were
chunked.
"""

from __future__ import annotations

import re
from typing import Tuple

__all__ = ["Skimmer", "TOO_LARGE", "UNFINISHED", "WRONG", "key_at", "skip_space", "value_end"]

#: Instead of an end: the input stops inside the value.
UNFINISHED = -1
#: Instead of an end: no continuation can make this JSON.
WRONG = -2
#: Instead of an end: the value is larger than an event may be.
TOO_LARGE = -3

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(
    rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*(?:(")|\\?\Z|\\u[0-9a-fA-F]{0,3}\Z)'
)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]+")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = frozenset([b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity"])
_OPENING = {0x7B: 0x7D, 0x5B: 0x5D}


def value_end(text: bytes, start: int, *, ended: bool = False) -> int:
    """The offset just after the value at `start` (no white space before it), UNFINISHED or WRONG.

    `ended` says that nothing follows `text`, so that a number may end with it.
    """
    closers = bytearray()
    position = start
    while True:
        code = text[position : position + 1]
        if code in (b"{", b"["):
            closers.append(_OPENING[code[0]])
            position, opened = _after_opening(text, position + 1, closers)
            if opened:
                continue
        else:
            position = _scalar_end(text, position, ended)
        if position >= 0:
            position = _next_value(text, position, closers)
        if position < 0 or not closers:
            return position


def _after_opening(text: bytes, position: int, closers: bytearray) -> Tuple[int, bool]:
    """To the first value inside, or past an empty object or array."""
    position = skip_space(text, position)
    if position >= len(text):
        return UNFINISHED, False
    if text[position] == closers[-1]:
        closers.pop()
        return position + 1, False
    if closers[-1] == 0x7D:
        position = _key_end(text, position)
    return position, position >= 0


def _next_value(text: bytes, position: int, closers: bytearray) -> int:
    """From the end of a value to the start of the next one, closing what is closed on the way."""
    while closers:
        position = skip_space(text, position)
        if position >= len(text):
            return UNFINISHED
        code = text[position]
        if code == closers[-1]:
            closers.pop()
            position += 1
            continue
        if code != 0x2C:
            return WRONG
        position = skip_space(text, position + 1)
        if position >= len(text):
            return UNFINISHED
        return _key_end(text, position) if closers[-1] == 0x7D else position
    return position


def _key_end(text: bytes, position: int) -> int:
    """From a key to its value."""
    position = _string_end(text, position)
    if position < 0:
        return position
    position = skip_space(text, position)
    if position >= len(text):
        return UNFINISHED
    if text[position] != 0x3A:
        return WRONG
    position = skip_space(text, position + 1)
    return position if position < len(text) else UNFINISHED


def _scalar_end(text: bytes, position: int, ended: bool) -> int:
    if position >= len(text):
        return UNFINISHED
    if text[position] == 0x22:
        return _string_end(text, position)
    match = _SCALAR.match(text, position)
    if match is None:
        return WRONG
    if match.end() == len(text) and not ended:
        return UNFINISHED
    word = match.group()
    return match.end() if word in _LITERALS or _NUMBER.fullmatch(word) else WRONG


def _string_end(text: bytes, position: int) -> int:
    match = _STRING.match(text, position)
    if match is None:
        return WRONG
    return match.end() if match.group(1) else UNFINISHED


def skip_space(text: bytes, position: int) -> int:
    """The offset of the first byte that is not JSON's white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def key_at(text: bytes, position: int) -> Tuple[bytes, int]:
    """The key's text without quotes, undecoded, and the offset of its value (or UNFINISHED, WRONG)."""
    end = _string_end(text, position)
    value = _key_end(text, position)
    return (text[position + 1 : end - 1] if end > 0 else b""), value


class Skimmer:
    """Finds the end of one object, array or string in constant memory, by brackets and quotes alone."""

    _MARK = re.compile(rb'[\[{]+|[\]}]+|"')
    _QUOTE = re.compile(rb'["\\]')

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def feed(self, text: bytes) -> int:
        """The offset in `text` just after the value, or UNFINISHED if it goes on."""
        position = 0
        if self._escaped and text:
            self._escaped, position = False, 1
        while True:
            match = (self._QUOTE if self._quoted else self._MARK).search(text, position)
            if match is None:
                return UNFINISHED
            position = match.end()
            mark = match.group()
            if mark == b"\\":
                if position == len(text):
                    self._escaped = True
                position += 1
            elif mark == b'"':
                self._quoted = not self._quoted
                if not self._quoted and self._depth == 0:
                    return position
            elif mark[0] in b"[{":
                self._depth += len(mark)
            elif len(mark) >= self._depth:
                return match.start() + self._depth
            else:
                self._depth -= len(mark)
