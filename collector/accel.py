"""The one door to msgspec and isal: twice to five times faster, and the same bytes without them.

And to zstd, which Python has from 3.14 on and backports.zstd (the same code, PEP 784) before.

Every function here has a pure-Python twin, in this module (`zlib`) or in its caller (`decode` walks
records with the standard library). The environment variable AUDIT_S3_ACCELERATORS=off closes the
door. `active()` names what is in use, for `check` and the start-up line.
"""

from __future__ import annotations

import os
import zlib
from codecs import utf_8_decode
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from typing import Any, Callable, Iterable, Iterator, List, Optional, Protocol, Sequence, Tuple, Type, Union

__all__ = [
    "Decompressor", "INFLATE_ERRORS", "JsonWindows", "TimeFields", "ZSTD_ERRORS", "active",
    "crc32", "gzip_compress", "inflater", "is_utf8", "json_windows", "zstd_decompressor",
]

_wanted = os.environ.get("AUDIT_S3_ACCELERATORS", "on").strip().lower() not in ("off", "0", "no", "false")

_isal: Any = None
_igzip: Any = None
_msgspec: Any = None
if _wanted:
    try:
        from isal import igzip_lib as _igzip
        from isal import isal_zlib as _isal
    except ImportError:
        _isal = None
    try:
        import msgspec as _msgspec
    except ImportError:
        _msgspec = None

_zstd: Any = None
for _place in ("compression.zstd", "backports.zstd"):
    if _zstd is None:
        try:
            _zstd = import_module(_place)
        except ImportError:
            _zstd = None

#: What a corrupt stream raises, whichever library reads it.
INFLATE_ERRORS: Tuple[Type[Exception], ...] = (zlib.error,) if _isal is None else (zlib.error, _isal.error)

#: What a corrupt zstd frame raises.
ZSTD_ERRORS: Tuple[Type[Exception], ...] = () if _zstd is None else (_zstd.ZstdError,)
#: 2 to the power of this is the largest window that is read: RFC 8878 recommends 8 MiB to all decoders.
_ZSTD_WINDOW_LOG = 23

#: What a check of UTF-8 looks at in one go: the text that it makes and drops stays in the nearest cache.
_LOOK_BYTES = 8 * 1024

#: 16 + 15: gzip header and trailer, the largest window.
_GZIP = 31
#: The same window without header and trailer.
_DEFLATE = -15


class Decompressor(Protocol):
    """One stream or frame, as `bz2.BZ2Decompressor` reads it: bounded output, input kept inside."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


def active() -> Tuple[str, ...]:
    """The accelerators in use, by name."""
    return tuple(name for name, module in (("isal", _isal), ("msgspec", _msgspec)) if module is not None)


def inflater(*, accelerated: bool = True) -> Decompressor:
    """A reader of one raw deflate stream. After a full piece there may be more even if it `needs_input`.

    Raw, because both libraries throw away the last output of a stream whose gzip trailer is wrong. This
    reader of isal's gives a piece in one go; its `decompressobj` doubles a small one, and lets other
    threads in at each step.
    """
    if not accelerated or _isal is None:
        return _Zlib()
    found: Decompressor = _igzip.IgzipDecompressor(_igzip.DECOMP_DEFLATE, 15)
    return found


class _Zlib:
    """zlib's `decompressobj`, with its unread input kept inside."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_DEFLATE)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def zstd_decompressor() -> Optional[Decompressor]:
    """A reader of one zstd frame, or None where neither Python nor the extra brings one."""
    if _zstd is None:
        return None
    limit = {_zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    found: Decompressor = _zstd.ZstdDecompressor(options=limit)
    return found


def crc32(piece: bytes, value: int) -> int:
    """The running CRC-32 of gzip's trailer."""
    library: Any = zlib if _isal is None else _isal
    checksum: int = library.crc32(piece, value)
    return checksum


def gzip_compress(pieces: Iterable[bytes]) -> bytes:
    """One gzip member at level 1: the level at which a request body costs less than it saves.

    Each piece is compressed before the next is made. The compressed bytes differ between isal and zlib; what
    they inflate to does not.
    """
    library: Any = zlib if _isal is None else _isal
    packer = library.compressobj(1, zlib.DEFLATED, _GZIP)
    return b"".join([*map(packer.compress, pieces), packer.flush()])


def is_utf8(text: bytes, *, whole: bool = True) -> bool:
    """Whether `text` is valid UTF-8. Unless it is `whole`, its last character may be cut off."""
    if text.isascii():
        return True
    view, start = memoryview(text), 0
    try:
        while start < len(view):
            last = start + _LOOK_BYTES >= len(view)
            _, taken = utf_8_decode(view[start : start + _LOOK_BYTES], "strict", last and whole)
            if last:
                return True
            start += taken
    except UnicodeDecodeError:
        return False
    return True


class TimeFields:
    """The time fields of some records, as JSON text: by field, or record by record. None: absent."""

    def __init__(self, records: List[Any], getters: Sequence[Callable[[Any], Any]]) -> None:
        self._records = records
        self._getters = getters

    def __len__(self) -> int:
        return len(self._records)

    @property
    def width(self) -> int:
        """How many fields were asked for."""
        return len(self._getters)

    def column(self, index: int) -> List[Any]:
        """One field of all records."""
        return [*map(self._getters[index], self._records)]

    def rows(self) -> Iterator[List[Any]]:
        """All fields of each record, in the order asked for."""
        return ([get(record) for get in self._getters] for record in self._records)


class JsonWindows:
    """Splits a window of JSON text into records, and reads their top-level time fields.

    Its methods answer None unless every record is a JSON object that the grammar of RFC 8259 allows;
    the caller then walks the window record by record. They do not look at UTF-8 inside strings.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        raw, names = _msgspec.Raw, [f"field{index}" for index in range(len(fields))]
        record = _msgspec.defstruct(
            "TimeFields", [(name, raw, None) for name in names], rename=dict(zip(names, fields)), gc=False
        )
        self._getters = [attrgetter(name) for name in names]
        self._raws = _msgspec.json.Decoder(List[raw])  # type: ignore[valid-type]
        self._array = _msgspec.json.Decoder(List[record])  # type: ignore[valid-type]
        self._line = _msgspec.json.Decoder(record)
        self._refusals = (_msgspec.DecodeError, RecursionError)

    def elements(self, array: bytes) -> Optional[List[bytes]]:
        """The elements of one whole JSON array, as slices of its own bytes."""
        try:
            return [bytes(raw) for raw in self._raws.decode(array)]
        except self._refusals:
            return None

    def element_times(self, array: bytes) -> Optional[TimeFields]:
        """The time fields of the elements of one whole JSON array."""
        try:
            return TimeFields(self._array.decode(array), self._getters)
        except self._refusals:
            return None

    def line_times(self, text: Union[bytes, memoryview]) -> Optional[TimeFields]:
        """The time fields of values that have nothing between them, or white space."""
        try:
            return TimeFields(self._line.decode_lines(text), self._getters)
        except self._refusals:
            return None


@lru_cache(maxsize=64)
def json_windows(fields: Tuple[str, ...], *, accelerated: bool = True) -> Optional[JsonWindows]:
    """The accelerated splitter, or None: then the caller's own walk is all there is.

    Remembered, because making one costs as much as decoding a small object; it keeps no state.
    """
    if _msgspec is None or not accelerated:
        return None
    return JsonWindows(fields)
