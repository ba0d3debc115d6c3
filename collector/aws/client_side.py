"""Objects that their writer encrypted (the Amazon S3 Encryption Client): opened as plaintext.

    client_side = ClientSide(DataKeys(client_for_region, allowed=arns))
    if is_marked(stored.metadata):
        opened = client_side.open(stored, again=reopen)

GET -> envelope -> KMS Decrypt -> tag -> plaintext, in this order: no byte is released before the tag over all
of them is verified. An object of up to 16 MiB is decrypted in memory. A larger one is read twice: the first
reading verifies the tag and notes a digest of every piece, the second gives those very pieces decrypted. So
memory does not grow with the object (32 bytes a MiB), and the second answer of S3 need not be believed
either. `ref.size` stays what S3 stores.

What makes an object wait or go to quarantine: docs/security.md, "Client-side encryption".
"""

from __future__ import annotations

import hashlib
import threading
from typing import Callable, Iterator, List, Mapping, Optional, TypeVar

from collector.aws.client_side_ciphers import Content, require_cryptography
from collector.aws.client_side_envelope import CBC, read_envelope
from collector.aws.kms import DataKeys
from collector.errors import Poison, Retry
from collector.model import ObjectRef
from collector.ports import OpenObject

__all__ = ["ClientSide", "Reopen"]

#: The largest object that is decrypted in memory, and what all of them together may take.
IN_MEMORY_BYTES = 16 * 1024 * 1024
ROOM_BYTES = 64 * 1024 * 1024
#: The pieces in which ciphertext is decrypted and compared, however it arrives.
PIECE_BYTES = 1024 * 1024
#: How many of them one step of the first reading takes: seconds at most, and others have their turn.
PIECES_A_STEP = 8

T = TypeVar("T")
#: Opens the stored bytes of the same object once more.
Reopen = Callable[[ObjectRef], OpenObject]


class ClientSide:
    """Decrypts objects of which `is_marked` holds. May be called from any thread.

    `allow_unauthenticated_cbc` also opens objects whose encryption cannot tell whether they were changed.
    """

    def __init__(
        self, keys: DataKeys, *, allow_unauthenticated_cbc: bool = False, room_bytes: int = ROOM_BYTES
    ) -> None:
        self._keys = keys
        self._allow_cbc = allow_unauthenticated_cbc
        self._room = _Room(room_bytes)

    def open(self, stored: OpenObject, *, again: Reopen) -> OpenObject:
        """The plaintext of `stored`, which is marked as encrypted; closes it if it raises.

        Besides what `read_envelope`, `DataKeys.open` and `Content` raise: Poison "unauthenticated_cbc".
        """
        try:
            return _Plaintext(stored, self._content(stored), again, self._room)
        except BaseException:
            stored.close()
            raise

    def _content(self, stored: OpenObject) -> Content:
        where = stored.ref.url
        envelope = read_envelope(stored.metadata, where=where)
        if envelope.content == CBC and not self._allow_cbc:
            raise Poison(
                "The object is encrypted in AES-CBC, which cannot tell whether it was changed",
                code="unauthenticated_cbc", where=where,
                hint="Provider: use AES/GCM. You: or set allow_unauthenticated_cbc, and `quarantine retry`",
            )
        require_cryptography(where=where)
        return Content(envelope, self._keys.open(envelope, where=where), where=where)


class _Plaintext:
    """`ports.OpenObject`: the plaintext of `stored`, all of it verified before the first byte is given."""

    def __init__(self, stored: OpenObject, content: Content, again: Reopen, room: _Room) -> None:
        self.ref = stored.ref
        self.last_modified = stored.last_modified
        self.metadata: Mapping[str, str] = stored.metadata
        self.kms_key_arn = stored.kms_key_arn
        self._stored = stored
        self._content = content
        self._again = again
        self._room = room
        self._taken = room.take(stored.ref.size)
        self._digests: List[bytes] = []
        self._verification = self._verified()
        self._plaintext = filter(None, self._decrypted())
        self._failure: Optional[Exception] = None

    def prepare(self) -> bool:
        """A step of the first reading of what is read twice."""
        return self._next(self._verification, False)

    def read(self) -> bytes:
        """The first call reads what `prepare` has left, to the end, and checks the tag."""
        return self._next(self._plaintext, b"")

    def _next(self, source: Iterator[T], end: T) -> T:
        if self._failure is not None:
            raise self._failure
        try:
            return next(source, end)
        except Exception as error:
            self._failure = error  # an iterator that failed would look like one that ended
            raise

    def close(self) -> None:
        self._room.give(self._taken)
        self._taken = 0
        self._stored.close()

    def _decrypted(self) -> Iterator[bytes]:
        if self._taken:
            yield from list(self._content.plaintext(_pieces(self._stored)))
            return
        for _ in self._verification:
            continue
        yield from self._content.plaintext(self._same())

    def _verified(self) -> Iterator[bool]:
        """The first of two readings, a step at a time; then the object is open for the second."""
        if self._taken:
            return
        pieces = self._content.plaintext(_noting(_pieces(self._stored), self._digests))
        for number, _ in enumerate(pieces, 1):
            if number % PIECES_A_STEP == 0:
                yield True
        self._stored.close()
        self._stored = self._again(self.ref)

    def _same(self) -> Iterator[bytes]:
        """The pieces once more: those that were verified, or none."""
        known = iter(self._digests)
        for piece in _pieces(self._stored):
            if _digest(piece) != next(known, b""):
                raise Retry(
                    "S3 answered with other bytes under the same etag", code="ciphertext_changed",
                    where=self.ref.url, hint="Something between S3 and here (a proxy) changes bodies",
                )
            yield piece


class _Room:
    """Bytes that objects decrypted in memory may take together: who finds none is read twice."""

    def __init__(self, free_bytes: int) -> None:
        self._free = free_bytes
        self._lock = threading.Lock()

    def take(self, size: Optional[int]) -> int:
        """`size`, or 0 if there is no room for it."""
        with self._lock:
            if size is None or size > min(IN_MEMORY_BYTES, self._free):
                return 0
            self._free -= size
            return size

    def give(self, size: int) -> None:
        with self._lock:
            self._free += size


def _pieces(stored: OpenObject) -> Iterator[bytes]:
    """The stored bytes in pieces of PIECE_BYTES, the last shorter: both readings cut alike."""
    held: List[bytes] = []
    size = 0
    for chunk in iter(stored.read, b""):
        held.append(chunk)
        size += len(chunk)
        while size >= PIECE_BYTES:
            whole = b"".join(held)
            yield whole[:PIECE_BYTES]
            held, size = [whole[PIECE_BYTES:]], size - PIECE_BYTES
    yield b"".join(held)


def _noting(pieces: Iterator[bytes], digests: List[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        digests.append(_digest(piece))
        yield piece


def _digest(piece: bytes) -> bytes:
    return hashlib.sha256(piece).digest()
