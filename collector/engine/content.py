"""The sha256 of an object's content, made of the bytes that are read anyway.

Only inputs that verify digests make one: for all others nothing is hashed and nothing is kept.
"""

from __future__ import annotations

import hashlib

__all__ = ["Content"]


class Content:
    """Is told every byte inside the outermost layer of gzip, once and in order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._is_told = False

    def add(self, piece: bytes) -> None:
        self._is_told = True
        self._hash.update(piece)

    @property
    def sha256(self) -> str:
        """In hex; "" for an object that is not gzip, which CloudTrail never writes."""
        return self._hash.hexdigest() if self._is_told else ""
