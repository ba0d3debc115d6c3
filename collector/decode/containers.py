"""Which JSON objects are wrappers around events, and which are events themselves.

`Records` (CloudTrail), `logEvents` (CloudWatch) and `configurationItems` (Config) always hold events.
A common word such as `items` or `data` may as well be a field of one event, and taking such an event
apart would lose its other fields; so it counts only where nothing stands beside it but the trimmings of
a wrapper, and its first element is an object. In doubt the object is one event: nothing is lost.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from collector.decode.scan import key_at, skip_space, value_end

__all__ = ["LOOKAHEAD_BYTES", "RECORDS_HEAD", "holds_events", "inside_offset", "opens_events"]

#: An object that ends within this is judged by all its keys; a longer one by those before the array.
LOOKAHEAD_BYTES = 1024 * 1024

RECORDS_HEAD = re.compile(rb'\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*\[')

_ALWAYS = frozenset(["Records", "logEvents", "configurationItems"])
_PERHAPS = frozenset(["events", "data", "items", "logs", "records", "value", "docs", "audits"])
_TRIMMINGS = frozenset(
    """@odata.context @odata.count @odata.nextLink count cursor fileVersion hasMore has_more limit links
    meta metadata next nextPageToken nextToken next_cursor next_token offset page pageSize page_size
    pagination schema schemaVersion size status success total totalCount total_count version""".split()
)


def holds_events(parsed: Mapping[str, Any]) -> bool:
    """Whether a whole object is a wrapper."""
    if any(isinstance(parsed.get(name), list) for name in _ALWAYS):
        return True
    return any(_is_perhaps(name, parsed) for name in _PERHAPS)


def _is_perhaps(name: str, parsed: Mapping[str, Any]) -> bool:
    inside = parsed.get(name)
    if not isinstance(inside, list) or (inside and not isinstance(inside[0], dict)):
        return False
    return all(key == name or key in _TRIMMINGS for key in parsed)


def opens_events(key: bytes) -> bool:
    """Whether an array under this key, in an object known to be a wrapper, holds events."""
    name = key.decode("latin-1")
    return name in _ALWAYS or name in _PERHAPS


def inside_offset(text: bytes, *, whole: bool, sure: bool = False) -> int:
    """The offset just inside the first array of events of the object that begins `text`, or -1.

    `whole` says that `holds_events` has said yes; otherwise the keys before the array decide.
    With `sure`, only the names that always hold events count.
    """
    position = skip_space(text, 1) if text.startswith(b"{") else len(text)
    bare = not sure
    while position < len(text):
        key, position = key_at(text, position)
        name = key.decode("latin-1")
        if position < 0:
            return -1
        if text[position] == 0x5B and (
            name in _ALWAYS or (name in _PERHAPS and bare and _starts_with_object(text, position, whole))
        ):
            return position + 1
        bare = bare and name in _TRIMMINGS
        position = _next_key(text, position)
    return -1


def _starts_with_object(text: bytes, position: int, whole: bool) -> bool:
    first = text[skip_space(text, position + 1) :][:1]
    return first == b"{" or (whole and first == b"]")


def _next_key(text: bytes, position: int) -> int:
    """From a member's value to the next key; len(text) if there is none."""
    end = value_end(text, position)
    if end < 0:
        return len(text)
    end = skip_space(text, end)
    if text[end : end + 1] != b",":
        return len(text)
    following = skip_space(text, end + 1)
    return following
