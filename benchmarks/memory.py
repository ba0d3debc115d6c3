"""How much memory decoding takes, whatever the object: one table.

    python -m benchmarks.memory                 # every case at its full size, about five minutes
    python -m benchmarks.memory --size-mb 64    # the same cases, smaller
    python -m benchmarks.memory records text    # only these

One process makes an object and pipes it to another, fresh one that decodes it and throws the events
away; so the peak is the decoder's own, interpreter and libraries included (about 20 MB; 60 MB where
pyarrow is needed). Bombs are zeros, and fail once they pass 64 MiB and 200 times what is stored.
"""

from __future__ import annotations

import argparse
import bz2
import io
import json
import lzma
import resource
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, NamedTuple, Optional

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
RECORD = (
    b'{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111111111111:'
    b'assumed-role/audit/session"},"eventTime":"2026-05-04T10:15:02Z","eventSource":"s3.amazonaws.com",'
    b'"eventName":"GetObject","awsRegion":"eu-west-1","requestParameters":{"bucketName":"b","key":"%d"},'
    b'"eventID":"%032x","readOnly":true}'
)


class Peak(NamedTuple):
    """What one case came to. `outcome` is "whole", or the code of the error that ended it."""

    case: str
    raw_mb: float
    stored_mb: float
    seconds: float
    peak_mb: float
    events: int
    outcome: str


# -- what is decoded ----------------------------------------------------------------------------------


def records(size: int, *, between: bytes = b",") -> Iterator[bytes]:
    """One line: {"Records":[...]} of about `size` bytes, 64 KiB at a time."""
    number, done, piece = 0, 0, [b'{"Records":[']
    while done < size:
        piece += [RECORD % (number, number * 2654435761), between]
        number += 1
        if number % 128 == 0:
            text = b"".join(piece)
            done, piece = done + len(text), []
            yield text
    yield b"".join(piece) + RECORD % (number, number) + b"]}"


def ndjson(size: int) -> Iterator[bytes]:
    for piece in records(size, between=b"\n"):
        yield piece.replace(b'{"Records":[', b"").replace(b"]}", b"\n")


def one_line(size: int) -> Iterator[bytes]:
    return (b"no newline anywhere " * 3277 for _ in range(0, size, 20 * 3277))


def one_value(size: int) -> Iterator[bytes]:
    yield b'{"eventTime":"2026-05-04T10:15:02Z","text":"'
    yield from one_line(size)
    yield b'"}'


def one_record(size: int) -> Iterator[bytes]:
    yield b'{"Records":[' + RECORD % (1, 1) + b","
    yield from one_value(size)
    yield b"," + RECORD % (2, 2) + b"]}"


def nested(size: int) -> Iterator[bytes]:
    return (b"[" * 65536 for _ in range(0, size, 65536))


def zeros(size: int) -> Iterator[bytes]:
    return (bytes(MIB) for _ in range(0, size, MIB))


