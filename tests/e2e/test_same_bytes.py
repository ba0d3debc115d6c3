"""One object of every kind of container through the real program: each format carries its own bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

from collector.testing.provider import Provider

#: Numbers, escapes, spaces and order that a parser would not give back.
ODD = [
    b'{"eventTime":"2024-05-04T10:15:02Z", "n": 18446744073709551616.10, "u":"\\u00e9", "a":1,"a":2}',
    '{"eventTime" : "2024-05-04T10:15:03Z","who":"Zo\u00eb \U0001f600 \u2028"}'.encode(),
    b'{"eventTime":"2024-05-04T10:15:04Z","slash":"a\\/b","empty":{},"e":1E400}',
]
TEXT = [b"a plain line", b" with spaces \x1b[0m ", "Zo\u00eb".encode()]
FLOW_HEADER = (
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end "
    b"action log-status"
)
FLOW = b"2 123456789012 eni-0a1b2c3d 10.0.0.1 10.0.0.2 1 2 6 1 1 17148177%02d 1714817799 ACCEPT OK"
FLOWS = [FLOW % number for number in range(3)]
SQL = [
    b"2024-05-04 10:15:02 UTC:10.0.0.9(1):u@d:[7]:LOG:  AUDIT: SESSION,1,1,READ,,,,\"SELECT 1,\n\t2\",x",
    b"2024-05-04 10:15:03 UTC:10.0.0.9(1):u@d:[7]:ERROR:  permission denied",
]


def _zip(*files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, body in enumerate(files):
            archive.writestr(f"../{number}", body)
    return out.getvalue()


def _tar(*files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for number, body in enumerate(files):
            entry = tarfile.TarInfo(f"../{number}")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return out.getvalue()


def _lines(events):
    return b"".join(event + b"\n" for event in events)


WRAPPED = b'{"Records":[' + b", ".join(ODD) + b"]}"
#: By key: what is stored, and the events it holds.
OBJECTS = {
    "lines": (_lines(ODD), ODD),
    "lines.gz": (gzip.compress(_lines(ODD)), ODD),
    "members.gz": (b"".join(gzip.compress(line + b"\n") for line in ODD), ODD),
    "twice.gz": (gzip.compress(gzip.compress(_lines(ODD))), ODD),
    "lines.bz2": (bz2.compress(_lines(ODD)), ODD),
    "lines.xz": (lzma.compress(_lines(ODD)), ODD),
    "trail": (WRAPPED, ODD),
    "trail.gz": (gzip.compress(WRAPPED), ODD),
    "array": (b"[" + b",\n".join(ODD) + b"]", ODD),
    "glued": (b"".join(ODD), ODD),
    "files.zip": (_zip(_lines(ODD), _lines(TEXT)), ODD + TEXT),
    "files.tar.gz": (_tar(_lines(ODD), WRAPPED), ODD + ODD),
    "text": (b"\r\n".join(TEXT), TEXT),
    "utf-16": (_lines(ODD).decode().encode("utf-16"), ODD),
    "flows": (_lines([FLOW_HEADER, *FLOWS]), FLOWS),
    "postgresql.log": (_lines(SQL), SQL),
    "rows.csv": (b"eventTime,who\n2024-05-04T10:15:02Z,\"a, b\"\n", [b'2024-05-04T10:15:02Z,"a, b"']),
}


def test_every_container_gives_the_providers_bytes_in_every_format(moto, collector):
    moto.reset()
    provider = Provider(moto, "same", delivery="none")
    for key, (stored, _) in OBJECTS.items():
        provider.upload(key, stored, ContentEncoding="br", ContentType="image/png")
    expected = {f"s3://{provider.bucket}/{key}": events for key, (_, events) in OBJECTS.items()}

    def run(form):
        for key in OBJECTS:
            provider.notify(key)
        done = collector({**provider.handover(), "stdout_format": form}).run("--once")
        assert done.returncode == 0, done.stderr[-2000:]
        assert provider.queue_depth() == 0, done.stderr[-2000:]
        return done.stdout

    raw = run("raw")
    assert sorted(raw.split(b"\n")) == sorted(b"".join(map(_lines, expected.values())).split(b"\n"))
    for events in expected.values():
        assert _lines(events) in raw, "in order, with nothing between them"
    for form in ("json", "hec"):
        found = {}
        for line in run(form).decode().split("\n")[:-1]:
            whole = json.loads(line, parse_float=str)
            text = whole["event"] if isinstance(whole["event"], str) else _as_it_stands(line)
            found.setdefault(whole["source"], []).append(text.encode())
        assert found == expected


def _as_it_stands(envelope):
    """The event's own spelling inside an envelope: it is the last member."""
    return envelope.split(',"event":', 1)[1][:-1]
