"""Generated documents for the laws of decoding: JSON in every arrangement, and damage done to it."""

from __future__ import annotations

import json
from typing import Any, List, Optional, Tuple

from hypothesis import strategies as st

from collector.decode import decode
from collector.errors import CollectorError
from collector.model import Format

NOW = 1_800_000_000.0

#: One event as everybody sees it.
Row = Tuple[bytes, Optional[str], bool, str]


def rows(
    stored: bytes, *, step: int = 1 << 20, accelerated: bool = True, format: Optional[Format] = None
) -> Tuple[List[Row], str]:
    """All events of an object that arrives in chunks of `step` bytes, and the code of its error or ""."""
    chunks = (stored[start : start + step] for start in range(0, len(stored), step))
    found: List[Row] = []
    try:
        for block in decode(chunks, format=format or Format(), now=NOW, accelerated=accelerated):
            assert block.first == len(found)
            found += [(event.body, event.time, event.is_json, event.note) for event in block]
    except CollectorError as error:
        return found, error.code
    return found, ""


TIMES: st.SearchStrategy[Any] = st.sampled_from(
    ["2026-05-04T10:15:02Z", "2026-05-04T10:15:02.412Z", "2026-05-04 10:15:02 UTC", "soon", 1777889702,
     1777889702412, "1777889702.5", 42, None, True, {}, "2026-05-04T10:15:0\\u0032Z"]
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(['},{"a":', "]}", '"},{"', "\\", "\u2028", "\x7f", "\ud83d\ude00", "}\n{"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
NAMES = st.one_of(st.sampled_from(["a", "b", "eventTime", "time", "Records", "items"]), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def records(draw: Any) -> Any:
    """Mostly objects that begin with the same key, as audits do."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    record = {"eventTime": draw(TIMES)} if draw(st.booleans()) else {"a": draw(VALUES)}
    record.update(draw(st.dictionaries(NAMES, VALUES, max_size=3)))
    return record


def spelled(value: Any, *, indent: Optional[int], escaped: bool) -> bytes:
    """One JSON spelling of a value; a lone surrogate stays an escape."""
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    return text.encode("utf-8", "replace")


KINDS = ["ndjson", "crlf", "glued", "array", "records", "events", "tail", "many"]


@st.composite
def documents(draw: Any) -> bytes:
    """NDJSON, arrays, wrappers and glued values."""
    found = draw(st.lists(records(), max_size=12))
    indent = draw(st.sampled_from([None, None, 1]))
    escaped = draw(st.booleans())
    texts: List[bytes] = [spelled(value, indent=indent, escaped=escaped) for value in found]
    kind: str = draw(st.sampled_from(KINDS))
    comma: bytes = draw(st.sampled_from([b",", b", ", b",\n  "]))
    if kind in ("ndjson", "crlf", "glued"):
        return {"ndjson": b"\n", "crlf": b"\r\n", "glued": b""}[kind].join(texts)
    array = b"[" + comma.join(texts) + b"]"
    if kind == "array":
        return array
    if kind == "events":
        return b'{"version":"1","events":' + array + b',"count":3}'
    if kind == "tail":
        return b'{"x":{"y":[1]},"Records":' + array + b',"z":[{"Records":[]}],"Records": ' + array + b"}\n"
    return (b'{"Records":' + array + b"}") * (2 if kind == "many" else 1)


JUNK = [b"", b"\xff", b"}", b"{", b"[", b"]", b",", b'"', b"\n", b"\\ud800", b"NaN", b"\\", b"\x00", b"tru",
        b"-", b"\xc3", b"1e5"]


@st.composite
def damaged(draw: Any) -> bytes:
    """A document cut off, with bytes changed, inserted, or taken out."""
    text = bytearray(draw(documents()))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        junk = draw(st.sampled_from(JUNK))
        text[place : place + draw(st.integers(0, 2))] = junk
    end = draw(st.integers(0, len(text))) if draw(st.booleans()) else len(text)
    return bytes(text[:end])