def packed(pieces: Iterable[bytes], packer: Any) -> Iterator[bytes]:
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def gz(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return packed(pieces, zlib.compressobj(1, zlib.DEFLATED, 31))


def zst(pieces: Iterable[bytes]) -> Iterator[bytes]:
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return packed(pieces, zstd.ZstdCompressor(level=1))


class _Pipe(io.RawIOBase):
    """stdout for writers that ask where they are. It cannot seek."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._out.write(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._place


def write_tar(size: int, out: IO[bytes]) -> None:
    """Entries of about a kilobyte, compressed each."""
    entry = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = entry.compress(b"\n".join(RECORD % (n, n) for n in range(16))) + entry.flush()
    with tarfile.open(fileobj=out, mode="w|") as archive:
        for number in range(size // 8192):
            info = tarfile.TarInfo(f"{number}.json.gz")
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
            archive.members = []


def write_zip(size: int, out: IO[bytes]) -> None:
    """One large file."""
    archive = zipfile.ZipFile(_Pipe(out), "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("audits.json", "w", force_zip64=True) as entry:
        for piece in records(size):
            entry.write(piece)


def write_many(size: int, out: IO[bytes]) -> None:
    """A zip of small files, whose directory is a good part of it."""
    with zipfile.ZipFile(_Pipe(out), "w") as archive:
        for number in range(size // 1024):
            archive.writestr(f"{number:0120}.json", RECORD % (number, number) + b"\n")


def write_zip_bomb(size: int, out: IO[bytes]) -> None:
    with zipfile.ZipFile(_Pipe(out), "w", zipfile.ZIP_BZIP2) as archive, archive.open("bomb", "w") as entry:
        for piece in zeros(size):
            entry.write(piece)


def write_parquet(size: int, out: IO[bytes]) -> None:
    """One row group, and rows of half a kilobyte that differ."""
    import pyarrow
    from pyarrow import parquet

    count = size // 512
    texts = [f"{number:064x}" * 7 for number in range(count)]
    table = pyarrow.table({"time": [1777889702412 + n for n in range(count)], "text": texts})
    parquet.write_table(table, _Pipe(out), row_group_size=count, compression="snappy", use_dictionary=False)


def write_avro(size: int, out: IO[bytes]) -> None:
    import fastavro

    fields = [{"name": "time", "type": "long"}, {"name": "text", "type": "string"}]
    rows = ({"time": 1777889702412 + n, "text": f"{n:064x}" * 7} for n in range(size // 512))
    fastavro.writer(_Pipe(out), {"type": "record", "name": "a", "fields": fields}, rows, codec="deflate")


def streamed(make: Callable[[int], Iterator[bytes]]) -> Callable[[int, IO[bytes]], None]:
    def write(size: int, out: IO[bytes]) -> None:
        for piece in make(size):
            out.write(piece)

    return write


class Case(NamedTuple):
    """`write` puts about `size_mb` MiB on a stream, before any compression."""

    size_mb: int
    write: Callable[[int, IO[bytes]], None]


CASES: Dict[str, Case] = {
    "records": Case(1000, streamed(records)),
    "records_gz": Case(830, streamed(lambda size: gz(records(size)))),
    "records_zstd": Case(830, streamed(lambda size: zst(records(size)))),
    "ndjson_gz": Case(830, streamed(lambda size: gz(ndjson(size)))),
    "text_line": Case(100, streamed(one_line)),
    "json_value": Case(100, streamed(one_value)),
    "json_record": Case(100, streamed(one_record)),
    "brackets": Case(100, streamed(nested)),
    "tar_of_gz": Case(200, write_tar),
    "zip": Case(400, write_zip),
    "zip_of_many": Case(200, write_many),
    "parquet": Case(400, write_parquet),
    "avro": Case(200, write_avro),
    "bomb_gz": Case(256, streamed(lambda size: gz(zeros(size)))),
    "bomb_gz_gz": Case(256, streamed(lambda size: gz(gz(zeros(size))))),
    "bomb_bz2": Case(256, streamed(lambda size: packed(zeros(size), bz2.BZ2Compressor()))),
    "bomb_xz": Case(256, streamed(lambda size: packed(zeros(size), lzma.LZMACompressor(preset=9)))),
    "bomb_zstd": Case(256, streamed(lambda size: zst(zeros(size)))),
    "bomb_zip": Case(256, write_zip_bomb),
}


# -- and how --------------------------------------------------------------------------------------------


def measure(case: str, *, size_mb: Optional[int] = None) -> Peak:
    """One case, in two processes of its own."""
    size_mb = size_mb or CASES[case].size_mb
    command = [sys.executable, "-m", "benchmarks.memory"]
    maker = subprocess.Popen(
        [*command, "--make", case, "--size-mb", str(size_mb)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert maker.stdout is not None
    try:
        found = subprocess.run(
            [*command, "--decode"], stdin=maker.stdout, stdout=subprocess.PIPE, cwd=ROOT, check=True
        )
    finally:
        maker.stdout.close()
        maker.kill()
        maker.wait()
    return Peak(case, size_mb, **json.loads(found.stdout))


def make(case: str, size_mb: int) -> None:
    """Write a case to stdout; the reader may have had enough before the end."""
    try:
        CASES[case].write(size_mb * MIB, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        sys.stderr.close()


def decode_stdin() -> None:
    """Decode stdin, and print what that came to. The time is this process's own, not the maker's."""
    from collector.decode import decode
    from collector.errors import CollectorError
    from collector.model import Format

    stored, events, outcome = 0, 0, "whole"

    def chunks() -> Iterator[bytes]:
        nonlocal stored
        while True:
            piece = sys.stdin.buffer.read(256 * 1024)
            stored += len(piece)
            if not piece:
                return
            yield piece

    try:
        for block in decode(chunks(), format=Format(), now=time.time()):
            events = block.end
    except CollectorError as error:
        outcome = error.code
    answer = {
        "stored_mb": stored / MIB, "seconds": time.process_time(), "peak_mb": peak_mb(),
        "events": events, "outcome": outcome,
    }
    print(json.dumps(answer))


def peak_mb() -> float:
    """The peak of this process's resident set. getrusage would remember a larger parent's on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = MIB if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {' '.join(CASES)}")
    parser.add_argument("--size-mb", type=int, help="instead of each case's own size")
    parser.add_argument("--make", metavar="CASE", help=argparse.SUPPRESS)
    parser.add_argument("--decode", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        make(chosen.make, chosen.size_mb)
    elif chosen.decode:
        decode_stdin()
    else:
        print("case            raw MB  stored MB   CPU s  peak MB     events  outcome")
        for case in chosen.cases or CASES:
            found = measure(case, size_mb=chosen.size_mb)
            print(
                f"{found.case:14} {found.raw_mb:7.0f} {found.stored_mb:10.1f} {found.seconds:7.1f} "
                f"{found.peak_mb:8.0f} {found.events:10d}  {found.outcome}", flush=True,
            )


if __name__ == "__main__":
    main()
