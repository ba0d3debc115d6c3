"""Generated logs of every dialect, with rows that are odd in every way that a line can be."""

from __future__ import annotations

from typing import Any, Mapping

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [b"x", b"", b"-", b'"', b'""', b"\xff", b"\r", b"a b", "\u00e9".encode(), b"{", b"#", b"\t", b"y" * 30]
)
ODD = st.sampled_from(
    [b"", b"\r", b"\tfurther", b" ", b"odd", b'{"a":1}', b"#Fields: time date", b"start end srcaddr",
     b"\xff\xff", b"id,eventTime,action", b'"never closed', b"2026-05-04T10:15:02.412Z exported"]
)
SECONDS = st.integers(0, 59)

VPC_HEADERS = [
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end "
    b"action log-status",
    b"srcaddr start dstaddr end",
    b"interface-id srcaddr dstaddr",
]
VPC = (
    b"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 "
    b"17778897%02d 1777889799 ACCEPT OK"
)
NODATA = b"2 123456789010 eni-1235b8ca123456789 - - - - - - - 17778897%02d 1777889799 - NODATA"
W3C_HEAD = b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes"
ALB = b'http 2026-05-04T10:15:%02d.123456Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 - 0 0 0 200 "GET /"'
CLB = (
    b"2026-05-04T10:15:%02d.945958Z lb 192.168.131.39:2817 10.0.0.1:80 0.0 0.1 0.0 200 200 0 29 "
    b'"GET / HTTP/1.1"'
)
NLB = b"tls 2.0 2026-05-04T10:15:%02d net/lb/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 -"
S3 = b"%b b [04/May/2026:10:15:%%02d +0000] 192.0.2.3 -" % (b"79a59df900b949e5" * 4)
PG = (
    b"2026-05-04 10:15:%02d UTC:10.0.0.9(40642):etl@sales:[16797]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"
    b'"SELECT '
)


@st.composite
def vpcflow(draw: Any) -> bytes:
    return _log(draw, [st.just(VPC_HEADERS[draw(st.integers(0, 2))])], [VPC, NODATA], VPC_HEADERS)


@st.composite
def cloudfront(draw: Any) -> bytes:
    row = b"2026-05-04\t10:15:%02d\tLAX1\t392"
    return _log(draw, [st.just(W3C_HEAD)], [row], [W3C_HEAD, b"#Fields: x date time", b"#Fields: x"])


@st.composite
def elb(draw: Any) -> bytes:
    return _log(draw, [], [draw(st.sampled_from([ALB, CLB, NLB]))], [])


@st.composite
def s3access(draw: Any) -> bytes:
    return _log(draw, [], [S3], [])


@st.composite
def cloudwatch(draw: Any) -> bytes:
    return _log(draw, [], [b"2026-05-04T10:15:%02d.412Z said"], [b"\tat further.on", b"2026-05-04T10:15:02"])


@st.composite
def pgaudit(draw: Any) -> bytes:
    return _log(draw, [], [PG, b"2026-05-04T10:15:02.412Z " + PG], [b"\tfrom account", b"\t", b"\t\tx"])


CSV_FIELDS = st.sampled_from(
    [b"a", b"", b'"a, b"', b'"a\nb"', b'"a""\n""b"', b'5" disk', b'"open', b"\xff", b"2026"]
)


@st.composite
def csv(draw: Any) -> bytes:
    header = draw(st.sampled_from([b"id,eventTime,action", b'"Id","Event Time",actor,x', b"id;timestamp;a"]))
    mark = b";" if b";" in header else b","
    rows = [header, b"1" + mark + b"2026-05-04T10:15:02Z" + mark + b"x"]
    for _ in range(draw(st.integers(0, 12))):
        cells = [draw(CSV_FIELDS), b"2026-05-04T10:15:%02dZ" % draw(SECONDS), draw(CSV_FIELDS)]
        rows.append(draw(st.sampled_from([mark.join(cells), header, draw(ODD)])))
    return _joined(draw, rows)


def _log(draw: Any, head: Any, rows: Any, more: Any) -> bytes:
    """A log that begins as its dialect does, followed by rows, further lines of its own, and odd ones."""
    found = [draw(one) for one in head] or [rows[0] % 2]
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.integers(0, 9))
        if kind < 6:
            found.append(draw(st.sampled_from(rows)) % draw(SECONDS) + draw(WORDS))
        else:
            found.append(draw(st.sampled_from(more)) if kind < 8 and more else draw(ODD))
    return _joined(draw, found)


def _joined(draw: Any, lines: Any) -> bytes:
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    return end.join(lines) + draw(st.sampled_from([b"", end, end + end]))


LOGS: Mapping[str, st.SearchStrategy[bytes]] = {
    "vpcflow": vpcflow(), "cloudfront": cloudfront(), "elb": elb(), "s3access": s3access(),
    "cloudwatch": cloudwatch(), "pgaudit": pgaudit(), "csv": csv(),
}
